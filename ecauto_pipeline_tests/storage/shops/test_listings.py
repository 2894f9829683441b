"""Listings beside what is proven of them, and the decisions, in both databases."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from ecauto_pipeline.domain.shops.changes import (
    Change,
    Kind,
    Listing,
    Outcome,
    delist,
    plan_changes,
)
from ecauto_pipeline.domain.shops.pricing import PriceRule
from ecauto_pipeline.storage.shops.listings import ListingStore
from ecauto_pipeline.storage.tables import (
    decisions,
    listings,
    products,
    upload_queue,
)
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

ASIN = "B000000001"
SINCE = MIDDAY - timedelta(hours=48)
FRESH = {"stock_updated_at": MIDDAY, "price_updated_at": MIDDAY}

Add = Callable[..., int]


@pytest.fixture
def store(engine: sa.Engine, clock: FakeClock) -> ListingStore:
    return ListingStore(engine, clock, "base")


@pytest.fixture
def add(engine: sa.Engine) -> Add:
    """Adds a product and its listing; returns the listing's id."""

    def add_listing(asin: str = ASIN, product: dict[str, Any] | None = None, **columns: Any) -> int:
        dates = {"created_at": MIDDAY, "updated_at": MIDDAY}
        values = {
            "platform": "base",
            "account_id": "one",
            "platform_item_id": f"1{asin[-3:]}",
            "selling_price": Decimal(1300),
            "status": "listed",
            **columns,
        }
        row = {"amazon_in_stock": True, "amazon_price_jpy": 1000, **(product or {})}
        with engine.begin() as connection:
            connection.execute(sa.insert(products).values(asin=asin, shard="00", **dates, **row))
            inserted = sa.insert(listings).values(asin=asin, **dates, **values)
            return connection.execute(inserted.returning(listings.c.id)).scalar_one()

    return add_listing


def rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        query = sa.select(table).order_by(*table.primary_key)
        return [dict(row) for row in connection.execute(query).mappings()]


def changes(store: ListingStore) -> list[Change]:
    plan = plan_changes(store.listed("one", SINCE), PriceRule())
    return [*plan.visibility, *plan.changes(Kind.PRICE, prices_alone=False)]


def test_a_listing_is_told_beside_what_is_proven(store: ListingStore, add: Add) -> None:
    number = add(product=FRESH)
    assert store.listed("one", SINCE) == [
        Listing(
            id=number,
            asin=ASIN,
            account_id="one",
            item_id="1001",
            selling_price=Decimal(1300),
            public=True,
            amazon_price_jpy=1000,
            in_stock=True,
        )
    ]


@pytest.mark.parametrize(
    ("product", "in_stock", "price"),
    [
        ({}, None, None),
        ({"amazon_in_stock": False}, None, None),
        (FRESH | {"amazon_in_stock": False}, False, 1000),
        (FRESH | {"amazon_in_stock": None}, None, 1000),
        (FRESH | {"stock_updated_at": SINCE}, True, 1000),
        (FRESH | {"stock_updated_at": SINCE - timedelta(seconds=1)}, None, 1000),
        (FRESH | {"price_updated_at": SINCE - timedelta(seconds=1)}, True, None),
        (FRESH | {"amazon_price_jpy": None}, True, None),
        (
            {"amazon_in_stock": False, "stock_updated_at": SINCE - timedelta(days=99)},
            False,
            None,
        ),
    ],
)
def test_only_what_has_a_time_is_proof_and_old_stock_is_unknown(
    store: ListingStore,
    add: Add,
    product: dict[str, Any],
    *,
    in_stock: bool | None,
    price: int | None,
) -> None:
    add(product=product)
    (listing,) = store.listed("one", SINCE)
    assert listing.in_stock is in_stock
    assert listing.amazon_price_jpy == price


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "pending"},
        {"status": "sold"},
        {"status": "delisted"},
        {"platform_item_id": None},
        {"platform": "ebay"},
        {"account_id": "two"},
    ],
)
def test_what_is_not_on_that_shop_is_left_out(
    store: ListingStore, add: Add, columns: dict[str, Any]
) -> None:
    add(product=FRESH, **columns)
    assert store.listed("one", SINCE) == []


def test_listings_come_in_order(store: ListingStore, add: Add) -> None:
    numbers = [add(f"B00000000{number}") for number in (3, 1, 2)]
    assert [listing.id for listing in store.listed("one", SINCE)] == numbers


def test_accounts_and_statuses_are_counted(store: ListingStore, add: Add) -> None:
    add("B000000001")
    add("B000000002", account_id="two", status="pending")
    add("B000000003", platform="ebay", account_id="three")
    assert store.accounts() == ["one", "two"]
    assert store.counts() == {"listed": 1, "pending": 1}


def test_the_queue_is_counted(store: ListingStore, add: Add, engine: sa.Engine) -> None:
    assert store.queue_counts() == {}
    add()
    entry = {"asin": ASIN, "platform": "base", "account_id": "one", "created_at": MIDDAY}
    with engine.begin() as connection:
        connection.execute(
            sa.insert(upload_queue),
            [entry | {"status": s} for s in ("failed", "failed", "pending")],
        )
    assert store.queue_counts() == {"failed": 2, "pending": 1}


@pytest.mark.parametrize(
    ("status", "told"),
    [("pending", 0), ("uploading", 0), ("unknown", 0), ("success", 1), ("failed", 1)],
)
def test_a_listing_that_is_being_uploaded_is_left_out(
    store: ListingStore, add: Add, engine: sa.Engine, status: str, told: int
) -> None:
    add()
    entry = {"asin": ASIN, "platform": "base", "account_id": "one", "created_at": MIDDAY}
    with engine.begin() as connection:
        connection.execute(sa.insert(upload_queue).values(entry | {"status": status}))
    assert len(store.listed("one", SINCE)) == told


def test_decisions_are_written_down_before_they_are_carried_out(
    store: ListingStore, add: Add, engine: sa.Engine
) -> None:
    number = add(product=FRESH | {"amazon_price_jpy": 2000})
    ids = store.record("run-1", changes(store), Outcome.PLANNED, dry_run=False)
    (decision,) = rows(engine, decisions)
    assert ids == {number: decision["id"]}
    assert decision == {
        "id": decision["id"],
        "run_id": "run-1",
        "platform": "base",
        "account_id": "one",
        "listing_id": number,
        "asin": ASIN,
        "kind": "price",
        "old": "1300",
        "new": "2600",
        "rule": "markup",
        "reason": "Amazon 2000 yen x 1.3",
        "dry_run": False,
        "outcome": "planned",
        "error_message": None,
        "decided_at": MIDDAY,
        "written_at": None,
    }


@pytest.mark.parametrize(
    ("product", "columns", "after"),
    [
        ({"amazon_price_jpy": 2000}, {}, {"selling_price": Decimal(2600)}),
        ({"amazon_in_stock": False}, {}, {"visibility": "hidden"}),
        ({}, {"visibility": "hidden"}, {"visibility": "public"}),
        (
            {"amazon_price_jpy": 2000},
            {"visibility": "hidden"},
            {"visibility": "public", "selling_price": Decimal(2600)},
        ),
    ],
)
def test_what_the_shop_took_is_in_the_listing_and_its_decision(
    store: ListingStore,
    add: Add,
    engine: sa.Engine,
    product: dict[str, Any],
    columns: dict[str, Any],
    after: dict[str, Any],
) -> None:
    number = add(product=FRESH | product, **columns)
    (before,) = rows(engine, listings)
    (change,) = changes(store)
    ids = store.record("run-1", [change], Outcome.PLANNED, dry_run=False)
    later = FakeClock()
    later.advance(seconds=5)
    ListingStore(engine, later, "base").written(ids[number], change)
    assert rows(engine, listings) == [before | {"updated_at": later.now()} | after]
    (decision,) = rows(engine, decisions)
    assert (decision["outcome"], decision["written_at"]) == ("written", later.now())
    assert changes(store) == []


def test_a_delisted_item_is_no_listing_any_more(
    store: ListingStore, add: Add, engine: sa.Engine
) -> None:
    number = add(product=FRESH)
    change = delist(store.listed("one", SINCE)[0], "BASE")
    ids = store.record("run-1", [change], Outcome.PLANNED, dry_run=False)
    store.written(ids[number], change)
    assert store.listed("one", SINCE) == []
    (listing,) = rows(engine, listings)
    assert (listing["status"], listing["selling_price"]) == ("delisted", Decimal(1300))
    assert rows(engine, decisions)[0]["kind"] == Kind.DELIST


def test_a_decision_that_cannot_be_marked_leaves_the_listing_alone(
    store: ListingStore, add: Add, engine: sa.Engine
) -> None:
    add(product=FRESH | {"amazon_price_jpy": 2000})
    (change,) = changes(store)
    before = rows(engine, listings)
    with engine.begin() as connection:
        connection.execute(sa.DDL("ALTER TABLE decisions RENAME TO gone"))
    with pytest.raises(DBAPIError):
        store.written(1, change)
    assert rows(engine, listings) == before


def test_what_was_not_written_says_why(store: ListingStore, add: Add, engine: sa.Engine) -> None:
    first = add("B000000001", FRESH | {"amazon_price_jpy": 2000})
    add("B000000002", FRESH | {"amazon_price_jpy": 3000})
    before = rows(engine, listings)
    ids = store.record("run-1", changes(store), Outcome.PLANNED, dry_run=False)
    store.not_written([ids[first]], Outcome.FAILED, "HTTP 503")
    told = [(row["outcome"], row["error_message"]) for row in rows(engine, decisions)]
    assert told == [("failed", "HTTP 503"), ("planned", None)]
    assert rows(engine, listings) == before
    store.not_written([], Outcome.FAILED, "nothing")
    assert [row["outcome"] for row in rows(engine, decisions)] == ["failed", "planned"]


def test_decisions_are_recorded_all_or_none(
    store: ListingStore, add: Add, engine: sa.Engine
) -> None:
    add(product=FRESH | {"amazon_price_jpy": 2000})
    (change,) = changes(store)
    stray = delist(
        Listing(999, ASIN, "one", "1", None, public=True, amazon_price_jpy=None, in_stock=None),
        "BASE",
    )
    with pytest.raises(IntegrityError):
        store.record("run-1", [change, stray], Outcome.PLANNED, dry_run=False)
    assert rows(engine, decisions) == []
