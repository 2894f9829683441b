"""Claims, leases, and the fence around everything that is written about a row."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.uploads.rules import Found, Unresolved, Upload
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.tables import listings, upload_queue
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.storage.uploads.rig import RULES, QueueRig, asins

A, B, C, D = asins(4)
SECOND = timedelta(seconds=1)


@pytest.fixture
def rig(engine: sa.Engine, clock: FakeClock) -> QueueRig:
    return QueueRig(engine, clock)


def claim(rig: QueueRig, worker: str = "first", account_id: str = "one") -> Upload:
    upload = rig.attempts.claim(account_id, worker)
    assert upload is not None
    return upload


def test_a_claim_is_a_lease_and_an_identifier(rig: QueueRig) -> None:
    rig.add(A, error_message="before", sent_at=MIDDAY)
    upload = claim(rig)
    row = rig.row()
    assert (row["status"], row["attempt_no"], row["worker"]) == ("uploading", 1, "first")
    assert row["lease_until"] == upload.lease_until == MIDDAY + RULES.lease
    assert (row["sent_at"], row["error_message"]) == (None, None)
    assert row["identifier"] == upload.identifier == rig.listing()["sku"] == f"b-{A}-1"
    assert rig.attempts.claim("one", "second") is None


def test_the_identifier_stays_the_same_in_later_attempts(rig: QueueRig) -> None:
    rig.add(A)
    first = claim(rig)
    rig.attempts.put_back(first, MIDDAY, "again", spend_retry=True)
    second = claim(rig, "second")
    assert (second.identifier, second.attempt_no, second.retry_count) == (first.identifier, 2, 1)


def test_the_most_urgent_due_row_is_claimed_first(rig: QueueRig) -> None:
    rig.add(A, scheduled_time=MIDDAY - SECOND)
    rig.add(B, scheduled_time=MIDDAY - 2 * SECOND)
    rig.add(C, scheduled_time=MIDDAY + SECOND, priority=20)
    rig.add(D, priority=1)
    assert [claim(rig, str(n)).asin for n in range(3)] == [D, B, A]
    assert rig.attempts.claim("one", "4") is None
    rig.wait(SECOND)
    assert claim(rig, "5").asin == C


def test_by_hand_what_is_not_due_is_claimed_too_but_once_by_each_worker(rig: QueueRig) -> None:
    rig.add(A, scheduled_time=MIDDAY + timedelta(days=1))
    upload = rig.attempts.claim("one", "first", now_due=False)
    assert upload is not None
    rig.attempts.put_back(upload, MIDDAY, "again", spend_retry=False)
    assert rig.attempts.claim("one", "first", now_due=False) is None
    assert rig.attempts.claim("one", "second", now_due=False) is not None


@pytest.mark.parametrize("status", ["uploading", "unknown", "success", "failed"])
def test_only_pending_rows_of_the_account_are_claimed(rig: QueueRig, status: str) -> None:
    rig.add(A, status=status)
    rig.add(B, "two")
    rig.add(C, platform="ebay")
    assert rig.attempts.claim("one", "first") is None


def test_two_connections_never_claim_the_same_row(
    rig: QueueRig, url: str, clock: FakeClock
) -> None:
    for asin in asins(30):
        rig.add(asin)
    engines = [database.open_engine(url) for _ in range(3)]

    def claim_all(number: int) -> list[int]:
        attempts = UploadAttempts(engines[number], clock, "base", RULES)
        claimed: list[int] = []
        while upload := attempts.claim("one", f"worker {number}"):
            claimed.append(upload.id)
        return claimed

    with ThreadPoolExecutor() as pool:
        claimed = [each for found in pool.map(claim_all, range(3)) for each in found]
    for engine in engines:
        engine.dispose()
    assert sorted(claimed) == [row["id"] for row in sorted(rig.rows(), key=lambda row: row["id"])]
    assert {row["attempt_no"] for row in rig.rows()} == {1}


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_row_that_another_is_just_claiming_is_skipped(rig: QueueRig, url: str) -> None:
    rig.add(A)
    rig.add(B)
    other = database.open_engine(url)
    with other.connect() as connection:
        locked = sa.select(upload_queue.c.id).where(upload_queue.c.asin == A).with_for_update()
        connection.execute(locked)
        assert claim(rig).asin == B
        assert rig.attempts.claim("one", "second") is None
    other.dispose()
    assert claim(rig, "third").asin == A


def test_two_accounts_that_claim_a_product_at_once_name_it_differently(
    rig: QueueRig, url: str, clock: FakeClock
) -> None:
    names = asins(20)
    for asin in names:
        rig.add(asin, "one")
    for asin in names:
        with rig.engine.begin() as connection:
            same = {"asin": asin, "platform": "base", "account_id": "two"}
            dates = {"created_at": MIDDAY, "updated_at": MIDDAY}
            connection.execute(sa.insert(listings).values(**same, **dates))
            row = {**same, "created_at": MIDDAY, "scheduled_time": MIDDAY}
            connection.execute(sa.insert(upload_queue).values(row))
    engines = [database.open_engine(url) for _ in range(2)]

    def claim_all(number: int) -> list[str]:
        attempts = UploadAttempts(engines[number], clock, "base", RULES)
        found: list[str] = []
        while upload := attempts.claim(("one", "two")[number], f"worker {number}"):
            found.append(upload.identifier)
        return found

    with ThreadPoolExecutor() as pool:
        found = [each for identifiers in pool.map(claim_all, range(2)) for each in identifiers]
    for engine in engines:
        engine.dispose()
    assert sorted(found) == sorted(f"b-{asin}-{n}" for asin in names for n in (1, 2))


def test_the_item_is_in_the_queue_and_on_the_listing_at_once(rig: QueueRig) -> None:
    rig.add(A)
    upload = claim(rig)
    assert rig.attempts.sending(upload)
    now = rig.wait(timedelta(seconds=20))
    created = rig.attempts.created(upload, "123", 1300)
    assert created == replace(upload, item_id="123", lease_until=now + RULES.lease)
    assert (rig.row()["item_id"], rig.row()["lease_until"]) == ("123", now + RULES.lease)
    listing = rig.listing()
    assert (listing["platform_item_id"], listing["status"]) == ("123", "listed")
    assert (listing["visibility"], listing["selling_price"]) == ("hidden", 1300)


def test_every_picture_renews_the_lease(rig: QueueRig) -> None:
    rig.add(A, item_id="123")
    upload = claim(rig)
    now = rig.wait(timedelta(seconds=20))
    added = rig.attempts.image_added(upload, 2)
    assert added == replace(upload, images_done=2, lease_until=now + RULES.lease)
    assert (rig.row()["images_done"], rig.row()["lease_until"]) == (2, now + RULES.lease)


def test_a_retry_too_many_is_a_failure(rig: QueueRig) -> None:
    rig.add(A, retry_count=5)
    rig.attempts.put_back(claim(rig), MIDDAY, "the shop was closed", spend_retry=False)
    assert (rig.row()["status"], rig.row()["retry_count"]) == ("pending", 5)
    rig.attempts.put_back(claim(rig, "second"), MIDDAY, "the shop was closed", spend_retry=True)
    assert rig.row()["status"] == "failed"
    assert rig.row()["error_message"] == "given up after 5 retries: the shop was closed"


Write = Callable[[UploadAttempts, Upload], object]

WRITES: dict[str, Write] = {
    "sending": lambda attempts, upload: attempts.sending(upload),
    "created": lambda attempts, upload: attempts.created(upload, "999", 1),
    "image_added": lambda attempts, upload: attempts.image_added(upload, 9),
    "finish": lambda attempts, upload: attempts.finish(upload, price_jpy=1, public=True, note=""),
    "fail": lambda attempts, upload: attempts.fail(upload, "no"),
    "put_back": lambda attempts, upload: attempts.put_back(upload, MIDDAY, "", spend_retry=True),
    "lost": lambda attempts, upload: attempts.lost(upload, "no answer"),
}


def everything(rig: QueueRig) -> list[Any]:
    return [rig.rows(), rig.listing()]


@pytest.mark.parametrize("write", WRITES)
def test_the_one_who_claimed_the_row_may_write(rig: QueueRig, write: str) -> None:
    rig.add(A)
    before = everything(rig)
    assert WRITES[write](rig.attempts, claim(rig))
    assert everything(rig) != before


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_whose_row_was_claimed_again_changes_nothing(rig: QueueRig, write: str) -> None:
    rig.add(A)
    slow = claim(rig, "slow")
    rig.wait(RULES.lease + SECOND)
    assert rig.attempts.rescue("one") == 1
    claim(rig, "second")
    before = everything(rig)
    assert not WRITES[write](rig.attempts, slow)
    assert everything(rig) == before


@pytest.mark.parametrize("write", WRITES)
def test_neither_does_one_of_the_same_name_in_an_earlier_attempt(rig: QueueRig, write: str) -> None:
    rig.add(A)
    slow = claim(rig, "same")
    rig.wait(RULES.lease + SECOND)
    rig.attempts.rescue("one")
    claim(rig, "same")
    before = everything(rig)
    assert not WRITES[write](rig.attempts, slow)
    assert everything(rig) == before


@pytest.mark.parametrize("status", ["pending", "unknown", "success", "failed"])
@pytest.mark.parametrize("write", WRITES)
def test_neither_does_one_whose_row_is_not_being_uploaded(
    rig: QueueRig, write: str, status: str
) -> None:
    rig.add(A)
    slow = claim(rig)
    rig.set_rows(status=status)
    before = everything(rig)
    assert not WRITES[write](rig.attempts, slow)
    assert everything(rig) == before


def test_a_row_is_rescued_only_after_its_lease(rig: QueueRig) -> None:
    rig.add(A)
    claim(rig)
    rig.wait(RULES.lease)
    assert rig.attempts.rescue("one") == 0
    rig.wait(SECOND)
    assert rig.attempts.rescue("two") == 0
    assert rig.attempts.rescue("one") == 1
    assert (rig.row()["status"], rig.row()["retry_count"]) == ("pending", 0)
    assert rig.row()["error_message"] == "its worker was lost before sending"


def test_what_was_sent_is_unknown_until_the_shop_must_show_it(rig: QueueRig) -> None:
    rig.add(A, lookups=2)
    assert rig.attempts.sending(claim(rig))
    now = rig.wait(RULES.lease + SECOND)
    assert rig.attempts.rescue("one") == 1
    row = rig.row()
    assert (row["status"], row["lookups"]) == ("unknown", 0)
    assert row["scheduled_time"] == now + RULES.settled_after_lease


def test_what_was_made_goes_on_from_there(rig: QueueRig) -> None:
    rig.add(A)
    upload = claim(rig)
    rig.attempts.sending(upload)
    rig.attempts.created(upload, "123", 1300)
    rig.wait(RULES.lease + SECOND)
    rig.attempts.rescue("one")
    assert (rig.row()["status"], rig.row()["item_id"]) == ("pending", "123")
    assert rig.row()["error_message"] == "its worker was lost after its item was made"
    assert claim(rig, "second").item_id == "123"


def test_the_look_up_is_timed_from_the_end_of_the_lease(rig: QueueRig) -> None:
    rig.add(A)
    upload = claim(rig)
    rig.wait(timedelta(seconds=5))
    rig.attempts.lost(upload, "no answer")
    due = upload.lease_until + RULES.settled_after_lease
    assert rig.row()["scheduled_time"] == due
    assert rig.attempts.unresolved("one") == []
    rig.wait(due - rig.clock.now())
    assert [row.id for row in rig.attempts.unresolved("one")] == [upload.id]


def unresolved(rig: QueueRig) -> Unresolved:
    rig.add(A)
    rig.attempts.lost(claim(rig), "no answer")
    rig.wait(timedelta(hours=1))
    (row,) = rig.attempts.unresolved("one")
    return row


Resolve = Callable[[UploadAttempts, Unresolved], bool]

RESOLVES: dict[str, Resolve] = {
    "adopt": lambda attempts, row: attempts.adopt(row, Found(["123"])),
    "adopt a visible one": lambda attempts, row: attempts.adopt(row, Found(["123"], visible=True)),
    "not_found": lambda attempts, row: attempts.not_found(row),
}


@pytest.mark.parametrize("resolve", RESOLVES)
def test_a_row_is_resolved_once(rig: QueueRig, resolve: str) -> None:
    row = unresolved(rig)
    assert RESOLVES[resolve](rig.attempts, row)
    before = everything(rig)
    for each in RESOLVES.values():
        assert not each(rig.attempts, row)
    assert everything(rig) == before


@pytest.mark.parametrize("resolve", RESOLVES)
@pytest.mark.parametrize("changed", [{"attempt_no": 2}, {"lookups": 1}, {"status": "pending"}])
def test_what_changed_since_it_was_read_is_left_alone(
    rig: QueueRig, resolve: str, changed: dict[str, Any]
) -> None:
    row = unresolved(rig)
    rig.set_rows(**changed)
    before = everything(rig)
    assert not RESOLVES[resolve](rig.attempts, row)
    assert everything(rig) == before


def test_adopting_keeps_the_day_on_which_it_was_listed(rig: QueueRig) -> None:
    row = unresolved(rig)
    with rig.engine.begin() as connection:
        connection.execute(sa.update(listings).values(listed_at=MIDDAY))
    rig.attempts.adopt(row, Found(["123"]))
    assert (rig.listing()["listed_at"], rig.listing()["platform_item_id"]) == (MIDDAY, "123")
