"""Lists over REST come whole as well, and follow only the store's own links."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ecauto_pipeline.domain.shopify.mirror import Entity, Page, Window
from ecauto_pipeline.errors import NoProof, Unavailable
from ecauto_pipeline_tests.clients.shopify.rig import (
    GRAPHQL_PATH,
    Rig,
    data,
    product,
    rest_path,
    variant_ids,
)
from ecauto_pipeline_tests.fakes import MIDDAY
from ecauto_pipeline_tests.scripted_server import (
    Scripted,
    ScriptedServer,
    answer,
    scripted_server,
)


def body(number: int, **more: Any) -> dict[str, Any]:
    moment = "2026-11-20T12:00:00+09:00"
    return {"id": number, "created_at": moment, "updated_at": moment, **more}


def ids(pages: Iterator[Page]) -> list[int]:
    return [record.id for page in pages for record in page.records]


def bodies(entity: Entity, *found: dict[str, Any], link: str | None = None) -> Scripted:
    headers = {"Link": f'<{link}>; rel="next"'} if link else {}
    return answer({entity.value: found}, 200, **headers)


def following(server: ScriptedServer, info: str, limit: int = 250) -> str:
    return f"{server.url}{rest_path('customers.json')}?limit={limit}&page_info={info}"


def test_a_list_is_read_to_its_end(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        bodies(Entity.CUSTOMERS, body(1), body(2), link=following(server, "a")),
        bodies(Entity.CUSTOMERS, body(3)),
    )
    assert ids(rig.rest.pages(Entity.CUSTOMERS)) == [1, 2, 3]
    first, second = server.received
    assert first.path == second.path == rest_path("customers.json")
    assert first.query == {"limit": "250", "order": "updated_at asc"}
    assert second.query == {"limit": "250", "page_info": "a"}


def test_a_window_is_asked_for_in_utc(server: ScriptedServer, rig: Rig) -> None:
    server.will(bodies(Entity.ORDERS), answer({"count": 3}))
    window = Window(
        since=MIDDAY,
        until=MIDDAY + timedelta(seconds=1, microseconds=1),
        created_since=MIDDAY - timedelta(days=59),
    )
    assert ids(rig.rest.pages(Entity.ORDERS, window)) == []
    assert rig.rest.count(Entity.ORDERS, window) == 3
    filters = {
        "status": "any",
        "updated_at_min": "2026-11-20T03:00:00Z",
        "updated_at_max": "2026-11-20T03:00:02Z",
        "created_at_min": "2026-09-22T03:00:00Z",
    }
    listed, counted = server.received
    assert listed.query == {**filters, "order": "updated_at asc", "limit": "250"}
    assert (counted.path, counted.query) == (rest_path("orders/count.json"), filters)


def test_only_orders_have_a_status(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({"count": 3}), answer({"count": 4}))
    assert rig.rest.count(Entity.PRODUCTS) == 3
    assert rig.rest.count(Entity.ORDERS) == 4
    assert [request.query for request in server.received] == [{}, {"status": "any"}]


@pytest.mark.parametrize("count", [None, True, "3"])
def test_a_count_without_a_number_proves_nothing(
    server: ScriptedServer, rig: Rig, count: object
) -> None:
    server.will(answer({"count": count}))
    with pytest.raises(NoProof, match="how many"):
        rig.rest.count(Entity.PRODUCTS)


def test_what_cannot_be_read_is_set_aside(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({"customers": [body(1), "nonsense", {"id": 2}]}))
    (found,) = rig.rest.pages(Entity.CUSTOMERS)
    assert [record.id for record in found.records] == [1]
    assert [bad.record_id for bad in found.bad] == ["?", "2"]


@pytest.mark.parametrize("found", [{}, {"customers": None}, {"orders": []}])
def test_an_answer_without_a_list_proves_nothing(
    server: ScriptedServer, rig: Rig, found: dict[str, Any]
) -> None:
    server.will(answer(found))
    with pytest.raises(NoProof, match="no list of customers"):
        ids(rig.rest.pages(Entity.CUSTOMERS))


def test_an_empty_page_with_a_next_one_proves_nothing(server: ScriptedServer, rig: Rig) -> None:
    server.will(bodies(Entity.CUSTOMERS, link=following(server, "a")))
    with pytest.raises(NoProof, match="to an end"):
        ids(rig.rest.pages(Entity.CUSTOMERS))


def test_a_promised_page_that_is_empty_is_asked_for_again(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        bodies(Entity.CUSTOMERS, body(1), link=following(server, "a")),
        bodies(Entity.CUSTOMERS),
        bodies(Entity.CUSTOMERS, body(2)),
    )
    assert ids(rig.rest.pages(Entity.CUSTOMERS)) == [1, 2]
    assert [each.query.get("page_info") for each in server.received] == [None, "a", "a"]


def test_a_page_that_comes_back_is_noticed(server: ScriptedServer, rig: Rig) -> None:
    pages = [bodies(Entity.CUSTOMERS, body(1), link=following(server, info)) for info in "aba"]
    server.will(*pages)
    with pytest.raises(NoProof, match="to an end"):
        ids(rig.rest.pages(Entity.CUSTOMERS))


def test_a_link_to_another_server_is_not_followed(server: ScriptedServer, rig: Rig) -> None:
    with scripted_server() as foreign:
        server.will(bodies(Entity.CUSTOMERS, body(1), link=following(foreign, "a")))
        with pytest.raises(NoProof, match="another server"):
            ids(rig.rest.pages(Entity.CUSTOMERS))
        assert foreign.received == []


def test_a_page_that_is_too_much_is_halved(server: ScriptedServer, rig: Rig) -> None:
    failure = Scripted(b"", 500)
    server.will(
        *[failure] * 10,
        bodies(Entity.CUSTOMERS, body(1), link=following(server, "a", 62)),
        *[failure] * 5,
        bodies(Entity.CUSTOMERS, body(2)),
    )
    assert ids(rig.rest.pages(Entity.CUSTOMERS)) == [1, 2]
    asked = [request.query for request in server.received]
    assert asked[10] == {"limit": "62", "order": "updated_at asc"}
    assert asked[11] == {"limit": "62", "page_info": "a"}
    assert asked[-1] == {"limit": "31", "page_info": "a"}


def test_a_record_that_is_too_much_alone_is_an_error(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[Scripted(b"", 500)] * 5 * 8)
    with pytest.raises(Unavailable):
        ids(rig.rest.pages(Entity.CUSTOMERS))
    assert server.received[-1].query["limit"] == "1"


def test_products_with_many_variants_are_completed_over_graphql(
    server: ScriptedServer, rig: Rig
) -> None:
    variants = [{"id": number} for number in range(1, 101)]
    server.will(
        bodies(Entity.PRODUCTS, body(7, variants=variants), body(8, variants=variants[:1])),
        data({"node": product(7, range(1, 151))}),
    )
    (found,) = rig.rest.pages(Entity.PRODUCTS)
    assert [record.id for record in found.records] == [7, 8]
    assert variant_ids(found.records[0]) == list(range(1, 151))
    assert server.received[1].path == GRAPHQL_PATH
