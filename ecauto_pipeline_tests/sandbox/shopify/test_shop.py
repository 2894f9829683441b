"""The generated Shopify store, and what is done to it."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.graphql.execution import nodes_of
from ecauto_pipeline.sandbox.shopify.lists import Asked, Range, Sort, Wanted
from ecauto_pipeline.sandbox.shopify.records import ENTITIES, Mint
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline_tests.fakes import FakeClock

BY_UPDATE = Asked(sort=Sort.UPDATED, size=10_000)


def make(clock: FakeClock, **options: Any) -> ShopifyShop:
    counts: dict[str, Any] = {"customers": 300, "products": 180, "orders": 200, **options}
    return ShopifyShop("shop-t", "shop-t.myshopify.com", clock=clock, **counts)


@pytest.fixture
def shop(clock: FakeClock) -> ShopifyShop:
    return make(clock)


def listed(shop: ShopifyShop, entity: str = "customers") -> list[tuple[int, int]]:
    return [position for position, _ in shop.page(entity, BY_UPDATE).rows]


def test_the_same_seed_gives_the_same_store(shop: ShopifyShop, clock: FakeClock) -> None:
    for entity in ENTITIES:
        assert rest_bodies(shop, entity) == rest_bodies(make(clock), entity)
        assert rest_bodies(shop, entity) != rest_bodies(make(clock, seed=2), entity)


def test_customers_come_in_all_kinds(shop: ShopifyShop) -> None:
    nodes = nodes_of(shop, "customers")
    assert all(int(node["legacyResourceId"]) > 2**31 for node in nodes)
    for name in ("defaultEmailAddress", "defaultPhoneNumber", "defaultAddress", "firstName"):
        assert {node[name] is None for node in nodes} == {True, False}
    emails = [node["defaultEmailAddress"] for node in nodes if node["defaultEmailAddress"]]
    assert {email["marketingState"] for email in emails} == {
        "SUBSCRIBED",
        "NOT_SUBSCRIBED",
        "PENDING",
        "UNSUBSCRIBED",
        "INVALID",
    }
    bodies = rest_bodies(shop, "customers")
    assert {body["tags"] for body in bodies} >= {"", "Noël"}
    assert {body["note"] for body in bodies} >= {None, "", "要確認 ✅"}
    assert "🦊" in {body["first_name"] for body in bodies}
    addresses = [body["default_address"] for body in bodies if body["default_address"]]
    assert {None, ""} <= {address["address2"] for address in addresses}


def test_seconds_are_shared_by_several_and_end_now(shop: ShopifyShop) -> None:
    seconds = Counter(second for second, _ in listed(shop))
    assert max(seconds.values()) >= 10
    assert sum(number == 3 for number in seconds.values()) > 5
    assert max(seconds) <= shop.now()
    for body in rest_bodies(shop, "customers"):
        assert body["created_at"] <= body["updated_at"]


def test_products_have_up_to_hundreds_of_variants(shop: ShopifyShop) -> None:
    sizes = [len(node["variants"]["nodes"]) for node in nodes_of(shop, "products")]
    assert min(sizes) == 1
    assert any(100 < size <= 250 for size in sizes)
    assert any(size > 250 for size in sizes)
    ids = [row["id"] for node in nodes_of(shop, "products") for row in node["variants"]["nodes"]]
    assert len(set(ids)) == len(ids)


def test_orders_come_in_all_kinds(shop: ShopifyShop) -> None:
    bodies = rest_bodies(shop, "orders")
    assert max(len(body["line_items"]) for body in bodies) > 50
    for name in ("test", "cancelled_at", "closed_at", "customer", "refunds", "fulfillment_status"):
        assert {bool(body[name]) for body in bodies} == {True, False}, name
    lines = [line for body in bodies for line in body["line_items"]]
    gone = [line for line in lines if not line["product_exists"] and line["sku"]]
    assert gone
    assert all(line["product_id"] is None for line in gone)
    assert any(body["presentment_currency"] != body["currency"] for body in bodies)


def test_what_orders_cost_adds_up(clock: FakeClock) -> None:
    for currency in ("JPY", "USD"):
        for body in rest_bodies(make(clock, currency=currency), "orders"):
            goods = sum(float(line["price"]) * line["quantity"] for line in body["line_items"])
            given = sum(
                float(each["amount"])
                for line in body["line_items"]
                for each in line["discount_allocations"]
            )
            assert float(body["total_line_items_price"]) == pytest.approx(goods)
            assert float(body["total_discounts"]) == pytest.approx(given)
            assert float(body["subtotal_price"]) == pytest.approx(goods - given)


def test_both_forms_of_a_record_say_the_same(shop: ShopifyShop) -> None:
    for body, node in zip(rest_bodies(shop, "customers"), nodes_of(shop, "customers"), strict=True):
        assert body["admin_graphql_api_id"] == node["id"]
        at = datetime.fromisoformat(body["updated_at"])
        assert at.utcoffset() == timedelta(hours=9)
        assert at == datetime.fromisoformat(node["updatedAt"])
        assert float(body["total_spent"]) == float(node["amountSpent"]["amount"])
        assert body["tags"] == ", ".join(node["tags"])


def test_an_offset_follows_the_season(clock: FakeClock) -> None:
    shop = make(clock, timezone=ZoneInfo("America/New_York"))
    bodies = rest_bodies(shop, "orders")
    assert {body["created_at"][-6:] for body in bodies} == {"-05:00", "-04:00"}


def test_an_edit_moves_a_record_to_the_end(shop: ShopifyShop, clock: FakeClock) -> None:
    (_, first), *_ = listed(shop)
    clock.advance(seconds=5)
    shop.edit("customers", first, note="neu", default_address=None)
    assert listed(shop)[-1] == (shop.now(), first)
    [body] = [each for each in rest_bodies(shop, "customers") if each["id"] == first]
    assert (body["note"], body["default_address"]) == ("neu", None)
    assert len(listed(shop)) == 300


def test_an_edit_may_leave_the_time_alone(shop: ShopifyShop, clock: FakeClock) -> None:
    before = listed(shop)
    updated = datetime.fromtimestamp(before[3][0], UTC)
    shop.edit("customers", before[3][1], orders_count=77, updated_at=updated)
    assert listed(shop) == before
    with pytest.raises(KeyError, match="colour"):
        shop.edit("customers", before[3][1], colour="red")


def test_a_deleted_record_is_gone_and_told_as_an_event(shop: ShopifyShop) -> None:
    [_, second, *_] = shop.ids("products")
    shop.delete("products", second)
    assert second not in shop.ids("products")
    assert second not in [record_id for _, record_id in listed(shop, "products")]
    [event] = shop.events()
    assert (event.verb, event.subject_type, event.subject_id) == ("destroy", "Product", second)
    assert event.created_at == shop.now()
    with pytest.raises(KeyError):
        shop.delete("products", second)
    with pytest.raises(KeyError):
        shop.edit("products", second, title="x")


def test_a_record_may_come_and_go_before_the_lists_know_it(
    shop: ShopifyShop, clock: FakeClock
) -> None:
    before = listed(shop)
    shop.hold_back(30)
    made = shop.create("customers")
    shop.delete("customers", made)
    clock.advance(seconds=60)
    assert listed(shop) == before


def test_a_created_record_is_the_newest(shop: ShopifyShop, clock: FakeClock) -> None:
    clock.advance(seconds=1)
    made = shop.create("orders", name="#X")
    assert made == max(shop.ids("orders"))
    assert listed(shop, "orders")[-1] == (shop.now(), made)
    assert shop.count("orders") == 201
    assert shop.events()[0].verb == "create"


def test_the_lists_lag_behind_the_records(shop: ShopifyShop, clock: FakeClock) -> None:
    before = listed(shop)
    shop.hold_back(30)
    clock.advance(seconds=100)
    shop.edit("customers", before[0][1], note="neu")
    made = shop.create("customers")
    shop.delete("customers", before[1][1])
    clock.advance(seconds=29)
    assert listed(shop) == [before[0], *before[2:]]
    assert shop.count("customers") == 300
    [row, *_] = shop.page("customers", BY_UPDATE).rows
    assert (row[1]["note"], row[1]["updated_at"]) == ("neu", shop.now() - 29)
    clock.advance(seconds=1)
    assert listed(shop) == [
        *before[2:],
        (shop.now() - 30, before[0][1]),
        (shop.now() - 30, made),
    ]
    assert shop.count("customers") == 300


def test_a_list_can_be_narrowed_and_turned_round(shop: ShopifyShop) -> None:
    everything = listed(shop)
    low, high = everything[50][0], everything[200][0]
    wanted = Wanted(updated=Range(low, high))
    expected = [position for position in everything if low <= position[0] <= high]
    assert shop.count("customers", wanted) == len(expected)
    for sort in Sort:
        page = shop.page("customers", Asked(wanted, sort, size=1000))
        assert sorted(record["id"] for _, record in page.rows) == sorted(i for _, i in expected)
    assert shop.count("customers", wanted, most=3) == 3
    backwards = shop.page("customers", Asked(wanted, Sort.UPDATED, descending=True, size=1000))
    assert [position for position, _ in backwards.rows] == expected[::-1]


def test_random_changes_repeat(shop: ShopifyShop, clock: FakeClock) -> None:
    edited, deleted = shop.edit_random(20), shop.delete_random(5)
    other = make(clock)
    assert (other.edit_random(20), other.delete_random(5)) == (edited, deleted)
    assert {entity for entity, _ in edited} == set(ENTITIES)
    assert sum(shop.count(entity) for entity in ENTITIES) == 675


def test_the_hook_is_called_before_each_page(shop: ShopifyShop) -> None:
    calls: list[int] = []
    shop.before_page = calls.append
    listed(shop)
    listed(shop, "orders")
    assert calls == [1, 2]


def test_many_threads_may_change_a_store(shop: ShopifyShop) -> None:
    threads = [threading.Thread(target=shop.edit_random, args=(50,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len(listed(shop)) == 300
    for thread in threads:
        thread.join()


def test_large_stores_are_made_quickly(clock: FakeClock) -> None:
    began = time.process_time()
    shop = make(clock, customers=10_000)
    assert len(rest_bodies(shop, "customers")) == 10_000
    assert time.process_time() - began < 3
    large = make(clock, customers=1_000_000)
    assert large.count("customers") == 1_000_000
    last = large.ids("customers")[-1]
    assert large.record("customers", last) == large.record("customers", last)
    assert large.record("customers", last + 1) is None
    assert large.page("customers", Asked(descending=True, size=1)).rows[0][0] == (last, last)


def test_no_record_was_changed_before_it_was_made() -> None:
    mint = Mint(1, {"customers": 1000, "products": 0, "orders": 0}, 0, 5000)
    for number in range(1000):
        assert mint.created("customers", number) <= mint.updated("customers", number) <= 5000
