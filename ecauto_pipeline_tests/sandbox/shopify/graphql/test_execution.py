"""The sandbox's GraphQL: what it costs, how it pages, filters and refuses."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from graphql import GraphQLNamedType, build_schema

from ecauto_pipeline.sandbox.shopify.graphql.execution import nodes_of
from ecauto_pipeline.sandbox.shopify.graphql.schema import schema
from ecauto_pipeline.sandbox.wire import Request
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.places import CONTRACTS
from ecauto_pipeline_tests.sandbox.shopify.rig import (
    CUSTOMER,
    ORDER,
    PRODUCT,
    MakeRig,
    Rig,
    listing,
)

OFFICIAL = CONTRACTS / "shopify/admin_2026-10.pruned.graphql"


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]


def ids(nodes: list[dict[str, Any]]) -> list[str]:
    return [node["id"] for node in nodes]


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official schema is not here")
def test_the_schema_is_part_of_the_official_one() -> None:
    official = build_schema(OFFICIAL.read_text("utf-8")).type_map
    scalars = {"CountryCode", "CurrencyCode"}
    for name, ours in schema().type_map.items():
        if name.startswith("__"):
            continue
        theirs = official[name]
        assert name in scalars or type(ours) is type(theirs)
        compare(ours, theirs)


def compare(ours: GraphQLNamedType, theirs: Any) -> None:
    for value in getattr(ours, "values", {}):
        assert value in theirs.values, (ours.name, value)
    if hasattr(ours, "interfaces"):
        assert {str(each) for each in ours.interfaces} == {str(each) for each in theirs.interfaces}  # pyright: ignore[reportUnknownArgumentType, reportAttributeAccessIssue, reportUnknownVariableType]
    for name, field in getattr(ours, "fields", {}).items():
        assert str(field.type) == str(theirs.fields[name].type), (ours.name, name)
        for argument, its in field.args.items():
            official = theirs.fields[name].args[argument]
            assert str(its.type) == str(official.type), (ours.name, name, argument)
            assert its.default_value == official.default_value, (ours.name, name, argument)


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official schema is not here")
@pytest.mark.parametrize(
    "name", ["Customer", "Product", "ProductVariant", "InventoryItem", "Order", "LineItem", "Shop"]
)
def test_all_official_fields_are_served(name: str) -> None:
    official: Any = build_schema(OFFICIAL.read_text("utf-8")).type_map[name]
    ours: Any = schema().type_map[name]
    assert set(ours.fields) == set(official.fields)


@pytest.mark.parametrize(
    ("query", "points"),
    [
        (listing("customers", CUSTOMER), 57),
        (listing("customers", CUSTOMER, "first: 100"), 47),
        (listing("products", PRODUCT % 100), 431),
        (listing("products", PRODUCT % 50, "first: 100"), 281),
        (listing("orders", ORDER % 50), 277),
        (listing("orders", ORDER % 50, "first: 100"), 227),
        (listing("orders", ORDER % 50, "first: 50"), 177),
        (listing("products", "id variants(first: 50) { nodes { id } }"), 112),
        ("{ customersCount { count } shop { plan { publicDisplayName } } }", 3),
        ("{ customers(first: 250) { edges { node { id } } } }", 13),
        ("{ customers(first: 1) { nodes { id @skip(if: true) createdAt } } }", 3),
    ],
)
def test_a_query_costs_what_was_measured(make_rig: MakeRig, query: str, points: int) -> None:
    rig = make_rig(customers=3, products=3, orders=3)
    cost = rig.caller.ask(query)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == points
    assert 0 < cost["actualQueryCost"] <= points


def test_a_dear_query_is_refused(rig: Rig) -> None:
    inner = (
        "id variants(first: 250) { nodes { inventoryItem { measurement { weight { unit } } } } }"
    )
    orders = f"lineItems(first: 250) {{ nodes {{ product {{ {inner} }} }} }}"
    answer = rig.caller.ask(listing("orders", orders))
    assert codes(answer) == ["MAX_COST_EXCEEDED"]
    assert answer["errors"][0]["extensions"]["maxCost"] == 1000


def test_who_asks_too_much_is_throttled_and_waits(make_rig: MakeRig, clock: FakeClock) -> None:
    rig = make_rig(customers=250, rate_multiplier=1)
    query = listing("customers", CUSTOMER)
    answers = [rig.caller.ask(query) for _ in range(36)]
    throttled = answers.pop()
    assert all("data" in answer for answer in answers)
    assert codes(throttled) == ["THROTTLED"]
    assert throttled["errors"][0]["message"] == "Throttled"
    assert "data" not in throttled
    cost = throttled["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (57, None)
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 5, "restoreRate": 100.0}
    assert cost["throttleStatus"] == status
    clock.advance(seconds=0.52)
    assert "data" in rig.caller.ask(query)


def test_what_was_not_used_is_given_back(make_rig: MakeRig) -> None:
    rig = make_rig(customers=3, rate_multiplier=1)
    cost = rig.caller.ask(listing("customers", CUSTOMER))["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (57, 12)
    assert cost["throttleStatus"]["currentlyAvailable"] == 1988


@pytest.mark.parametrize(
    ("plan", "most"), [("standard", 4e3), ("advanced", 8e3), ("plus", 4e4), ("enterprise", 8e4)]
)
def test_a_plan_sets_the_limit(make_rig: MakeRig, plan: str, most: float) -> None:
    rig = make_rig(plan=plan, rate_multiplier=2)
    status = rig.caller.ask("{ shop { id } }")["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (most, most / 20)


@pytest.mark.parametrize("sort", ["UPDATED_AT", "ID", "CREATED_AT"])
@pytest.mark.parametrize("entity", ["customers", "products", "orders"])
def test_pages_give_everything_once(rig: Rig, entity: str, sort: str) -> None:
    nodes = rig.caller.walk(entity, 7, sort=sort)
    assert sorted(ids(nodes)) == sorted(ids(nodes_of(rig.shop, entity, "id")))
    if sort == "UPDATED_AT":
        assert [node["updatedAt"] for node in nodes] == sorted(node["updatedAt"] for node in nodes)


def test_edits_and_deletes_between_pages_skip_nothing(rig: Rig, clock: FakeClock) -> None:
    deleted: list[int] = []

    def disturb(number: int) -> None:
        clock.advance(seconds=1)
        if 1 < number < 5:
            rig.shop.edit_random(6, "customers")
            deleted.extend(record_id for _, record_id in rig.shop.delete_random(1, "customers"))

    rig.shop.before_page = disturb
    nodes = rig.caller.walk("customers", 7)
    assert len(deleted) == 3
    left = {
        node["id"]: node["updatedAt"] for node in nodes_of(rig.shop, "customers", "id updatedAt")
    }
    latest = {node["id"]: node["updatedAt"] for node in nodes}
    assert left == {key: at for key, at in latest.items() if key in left}
    assert len(nodes) > len(latest)


def test_an_offset_would_have_skipped(rig: Rig) -> None:
    first = rig.caller.data(listing("customers", "id", "first: 5"))["customers"]
    for node in first["nodes"][:2]:
        rig.shop.delete("customers", int(node["id"].rpartition("/")[2]))
    after = f'first: 1, after: "{first["pageInfo"]["endCursor"]}"'
    second = rig.caller.data(listing("customers", "legacyResourceId", after))["customers"]
    assert int(second["nodes"][0]["legacyResourceId"]) == rig.shop.ids("customers")[3]


def test_a_lagging_list_gives_fresh_nodes(rig: Rig, clock: FakeClock) -> None:
    [first, *_] = rig.caller.walk("customers", 50)
    rig.shop.hold_back(60)
    clock.advance(seconds=10)
    rig.shop.edit("customers", int(first["id"].rpartition("/")[2]), note="neu")
    [again, *_] = rig.caller.walk("customers", 50)
    assert again["id"] == first["id"]
    assert again["updatedAt"] == f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    clock.advance(seconds=60)
    assert ids(rig.caller.walk("customers", 50))[-1] == first["id"]


def test_children_are_paged_too(rig: Rig) -> None:
    [product, *_] = [
        node for node in nodes_of(rig.shop, "products") if len(node["variants"]["nodes"]) > 250
    ]
    query = (
        "query ($id: ID!, $after: String) { node(id: $id) { __typename ... on Product {"
        " variants(first: 250, after: $after) {"
        " edges { node { id } } pageInfo { hasNextPage endCursor } } } } }"
    )
    first = rig.caller.data(query, id=product["id"])["node"]
    assert first["__typename"] == "Product"
    assert first["variants"]["pageInfo"]["hasNextPage"]
    after = first["variants"]["pageInfo"]["endCursor"]
    second = rig.caller.data(query, id=product["id"], after=after)["node"]
    assert not second["variants"]["pageInfo"]["hasNextPage"]
    edges = first["variants"]["edges"] + second["variants"]["edges"]
    assert [edge["node"]["id"] for edge in edges] == ids(product["variants"]["nodes"])


def test_a_served_node_is_the_true_one(rig: Rig) -> None:
    for entity, selection in (
        ("customers", CUSTOMER),
        ("products", PRODUCT % 250),
        ("orders", ORDER % 250),
    ):
        served = rig.caller.data(listing(entity, selection))[entity]["nodes"]
        true = nodes_of(rig.shop, entity, selection)
        small = [node for node in true if node not in served]
        assert len(served) == len(true)
        assert all(len(node["variants"]["nodes"]) > 250 for node in small)


def test_fragments_aliases_and_variables_work(rig: Rig) -> None:
    query = """
    query Page($n: Int = 2, $with: Boolean!) {
      few: orders(first: $n, sortKey: ID) { nodes { ...named ... on Node { id } } }
      many: orders(first: 3) { nodes { kind: __typename name @include(if: $with) } }
    }
    fragment named on Order { label: name }
    """
    data = rig.caller.data(query, **{"with": False})
    assert data["few"]["nodes"][0] == {"label": "#1001", "id": "gid://shopify/Order/5402000030703"}
    assert data["many"]["nodes"] == [{"kind": "Order"}] * 3


def times(rig: Rig, entity: str, search: str) -> set[str]:
    return {node["updatedAt"] for node in rig.caller.walk(entity, 50, search)}


def test_quoted_times_are_exact_and_bare_ones_mean_days(make_rig: MakeRig) -> None:
    rig = make_rig(span=timedelta(days=4))
    everything = sorted(node["updatedAt"] for node in nodes_of(rig.shop, "orders", "updatedAt"))
    at = everything[20]
    later, day = {each for each in everything if each >= at}, at[:10]
    assert times(rig, "orders", f"updated_at:>='{at}'") == later
    assert times(rig, "orders", f'updated_at:>"{at}"') == later - {at}
    assert times(rig, "orders", f"updated_at:<'{at}'") == set(everything) - later
    whole = {each for each in everything if each[:10] >= day}
    assert min(whole) < at
    assert times(rig, "orders", f"updated_at:>={at}") == whole
    assert times(rig, "orders", f"updated_at:{day}") == {e for e in everything if e[:10] == day}
    assert times(rig, "orders", f"updated_at:>='{at}' AND updated_at:<='{at}'") == {at}


def test_customers_may_match_whole_days(make_rig: MakeRig, clock: FakeClock) -> None:
    rig = make_rig(customers_match_whole_days=True, span=timedelta(days=10))
    everything = {node["updatedAt"] for node in nodes_of(rig.shop, "customers", "updatedAt")}
    midnight = f"{clock.now():%Y-%m-%d}T00:00:00Z"
    noon = f"{clock.now() - timedelta(days=1):%Y-%m-%d}T12:00:00Z"
    found = times(rig, "customers", f"updated_at:>='{noon}'")
    assert found == {each for each in everything if each[:10] >= noon[:10]}
    assert min(found) < noon
    upto = times(rig, "customers", f"updated_at:<'{midnight[:11]}02:00:00Z'")
    assert upto == {each for each in everything if each < midnight}


def test_ids_and_creation_can_be_searched(rig: Rig) -> None:
    [_, second, third, *_] = rig.shop.ids("customers")
    search = f"id:>={second} AND id:<={third}"
    assert ids(rig.caller.walk("customers", 50, search, "ID")) == [
        f"gid://shopify/Customer/{second}",
        f"gid://shopify/Customer/{third}",
    ]
    answer = rig.caller.data('{ customersCount(query: "created_at:>2099-01-01") { count } }')
    assert answer == {"customersCount": {"count": 0}}


def test_an_unknown_field_is_ignored_with_a_warning(rig: Rig) -> None:
    answer = rig.caller.ask(listing("customers", "id", 'first: 250, query: "modified:>2026-11-01"'))
    assert len(answer["data"]["customers"]["nodes"]) == 60
    [search] = answer["extensions"]["search"]
    assert (search["path"], search["warnings"][0]["field"]) == (["customers"], "modified")
    wrong = rig.caller.ask('{ ordersCount(query: "updated_at:>yesterday") { count } }')
    assert wrong["extensions"]["search"][0]["warnings"][0]["field"] == "updated_at"


def test_counts_stop_at_their_limit(rig: Rig) -> None:
    query = "{ a: customersCount(limit: 59) { count precision } b: customersCount(limit: null)"
    data = rig.caller.data(query + "{ count precision } c: ordersCount { count } }")
    assert data["a"] == {"count": 59, "precision": "AT_LEAST"}
    assert data["b"] == {"count": 60, "precision": "EXACT"}
    assert data["c"] == {"count": 40}


def test_events_tell_what_was_destroyed(rig: Rig) -> None:
    for entity in ("customers", "products", "orders"):
        rig.shop.delete(entity, rig.shop.ids(entity)[0])
        rig.shop.create(entity)
    query = (
        "query ($q: String, $n: Int!, $after: String) { events(first: $n, query: $q, after: $after)"
        " { nodes { __typename action createdAt ... on BasicEvent { subjectId subjectType } }"
        " pageInfo { hasNextPage endCursor } } }"
    )
    search = "action:destroy AND subject_type:Product AND created_at:>='2026-11-20T03:00:00Z'"
    [event] = rig.caller.data(query, q=search, n=10)["events"]["nodes"]
    assert event == {
        "__typename": "BasicEvent",
        "action": "destroy",
        "createdAt": "2026-11-20T03:00:00Z",
        "subjectId": "gid://shopify/Product/8211000020469",
        "subjectType": "PRODUCT",
    }
    first = rig.caller.data(query, n=4)["events"]
    second = rig.caller.data(query, n=4, after=first["pageInfo"]["endCursor"])["events"]
    assert (len(first["nodes"]), len(second["nodes"])) == (4, 2)
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    warned = rig.caller.ask(query, n=4, q="verb:destroy")
    assert len(warned["data"]["events"]["nodes"]) == 4
    assert warned["extensions"]["search"][0]["warnings"][0]["field"] == "verb"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ customers(first: 1) { nodes { acceptsMarketing } } }", "doesn't exist on type"),
        ("{ customers(first: 251) { nodes { id } } }", "cannot exceed 250"),
        ("{ customers { nodes { id } } }", "must provide one of first or last"),
        ("{ orders(first: 1) { nodes { lineItems { nodes { id } } } } }", "must provide one of"),
        ('{ customers(first: 1, after: "x") { nodes { id } } }', "Invalid cursor"),
        ("query ($n: Int!) { customers(first: $n) { nodes { id } } }", "$n"),
        ('{ node(id: "17") { id } }', "Invalid global id"),
        ("{ customers(", "Syntax Error"),
        ("query A { shop { id } } query B { shop { id } }", "operation name"),
        ('{ node(id: "gid://shopify/Order/x") { id } }', "Invalid global id"),
    ],
)
def test_a_bad_query_is_answered_with_200_and_errors(rig: Rig, query: str, message: str) -> None:
    answer = rig.caller.ask(query)
    assert message in answer["errors"][0]["message"]
    assert "data" not in answer


def test_a_call_without_a_query_is_a_bad_request(rig: Rig) -> None:
    response = rig.caller.http.post("/admin/api/2026-10/graphql.json", content=b"{}")
    assert response.status_code == 400


def test_a_missing_scope_denies_access(make_rig: MakeRig) -> None:
    rig = make_rig(scopes=("read_orders", "read_all_orders"))
    answer = rig.caller.ask(listing("customers", "id"))
    assert answer["data"] is None
    [error] = answer["errors"]
    assert error["path"] == ["customers"]
    assert error["extensions"]["code"] == "ACCESS_DENIED"
    assert "read_customers" in error["extensions"]["requiredAccess"]
    count = rig.caller.ask("{ customersCount { count } ordersCount { count } }")
    assert count["data"] == {"customersCount": None, "ordersCount": {"count": 40}}
    orders = rig.caller.ask(listing("orders", "name customer { id }", "first: 2"))
    assert [node["customer"] for node in orders["data"]["orders"]["nodes"]] == [None, None]
    assert orders["errors"][1]["path"] == ["orders", "nodes", 1, "customer"]


def test_old_orders_are_invisible_without_their_scope(make_rig: MakeRig) -> None:
    rig = make_rig(scopes=("read_orders",))
    seen = rig.caller.walk("orders", 50)
    assert 0 < len(seen) < 20
    count = rig.caller.data("{ ordersCount { count } }")
    assert count == {"ordersCount": {"count": len(seen)}}
    oldest = f"gid://shopify/Order/{rig.shop.ids('orders')[0]}"
    assert rig.caller.data("query ($id: ID!) { node(id: $id) { id } }", id=oldest) == {"node": None}


def test_withheld_personal_data_are_null_and_named(make_rig: MakeRig) -> None:
    rig = make_rig(pii="withheld")
    answer = rig.caller.ask(listing("customers", CUSTOMER, "first: 3"))
    names = ("firstName", "lastName", "defaultEmailAddress", "defaultPhoneNumber", "defaultAddress")
    for node in answer["data"]["customers"]["nodes"]:
        assert [node[name] for name in names] == [None] * 5
        assert node["updatedAt"]
    assert len(answer["errors"]) == 15
    assert set(codes(answer)) == {"ACCESS_DENIED"}
    assert ["customers", "nodes", 2, "lastName"] in [error["path"] for error in answer["errors"]]


def test_a_page_of_250_customers_takes_little_time(make_rig: MakeRig) -> None:
    rig = make_rig(customers=2_500)
    body = json.dumps({"query": listing("customers", CUSTOMER)}).encode()
    headers = {"x-shopify-access-token": rig.shop.access_token or ""}
    request = Request("POST", "/admin/api/2026-10/graphql.json", {}, headers, body)
    rig.sandbox.answer(request)
    began = time.process_time()
    for _ in range(10):
        response = rig.sandbox.answer(request)
        assert response is not None
        assert len(response.body) > 200_000
    assert (time.process_time() - began) / 10 < 0.03


def test_lists_can_be_read_backwards(rig: Rig) -> None:
    newest = rig.caller.data(listing("orders", "id", "first: 3, reverse: true, sortKey: ID"))
    true = rig.shop.ids("orders")[:-4:-1]
    assert ids(newest["orders"]["nodes"]) == [f"gid://shopify/Order/{each}" for each in true]
    end = newest["orders"]["pageInfo"]["endCursor"]
    after = f'first: 1, reverse: true, sortKey: ID, after: "{end}"'
    fourth = rig.caller.data(listing("orders", "legacyResourceId", after))["orders"]["nodes"]
    assert fourth == [{"legacyResourceId": str(rig.shop.ids("orders")[-4])}]
    for _ in range(3):
        rig.shop.create("products")
    query = "{ events(first: 2, reverse: true%s) { nodes { id } pageInfo { endCursor } } }"
    latest = rig.caller.data(query % "")["events"]
    told = [f"gid://shopify/BasicEvent/{event.id}" for event in rig.shop.events()]
    assert ids(latest["nodes"]) == told[:0:-1]
    rest = rig.caller.data(query % f', after: "{latest["pageInfo"]["endCursor"]}"')["events"]
    assert ids(rest["nodes"]) == told[:1]


def test_an_operation_may_be_named(rig: Rig) -> None:
    query = "query A { shop { id } } query B { shop { myshopifyDomain ianaTimezone } }"
    path = "/admin/api/2026-10/graphql.json"
    named = rig.caller.http.post(path, json={"query": query, "operationName": "B"}).json()
    told = {"myshopifyDomain": "shop-t.myshopify.com", "ianaTimezone": "Asia/Tokyo"}
    assert named["data"] == {"shop": told}
    unknown = rig.caller.http.post(path, json={"query": query, "operationName": "C"}).json()
    assert "No C" in unknown["errors"][0]["message"]


def test_other_things_are_no_nodes_here(rig: Rig) -> None:
    query = "query ($id: ID!) { node(id: $id) { id } }"
    for kind in ("Collection", "Customer", "BulkOperation"):
        assert rig.caller.data(query, id=f"gid://shopify/{kind}/1") == {"node": None}
    assert rig.caller.data("{ __schema { queryType { name } } }") == {"__schema": None}


def test_discounts_by_code_count_only_on_request(rig: Rig) -> None:
    price = "{ shopMoney { amount } }"
    selection = (
        f"lineItems {{ nodes {{ with: discountedTotalSet(withCodeDiscounts: true) {price}"
        f" without: discountedTotalSet {price} }} }}"
    )
    lines = [
        (float(line["with"]["shopMoney"]["amount"]), float(line["without"]["shopMoney"]["amount"]))
        for order in nodes_of(rig.shop, "orders", selection)
        for line in order["lineItems"]["nodes"]
    ]
    assert all(low <= high for low, high in lines)
    assert any(low < high for low, high in lines)


def test_a_selection_must_fit_the_schema(rig: Rig) -> None:
    with pytest.raises(ValueError, match="acceptsMarketing"):
        nodes_of(rig.shop, "customers", "acceptsMarketing")
