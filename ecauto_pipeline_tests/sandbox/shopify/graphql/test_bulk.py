"""The sandbox's bulk operations."""

import json
from typing import Any

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.graphql.execution import nodes_of
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.shopify.rig import CUSTOMER, MakeRig, Rig, ShopifyCaller

RUN = """
mutation ($query: String!, $group: Boolean! = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $group) {
    bulkOperation { id status } userErrors { code field message }
  }
}
"""
FIELDS = (
    "id status errorCode createdAt completedAt objectCount rootObjectCount fileSize url"
    " partialDataUrl type"
)
CUSTOMERS = f"{{ customers {{ edges {{ node {{ {CUSTOMER} }} }} }} }}"
DEEP = "{ product { variants { nodes { id } } } }"
PRODUCTS = "{ products { nodes { id title variants { edges { node { id sku } } } } } }"


def start(rig: Rig, query: str, **variables: Any) -> str:
    answer = rig.caller.data(RUN, query=query, **variables)["bulkOperationRunQuery"]
    assert answer["userErrors"] == []
    assert answer["bulkOperation"]["status"] == "CREATED"
    return answer["bulkOperation"]["id"]


def poll(rig: Rig, operation: str) -> dict[str, Any]:
    query = f"query ($id: ID!) {{ bulkOperation(id: $id) {{ {FIELDS} }} }}"
    return rig.caller.data(query, id=operation)["bulkOperation"]


def finish(rig: Rig, operation: str) -> dict[str, Any]:
    polls = (poll(rig, operation) for _ in range(10))
    return next(polled for polled in polls if polled["status"] not in {"CREATED", "RUNNING"})


def lines(url: str) -> list[dict[str, Any]]:
    response = httpx.get(url, trust_env=False)
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def test_an_operation_runs_to_its_end(rig: Rig) -> None:
    operation = start(rig, CUSTOMERS)
    statuses = [poll(rig, operation)["status"] for _ in range(4)]
    assert statuses == ["RUNNING", "RUNNING", "COMPLETED", "COMPLETED"]
    ended = poll(rig, operation)
    assert (ended["objectCount"], ended["rootObjectCount"]) == ("60", "60")
    assert ended["completedAt"] == "2026-11-20T03:00:00Z"
    assert lines(ended["url"]) == nodes_of(rig.shop, "customers", CUSTOMER)
    response = httpx.get(ended["url"], trust_env=False)
    assert int(ended["fileSize"]) == len(response.content)
    by_node = rig.caller.data(
        f"query ($id: ID!) {{ node(id: $id) {{ ... on BulkOperation {{ {FIELDS} }} }} }}",
        id=operation,
    )
    assert by_node["node"] == ended


def test_children_come_after_all_parents_or_each_after_its_own(rig: Rig) -> None:
    apart, grouped = (
        lines(finish(rig, start(rig, PRODUCTS, group=group))["url"]) for group in (False, True)
    )
    assert sorted(map(str, apart)) == sorted(map(str, grouped))
    assert ["__parentId" in line for line in apart] == sorted("__parentId" in x for x in apart)
    assert "__parentId" in grouped[1]
    products = {
        node["id"]: node for node in nodes_of(rig.shop, "products", "id variants { nodes { id } }")
    }
    children: dict[str, list[str]] = {key: [] for key in products}
    for line in apart:
        if "__parentId" in line:
            assert set(line) == {"id", "sku", "__parentId"}
            children[line["__parentId"]].append(line["id"])
        else:
            assert set(line) == {"id", "title"}
    for key, node in products.items():
        assert children[key] == [variant["id"] for variant in node["variants"]["nodes"]]


def test_objects_are_counted_with_their_children(rig: Rig) -> None:
    ended = finish(rig, start(rig, PRODUCTS))
    assert ended["rootObjectCount"] == "20"
    assert int(ended["objectCount"]) == len(lines(ended["url"])) > 250


def test_a_bulk_query_may_be_filtered(rig: Rig) -> None:
    operation = start(
        rig, "{ customers(query: \"updated_at:>='2999-01-01T00:00:00Z'\") { nodes { id } } }"
    )
    ended = finish(rig, operation)
    assert (ended["status"], ended["objectCount"], ended["url"]) == ("COMPLETED", "0", None)


def test_an_operation_may_take_its_time(rig: Rig, clock: FakeClock) -> None:
    rig.shop.bulk.seconds = 90
    operation = start(rig, CUSTOMERS)
    clock.advance(seconds=89)
    assert [poll(rig, operation)["status"] for _ in range(9)] == ["RUNNING"] * 9
    clock.advance(seconds=1)
    assert poll(rig, operation)["status"] == "COMPLETED"
    start(rig, CUSTOMERS)
    listing = '{ bulkOperations(first: 5, query: "status:completed") { nodes { id status } } }'
    nodes = rig.caller.data(listing)["bulkOperations"]["nodes"]
    assert nodes == [{"id": operation, "status": "COMPLETED"}]


def test_the_address_wants_no_token(rig: Rig) -> None:
    url = finish(rig, start(rig, CUSTOMERS))["url"]
    with_token = rig.caller.http.get(url)
    assert with_token.status_code == 400
    assert (
        httpx.get(f"{rig.sandbox.url}/bulk-files/0000/x.jsonl", trust_env=False).status_code == 404
    )
    assert rig.sandbox.calls("shopify/bulk", account="shop-t", status=400) == 1


def test_only_five_run_at_once(rig: Rig) -> None:
    operations = [start(rig, CUSTOMERS) for _ in range(5)]
    refused = rig.caller.data(RUN, query=CUSTOMERS)["bulkOperationRunQuery"]
    assert refused["bulkOperation"] is None
    assert refused["userErrors"][0]["code"] == "LIMIT_REACHED"
    finish(rig, operations[0])
    start(rig, CUSTOMERS)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ shop { id } }", "at least one connection"),
        ('{ node(id: "1") { ... on Product { variants { nodes { id } } } } }', "node"),
        ("{ customers { nodes { acceptsMarketing } } }", "doesn't exist"),
        (
            f"{{ customers {{ nodes {{ lastOrder {{ lineItems {{ nodes {DEEP} }} }} }} }} }}",
            "nesting",
        ),
        (
            "{" + " ".join(f"{name}: orders {{ nodes {{ id }} }}" for name in "abcdef") + "}",
            "more than 5",
        ),
    ],
)
def test_a_query_must_follow_the_rules(rig: Rig, query: str, message: str) -> None:
    answer = rig.caller.data(RUN, query=query)["bulkOperationRunQuery"]
    [error] = answer["userErrors"]
    assert (answer["bulkOperation"], error["code"], error["field"]) == (None, "INVALID", ["query"])
    assert message in error["message"]


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "TIMEOUT"])
def test_an_operation_may_fail_half_way(rig: Rig, code: str) -> None:
    rig.shop.bulk.fail_next = code
    ended = finish(rig, start(rig, CUSTOMERS))
    assert (ended["status"], ended["errorCode"], ended["url"]) == ("FAILED", code, None)
    assert len(lines(ended["partialDataUrl"])) == int(ended["objectCount"]) == 30
    assert finish(rig, start(rig, CUSTOMERS))["status"] == "COMPLETED"


def test_a_file_may_be_cut_short(rig: Rig) -> None:
    rig.shop.bulk.cut_next = True
    ended = finish(rig, start(rig, CUSTOMERS))
    assert (ended["status"], ended["objectCount"]) == ("COMPLETED", "60")
    content = httpx.get(ended["url"], trust_env=False).content
    assert len(content) < int(ended["fileSize"])
    assert content.count(b"\n") < 60


def test_a_missing_scope_fails_the_operation(make_rig: MakeRig) -> None:
    rig = make_rig(scopes=("read_products",))
    ended = finish(rig, start(rig, CUSTOMERS))
    assert (ended["status"], ended["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_a_large_file_is_streamed(clock: FakeClock) -> None:
    shop = ShopifyShop("big", "big.myshopify.com", customers=120_000, clock=clock)
    with Sandbox(World([]), shopify_shops=[shop], clock=clock) as sandbox:
        caller = ShopifyCaller(sandbox.url, shop)
        query = "{ customers { nodes { id } } }"
        operation = caller.data(RUN, query=query)["bulkOperationRunQuery"]["bulkOperation"]
        ended: dict[str, Any] = {"url": None}
        while ended["url"] is None:
            query = f"query ($id: ID!) {{ bulkOperation(id: $id) {{ {FIELDS} }} }}"
            ended = caller.data(query, id=operation["id"])["bulkOperation"]
        with httpx.stream("GET", ended["url"], trust_env=False) as response:
            assert response.headers["content-length"] == ended["fileSize"]
            assert sum(1 for _ in response.iter_lines()) == 120_000
        caller.http.close()


def test_operations_are_listed(rig: Rig) -> None:
    started = [start(rig, "{ customers { nodes { __typename id } } }") for _ in range(3)]
    query = "{ bulkOperations(first: 2, reverse: true) { nodes { id status } } }"
    nodes = rig.caller.data(query)["bulkOperations"]["nodes"]
    assert nodes == [{"id": each, "status": "CREATED"} for each in started[:0:-1]]
    assert lines(finish(rig, started[0])["url"])[0]["__typename"] == "Customer"


def test_a_closed_sandbox_writes_no_more(clock: FakeClock) -> None:
    shop = ShopifyShop("big", "big.myshopify.com", customers=1_000_000, clock=clock)
    with Sandbox(World([]), shopify_shops=[shop], clock=clock) as sandbox:
        caller = ShopifyCaller(sandbox.url, shop)
        assert caller.data(RUN, query=CUSTOMERS)["bulkOperationRunQuery"]["userErrors"] == []
        caller.http.close()
