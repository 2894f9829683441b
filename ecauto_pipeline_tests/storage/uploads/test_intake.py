"""Listing new products, in both databases and from several processes at once."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.uploads.intake import Candidate, IntakeRow, Outcome
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.storage.uploads.intake import IntakeStore, Place
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

A, B, C = "B0FGQJ45HW", "B07YV55TNL", "B06Y69FKT2"
DATES = {"created_at": MIDDAY, "updated_at": MIDDAY}


@pytest.fixture
def store(engine: sa.Engine, clock: FakeClock) -> IntakeStore:
    return IntakeStore(engine, clock, "base")


def enlist(engine: sa.Engine, asin: str, **listing: Any) -> None:
    shop = {"platform": "base", "account_id": "one", "status": "listed", **DATES}
    with engine.begin() as connection:
        connection.execute(sa.insert(listings).values(asin=asin, **(shop | listing)))


def rows(engine: sa.Engine, table: sa.Table) -> list[Mapping[str, Any]]:
    with engine.connect() as connection:
        query = sa.select(table).order_by(*table.primary_key)
        return [dict(row) for row in connection.execute(query).mappings()]


def asins(engine: sa.Engine) -> set[str]:
    return {row["asin"] for row in rows(engine, products)}


def added(asin: str, account_id: str = "one") -> IntakeRow:
    return IntakeRow(asin, Outcome.ADDED, account_id=account_id)


def commit(store: IntakeStore, *wanted: IntakeRow, held: bool = False) -> list[IntakeRow]:
    return store.commit(wanted, priority=5, held=held)


def outcomes(found: list[IntakeRow]) -> list[Outcome]:
    return [row.outcome for row in found]


def test_what_is_missing_is_made_and_the_rest_stays(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A])
    with engine.begin() as connection:
        connection.execute(sa.update(products).values(title_ja="ランプ"))
    store.prepare([B, A])
    assert {(row["asin"], row["shard"], row["title_ja"]) for row in rows(engine, products)} == {
        (A, shard_of(A), "ランプ"),
        (B, shard_of(B), None),
    }
    assert store.candidates([A, B, C]) == {A: Candidate(A, title="ランプ"), B: Candidate(B)}


def test_a_product_without_listing_is_not_there_yet(store: IntakeStore) -> None:
    store.prepare([A])
    assert store.placed([A, B]) == {}


def test_a_listing_of_any_status_and_account_is_there(
    engine: sa.Engine, store: IntakeStore
) -> None:
    store.prepare([A, B, C])
    enlist(engine, A, status="delisted")
    enlist(engine, B, status="delisted")
    enlist(engine, B, status="pending", account_id="two")
    enlist(engine, C, platform="ebay")
    assert store.placed([A, B, C]) == {A: Place("one", "delisted"), B: Place("two", "pending")}


def test_the_load_is_what_is_or_will_be_listed(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A, B, C])
    enlist(engine, A)
    enlist(engine, B, status="pending")
    enlist(engine, C, status="delisted")
    enlist(engine, C, account_id="two", status="sold")
    enlist(engine, C, account_id="three", platform="ebay")
    assert store.loads() == {"one": 2}


def test_what_is_added_waits_for_its_upload(
    engine: sa.Engine, store: IntakeStore, clock: FakeClock
) -> None:
    store.prepare([A])
    clock.advance(hours=1)
    found = store.commit([added(A, "two")], priority=20, held=True)
    assert found == [added(A, "two")]
    (row,) = rows(engine, listings)
    assert row == {
        "id": row["id"],
        "asin": A,
        "platform": "base",
        "account_id": "two",
        "platform_item_id": None,
        "sku": None,
        "selling_price": None,
        "currency": "JPY",
        "in_stock_quantity": 0,
        "status": "pending",
        "visibility": "public",
        "priority": 20,
        "held": True,
        "listed_at": None,
        "last_sold_at": None,
        "last_viewed_at": None,
        "created_at": clock.now(),
        "updated_at": clock.now(),
    }


def test_what_was_not_found_is_forgotten(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A, B])
    missing = IntakeRow(B, Outcome.NOT_FOUND)
    unanswered = IntakeRow(A, Outcome.NOT_ANSWERED)
    assert commit(store, unanswered, missing) == [unanswered, missing]
    assert asins(engine) == {A}


@pytest.mark.parametrize("fact", ["title_ja", "catalog_updated_at", "amazon_price_jpy"])
def test_a_product_of_which_something_is_known_is_kept(
    engine: sa.Engine, store: IntakeStore, fact: str
) -> None:
    store.prepare([A])
    value = {"title_ja": "ランプ", "catalog_updated_at": MIDDAY, "amazon_price_jpy": 1}[fact]
    with engine.begin() as connection:
        connection.execute(sa.update(products).values({fact: value}))
    commit(store, IntakeRow(A, Outcome.NOT_FOUND))
    assert asins(engine) == {A}


def test_a_product_that_is_used_is_kept(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A, B])
    enlist(engine, A, platform="ebay")
    queued = {"asin": B, "platform": "ebay", "account_id": "one", "created_at": MIDDAY}
    with engine.begin() as connection:
        connection.execute(sa.insert(upload_queue).values(queued))
    commit(store, IntakeRow(A, Outcome.NOT_FOUND), IntakeRow(B, Outcome.NOT_FOUND))
    assert asins(engine) == {A, B}


def test_who_comes_second_finds_it_there(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A, B])
    commit(store, added(A, "two"))
    (first, second) = commit(store, added(A), added(B))
    assert (first.outcome, first.account_id) == (Outcome.ALREADY_THERE, "two")
    assert first.detail == "pending on account two"
    assert second == added(B)
    assert [(row["asin"], row["account_id"]) for row in rows(engine, listings)] == [
        (A, "two"),
        (B, "one"),
    ]


def test_what_another_intake_forgot_was_not_found(engine: sa.Engine, store: IntakeStore) -> None:
    (row,) = commit(store, added(A))
    assert (row.outcome, row.account_id) == (Outcome.NOT_FOUND, "")
    assert rows(engine, listings) == []


def test_nothing_is_kept_of_a_commit_that_fails(engine: sa.Engine, store: IntakeStore) -> None:
    store.prepare([A, B, C])
    broken = added(B, None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(IntegrityError):
        commit(store, added(A), broken, IntakeRow(C, Outcome.NOT_FOUND))
    assert rows(engine, listings) == []
    assert asins(engine) == {A, B, C}


def test_two_at_once_list_everything_once(
    engine: sa.Engine, store: IntakeStore, clock: FakeClock
) -> None:
    wanted = [f"B0{number:08d}" for number in range(300)]
    start = Barrier(4)

    def take_in(account_id: str) -> Counter[Outcome]:
        mine = wanted if account_id in {"one", "three"} else wanted[::-1]
        own = IntakeStore(engine, clock, "base")
        start.wait(PATIENCE_SECONDS)
        own.prepare(mine)
        return Counter(outcomes(commit(own, *(added(asin, account_id) for asin in mine))))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(take_in, ["one", "two", "three", "four"]))
    assert sorted(row["asin"] for row in rows(engine, listings)) == wanted
    assert sorted(each[Outcome.ADDED] for each in found) == [0, 0, 0, 300]
    assert sum(each[Outcome.ALREADY_THERE] for each in found) == 900
