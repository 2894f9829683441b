"""The mirrors hold the newest version of every record, in both databases."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from ecauto_pipeline.domain.shopify.mirror import BadRecord, Deletion, Entity, Record, Shape
from ecauto_pipeline.storage.shopify.bulk_upsert import bulk_upsert
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import Saved, ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.storage.shopify.tables import (
    metadata,
    shopify_customers,
    shopify_order_items,
    shopify_orders,
    shopify_product_variants,
    shopify_products,
    webhook_inbox,
)
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

SHOP = "one"
CUSTOMERS, PRODUCTS, ORDERS = Entity.CUSTOMERS, Entity.PRODUCTS, Entity.ORDERS
LARGE = 3_174_076_055_691
"""As ids are today; some thousand times what 32 bits hold."""

Children = Sequence[Mapping[str, Any]]


@pytest.fixture
def store(engine: sa.Engine, clock: FakeClock) -> ShopifyStore:
    return ShopifyStore(engine, clock)


@pytest.fixture
def rows(engine: sa.Engine) -> Callable[[sa.Table], dict[int, dict[str, Any]]]:
    """Reads a table as everybody else does: by id, with SQLAlchemy's types."""

    def read(table: sa.Table, store_id: str = SHOP) -> dict[int, dict[str, Any]]:
        query = sa.select(table).where(table.c.store_id == store_id).order_by(table.c.id)
        with engine.connect() as connection:
            return {row["id"]: dict(row) for row in connection.execute(query).mappings()}

    return read


Rows = Callable[..., dict[int, dict[str, Any]]]


def at(minutes: float) -> datetime:
    return MIDDAY + timedelta(minutes=minutes)


def record(id_: int = 1, minutes: float = 0, **columns: Any) -> Record:
    return Record(id_, at(minutes), columns, {"id": id_})


def product(id_: int = 1, minutes: float = 0, *variants: int, complete: bool = True) -> Record:
    children = [{"id": each, "title": f"{id_}/{each} at {minutes}"} for each in variants]
    return Record(id_, at(minutes), {"title": "Kettle"}, {"id": id_}, children, complete)


def test_what_was_saved_reads_back_equal(store: ShopifyStore, rows: Rows) -> None:
    japan = timezone(timedelta(hours=9))
    columns = {
        "email": "花子@example.jp",
        "first_name": "花子 🍵 %s %(x)s \\ \" ' \n",
        "note": "",
        "tax_exempt": False,
        "verified_email": True,
        "orders_count": 2**40,
        "total_spent": Decimal("12345678901.2345"),
        "currency": "JPY",
        "last_order_id": LARGE,
        "phone": None,
        "accepts_marketing_updated_at": datetime(2026, 11, 20, 9, 0, 0, 1, tzinfo=japan),
        "created_at": datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    payload = {"名前": "花子 🍵", "list": [1, 2.5, None, True, "\\"], "big": 2**53 + 1}
    store.save(SHOP, CUSTOMERS, [Record(LARGE, at(0.5), columns, payload)])
    row = rows(shopify_customers)[LARGE]
    assert {name: row[name] for name in columns} == columns
    assert isinstance(row["total_spent"], Decimal)
    assert row["tax_exempt"] is False
    assert row["created_at"].tzinfo is UTC
    assert row["payload"] == payload
    assert (row["updated_at"], row["synced_at"], row["deleted_at"]) == (at(0.5), MIDDAY, None)


def test_children_read_back_equal(store: ShopifyStore, rows: Rows) -> None:
    variant = {
        "id": LARGE,
        "price": Decimal("0.1"),
        "compare_at_price": Decimal(1980),
        "position": 1,
        "weight": 0.1,
        "inventory_quantity": -3,
        "taxable": True,
        "updated_at": at(-1),
        "payload": {"sku": "K-1"},
    }
    saved = store.save(SHOP, PRODUCTS, [Record(LARGE + 1, at(0), {}, {}, [variant])])
    row = rows(shopify_product_variants)[LARGE]
    assert {name: row[name] for name in variant} == variant
    assert (row["product_id"], row["synced_at"], saved.children) == (LARGE + 1, MIDDAY, 1)


def test_the_fast_writer_stores_what_sqlalchemy_would(
    engine: sa.Engine, store: ShopifyStore
) -> None:
    """So that comparisons in SQL treat both alike."""
    table = shopify_orders
    values = {
        "name": "#1001",
        "total_price": Decimal("1980.50"),
        "total_tax": Decimal(180),
        "test": True,
        "processed_at": at(0),
        "closed_at": datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
    }
    payload = {"名": [1]}
    store.save(SHOP, ORDERS, [Record(1, at(0), values, payload)])
    keys = {"store_id": "two", "id": 1, "updated_at": at(0), "synced_at": MIDDAY}
    names = [column.name for column in table.c if column.name != "store_id"]
    text = f"SELECT {', '.join(names)} FROM shopify_orders"  # noqa: S608
    with engine.begin() as connection:
        connection.execute(sa.insert(table).values(**keys, **values, payload=payload))
        one, other = connection.exec_driver_sql(text).all()
    assert one == other
    assert [type(value) for value in one] == [type(value) for value in other]


def test_an_older_version_is_left_out(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, CUSTOMERS, [record(1, 5, email="new")])
    saved = store.save(SHOP, CUSTOMERS, [record(1, 4, email="old"), record(2, 4)])
    assert saved == Saved(created=1, stale=1)
    assert rows(shopify_customers)[1]["email"] == "new"


def test_the_statement_itself_refuses_older_versions(
    engine: sa.Engine, store: ShopifyStore, rows: Rows
) -> None:
    store.save(SHOP, CUSTOMERS, [record(1, 5, email="new")])
    older = {"store_id": SHOP, "id": 1, "updated_at": at(4), "synced_at": MIDDAY, "email": "old"}
    with engine.begin() as connection:
        bulk_upsert(connection, shopify_customers, [older], guarded=True)
    assert rows(shopify_customers)[1]["email"] == "new"


def test_a_newer_version_is_written(store: ShopifyStore, rows: Rows, clock: FakeClock) -> None:
    store.save(SHOP, CUSTOMERS, [record(1, 5, email="old")])
    clock.advance(hours=1)
    assert store.save(SHOP, CUSTOMERS, [record(1, 6, email=None)]) == Saved(changed=1)
    row = rows(shopify_customers)[1]
    assert (row["email"], row["updated_at"], row["synced_at"]) == (None, at(6), at(60))


def test_a_version_of_the_same_moment_overwrites(store: ShopifyStore, rows: Rows) -> None:
    """Totals of customers change without a change of `updated_at`."""
    store.save(SHOP, CUSTOMERS, [record(1, 5, orders_count=1)])
    assert store.save(SHOP, CUSTOMERS, [record(1, 5, orders_count=2)]) == Saved(same=1)
    assert rows(shopify_customers)[1]["orders_count"] == 2


def test_within_a_batch_the_newest_version_wins(store: ShopifyStore, rows: Rows) -> None:
    versions = [record(1, 1, email="a"), record(1, 3, email="b"), record(1, 2, email="c")]
    equal = [record(2, 1, email="first"), record(2, 1, email="last")]
    assert store.save(SHOP, CUSTOMERS, versions + equal) == Saved(created=2)
    assert [row["email"] for row in rows(shopify_customers).values()] == ["b", "last"]


def test_columns_that_a_source_does_not_supply_are_left_alone(
    store: ShopifyStore, rows: Rows
) -> None:
    store.save(SHOP, CUSTOMERS, [record(1, 1, email="a", tags="vip")])
    partly = [record(1, 2, email="b"), record(2, 2, tags="new"), record(3, 2)]
    assert store.save(SHOP, CUSTOMERS, partly) == Saved(created=2, changed=1)
    found = [(row["email"], row["tags"]) for row in rows(shopify_customers).values()]
    assert found == [("b", "vip"), (None, "new"), (None, None)]


def test_an_empty_batch_is_fine(store: ShopifyStore) -> None:
    assert store.save(SHOP, ORDERS, []) == Saved()


def test_more_rows_than_a_statement_takes_are_saved(store: ShopifyStore, rows: Rows) -> None:
    products = [product(id_, 0, *range(id_ * 10, id_ * 10 + 3)) for id_ in range(1, 1502)]
    assert store.save(SHOP, PRODUCTS, products) == Saved(created=1501, children=4503)
    assert len(rows(shopify_product_variants)) == 4503


def test_text_that_no_database_takes_does_not_hold_up_the_rest(
    store: ShopifyStore, rows: Rows
) -> None:
    odd = Record(1, at(0), {"note": "a\x00b\ud83d c"}, {"n": "\x00", "half": "\ud83d", "n2": 2**70})
    nul = Record(3, at(0), {}, {"nul": "\x00", "said": r"\u0000"})
    store.save(SHOP, CUSTOMERS, [odd, record(2, 0, note="fine"), nul])
    first, second, third = rows(shopify_customers).values()
    assert third["payload"] == {"nul": "", "said": r"\u0000"}
    assert (first["note"], second["note"]) == ("ab\ufffd c", "fine")
    assert first["payload"] == {"n": "", "half": "\ufffd", "n2": str(2**70)}


@pytest.mark.parametrize(
    "columns",
    [{"shoe_size": 44}, {"created_at": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
def test_columns_that_cannot_be_right_are_refused(
    store: ShopifyStore, rows: Rows, columns: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"has no column shoe_size|timestamps are aware"):
        store.save(SHOP, CUSTOMERS, [record(1), record(2, **columns)])
    assert rows(shopify_customers) == {}


def test_two_stores_with_equal_ids_do_not_meet(store: ShopifyStore, rows: Rows) -> None:
    store.save("one", PRODUCTS, [product(1, 5, 11)])
    store.save("two", PRODUCTS, [product(1, 1, 11, 12)])
    store.tombstone("two", PRODUCTS, [Deletion(1, at(9))])
    store.save("two", PRODUCTS, [product(2, 1, 12)])
    store.save("two", PRODUCTS, [product(1, 2, 13)])
    assert list(store.live_ids("one", PRODUCTS)) == [1]
    assert rows(shopify_product_variants, "one")[11]["title"] == "1/11 at 5"
    store.forget_store("two")
    assert store.count("one", PRODUCTS) == 1
    assert rows(shopify_products, "two") == rows(shopify_product_variants, "two") == {}


def test_children_are_replaced(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12), product(2, 0, 21)])
    assert store.save(SHOP, PRODUCTS, [product(1, 1, 12, 13)]).children == 2
    found = {id_: row["title"] for id_, row in rows(shopify_product_variants).items()}
    assert found == {12: "1/12 at 1", 13: "1/13 at 1", 21: "2/21 at 0"}


def test_an_empty_list_of_children_deletes_them(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12), product(2, 0, 21)])
    store.save(SHOP, PRODUCTS, [product(1, 1)])
    assert list(rows(shopify_product_variants)) == [21]


def test_children_are_left_alone_when_not_all_came(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12)])
    saved = store.save(SHOP, PRODUCTS, [product(1, 1, 12, 13, complete=False)])
    assert saved == Saved(changed=1)
    found = {id_: row["title"] for id_, row in rows(shopify_product_variants).items()}
    assert found == {11: "1/11 at 0", 12: "1/12 at 0"}


def test_a_stale_record_does_not_touch_children(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 5, 11)])
    assert store.save(SHOP, PRODUCTS, [product(1, 4, 12)]) == Saved(stale=1)
    assert list(rows(shopify_product_variants)) == [11]


def test_a_child_that_moved_is_taken_over(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12), product(2, 0, 21)])
    store.save(SHOP, PRODUCTS, [product(2, 1, 21, 12)])
    store.save(SHOP, PRODUCTS, [product(4, 2, 11), product(3, 3, 11)])
    parents = {id_: row["product_id"] for id_, row in rows(shopify_product_variants).items()}
    assert parents == {11: 3, 12: 2, 21: 2}


def test_line_items_belong_to_their_order_whatever_product_they_name(
    store: ShopifyStore, rows: Rows
) -> None:
    items = [{"id": 7, "product_id": LARGE, "quantity": 2}, {"id": 8, "product_id": None}]
    store.save(SHOP, ORDERS, [Record(1, at(0), {}, {}, items)])
    found = [(row["order_id"], row["product_id"]) for row in rows(shopify_order_items).values()]
    assert found == [(1, LARGE), (1, None)]


def test_a_deletion_marks_the_record_and_its_children(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11), product(2, 0, 21), product(3, 0)])
    deletions = [Deletion(1, at(5)), Deletion(1, at(4)), Deletion(3, at(6)), Deletion(99, at(5))]
    assert store.tombstone(SHOP, PRODUCTS, deletions) == 2
    assert store.tombstone(SHOP, PRODUCTS, [Deletion(1, at(8))]) == 0
    times = [row["deleted_at"] for row in rows(shopify_products).values()]
    assert times == [at(5), None, at(6)]
    assert rows(shopify_product_variants)[11]["deleted_at"] == at(5)
    assert rows(shopify_product_variants)[21]["deleted_at"] is None
    assert list(store.live_ids(SHOP, PRODUCTS)) == [2]
    assert sorted(store.ids_deleted(SHOP, PRODUCTS)) == [1, 3]
    assert store.count(SHOP, PRODUCTS) == 1


def test_a_record_updated_after_its_deletion_stays(store: ShopifyStore) -> None:
    store.save(SHOP, ORDERS, [record(1, 5), record(2, 4)])
    deletions = [Deletion(1, at(4)), Deletion(2, at(4))]
    assert store.tombstone(SHOP, ORDERS, deletions) == 1
    assert list(store.live_ids(SHOP, ORDERS)) == [1]


def test_a_later_version_revives_a_deleted_record(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12)])
    store.tombstone(SHOP, PRODUCTS, [Deletion(1, at(5))])
    assert store.save(SHOP, PRODUCTS, [product(1, 6, 11)]) == Saved(created=1, children=1)
    assert rows(shopify_products)[1]["deleted_at"] is None
    assert [row["deleted_at"] for row in rows(shopify_product_variants).values()] == [None]


def test_children_are_revived_even_if_not_all_came(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11, 12)])
    store.tombstone(SHOP, PRODUCTS, [Deletion(1, at(5))])
    store.save(SHOP, PRODUCTS, [product(1, 6, 11, complete=False)])
    assert [row["deleted_at"] for row in rows(shopify_product_variants).values()] == [None, None]


@pytest.mark.parametrize(("minutes", "saved"), [(0, Saved(same=1)), (5, Saved(changed=1))])
def test_a_version_from_before_its_deletion_does_not_revive_a_record(
    store: ShopifyStore, rows: Rows, minutes: float, saved: Saved
) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11)])
    store.tombstone(SHOP, PRODUCTS, [Deletion(1, at(5))])
    found = store.save(SHOP, PRODUCTS, [product(1, minutes, 11, 12)])
    assert (found.created, found.changed, found.same) == (0, saved.changed, saved.same)
    assert rows(shopify_products)[1]["deleted_at"] == at(5)
    times = [row["deleted_at"] for row in rows(shopify_product_variants).values()]
    assert times == [at(5), at(5)]


def test_what_the_shop_still_lists_is_brought_back(store: ShopifyStore, rows: Rows) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11), product(2, 0), product(3, 0)])
    store.tombstone(SHOP, PRODUCTS, [Deletion(1, at(5)), Deletion(2, at(5))])
    assert store.revive(SHOP, PRODUCTS, [1, 3, 99, 1]) == 1
    assert sorted(store.live_ids(SHOP, PRODUCTS)) == [1, 3]
    assert rows(shopify_product_variants)[11]["deleted_at"] is None


def test_many_ids_are_listed_marked_and_revived(store: ShopifyStore) -> None:
    ids = range(LARGE, LARGE + 11_000)
    store.save(SHOP, CUSTOMERS, [record(id_) for id_ in ids])
    assert sorted(store.live_ids(SHOP, CUSTOMERS)) == list(ids)
    assert store.tombstone(SHOP, CUSTOMERS, [Deletion(id_, at(1)) for id_ in ids[1:]]) == 10_999
    assert list(store.live_ids(SHOP, CUSTOMERS)) == [LARGE]
    assert store.revive(SHOP, CUSTOMERS, ids) == 10_999


def test_ids_and_counts_can_begin_at_a_creation(store: ShopifyStore) -> None:
    store.save(SHOP, ORDERS, [record(id_, 0, created_at=at(id_)) for id_ in (1, 2, 3)])
    assert sorted(store.live_ids(SHOP, ORDERS, created_since=at(2))) == [2, 3]
    assert store.count(SHOP, ORDERS, created_since=at(2)) == 2
    assert store.count(SHOP, ORDERS) == 3


def before(engine: sa.Engine, beginning: str, act: Callable[[], None]) -> None:
    """Let this happen before each statement that begins so."""

    @event.listens_for(engine, "before_cursor_execute")
    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(beginning):
            act()


def test_a_batch_is_stored_with_all_its_children_or_not_at_all(
    engine: sa.Engine, store: ShopifyStore, rows: Rows
) -> None:
    store.save(SHOP, PRODUCTS, [product(1, 0, 11)])

    def fail() -> None:
        raise RuntimeError("the power went")

    before(engine, "INSERT INTO shopify_product_variants", fail)
    with pytest.raises(RuntimeError, match="power"):
        store.save(SHOP, PRODUCTS, [product(1, 1, 12), product(2, 1)])
    assert [row["updated_at"] for row in rows(shopify_products).values()] == [at(0)]
    assert list(rows(shopify_product_variants)) == [11]


def in_threads(*tasks: Callable[[], object]) -> None:
    failures: list[Exception] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_concurrent_saves_converge_to_the_newest(store: ShopifyStore, rows: Rows) -> None:
    ids = range(1, 41)

    def save_all(minutes: Sequence[int], order: int) -> None:
        for each in minutes:
            store.save(
                SHOP, PRODUCTS, [product(id_, each, id_ * 100 + each) for id_ in ids[::order]]
            )

    def delete_and_revive() -> None:
        for _ in range(5):
            store.tombstone(SHOP, PRODUCTS, [Deletion(id_, at(99)) for id_ in ids])
            store.revive(SHOP, PRODUCTS, ids)

    in_threads(
        lambda: save_all(range(0, 20, 2), 1),
        lambda: save_all(range(19, 0, -2), -1),
        delete_and_revive,
    )
    assert {row["updated_at"] for row in rows(shopify_products).values()} == {at(19)}
    assert list(rows(shopify_product_variants)) == [id_ * 100 + 19 for id_ in ids]
    assert store.count(SHOP, PRODUCTS) == len(ids)


def test_a_stale_save_that_waited_for_a_newer_one_leaves_its_children(
    engine: sa.Engine, store: ShopifyStore, rows: Rows
) -> None:
    """Neither finds the record when it begins: only taking turns tells the second."""
    inside, begun = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        begun.wait(PATIENCE_SECONDS)

    def save_older() -> None:
        inside.wait(PATIENCE_SECONDS)
        begun.set()
        assert store.save(SHOP, PRODUCTS, [product(1, 1, 12)]) == Saved(stale=1)

    before(engine, "INSERT INTO shopify_products", hold)
    in_threads(lambda: store.save(SHOP, PRODUCTS, [product(1, 2, 11)]), save_older)
    assert list(rows(shopify_product_variants)) == [11]


VERSIONS = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), max_size=6), max_size=6
)


@given(batches=VERSIONS)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_of_versions_gives_the_newest_of_each(
    store: ShopifyStore, rows: Rows, batches: list[list[tuple[int, int]]]
) -> None:
    shop = uuid4().hex
    for batch in batches:
        versions = [product(id_, age, id_ * 10 + age, id_ * 10 + 9) for id_, age in batch]
        saved = store.save(shop, PRODUCTS, versions)
        distinct = len({id_ for id_, _ in batch})
        assert saved.created + saved.changed + saved.same + saved.stale == distinct
    newest: dict[int, int] = {}
    for id_, age in (version for batch in batches for version in batch):
        newest[id_] = max(age, newest.get(id_, 0))
    found = {id_: row["updated_at"] for id_, row in rows(shopify_products, shop).items()}
    assert found == {id_: at(age) for id_, age in newest.items()}
    children = {id_ * 10 + last for id_, age in newest.items() for last in (age, 9)}
    assert set(rows(shopify_product_variants, shop)) == children


PERSONAL = {"email": "a@example.com", "last_name": "山田", "default_address_zip": "100-0001"}


def test_what_is_personal_of_a_customer_is_forgotten(
    engine: sa.Engine, store: ShopifyStore, rows: Rows, clock: FakeClock
) -> None:
    letters = DeadLetters(engine, clock)
    for id_ in (1, 2):
        store.save(SHOP, CUSTOMERS, [record(id_, 0, **PERSONAL, orders_count=3)])
        items = [{"id": id_ * 10, "sku": "K", "payload": {"engraving": "for you"}}]
        order = Record(id_, at(0), {"email": "a@example.com", "name": "#1"}, {"id": id_}, items)
        store.save(SHOP, ORDERS, [order])
        bad = [BadRecord(str(id_), Shape.BODY, {"email": "a@example.com"}, "why")]
        letters.add(SHOP, CUSTOMERS, bad)
        letters.add(SHOP, ORDERS, bad)
    store.redact_customer(SHOP, 1, [1])
    redacted, kept = rows(shopify_customers).values()
    assert {redacted[name] for name in PERSONAL} == {redacted["payload"]} == {None}
    assert (redacted["orders_count"], redacted["updated_at"]) == (3, at(0))
    assert {name: kept[name] for name in PERSONAL} == PERSONAL
    orders, items = rows(shopify_orders), rows(shopify_order_items)
    assert (orders[1]["email"], orders[1]["payload"], orders[1]["name"]) == (None, None, "#1")
    assert (orders[2]["email"], orders[2]["payload"]) == ("a@example.com", {"id": 2})
    assert [items[id_]["payload"] for id_ in (10, 20)] == [None, {"engraving": "for you"}]
    assert [letter.record_id for letter in letters.open_letters()] == ["2", "2"]


def test_a_store_is_forgotten_altogether(
    engine: sa.Engine, store: ShopifyStore, clock: FakeClock
) -> None:
    states, letters = SyncStates(engine, clock), DeadLetters(engine, clock)
    for shop in ("one", "two"):
        for entity in Entity:
            children = [] if entity is CUSTOMERS else [{"id": 1}]
            store.save(shop, entity, [Record(1, at(0), {}, {}, children)])
            states.update(shop, entity, watermark_at=at(0))
            letters.add(shop, entity, [BadRecord("1", Shape.BODY, {}, "why")])
    store.forget_store("one")
    with engine.connect() as connection:
        for table in metadata.tables.values():
            if "store_id" in table.c and table is not webhook_inbox:
                stores = connection.execute(sa.select(table.c.store_id)).scalars().all()
                assert set(stores) == {"two"}, table.name
