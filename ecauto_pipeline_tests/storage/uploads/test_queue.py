"""The upload queue as a whole, in both databases."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.uploads.rules import QueueStatus
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.tables import listings, upload_queue
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.storage.uploads.rig import QueueRig, asins

A, B, C, D = asins(4)
ROUNDING = timedelta(milliseconds=1)
"""SQLite's dates are exact to a thousandth of a second."""


@pytest.fixture
def rig(engine: sa.Engine, clock: FakeClock) -> QueueRig:
    return QueueRig(engine, clock)


def test_every_pending_listing_is_queued_once(rig: QueueRig) -> None:
    rig.enlist([A, B])
    assert rig.queue.waiting_accounts() == {"one": 2}
    assert rig.fill() == 2
    assert rig.queue.waiting_accounts() == {}
    assert rig.fill() == 0
    assert {(row["asin"], row["status"], row["retry_count"]) for row in rig.rows()} == {
        (A, "pending", 0),
        (B, "pending", 0),
    }


def test_what_is_urgent_comes_first(rig: QueueRig) -> None:
    rig.enlist([A, B])
    rig.enlist([C], priority=20)
    rig.enlist([D], priority=1)
    rig.fill()
    assert [row["asin"] for row in rig.rows()] == [C, A, B, D]
    assert [row["priority"] for row in rig.rows()] == [20, 5, 5, 1]


def test_the_most_urgent_ones_are_chosen_when_only_some_are_queued(rig: QueueRig) -> None:
    rig.enlist([A, B])
    rig.enlist([C, D], priority=9)
    assert rig.fill(limit=3) == 3
    assert [row["asin"] for row in rig.rows()] == [C, D, A]
    assert rig.fill() == 1
    assert [row["asin"] for row in rig.rows()] == [C, D, A, B]


@pytest.mark.parametrize("per_day", [1, 3, 7, 1000, 4096])
def test_the_times_are_those_of_the_slots(rig: QueueRig, per_day: int) -> None:
    rig.enlist(asins(40))
    slots = rig.slots(per_day)
    rig.fill(per_day)
    for number, row in enumerate(rig.rows()):
        assert abs(row["scheduled_time"] - slots.at(number)) <= ROUNDING, number


def test_no_day_has_more_than_its_limit_and_no_night_any(rig: QueueRig) -> None:
    rig.enlist(asins(30))
    rig.fill(per_day=7, limit=10)
    rig.wait(timedelta(hours=7))
    rig.fill(per_day=7)
    times = [row["scheduled_time"].astimezone(JAPAN) for row in rig.rows()]
    assert len(times) == len(set(times)) == 30
    assert max(Counter(time.date() for time in times).values()) == 7
    assert all(6 <= time.hour < 23 for time in times)


def test_the_listing_s_sku_becomes_the_identifier(rig: QueueRig) -> None:
    rig.enlist([A], sku=f"s-{A}-1700000000")
    rig.enlist([B])
    rig.fill()
    assert {row["asin"]: row["identifier"] for row in rig.rows()} == {
        A: f"s-{A}-1700000000",
        B: None,
    }


def test_held_listings_wait_for_a_person(rig: QueueRig) -> None:
    rig.enlist([A])
    rig.enlist([B], held=True)
    assert rig.queue.waiting_accounts() == {"one": 1}
    assert rig.fill() == 1
    assert rig.queue.waiting_accounts(held=True) == {"one": 1}
    assert rig.fill(held=True) == 1


@pytest.mark.parametrize("status", list(QueueStatus))
def test_what_was_ever_queued_is_not_queued_again(rig: QueueRig, status: QueueStatus) -> None:
    rig.add(A, status=status)
    assert rig.fill() == 0


@pytest.mark.parametrize(
    "listing", [{"status": "listed"}, {"status": "delisted"}, {"platform_item_id": "1"}]
)
def test_only_pending_listings_without_an_item_are_queued(
    rig: QueueRig, listing: dict[str, str]
) -> None:
    rig.enlist([A], **listing)
    assert rig.queue.waiting_accounts() == {}
    assert rig.fill() == 0


def test_other_accounts_and_platforms_are_left_alone(rig: QueueRig) -> None:
    rig.enlist([A], "two")
    rig.enlist([B], platform="ebay")
    assert rig.fill() == 0
    assert rig.queue.waiting_accounts() == {"two": 1}


def test_there_is_at_most_one_live_row_for_a_listing(rig: QueueRig) -> None:
    rig.add(A, status="failed")
    same: dict[str, Any] = {"asin": A, "platform": "base", "account_id": "one"}
    insert = sa.insert(upload_queue).values(**same, created_at=MIDDAY)
    with rig.engine.begin() as connection:
        connection.execute(insert)
    with pytest.raises(IntegrityError), rig.engine.begin() as connection:
        connection.execute(insert.values(status="unknown"))


def side_by_side(url: str, clock: FakeClock, do: Callable[[UploadQueue], int]) -> list[int]:
    """What it gives on two connections at once."""
    engines = [database.open_engine(url) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(do, [UploadQueue(engine, clock, "base") for engine in engines]))
    for engine in engines:
        engine.dispose()
    return results


def test_two_that_fill_at_once_add_no_row_twice(rig: QueueRig, url: str, clock: FakeClock) -> None:
    rig.enlist(asins(400))
    slots = rig.slots()
    added = side_by_side(url, clock, lambda queue: queue.fill("one", slots))
    assert sum(added) == 400
    assert len(rig.rows()) == 400


@pytest.mark.parametrize("backend", ["postgresql"])
def test_rows_that_another_is_just_adding_are_left_to_it(
    rig: QueueRig, url: str, clock: FakeClock
) -> None:
    rig.enlist([A, B])
    slots = rig.slots()
    row = {"asin": A, "platform": "base", "account_id": "one", "created_at": MIDDAY}
    other = database.open_engine(url)
    with ThreadPoolExecutor() as pool, rig.engine.connect() as connection:
        connection.execute(sa.insert(upload_queue).values(row))
        waiting = pool.submit(UploadQueue(other, clock, "base").fill, "one", slots)
        blocked = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with rig.engine.connect() as observer:
            while not observer.execute(blocked).scalar():
                observer.rollback()
        connection.commit()
        assert waiting.result(30) == 1
    other.dispose()
    assert sorted(row["asin"] for row in rig.rows()) == [A, B]


def test_accounts_are_due_for_each_reason(rig: QueueRig) -> None:
    later = MIDDAY + timedelta(hours=1)
    rig.add(A, "due")
    rig.add(A, "not yet", scheduled_time=later)
    rig.add(A, "from version 1", scheduled_time=None)
    rig.add(A, "to look up", status="unknown")
    rig.add(A, "to look up later", status="unknown", scheduled_time=later)
    rig.add(A, "lost", status="uploading", lease_until=MIDDAY - timedelta(seconds=1))
    rig.add(A, "at work", status="uploading", lease_until=later)
    rig.add(A, "done", status="success")
    rig.add(A, "failed", status="failed")
    assert rig.queue.due_accounts() == ["due", "from version 1", "lost", "to look up"]


def test_failed_rows_are_put_back_with_all_their_retries(rig: QueueRig) -> None:
    failed = rig.add(A, status="failed", retry_count=5, error_message="no", processed_at=MIDDAY)
    other = rig.add(B, status="failed")
    done = rig.add(C, status="success")
    now = rig.wait(timedelta(hours=1))
    assert rig.queue.retry([failed, done, 999]) == 1
    rows = {row["id"]: row for row in rig.rows()}
    assert [rows[each]["status"] for each in (failed, other, done)] == [
        "pending",
        "failed",
        "success",
    ]
    assert (rows[failed]["retry_count"], rows[failed]["scheduled_time"]) == (0, now)
    assert rows[failed]["processed_at"] is None


def test_a_failed_row_is_not_put_back_beside_a_live_one(rig: QueueRig) -> None:
    failed = rig.add(A, status="failed")
    with rig.engine.begin() as connection:
        same: dict[str, Any] = {"asin": A, "platform": "base", "account_id": "one"}
        connection.execute(sa.insert(upload_queue).values(**same, created_at=MIDDAY))
    assert rig.queue.retry([failed]) == 0


def test_of_two_failed_rows_of_a_listing_one_is_put_back(rig: QueueRig) -> None:
    first = rig.add(A, status="failed")
    with rig.engine.begin() as connection:
        same: dict[str, Any] = {"asin": A, "platform": "base", "account_id": "one"}
        second = connection.execute(
            sa.insert(upload_queue)
            .values(**same, created_at=MIDDAY, status="failed")
            .returning(upload_queue.c.id)
        ).scalar_one()
    assert rig.queue.retry([first, second]) == 1
    assert [row["status"] for row in rig.rows()].count("pending") == 1


def test_a_failed_row_whose_listing_has_an_item_by_now_does_not_make_another(
    rig: QueueRig,
) -> None:
    failed = rig.add(A, status="failed")
    with rig.engine.begin() as connection:
        connection.execute(sa.update(listings).values(platform_item_id="1", status="listed"))
    assert rig.queue.retry([failed]) == 0
    rig.set_rows(item_id="1")
    assert rig.queue.retry([failed]) == 1


def test_a_delisted_product_may_be_uploaded_again(rig: QueueRig) -> None:
    failed = rig.add(A, status="failed")
    with rig.engine.begin() as connection:
        connection.execute(sa.update(listings).values(platform_item_id="1", status="delisted"))
    assert rig.queue.retry([failed]) == 1


def test_failed_rows_are_put_back_by_their_products_too(rig: QueueRig) -> None:
    rig.add(A, status="failed")
    rig.add(B, status="failed")
    assert rig.queue.retry_asins([A, C]) == 1
    assert {row["asin"]: row["status"] for row in rig.rows()} == {A: "pending", B: "failed"}


def test_rows_are_shown_live_ones_first(rig: QueueRig) -> None:
    rig.add(A, status="success", processed_at=MIDDAY)
    rig.add(B)
    rig.add(C, status="failed", processed_at=MIDDAY + timedelta(hours=1))
    rig.add(D, "two", status="unknown")
    assert [row["asin"] for row in rig.queue.rows("one", 10)] == [B, C, A]
    assert {row["asin"] for row in rig.queue.rows(None, 2)} == {B, D}


def test_every_status_is_counted(rig: QueueRig) -> None:
    rig.add(A)
    rig.add(B, status="success")
    rig.add(C, "two", status="success")
    nothing = {"uploading": 0, "unknown": 0, "failed": 0}
    assert rig.queue.counts("one") == {"pending": 1, "success": 1, **nothing}
    assert rig.queue.counts() == {"pending": 1, "success": 2, **nothing}


def test_an_item_is_made_of_what_the_caches_have(rig: QueueRig) -> None:
    rig.enlist([A])
    content = rig.queue.content(A)
    assert (content.asin, content.title, content.images) == (A, None, ())


def test_the_last_time_is_that_of_pending_rows(rig: QueueRig) -> None:
    later = MIDDAY + timedelta(hours=3)
    rig.add(A, scheduled_time=later)
    rig.add(B, scheduled_time=later + timedelta(hours=1), status="success")
    rig.add(C, "two", scheduled_time=later + timedelta(hours=2))
    assert rig.queue.last_scheduled("one") == later
    assert rig.queue.last_scheduled("nobody") is None


def test_a_listing_s_identifier_is_unique(rig: QueueRig) -> None:
    rig.enlist([A], sku="b-1")
    with pytest.raises(IntegrityError):
        rig.enlist([B], sku="b-1")
    with rig.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count(listings.c.id))).scalar() == 1
