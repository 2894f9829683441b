"""The client against the sandbox's store: every transport gives the same, whatever goes wrong."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.clients.http import open_http
from ecauto_pipeline.clients.shopify.api import ShopifyShop as Shop
from ecauto_pipeline.clients.shopify.client import ShopifyClient, open_shopify
from ecauto_pipeline.clients.shopify.tokens import ShopifyCredentials
from ecauto_pipeline.domain.shopify.mirror import EVERYTHING, Entity, Page, Transport, Window
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.shopify.bulk_staging import BulkStaging
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.fakes import FakeClock

COUNTS = {"customers": 700, "products": 60, "orders": 300}
OWN_APP = {"client_id": "app-one", "client_secret": "shpss_secret_of_app_one"}

Rows = Mapping[int, tuple[Mapping[str, Any], list[int]]]


@contextmanager
def opened(
    clock: FakeClock, folder: Path, **options: Any
) -> Generator[tuple[ShopifyClient, ShopifyShop, Sandbox]]:
    shop = ShopifyShop("main", "main.myshopify.com", clock=clock, **COUNTS, **options)
    engine = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(engine)
    with Sandbox(World([]), shopify_shops=[shop], clock=clock) as sandbox, open_http() as http:
        client = open_shopify(
            http,
            Shop("main", sandbox.url, "2026-10"),
            lambda: ShopifyCredentials(
                shop.access_token or "", shop.client_id or "", shop.client_secret or ""
            ),
            RateBuckets(engine, clock),
            clock,
            folder=folder,
            stage=BulkStaging,
        )
        yield client, shop, sandbox
    engine.dispose()


def rows(pages: Iterator[Page]) -> Rows:
    """The records by their id, with the ids of their children."""
    found: dict[int, tuple[Mapping[str, Any], list[int]]] = {}
    for page in pages:
        assert not page.bad
        for record in page.records:
            assert record.children_complete
            found[record.id] = record.columns, sorted(child["id"] for child in record.children)
    return found


@pytest.mark.parametrize("entity", list(Entity))
def test_every_transport_gives_the_same(clock: FakeClock, tmp_path: Path, entity: Entity) -> None:
    with opened(clock, tmp_path) as (client, _, _):
        graphql, rest, bulk = (
            rows(client.pages(entity, EVERYTHING, transport)) for transport in Transport
        )
        assert len(graphql) == COUNTS[entity.value] == client.count(entity)
        assert graphql == rest == bulk
        for transport in Transport:
            assert {each for ids in client.ids(entity, transport) for each in ids} == set(graphql)
            assert client.count(entity, EVERYTHING, transport) == len(graphql)


@pytest.mark.parametrize("transport", list(Transport))
def test_a_window_gives_what_changed_in_it(
    clock: FakeClock, tmp_path: Path, transport: Transport
) -> None:
    with opened(clock, tmp_path) as (client, _, _):
        window = Window(since=clock.now() - timedelta(days=200), until=clock.now())
        found = rows(client.pages(Entity.ORDERS, window, transport))
        everything = rows(client.pages(Entity.ORDERS))
        since = window.since
        assert since is not None
        wanted = {id_ for id_, (row, _) in everything.items() if row["updated_at"] >= since}
        assert set(found) == wanted
        assert 0 < len(wanted) < len(everything)


def test_turns_are_kept_so_that_no_query_is_refused(clock: FakeClock, tmp_path: Path) -> None:
    with opened(clock, tmp_path) as (client, _, sandbox):
        rows(client.pages(Entity.ORDERS))
        needed = sandbox.calls("shopify/graphql")
        for _ in range(5):
            rows(client.pages(Entity.ORDERS))
        assert sum(clock.slept) > 10, "the budget was used up"
        assert sandbox.calls("shopify/graphql") == 6 * needed


def test_a_token_that_expires_on_the_way_is_renewed(clock: FakeClock, tmp_path: Path) -> None:
    with opened(clock, tmp_path, **OWN_APP) as (client, _, sandbox):
        pages = client.pages(Entity.CUSTOMERS)
        first = len(next(pages).records)
        sandbox.expire_tokens("shopify")
        assert first + len(rows(pages)) == COUNTS["customers"]
        assert sandbox.calls("shopify/oauth") == 2
