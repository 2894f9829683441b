"""The demonstration: two shops that were kept by version 1.0 until a while ago."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.sandbox.amazon.products import UNPROVEN, Product
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.base_shop.items import LAST_OF_PLANE
from ecauto_pipeline.sandbox.base_shop.state import BEYOND_INTEGER, FIRST_ITEM_ID, Item, ShopSeed
from ecauto_pipeline.sandbox.draw import draw, pick, token

ACCOUNTS = ("base_account_1", "base_account_2")
FIRST_ACCOUNT_ASINS = 5
FURTHER_ASINS = 400

# With a fraction of a second, as version 1.0 wrote its times.
LEFT_AT = datetime(2025, 12, 13, 21, 30, 0, 250_000, tzinfo=JAPAN)
"""When version 1.0 last ran."""

REPRICED_PERCENT = 15
FLIPPED_PERCENT = 5
SMALLEST_PRICE_CHANGE = 100
NOT_UPLOADED = 8
"""So many of the last ASINs were never uploaded."""


@dataclass(frozen=True, slots=True)
class DemoListing:
    """A listing as version 1.0 left it; without an item id it was never uploaded."""

    product: Product
    account_id: str
    item_id: int | None
    sku: str
    amazon_price_jpy: int
    amazon_in_stock: bool
    listed_at: datetime

    @property
    def selling_price(self) -> int:
        """What version 1.0 asked for it."""
        return self.amazon_price_jpy * 13 // 10

    @property
    def visible(self) -> int:
        """Whether buyers see it: version 1.0 hid what Amazon had not."""
        return int(self.amazon_in_stock)


def demo_shops() -> tuple[ShopSeed, ...]:
    """The two accounts, with the credentials that the demonstration folder carries."""
    return tuple(
        ShopSeed(
            account_id=account_id,
            shop_id=f"demo-shop-{number}",
            client_id=token(32, "client", number),
            client_secret=token(32, "secret", number),
            refresh_token=token(32, "refresh", number),
        )
        for number, account_id in enumerate(ACCOUNTS, 1)
    )


def demo_listings(world: World, further: int = FURTHER_ASINS) -> tuple[DemoListing, ...]:
    """The listings of both accounts: the first 11 ASINs of the world, and so many further.

    They follow from how the world began, so they stay the same however far it has moved.
    """
    asins = world.natives[: len(FIRST_ASINS) + further]
    world = World(asins, seed=world.seed)
    uploaded = max(len(FIRST_ASINS), len(asins) - NOT_UPLOADED)
    next_ids: dict[str, int] = {ACCOUNTS[0]: FIRST_ITEM_ID, ACCOUNTS[1]: BEYOND_INTEGER}
    listings: list[DemoListing] = []
    for number, asin in enumerate(asins):
        second = number % 2 if number >= len(FIRST_ASINS) else number >= FIRST_ACCOUNT_ASINS
        account_id = ACCOUNTS[int(second)]
        item_id = None
        if number < uploaded:
            item_id = next_ids[account_id]
            next_ids[account_id] += 1
        product = world.ensure(asin)
        # Amazon's price then is that of now, for some another.
        price = product.truth().price_jpy or product.price_jpy
        if draw(100, world.seed, asin, "old price") < REPRICED_PERCENT:
            change = price * (8 + draw(15, world.seed, asin, "by")) // 100
            way = pick((-1, 1), world.seed, asin, "old way")
            price += max(SMALLEST_PRICE_CHANGE, change) * way
        in_stock_now = product.kind in UNPROVEN or product.truth().in_stock is True
        flipped = draw(100, world.seed, asin, "old stock") < FLIPPED_PERCENT
        listed_at = LEFT_AT - timedelta(days=60) + timedelta(minutes=3 * number)
        listing = DemoListing(
            product=product,
            account_id=account_id,
            item_id=item_id,
            # As version 1.0 made its SKUs, by which it found the ASIN again.
            sku=f"b-{asin}-{listed_at:%Y%m%d%H%M%S}",
            amazon_price_jpy=price,
            amazon_in_stock=in_stock_now is not flipped,
            listed_at=listed_at,
        )
        listings.append(listing)
    return tuple(listings)


def demo_items(world: World, further: int = FURTHER_ASINS) -> Mapping[str, tuple[Item, ...]]:
    """What each BASE shop holds, in agreement with the listings."""
    items: dict[str, list[Item]] = {account_id: [] for account_id in ACCOUNTS}
    for listing in demo_listings(world, further):
        if listing.item_id is None:
            continue
        listed_at = int(listing.listed_at.timestamp())
        item = Item(
            title=base_safe(listing.product.title),
            price=listing.selling_price,
            stock=1,
            item_id=listing.item_id,
            detail=base_safe(listing.product.description),
            visible=listing.visible,
            identifier=listing.sku,
            created=listed_at,
            modified=listed_at,
            images=dict(enumerate(listing.product.images, 1)),
        )
        items[listing.account_id].append(item)
    return {account_id: tuple(its_items) for account_id, its_items in items.items()}


def base_safe(text: str) -> str:
    """The text without the characters that BASE refuses."""
    return "".join(sign for sign in text if ord(sign) <= LAST_OF_PLANE).strip()
