"""Lists come whole: to their end, with all children, in smaller pages where large ones fail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.clients import http
from ecauto_pipeline.clients.shopify.api import TooExpensive
from ecauto_pipeline.clients.shopify.graphql import MOST_RESTARTS
from ecauto_pipeline.clients.shopify.queries import (
    COUNT,
    DELETIONS,
    IDS,
    PAGE,
    WHOLE,
    deletions_text,
    search_text,
)
from ecauto_pipeline.domain.shopify.mirror import Deletion, Entity, Page, Window
from ecauto_pipeline.errors import NoProof, NotSent, Rejected, Unavailable
from ecauto_pipeline_tests.clients.shopify.rig import (
    Rig,
    connection,
    customer,
    data,
    error,
    page,
    product,
    rigged,
    variant,
    variant_ids,
)
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.scripted_server import Scripted, ScriptedServer, scripted_server

SINCE = Window(since=MIDDAY - timedelta(hours=1))
LATER = "2026-11-20T04:00:00Z"
TOO_LONG = b'{"data": "' + b"x" * http.MAX_BYTES + b'"}'


def ids(pages: Iterator[Page]) -> list[int]:
    return [record.id for page in pages for record in page.records]


def variables(server: ScriptedServer, name: str) -> list[Any]:
    return [request.document["variables"].get(name) for request in server.received]


def test_a_list_is_read_to_its_end(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("customers", [customer(1), customer(2)], "a"),
        page("customers", [customer(3)], "b"),
        page("customers", [customer(4)]),
    )
    assert ids(rig.graphql.pages(Entity.CUSTOMERS)) == [1, 2, 3, 4]
    assert variables(server, "after") == [None, "a", "b"]
    assert variables(server, "first") == [250] * 3
    assert {request.document["query"] for request in server.received} == {PAGE[Entity.CUSTOMERS]}


@pytest.mark.parametrize(
    ("window", "key"),
    [
        (Window(), "ID"),
        (Window(created_since=MIDDAY), "ID"),
        (SINCE, "UPDATED_AT"),
        (Window(until=MIDDAY), "UPDATED_AT"),
    ],
)
def test_a_list_is_sorted_by_what_it_is_searched_by(
    server: ScriptedServer, rig: Rig, window: Window, key: str
) -> None:
    server.will(page("orders", []))
    assert ids(rig.graphql.pages(Entity.ORDERS, window)) == []
    assert variables(server, "sortKey") == [key]
    assert variables(server, "query") == [search_text(Entity.ORDERS, window)]


def test_what_cannot_be_read_is_set_aside(server: ScriptedServer, rig: Rig) -> None:
    server.will(page("customers", [customer(1), "nonsense", None, customer(2, updated_at="?")]))
    (found,) = rig.graphql.pages(Entity.CUSTOMERS)
    assert [record.id for record in found.records] == [1]
    assert [bad.record_id for bad in found.bad] == ["?", "?", "2"]


def test_what_is_withheld_is_told(server: ScriptedServer, rig: Rig) -> None:
    denied = error("ACCESS_DENIED", "", "customers", "nodes", 0, "firstName")
    nodes = [customer(1, firstName=None, note="kept")]
    server.will(data({"customers": connection(nodes)}, denied))
    (found,) = rig.graphql.pages(Entity.CUSTOMERS)
    assert found.withheld == {"firstName"}
    assert "first_name" not in found.records[0].columns
    assert found.records[0].columns["note"] == "kept"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (page("customers", [], "a"), None),
        (page("customers", [customer(1)], "a"), page("customers", [customer(2)], "a")),
        (data({"customers": {"nodes": [1], "pageInfo": {"hasNextPage": True}}}), None),
        (data({"customers": {"nodes": []}}), None),
        (data({"customers": {"nodes": None, "pageInfo": {"hasNextPage": False}}}), None),
        (data({"customers": []}), None),
        (data({"orders": connection([])}), None),
    ],
)
def test_a_list_that_leads_nowhere_proves_nothing(
    server: ScriptedServer, rig: Rig, first: Scripted, second: Scripted | None
) -> None:
    server.will(first, *([second] if second else []))
    with pytest.raises(NoProof):
        ids(rig.graphql.pages(Entity.CUSTOMERS))


def test_a_promised_page_that_is_empty_is_asked_for_again(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("customers", [customer(1)], "a"),
        page("customers", []),
        page("customers", [customer(2)], "b"),
        *[page("customers", [])] * 3,
    )
    assert ids(rig.graphql.pages(Entity.CUSTOMERS)) == [1, 2]
    assert variables(server, "after") == [None, "a", "a", "b", "b", "b"]


def test_a_cursor_that_comes_back_later_is_noticed(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[page("customers", [customer(n)], c) for n, c in enumerate("aba", 1)])
    with pytest.raises(NoProof, match="to an end"):
        ids(rig.graphql.pages(Entity.CUSTOMERS))


@pytest.mark.parametrize(
    ("failures", "first"),
    [
        ([data(None, error("MAX_COST_EXCEEDED"))], 125),
        ([data(None, error("MAX_COST_EXCEEDED"))] * 7, 1),
        ([Scripted(b"", 502)] * 5, 125),
        ([data(None, error("INTERNAL_SERVER_ERROR"))] * 10, 62),
        ([Scripted(TOO_LONG)], 125),
    ],
)
def test_a_page_that_is_too_much_is_halved_and_the_list_goes_on(
    server: ScriptedServer, rig: Rig, failures: list[Scripted], first: int
) -> None:
    server.will(
        page("customers", [customer(1)], "a"),
        *failures,
        page("customers", [customer(2)], "b"),
        page("customers", [customer(3)]),
    )
    assert ids(rig.graphql.pages(Entity.CUSTOMERS)) == [1, 2, 3]
    assert variables(server, "first")[-2:] == [first, first]
    assert variables(server, "after") == [None, *["a"] * (len(failures) + 1), "b"]


def test_a_record_that_is_too_much_alone_is_an_error(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[data(None, error("MAX_COST_EXCEEDED"))] * 8)
    with pytest.raises(TooExpensive):
        ids(rig.graphql.pages(Entity.CUSTOMERS))
    assert variables(server, "first") == [250, 125, 62, 31, 15, 7, 3, 1]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([data(None, error("undefinedField"))], Rejected),
        ([Scripted(b"<html>")] * 5, NoProof),
    ],
)
def test_other_failures_are_not_met_with_smaller_pages(
    server: ScriptedServer, rig: Rig, answers: list[Scripted], expected: type[Exception]
) -> None:
    server.will(*answers)
    with pytest.raises(expected):
        ids(rig.graphql.pages(Entity.CUSTOMERS))
    assert set(variables(server, "first")) == {250}


def test_a_server_that_is_gone_is_not_asked_for_less(clock: FakeClock, tmp_path: Path) -> None:
    with scripted_server() as gone:
        url = gone.url
    with rigged(url, clock, tmp_path) as rig, pytest.raises(NotSent):
        ids(rig.graphql.pages(Entity.CUSTOMERS))
    assert clock.slept == [1, 2, 4, 8]


def test_customers_behind_the_window_end_the_list(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("customers", [customer(1, LATER), customer(2)], "a"),
        page("customers", [customer(3, LATER), customer(4, LATER)], "b"),
    )
    window = Window(since=SINCE.since, until=datetime(2026, 11, 20, 4, tzinfo=UTC))
    assert ids(rig.graphql.pages(Entity.CUSTOMERS, window)) == [1, 2, 3, 4]


def test_products_know_an_upper_bound(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("products", [product(1, updated_at=LATER)], "a"), page("products", [product(2)])
    )
    assert ids(rig.graphql.pages(Entity.PRODUCTS, Window(until=MIDDAY))) == [1, 2]


def test_a_small_page_does_not_end_the_list(server: ScriptedServer, rig: Rig) -> None:
    """One customer may have changed between being listed and being read."""
    server.will(
        *[data(None, error("MAX_COST_EXCEEDED"))] * 7,
        page("customers", [customer(1, LATER)], "a"),
        page("customers", [customer(2)]),
    )
    assert ids(rig.graphql.pages(Entity.CUSTOMERS, Window(until=MIDDAY))) == [1, 2]


def test_a_page_that_cannot_be_read_does_not_end_the_list(server: ScriptedServer, rig: Rig) -> None:
    server.will(page("customers", ["nonsense"], "a"), page("customers", [customer(2)]))
    assert ids(rig.graphql.pages(Entity.CUSTOMERS, Window(until=MIDDAY))) == [2]


def whole(node: dict[str, Any] | None, *errors: dict[str, Any]) -> Scripted:
    return data({"node": node}, *errors)


def test_children_are_read_to_their_end(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("products", [product(7, [1, 2], "x"), product(8, [9])]),
        whole(product(7, [1, 2, 3], "y")),
        whole(product(7, [4])),
    )
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    assert {record.id: variant_ids(record) for record in found.records} == {7: [1, 2, 3, 4], 8: [9]}
    assert all(record.children_complete for record in found.records)
    first, second = (request.document for request in server.received[1:])
    assert first["query"] == second["query"] == WHOLE[Entity.PRODUCTS]
    assert first["variables"] == {"id": "gid://shopify/Product/7", "first": 250, "after": None}
    assert second["variables"]["after"] == "y"


def test_line_items_are_children_too(server: ScriptedServer, rig: Rig) -> None:
    order = {"id": "gid://shopify/Order/5", "updatedAt": LATER, "lineItems": connection([], "x")}
    items = connection([{"id": "gid://shopify/LineItem/6"}])
    server.will(page("orders", [order]), whole({**order, "lineItems": items}))
    (found,) = rig.graphql.pages(Entity.ORDERS)
    assert [variant_ids(record) for record in found.records] == [[6]]
    assert variables(server, "id")[1] == "gid://shopify/Order/5"


def test_a_record_that_changes_meanwhile_is_begun_again(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        page("products", [product(7, [1], "x")]),
        whole(product(7, [1], "y")),
        whole(product(7, [2], updated_at=LATER)),
        whole(product(7, [8], "z", LATER)),
        whole(product(7, [9], updated_at=LATER)),
    )
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    (record,) = found.records
    assert variant_ids(record) == [8, 9]
    assert record.updated_at == datetime(2026, 11, 20, 4, tzinfo=UTC)


def test_a_record_that_never_holds_still_keeps_its_children_as_they_are(
    server: ScriptedServer, rig: Rig
) -> None:
    changing = [whole(product(7, [1], "y")), whole(product(7, [2], updated_at=LATER))]
    server.will(page("products", [product(7, [1], "x")]), *changing * MOST_RESTARTS)
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    assert [record.children_complete for record in found.records] == [False]


def test_a_record_that_is_gone_meanwhile_is_left_out(server: ScriptedServer, rig: Rig) -> None:
    server.will(page("products", [product(7, [1], "x"), product(8)]), whole(None))
    assert ids(rig.graphql.pages(Entity.PRODUCTS)) == [8]


@pytest.mark.parametrize("found", [{"other": 1}, {"node": {}}, {"node": []}])
def test_a_record_that_is_not_there_and_not_gone_proves_nothing(
    server: ScriptedServer, rig: Rig, found: dict[str, Any]
) -> None:
    server.will(page("products", [product(7, [1], "x")]), data(found))
    with pytest.raises(NoProof):
        ids(rig.graphql.pages(Entity.PRODUCTS))


def test_a_record_with_a_child_that_cannot_be_read_is_set_aside(
    server: ScriptedServer, rig: Rig
) -> None:
    broken = product(7)
    broken["variants"] = connection([variant(1), {"id": "?"}])
    server.will(page("products", [product(7, [1], "x"), product(8)]), whole(broken))
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    assert [record.id for record in found.records] == [8]
    assert [bad.record_id for bad in found.bad] == ["7"]


def test_what_is_withheld_of_a_whole_record_is_told(server: ScriptedServer, rig: Rig) -> None:
    denied = error("ACCESS_DENIED", "", "node", "vendor")
    server.will(page("products", [product(7, [1], "x")]), whole(product(7, [1]), denied))
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    assert found.withheld == {"vendor"}


def test_children_that_are_withheld_are_not_asked_for_again(
    server: ScriptedServer, rig: Rig
) -> None:
    node = {**product(7), "variants": None}
    denied = error("ACCESS_DENIED", "", "products", "nodes", 0, "variants")
    server.will(data({"products": connection([node])}, denied))
    (found,) = rig.graphql.pages(Entity.PRODUCTS)
    assert [record.children_complete for record in found.records] == [False]
    assert found.withheld == {"variants"}


def test_records_are_counted(server: ScriptedServer, rig: Rig) -> None:
    server.will(data({"ordersCount": {"count": 12345, "precision": "EXACT"}}))
    assert rig.graphql.count(Entity.ORDERS, SINCE) == 12345
    (request,) = server.received
    assert request.document == {
        "query": COUNT[Entity.ORDERS],
        "variables": {"query": search_text(Entity.ORDERS, SINCE)},
    }


def test_a_count_that_is_not_exact_is_none(server: ScriptedServer, rig: Rig) -> None:
    server.will(data({"ordersCount": {"count": 10000, "precision": "AT_LEAST"}}))
    assert rig.graphql.count(Entity.ORDERS) is None


@pytest.mark.parametrize("counted", [{}, {"count": None}, {"count": True}, {"count": "3"}])
def test_a_count_without_a_number_proves_nothing(
    server: ScriptedServer, rig: Rig, counted: dict[str, Any]
) -> None:
    server.will(data({"ordersCount": counted}))
    with pytest.raises(NoProof, match="how many orders"):
        rig.graphql.count(Entity.ORDERS)


def test_ids_come_page_by_page(server: ScriptedServer, rig: Rig) -> None:
    nodes = [{"id": f"gid://shopify/Product/{number}"} for number in (1, 3174076055691)]
    server.will(page("products", nodes, "a"), page("products", nodes[:1]))
    assert list(rig.graphql.ids(Entity.PRODUCTS)) == [[1, 3174076055691], [1]]
    assert server.received[0].document["query"] == IDS[Entity.PRODUCTS]
    assert variables(server, "first") == [250, 250]


def test_an_id_that_cannot_be_read_proves_nothing(server: ScriptedServer, rig: Rig) -> None:
    server.will(page("products", [{"id": "7"}]))
    with pytest.raises(NoProof):
        list(rig.graphql.ids(Entity.PRODUCTS))


def event(number: int, kind: str = "ORDER", action: str = "destroy") -> dict[str, Any]:
    return {
        "subjectId": f"gid://shopify/{kind.title()}/{number}",
        "subjectType": kind,
        "action": action,
        "createdAt": LATER,
    }


def test_deletions_are_told_by_events(server: ScriptedServer, rig: Rig) -> None:
    others = [event(8, "PRODUCT"), event(9, action="create"), {}, None]
    server.will(page("events", [event(1), *others], "a"), page("events", [event(2)]))
    at = datetime(2026, 11, 20, 4, tzinfo=UTC)
    found = list(rig.graphql.deletions(Entity.ORDERS, MIDDAY))
    assert found == [Deletion(1, at), Deletion(2, at)]
    assert server.received[0].document["query"] == DELETIONS
    assert variables(server, "query") == [deletions_text(Entity.ORDERS, MIDDAY)] * 2


@pytest.mark.parametrize("changed", [{"subjectId": None}, {"createdAt": "yesterday"}])
def test_an_event_that_cannot_be_read_proves_nothing(
    server: ScriptedServer, rig: Rig, changed: dict[str, Any]
) -> None:
    server.will(page("events", [{**event(1), **changed}]))
    with pytest.raises(NoProof):
        list(rig.graphql.deletions(Entity.ORDERS, MIDDAY))


def test_a_store_that_does_not_tell_of_deletions_refuses(server: ScriptedServer, rig: Rig) -> None:
    server.will(data({"events": None}, error("ACCESS_DENIED", "not for you", "events")))
    with pytest.raises(Rejected, match="not for you"):
        list(rig.graphql.deletions(Entity.ORDERS, MIDDAY))


def test_a_server_that_fails_for_good_is_an_error(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[Scripted(b"", 500)] * 5 * 8)
    with pytest.raises(Unavailable):
        ids(rig.graphql.pages(Entity.CUSTOMERS))
