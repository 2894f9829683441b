"""The Shopify stores of the demonstration."""

from zoneinfo import ZoneInfo

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop


def demo_shopify_shops(clock: Clock | None = None) -> tuple[ShopifyShop, ...]:
    """Two stores with a few hundred records each: one in Japan, one in New York."""
    return (
        ShopifyShop(
            "shop-a",
            "shop-a.myshopify.com",
            customers=400,
            products=160,
            orders=240,
            access_token="shpat_demonstration_a",  # noqa: S106 - of the sandbox
            clock=clock,
            seed=1,
        ),
        ShopifyShop(
            "shop-b",
            "shop-b.myshopify.com",
            customers=300,
            products=170,
            orders=260,
            client_id="demonstration-client",
            client_secret="demonstration-secret",  # noqa: S106 - of the sandbox
            currency="USD",
            timezone=ZoneInfo("America/New_York"),
            customers_match_whole_days=True,
            clock=clock,
            seed=2,
        ),
    )
