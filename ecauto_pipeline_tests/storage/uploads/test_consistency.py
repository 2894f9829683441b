"""Both sides as they are here, and mends that leave alone what has changed, in both databases."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.shops.changes import Item
from ecauto_pipeline.domain.uploads.consistency import (
    Adopt,
    Delist,
    FailRows,
    Follow,
    ListingState,
    QueueState,
)
from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.storage.tables import decisions, listings, products, shop_items, upload_queue
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

ASIN = "B000000001"
PLACE = {"asin": ASIN, "platform": "base", "account_id": "one"}
DATES = {"created_at": MIDDAY, "updated_at": MIDDAY}
ITEM = Item("2200000001", f"b-{ASIN}-1", "題", 1500, 1, visible=True)

Insert = Callable[..., None]


@pytest.fixture
def store(engine: sa.Engine, clock: FakeClock) -> ConsistencyStore:
    return ConsistencyStore(engine, clock, "base")


@pytest.fixture
def insert(engine: sa.Engine) -> Insert:
    """Adds a row of the product."""
    with engine.begin() as connection:
        row = {"asin": ASIN, "shard": shard_of(ASIN), **DATES}
        connection.execute(sa.insert(products).values(row))

    def insert_row(table: sa.Table, **values: Any) -> None:
        row = {**PLACE, "created_at": MIDDAY, **values}
        if table is listings:
            row = {"updated_at": MIDDAY, "selling_price": Decimal(1300), **row}
        with engine.begin() as connection:
            connection.execute(sa.insert(table).values(row))

    return insert_row


def rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        query = sa.select(table).order_by(*table.primary_key)
        return [dict(row) for row in connection.execute(query).mappings()]


def seen(store: ConsistencyStore) -> tuple[ListingState, tuple[QueueState, ...]]:
    (listing,), queue = store.states("one")
    return listing, tuple(queue)


def test_the_states_are_those_of_one_account(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings, account_id="two")
    insert(listings, platform="ebay")
    insert(listings, sku="s-1", platform_item_id="9", selling_price=Decimal("1300.50"), held=True)
    insert(upload_queue, account_id="two", status="failed")
    insert(
        upload_queue,
        status="uploading",
        attempt_no=3,
        item_id="9",
        identifier="s-1",
        lease_until=MIDDAY,
        scheduled_time=MIDDAY - timedelta(hours=1),
    )
    (mine,), (row,) = store.states("one")
    assert mine == ListingState(
        id=rows(engine, listings)[-1]["id"],
        asin=ASIN,
        account_id="one",
        item_id="9",
        sku="s-1",
        status="pending",
        visibility="public",
        selling_price=Decimal("1300.50"),
        held=True,
    )
    assert row == QueueState(
        id=rows(engine, upload_queue)[-1]["id"],
        asin=ASIN,
        account_id="one",
        status="uploading",
        attempt_no=3,
        item_id="9",
        identifier="s-1",
        lease_until=MIDDAY,
        scheduled_time=MIDDAY - timedelta(hours=1),
    )


@pytest.mark.parametrize("queued", [True, False])
def test_an_adopted_item_is_listed_as_the_shop_has_it(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine, *, queued: bool
) -> None:
    insert(listings, visibility="hidden", sku="s-1")
    if queued:
        insert(upload_queue, status="pending")
    listing, waiting = seen(store)
    assert store.apply(Adopt(listing, ITEM, waiting))
    (row,) = rows(engine, listings)
    names = ("platform_item_id", "selling_price", "status", "visibility", "listed_at", "sku")
    assert [row[name] for name in names] == [
        ITEM.item_id,
        Decimal(1500),
        "listed",
        "public",
        MIDDAY,
        "s-1",
    ]
    for each in rows(engine, upload_queue):
        assert (each["status"], each["item_id"]) == ("success", ITEM.item_id)
        assert (each["processed_at"], each["error_message"]) == (MIDDAY, "found on the shop")


def test_a_hidden_item_is_adopted_and_its_upload_goes_on(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    earlier = MIDDAY - timedelta(days=9)
    insert(listings, listed_at=earlier)
    insert(upload_queue, status="pending")
    listing, waiting = seen(store)
    assert store.apply(Adopt(listing, replace(ITEM, visible=False), waiting))
    (row,) = rows(engine, listings)
    assert (row["status"], row["visibility"], row["listed_at"]) == ("listed", "hidden", earlier)
    (queued,) = rows(engine, upload_queue)
    assert (queued["status"], queued["item_id"]) == ("pending", ITEM.item_id)


def test_a_failed_row_that_is_tried_again_goes_on_with_the_adopted_item(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine, clock: FakeClock
) -> None:
    insert(listings)
    insert(upload_queue, status="failed", error_message="refused")
    listing, (row,) = seen(store)
    assert store.apply(Adopt(listing, ITEM, ()))
    (failed,) = rows(engine, upload_queue)
    assert (failed["status"], failed["error_message"]) == ("failed", "refused")
    assert UploadQueue(engine, clock, "base").retry([row.id]) == 1
    upload = UploadAttempts(engine, clock, "base", UploadRules()).claim("one", "worker")
    assert upload is not None
    assert upload.item_id == ITEM.item_id


def test_an_upload_that_made_nothing_fails_and_is_not_queued_again(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings)
    insert(upload_queue, status="success")
    listing, done = seen(store)
    assert store.apply(FailRows(listing, done, ()))
    (row,) = rows(engine, upload_queue)
    assert (row["status"], row["error_message"]) == ("failed", "not on the shop")
    assert rows(engine, listings)[0]["status"] == "pending"


def test_what_the_shop_has_is_followed(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings, status="listed", platform_item_id=ITEM.item_id)
    listing, _ = seen(store)
    assert store.apply(Follow(listing, replace(ITEM, visible=False)))
    (row,) = rows(engine, listings)
    assert (row["selling_price"], row["visibility"]) == (Decimal(1500), "hidden")
    assert not store.apply(Follow(listing, ITEM))


def test_what_is_gone_is_delisted_with_a_decision(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings, status="listed", platform_item_id=ITEM.item_id)
    listing, _ = seen(store)
    assert store.delist(Delist(listing), "run-1", "gone")
    assert not store.delist(Delist(listing), "run-1", "gone")
    assert rows(engine, listings)[0]["status"] == "delisted"
    (decision,) = rows(engine, decisions)
    names = ("run_id", "listing_id", "kind", "old", "new", "rule", "outcome", "dry_run")
    assert [decision[name] for name in names] == [
        "run-1",
        listing.id,
        "delist",
        "listed",
        "delisted",
        "item_gone",
        "written",
        False,
    ]
    assert decision["decided_at"] == decision["written_at"] == MIDDAY


MEANWHILE: dict[str, dict[str, Any]] = {
    "status": {"status": "sold"},
    "visibility": {"visibility": "hidden"},
    "item": {"platform_item_id": "77"},
    "price": {"selling_price": Decimal(1400)},
    "no price": {"selling_price": None},
}


@pytest.mark.parametrize("values", MEANWHILE.values(), ids=MEANWHILE.keys())
@pytest.mark.parametrize("mend", [Adopt, FailRows, Follow, Delist])
def test_a_listing_that_changed_meanwhile_is_left_alone(
    store: ConsistencyStore,
    insert: Insert,
    engine: sa.Engine,
    mend: type,
    values: dict[str, Any],
) -> None:
    insert(listings, status="listed" if mend in {Follow, Delist} else "pending")
    insert(upload_queue, status="success")
    listing, done = seen(store)
    with engine.begin() as connection:
        connection.execute(sa.update(listings).values(values))
    before = [rows(engine, table) for table in (listings, upload_queue, decisions)]
    if mend is Delist:
        assert not store.delist(Delist(listing), "run-1", "gone")
    else:
        mends: dict[type, Adopt | FailRows | Follow] = {
            Adopt: Adopt(listing, ITEM, ()),
            FailRows: FailRows(listing, done, ()),
            Follow: Follow(listing, ITEM),
        }
        assert not store.apply(mends[mend])
    assert [rows(engine, table) for table in (listings, upload_queue, decisions)] == before


@pytest.mark.parametrize(
    "values",
    [
        {"status": "uploading", "attempt_no": 1},
        {"status": "unknown"},
        {"attempt_no": 1},
        {"status": "failed"},
    ],
)
def test_a_listing_whose_upload_moved_on_is_left_alone(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine, values: dict[str, Any]
) -> None:
    insert(listings)
    insert(upload_queue, status="pending")
    insert(upload_queue, status="success")
    listing, (waiting, done) = seen(store)
    with engine.begin() as connection:
        mine = upload_queue.c.id == waiting.id
        connection.execute(sa.update(upload_queue).where(mine).values(values))
    before = rows(engine, upload_queue)
    assert not store.apply(Adopt(listing, ITEM, (waiting,)))
    assert not store.apply(FailRows(listing, (done,), (waiting,)))
    assert rows(engine, upload_queue) == before
    assert rows(engine, listings)[0]["status"] == "pending"


def test_a_listed_item_that_is_being_uploaded_is_not_delisted(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings, status="listed", platform_item_id=ITEM.item_id)
    insert(upload_queue, status="pending", item_id=ITEM.item_id)
    listing, _ = seen(store)
    assert not store.delist(Delist(listing), "run-1", "gone")
    assert rows(engine, decisions) == []


def test_a_listing_that_is_being_queued_is_not_adopted_beside_it(
    store: ConsistencyStore, insert: Insert, engine: sa.Engine
) -> None:
    insert(listings)
    listing, _ = seen(store)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(store.apply(Adopt(listing, ITEM, ()))))
    with engine.begin() as connection:
        row = {**PLACE, "created_at": MIDDAY, "status": "pending"}
        connection.execute(sa.insert(upload_queue).values(row))
        thread.start()
        thread.join(timeout=0.2)
        assert done == []
    thread.join()
    assert done == [False]
    assert rows(engine, listings)[0]["status"] == "pending"


def test_the_mirror_is_what_the_shop_just_showed(
    store: ConsistencyStore, engine: sa.Engine
) -> None:
    store.replace_items("one", [replace(ITEM, item_id=each) for each in ("1001", "1002")])
    store.replace_items("two", [replace(ITEM, item_id="1001")])
    store.replace_items("one", [replace(ITEM, item_id="1002", price_jpy=2000, modified_at=MIDDAY)])
    found = [tuple(row.values()) for row in rows(engine, shop_items)]
    called = f"b-{ASIN}-1"
    assert found == [
        ("base", "one", "1002", called, "題", 2000, 1, True, MIDDAY, MIDDAY),
        ("base", "two", "1001", called, "題", 1500, 1, True, None, MIDDAY),
    ]
    store.replace_items("one", [])
    assert [row["account_id"] for row in rows(engine, shop_items)] == ["two"]


def test_an_item_with_a_name_that_no_database_keeps_is_kept_without(
    store: ConsistencyStore, engine: sa.Engine
) -> None:
    store.replace_items("one", [replace(ITEM, title="題\0名", identifier="\0")])
    assert [(row["title"], row["identifier"]) for row in rows(engine, shop_items)] == [
        ("題名", None)
    ]
