"""One store, put together as the program does it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.clients.http import open_http
from ecauto_pipeline.clients.shopify.api import ShopifyShop
from ecauto_pipeline.clients.shopify.client import SCOPES_PATH, ShopifyClient, open_shopify
from ecauto_pipeline.domain.shopify.mirror import Entity, Transport, Window
from ecauto_pipeline.errors import NoProof
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.shopify.bulk_staging import BulkStaging
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.clients.shopify.rig import (
    GRAPHQL_PATH,
    STATIC,
    VERSION,
    customer,
    data,
    page,
    rest_path,
)
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.scripted_server import (
    Scripted,
    ScriptedServer,
    answer,
)


@pytest.fixture
def client(server: ScriptedServer, clock: FakeClock, tmp_path: Path) -> Iterator[ShopifyClient]:
    engine = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(engine)
    client = open_shopify(
        open_http(),
        ShopifyShop("main", server.url, VERSION),
        lambda: STATIC,
        RateBuckets(engine, clock),
        clock,
        folder=tmp_path / "shopify" / "bulk",
        stage=BulkStaging,
    )
    yield client
    client.close()
    engine.dispose()


def bulk_answers(server: ScriptedServer) -> list[Scripted]:
    run: dict[str, Any] = {
        "bulkOperation": {"id": "gid://shopify/BulkOperation/1"},
        "userErrors": [],
    }
    done = {"status": "COMPLETED", "objectCount": "1", "rootObjectCount": "1", "url": server.url}
    return [
        data({"bulkOperationRunQuery": run}),
        data({"bulkOperation": done}),
        Scripted(answer(customer(1)).body),
    ]


def test_scopes_are_what_the_token_may_do(server: ScriptedServer, client: ShopifyClient) -> None:
    server.will(answer({"access_scopes": [{"handle": "read_orders"}, {"handle": "read_products"}]}))
    assert client.scopes() == {"read_orders", "read_products"}
    assert [request.path for request in server.received] == [SCOPES_PATH]


@pytest.mark.parametrize("body", [{}, {"access_scopes": None}])
def test_an_answer_without_scopes_proves_nothing(
    server: ScriptedServer, client: ShopifyClient, body: dict[str, Any]
) -> None:
    server.will(answer(body))
    with pytest.raises(NoProof, match="no scopes"):
        client.scopes()


@pytest.mark.parametrize("transport", list(Transport))
def test_records_come_over_each_transport(
    server: ScriptedServer, client: ShopifyClient, transport: Transport
) -> None:
    moment = "2026-11-20T12:00:00+09:00"
    body = {"id": 1, "created_at": moment, "updated_at": moment}
    answers = {
        Transport.GRAPHQL: [page("customers", [customer(1)])],
        Transport.REST: [answer({"customers": [body]})],
        Transport.BULK: bulk_answers(server),
    }
    server.will(*answers[transport])
    (found,) = client.pages(Entity.CUSTOMERS, Window(), transport)
    assert [record.id for record in found.records] == [1]
    path = rest_path("customers.json") if transport is Transport.REST else GRAPHQL_PATH
    assert server.received[0].path == path


def test_a_bulk_operation_is_told_and_resumed(
    server: ScriptedServer, client: ShopifyClient
) -> None:
    started: list[str] = []
    server.will(*bulk_answers(server))
    assert len(list(client.bulk_pages(Entity.CUSTOMERS, started=started.append))) == 1
    server.will(*bulk_answers(server)[1:])
    assert len(list(client.bulk_pages(Entity.CUSTOMERS, resume=started[0]))) == 1
    assert started == ["gid://shopify/BulkOperation/1"]


@pytest.mark.parametrize("transport", [None, *Transport])
def test_records_are_counted_over_rest_only_if_that_is_wanted(
    server: ScriptedServer, client: ShopifyClient, transport: Transport | None
) -> None:
    is_rest = transport is Transport.REST
    server.will(answer({"count": 5}) if is_rest else data({"ordersCount": {"count": 5}}))
    assert client.count(Entity.ORDERS, Window(), transport) == 5


@pytest.mark.parametrize("transport", [None, *Transport])
def test_ids_come_by_bulk_only_if_that_is_wanted(
    server: ScriptedServer, client: ShopifyClient, transport: Transport | None
) -> None:
    is_bulk = transport is Transport.BULK
    server.will(*(bulk_answers(server) if is_bulk else [page("customers", [customer(1)])]))
    assert list(client.ids(Entity.CUSTOMERS, transport)) == [[1]]


def test_deletions_are_told(server: ScriptedServer, client: ShopifyClient) -> None:
    server.will(page("events", []))
    assert list(client.deletions(Entity.ORDERS, MIDDAY)) == []


def test_a_closed_client_sends_nothing(server: ScriptedServer, client: ShopifyClient) -> None:
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.scopes()
