"""A Shopify store wired up as the program does it, and answers as Shopify gives them."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecauto_pipeline.clients.http import JsonApi, open_http
from ecauto_pipeline.clients.shopify.api import ShopifyApi, ShopifyShop
from ecauto_pipeline.clients.shopify.bulk import ShopifyBulk
from ecauto_pipeline.clients.shopify.graphql import ShopifyGraphql
from ecauto_pipeline.clients.shopify.pacing import ShopifyPacing
from ecauto_pipeline.clients.shopify.rest import ShopifyRest
from ecauto_pipeline.clients.shopify.tokens import ShopifyCredentials, ShopifyTokens
from ecauto_pipeline.settings.redaction import Redactor
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.shopify.bulk_staging import BulkStaging
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import Scripted, answer

VERSION = "2026-10"
TOKEN = "shpat_canary_0123456789abcdef"
SECRET = "shpss_canary_secret_0123456789"
STATIC = ShopifyCredentials(access_token=TOKEN)
OWN_APP = ShopifyCredentials(client_id="app-one", client_secret=SECRET)

GRAPHQL_PATH = f"/admin/api/{VERSION}/graphql.json"


def rest_path(name: str) -> str:
    """Where a resource of REST is."""
    return f"/admin/api/{VERSION}/{name}"


@dataclass(slots=True)
class Rig:
    """One store on one endpoint, as one process has it; `settings` is what would be read again."""

    clock: FakeClock
    rates: RateBuckets
    http: JsonApi
    tokens: ShopifyTokens
    api: ShopifyApi
    folder: Path
    settings: list[ShopifyCredentials]
    waits: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    @property
    def graphql(self) -> ShopifyGraphql:
        """Lists over GraphQL."""
        return ShopifyGraphql(self.api)

    @property
    def rest(self) -> ShopifyRest:
        """Lists over REST."""
        return ShopifyRest(self.api, self.graphql)

    @property
    def bulk(self) -> ShopifyBulk:
        """Lists by bulk operations."""
        return ShopifyBulk(self.api, self.folder, BulkStaging, self.clock)

    def buckets(self) -> dict[str, tuple[float, float]]:
        """The rate and size of each bucket, by the kind of its calls."""
        return {
            state.bucket.rpartition("/")[2]: (state.per_second, state.burst)
            for state in self.rates.snapshot()
        }


@contextmanager
def rigged(
    endpoint: str,
    clock: FakeClock,
    folder: Path,
    credentials: ShopifyCredentials = STATIC,
) -> Generator[Rig]:
    """A store whose turns go by the test's clock; the random part of pauses is nothing."""
    engine = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(engine)
    rates = RateBuckets(engine, clock)
    settings = [credentials]
    waits: list[tuple[str, float]] = []
    with open_http() as http:
        json_api = JsonApi(http, endpoint, clock, Redactor())
        tokens = ShopifyTokens("main", lambda: settings[0], json_api, clock)
        pacing = ShopifyPacing(rates, clock, lambda bucket, wait: waits.append((bucket, wait)))
        shop = ShopifyShop("main", endpoint, VERSION)
        api = ShopifyApi(shop, json_api, tokens, pacing, clock, lambda: 0.0)
        yield Rig(clock, rates, json_api, tokens, api, folder, settings, waits)
    engine.dispose()


def data(
    found: Mapping[str, Any] | None,
    *errors: Mapping[str, Any],
    price: Mapping[str, Any] | None = None,
    version: str = VERSION,
) -> Scripted:
    """An answer of GraphQL; without data when `found` is None."""
    body: dict[str, Any] = {} if found is None else {"data": found}
    if errors:
        body["errors"] = errors
    if price:
        body["extensions"] = {"cost": price}
    return answer(body, 200, X_Shopify_API_Version=version)


def cost(
    requested: float,
    available: float,
    *,
    actual: float | None = None,
    rate: float = 100,
    size: float = 2000,
) -> dict[str, Any]:
    """What an answer says about its price."""
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": {
            "maximumAvailable": size,
            "currentlyAvailable": available,
            "restoreRate": rate,
        },
    }


def error(code: str, message: str = "", *path: str | int) -> dict[str, Any]:
    """An error as GraphQL tells it."""
    return {"message": message or code, "path": list(path), "extensions": {"code": code}}


def connection(nodes: Sequence[object], after: str | None = None) -> dict[str, Any]:
    """A page of a list; `after` is where the next one begins."""
    return {"nodes": nodes, "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}


def page(root: str, nodes: Sequence[object], after: str | None = None) -> Scripted:
    """An answer with a page of a list."""
    return data({root: connection(nodes, after)})


def customer(number: int, updated_at: str = "2026-11-20T03:00:00Z", **more: Any) -> dict[str, Any]:
    """A node with what every customer has."""
    return {
        "id": f"gid://shopify/Customer/{number}",
        "legacyResourceId": str(number),
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": updated_at,
        **more,
    }


def variant(number: int) -> dict[str, Any]:
    """A node with what every variant has."""
    return {"id": f"gid://shopify/ProductVariant/{number}", "sku": f"SKU-{number}"}


def product(
    number: int,
    variants: Sequence[int] = (),
    after: str | None = None,
    updated_at: str = "2026-11-20T03:00:00Z",
) -> dict[str, Any]:
    """A node with what every product has; `after` leads to more variants."""
    return {
        "id": f"gid://shopify/Product/{number}",
        "title": f"Product {number}",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": updated_at,
        "variants": connection([variant(each) for each in variants], after),
    }


def variant_ids(record: Any) -> list[int]:
    """The ids of a record's children."""
    return [child["id"] for child in record.children]
