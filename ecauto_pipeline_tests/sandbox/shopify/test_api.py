"""What all calls to the sandbox's Shopify have in common: tokens, versions, faults, switches."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.faults import fault_from
from ecauto_pipeline.sandbox.server import Sandbox, demo_sandbox
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.shopify.rig import Rig, ShopifyCaller

CUSTOMERS = "{ customers(first: 5) { nodes { id } pageInfo { hasNextPage } } }"
COUNT = "query Count { customersCount { count } }"

Strike = Callable[..., None]


@pytest.fixture
def strike(rig: Rig) -> Strike:
    """Sets a rule."""

    def set_rule(match: str, kind: str, **members: Any) -> None:
        rig.sandbox.faults.replace([fault_from({"match": match, "kind": kind, **members})])

    return set_rule


@pytest.fixture
def two(clock: FakeClock) -> Iterator[Sandbox]:
    shops = [
        ShopifyShop(
            f"shop-{name}",
            f"shop-{name}.myshopify.com",
            customers=number,
            client_id="app",
            client_secret="secret",
            clock=clock,
        )
        for name, number in (("a", 3), ("b", 4))
    ]
    with Sandbox(World([]), shopify_shops=shops, clock=clock) as sandbox:
        yield sandbox


def grant(sandbox: Sandbox, host: str, **form: str) -> httpx.Response:
    fields = {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "secret",
        **form,
    }
    url = f"{sandbox.url}/admin/oauth/access_token"
    return httpx.post(
        url, data=fields, headers={"host": host}, trust_env=False, timeout=PATIENCE_SECONDS
    )


def test_client_credentials_give_a_token_for_a_day(two: Sandbox, clock: FakeClock) -> None:
    granted = grant(two, "shop-b.myshopify.com").json()
    assert granted["expires_in"] == 86_399
    assert "read_customers" in granted["scope"].split(",")
    shop = two.shopify("shop-b")
    shop.access_token = granted["access_token"]
    caller = ShopifyCaller(two.url, shop)
    shop.access_token = None
    assert caller.get("customers/count").json() == {"count": 4}
    clock.advance(seconds=86_399)
    assert caller.get("customers/count").status_code == 401
    assert two.calls("shopify/oauth", account="shop-b") == 1
    assert two.calls("shopify/count", account="shop-b", status=200) == 1
    caller.http.close()


def test_tokens_expire_on_request(two: Sandbox) -> None:
    granted = grant(two, "shop-a.myshopify.com").json()["access_token"]
    headers = {"X-Shopify-Access-Token": granted}
    url = f"{two.url}/admin/oauth/access_scopes.json"
    scopes = httpx.get(url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS).json()[
        "access_scopes"
    ]
    assert {"handle": "read_all_orders"} in scopes
    two.expire_tokens("amazon")
    assert (
        httpx.get(url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS).status_code
        == 200
    )
    two.expire_tokens("shopify")
    assert (
        httpx.get(url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS).status_code
        == 401
    )
    with pytest.raises(ValueError, match="shopify"):
        two.expire_tokens("ebay")


@pytest.mark.parametrize(
    "form", [{"client_secret": "x"}, {"client_id": "x"}, {"grant_type": "password"}]
)
def test_wrong_credentials_are_refused(two: Sandbox, form: dict[str, str]) -> None:
    response = grant(two, "shop-a.myshopify.com", **form)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_client", "unsupported_grant_type"}


def test_a_wrong_token_is_refused(rig: Rig) -> None:
    rig.caller.http.headers["x-shopify-access-token"] = "shpat_wrong"
    assert rig.caller.get("customers").status_code == 401
    response = rig.caller.http.post("/admin/api/2026-10/graphql.json", json={"query": COUNT})
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("asked", "served"),
    [("2026-10", "2026-10"), ("2026-04", "2026-04"), ("2023-10", "2026-01"), ("soon", "2026-01")],
)
def test_the_version_served_is_told(rig: Rig, asked: str, served: str) -> None:
    rig.caller.version = asked
    response = rig.caller.get("customers", limit=5)
    assert response.headers["x-shopify-api-version"] == served
    assert f"/admin/api/{served}/" in response.links["next"]["url"]
    path = f"/admin/api/{asked}/graphql.json"
    answer = rig.caller.http.post(path, json={"query": COUNT})
    assert answer.headers["x-shopify-api-version"] == served


def test_calls_are_counted_by_operation_and_store(rig: Rig) -> None:
    rig.caller.get("customers")
    rig.caller.get("customers/count")
    rig.caller.get("orders/1")
    rig.caller.get("events")
    rig.caller.get("collections")
    rig.caller.data(COUNT)
    numbers = {
        name: rig.sandbox.calls(f"shopify/{name}", account="shop-t")
        for name in ("customers", "count", "orders", "events", "graphql")
    }
    assert set(numbers.values()) == {1}
    assert rig.sandbox.calls("unknown", status=404) == 1
    paths = [call.path for call in rig.sandbox.journal.calls()]
    assert "/admin/api/2026-10/graphql.json#customersCount" in paths


def test_a_429_says_how_long_as_a_decimal(rig: Rig, strike: Strike) -> None:
    for kind in ("throttle_429", "throttle_429_empty"):
        strike("shopify/customers", kind)
        response = rig.caller.get("customers")
        assert (response.status_code, response.headers["retry-after"]) == (429, "2.0")
        assert "x-amzn-ErrorType" not in response.headers


@pytest.mark.parametrize(
    ("kind", "code"),
    [("throttled_200", "THROTTLED"), ("internal_error_200", "INTERNAL_SERVER_ERROR")],
)
def test_errors_come_in_http_200(rig: Rig, strike: Strike, kind: str, code: str) -> None:
    strike("graphql.json#customers$", kind, times=1)
    assert "data" in rig.caller.ask(COUNT)
    assert rig.caller.ask(CUSTOMERS)["errors"][0]["extensions"]["code"] == code
    assert "data" in rig.caller.ask(CUSTOMERS)


def test_a_page_may_be_empty_although_there_is_something(rig: Rig, strike: Strike) -> None:
    strike("graphql", "empty_page")
    page = rig.caller.data(CUSTOMERS)["customers"]
    assert page == {"nodes": [], "pageInfo": {"hasNextPage": False}}
    assert rig.caller.data(COUNT) == {"customersCount": {"count": 60}}
    strike("admin", "empty_page")
    response = rig.caller.get("orders", limit=1)
    assert (response.json(), response.links) == ({"orders": []}, {})
    assert rig.caller.get("customers/count").json() == {"count": 60}


def test_the_other_faults_strike_too(rig: Rig, strike: Strike, clock: FakeClock) -> None:
    strike("shopify/graphql", "truncated_json")
    with pytest.raises(json.JSONDecodeError):
        rig.caller.ask(CUSTOMERS)
    strike("shopify/customers", "empty_body", account="shop-t")
    assert rig.caller.get("customers").content == b""
    strike("/admin/", "error_503_html")
    assert rig.caller.get("orders").status_code == 503
    strike("shopify/orders", "slow", seconds=3)
    assert rig.caller.get("orders").status_code == 200
    assert clock.slept == [3]
    for kind in ("drop_before", "drop_after"):
        strike("shopify/orders", kind)
        with pytest.raises(httpx.RemoteProtocolError):
            rig.caller.get("orders")


def test_a_file_may_come_in_half(rig: Rig, strike: Strike) -> None:
    rig.shop.bulk.polls = 1
    query = 'mutation { bulkOperationRunQuery(query: "{ customers { nodes { id } } }")'
    started = rig.caller.data(query + " { bulkOperation { id } } }")["bulkOperationRunQuery"]
    poll = "query ($id: ID!) { bulkOperation(id: $id) { url fileSize } }"
    ended = rig.caller.data(poll, id=started["bulkOperation"]["id"])["bulkOperation"]
    strike("shopify/bulk", "truncated_json", times=1)
    sizes = [
        len(httpx.get(ended["url"], trust_env=False, timeout=PATIENCE_SECONDS).content)
        for _ in range(2)
    ]
    assert sizes == [int(ended["fileSize"]) // 2, int(ended["fileSize"])]


def test_stores_can_be_watched_and_moved(rig: Rig) -> None:
    with httpx.Client(
        base_url=f"{rig.sandbox.url}/sandbox/", trust_env=False, timeout=PATIENCE_SECONDS
    ) as switches:
        query = {"store": "shop-t", "entity": "orders"}
        told = switches.get("shopify", params=query).json()
        assert told == {"orders": rest_bodies(rig.shop, "orders")}
        moved = switches.post("shopify/move", json={"store": "shop-t", "edits": 3, "deletes": 2})
        assert [len(moved.json()[name]) for name in ("edited", "deleted")] == [3, 2]
        assert len(rig.shop.events()) == 2
        assert switches.get("shopify", params={**query, "store": "x"}).status_code == 400
        assert switches.get("shopify", params={"store": "shop-t"}).status_code == 400


def test_the_demonstration_has_two_stores(clock: FakeClock) -> None:
    with demo_sandbox(asins=20, clock=clock) as sandbox:
        caller = ShopifyCaller(sandbox.url, sandbox.shopify("shop-a"))
        assert caller.get("customers/count").json() == {"count": 400}
        caller.http.close()
        form = {
            "client_id": sandbox.shopify("shop-b").client_id or "",
            "client_secret": sandbox.shopify("shop-b").client_secret or "",
        }
        assert "access_token" in grant(sandbox, "127.0.0.1", **form).json()
