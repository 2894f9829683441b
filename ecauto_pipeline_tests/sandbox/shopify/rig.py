"""A client of the sandbox's Shopify, as plain as can be, and the queries of the mirror."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import FakeClock

VERSION = "2026-10"

CUSTOMER = """
id legacyResourceId firstName lastName displayName state note tags locale taxExempt verifiedEmail
numberOfOrders amountSpent { amount currencyCode } lastOrder { id name } createdAt updatedAt
defaultEmailAddress {
  emailAddress marketingState marketingOptInLevel marketingUpdatedAt validFormat
}
defaultPhoneNumber {
  phoneNumber marketingState marketingOptInLevel marketingUpdatedAt marketingCollectedFrom
}
defaultAddress {
  id company address1 address2 city province provinceCode country countryCodeV2 zip phone
}
"""
PRODUCT = """
id title descriptionHtml vendor productType handle status tags totalInventory
publishedAt createdAt updatedAt
variants(first: %d) {
  nodes {
    id title sku barcode price compareAtPrice position taxable inventoryQuantity createdAt updatedAt
    inventoryItem { id tracked requiresShipping measurement { weight { unit value } } }
  }
  pageInfo { hasNextPage endCursor }
}
"""
BAG = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
ORDER = f"""
id name email customer {{ id }} displayFinancialStatus displayFulfillmentStatus test tags
totalPriceSet {BAG} totalRefundedSet {BAG} createdAt updatedAt cancelledAt closedAt
lineItems(first: %d) {{
  nodes {{
    id name quantity currentQuantity sku originalUnitPriceSet {BAG}
    discountedTotalSet(withCodeDiscounts: true) {BAG}
    product {{ id }} variant {{ id }}
  }}
  pageInfo {{ hasNextPage endCursor }}
}}
"""


def listing(entity: str, selection: str, arguments: str = "first: 250") -> str:
    """A query for a page of a list."""
    page = "pageInfo { hasNextPage endCursor }"
    return f"{{ {entity}({arguments}) {{ nodes {{ {selection} }} {page} }} }}"


class ShopifyCaller:
    """Calls one store."""

    def __init__(self, url: str, shop: ShopifyShop, version: str = VERSION) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)
        self.http.headers["x-shopify-access-token"] = shop.access_token or ""
        self.version = version

    def get(self, name: str, **query: str | int) -> httpx.Response:
        """Read by REST."""
        return self.http.get(f"/admin/api/{self.version}/{name}.json", params=query)

    def pages(self, name: str, **query: str | int) -> Iterator[httpx.Response]:
        """Read a list of REST to its end."""
        response = self.get(name, **query)
        yield response
        while "next" in response.links:
            response = self.http.get(response.links["next"]["url"])
            yield response

    def ask(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """Ask by GraphQL."""
        path = f"/admin/api/{self.version}/graphql.json"
        response = self.http.post(path, json={"query": query, "variables": variables})
        assert response.status_code == 200
        return response.json()

    def data(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """What is answered by GraphQL, without errors."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def walk(
        self, entity: str, size: int, search: str | None = None, sort: str = "UPDATED_AT"
    ) -> list[dict[str, Any]]:
        """All nodes of a list, page by page."""
        arguments = f"first: $n, after: $after, query: $search, sortKey: {sort}"
        page = listing(entity, "id updatedAt", arguments)
        query = f"query ($n: Int!, $after: String, $search: String) {page}"
        nodes, after, more = list[dict[str, Any]](), None, True
        while more:
            page = self.data(query, n=size, after=after, search=search)[entity]
            nodes += page["nodes"]
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        return nodes


class Rig:
    """A sandbox with one store, and a caller of it."""

    def __init__(self, clock: FakeClock, *, rate_multiplier: float = 1000, **options: Any) -> None:
        counts: dict[str, Any] = {"customers": 60, "products": 20, "orders": 40, **options}
        self.clock = clock
        self.shop = ShopifyShop("shop-t", "shop-t.myshopify.com", clock=clock, **counts)
        self.sandbox = Sandbox(
            World([]), shopify_shops=[self.shop], clock=clock, rate_multiplier=rate_multiplier
        )

    def __enter__(self) -> "Rig":
        self.sandbox.start()
        self.caller = ShopifyCaller(self.sandbox.url, self.shop)
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.http.close()
        self.sandbox.close()


MakeRig = Callable[..., Rig]
