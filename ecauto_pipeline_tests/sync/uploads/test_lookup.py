"""Uploads whose answer was lost: looked for, adopted or put back, never blindly sent again."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest

from ecauto_pipeline.domain.uploads.rules import QueueStatus
from ecauto_pipeline.errors import Unavailable
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS
from ecauto_pipeline.sync.uploads.uploader import Result
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.uploads.rig import ADD, UploadRig, fault, uploads_rigged

ASIN, OTHER = FIRST_ASINS[:2]
LISTING_CALLS = "/1/items$"
BETWEEN = (timedelta(minutes=1), timedelta(minutes=5))


ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"])
"""Where the databases do not differ."""


@pytest.fixture
def rig(url: str, tmp_path: Path, clock: FakeClock) -> Generator[UploadRig]:
    with uploads_rigged(url, tmp_path / "data", clock) as rig:
        yield rig


def lose(rig: UploadRig, kind: str = "drop_before") -> None:
    """Send one upload whose answer is lost, and wait until looking for it proves something."""
    rig.queue([ASIN])
    rig.fail(fault(kind))
    assert rig.upload().results == {Result.UNKNOWN: 1}
    rig.settle()


def test_nobody_looks_before_the_shop_must_show_it(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.fail(fault("drop_after"))
    rig.upload()
    rig.wait(rig.pipeline.settings.upload.lease + timedelta(minutes=1))
    assert rig.look().calls == {}
    assert rig.row()["status"] == QueueStatus.UNKNOWN
    rig.wait(timedelta(minutes=1))
    assert rig.look().adopted == 1


def test_a_lost_worker_s_row_is_looked_for_as_late(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.put_on_shop(f"b-{ASIN}-1")
    claimed = rig.pipeline.uploads.attempts.claim("one", "lost")
    assert claimed is not None
    assert rig.pipeline.uploads.attempts.sending(claimed)
    assert rig.look().rescued == 0
    rig.wait(rig.pipeline.settings.upload.lease)
    report = rig.look()
    assert (report.rescued, report.adopted) == (1, 0)
    assert rig.row()["error_message"] == "its worker was lost after sending"
    rig.wait(rig.pipeline.settings.upload.settled_after_lease)
    assert rig.look().adopted == 1


def test_what_was_made_is_adopted_and_goes_on_from_there(rig: UploadRig) -> None:
    lose(rig, "drop_after")
    report = rig.look()
    assert (report.adopted, report.not_found, report.doubled) == (1, 0, [])
    row, listing = rig.row(), rig.listing()
    assert (row["status"], row["retry_count"]) == (QueueStatus.PENDING, 0)
    assert row["item_id"] == listing["platform_item_id"] == str(rig.item().item_id)
    assert (listing["status"], listing["visibility"]) == ("listed", "hidden")
    assert rig.upload(worker="second").results == {Result.PUBLISHED: 1}
    assert rig.is_done()
    assert rig.sandbox.calls(ADD) == 1


@ON_SQLITE
@pytest.mark.parametrize("looks_without", [0, 1, 2])
def test_an_item_that_shows_up_late_is_found_by_a_later_look(
    rig: UploadRig, looks_without: int
) -> None:
    lose(rig)
    for look in range(looks_without):
        assert rig.look().not_found == 1
        assert rig.row()["lookups"] == look + 1
        assert rig.look().not_found == 0, "not before a wait"
        rig.wait(BETWEEN[look])
    item_id = rig.put_on_shop(f"b-{ASIN}-1")
    assert rig.look().adopted == 1
    assert rig.row()["item_id"] == item_id
    rig.upload(worker="second")
    assert rig.is_done()


def test_what_three_looks_do_not_find_is_put_back_and_spends_a_retry(rig: UploadRig) -> None:
    lose(rig)
    for wait in (*BETWEEN, timedelta()):
        assert rig.look().not_found == 1
        rig.wait(wait)
    row = rig.row()
    assert (row["status"], row["retry_count"]) == (QueueStatus.PENDING, 1)
    assert row["error_message"] == "not on the shop after 3 looks: to be sent again"
    assert rig.upload(worker="second").results == {Result.PUBLISHED: 1}
    assert rig.is_done()


@ON_SQLITE
def test_what_is_lost_again_and_again_is_given_up(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.set_row(retry_count=5)
    rig.fail(fault("drop_before"))
    rig.upload()
    rig.settle()
    for wait in (*BETWEEN, timedelta()):
        rig.look()
        rig.wait(wait)
    assert rig.row()["status"] == QueueStatus.FAILED
    assert rig.row()["error_message"] == "not on the shop, and given up after 5 retries"


@ON_SQLITE
def test_a_second_loss_is_looked_for_three_times_too(rig: UploadRig) -> None:
    lose(rig)
    for wait in (*BETWEEN, timedelta()):
        rig.look()
        rig.wait(wait)
    rig.fail(fault("drop_before"))
    assert rig.upload(worker="second").results == {Result.UNKNOWN: 1}
    assert rig.row()["lookups"] == 0


@ON_SQLITE
def test_the_first_looks_read_the_newest_items_and_the_last_one_all(rig: UploadRig) -> None:
    lose(rig)
    rig.put_on_shop(f"b-{ASIN}-1", created=0)
    for number in range(501):
        rig.put_on_shop(f"x-{number}")
    for look, wait in enumerate(BETWEEN):
        before = rig.sandbox.calls("items")
        assert rig.look().not_found == 1, look
        assert rig.sandbox.calls("items") - before <= 6
        rig.wait(wait)
    assert rig.look().adopted == 1


def test_one_reading_serves_all_rows(rig: UploadRig) -> None:
    rig.queue([ASIN, OTHER])
    rig.fail(fault("drop_after", times=2))
    assert rig.upload().results == {Result.UNKNOWN: 2}
    rig.settle()
    assert rig.look().adopted == 2
    assert rig.sandbox.calls("items") == 1


def test_two_items_with_one_identifier_are_reported_and_the_older_one_is_adopted(
    rig: UploadRig,
) -> None:
    lose(rig)
    older = rig.put_on_shop(f"b-{ASIN}-1")
    rig.wait(timedelta(seconds=5))
    newer = rig.put_on_shop(f"b-{ASIN}-1")
    report = rig.look()
    assert report.doubled == [f"{ASIN}: BASE has it more than once: {newer}, {older}"]
    assert report.adopted == 1
    assert rig.row()["item_id"] == older
    assert len(rig.items()) == 2, "nothing is deleted"


@ON_SQLITE
@pytest.mark.parametrize(
    "identifier",
    [
        f"b-{ASIN}-20251101093000",
        f"s-{ASIN}-1700000000",
        f"base-{ASIN}-1700000000",
        f"BASE-{ASIN}",
        f"s-{ASIN}-1700000000_2",
    ],
)
def test_what_version_1_left_unfinished_is_known_by_its_asin(
    rig: UploadRig, identifier: str
) -> None:
    rig.queue([ASIN])
    rig.set_row(status="unknown", worker=None, identifier=None)
    item_id = rig.put_on_shop(identifier)
    rig.put_on_shop(f"s-{OTHER}-1700000000")
    assert rig.look().adopted == 1
    assert (rig.row()["status"], rig.row()["item_id"]) == (QueueStatus.PENDING, item_id)
    assert rig.upload().results == {Result.PUBLISHED: 1}
    assert rig.sandbox.calls(ADD) == 0


def test_what_version_1_made_and_showed_is_done(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.set_row(status="unknown", worker=None, identifier=None)
    item_id = rig.put_on_shop(f"s-{ASIN}-1700000000", visible=1)
    assert rig.look().adopted == 1
    assert (rig.row()["status"], rig.row()["item_id"]) == (QueueStatus.SUCCESS, item_id)
    assert (rig.listing()["status"], rig.listing()["visibility"]) == ("listed", "public")


def test_what_version_1_left_is_looked_for_at_once_and_again_after_a_wait(rig: UploadRig) -> None:
    rig.queue([ASIN])
    later = rig.clock.now() + timedelta(hours=1)
    rig.set_row(status="unknown", worker=None, identifier=None, scheduled_time=later)
    assert rig.look().not_found == 1
    assert rig.look().not_found == 0, "not before a wait"
    rig.wait(BETWEEN[0])
    assert rig.look().not_found == 1


def test_an_item_of_another_shop_is_not_ours(rig: UploadRig) -> None:
    lose(rig)
    rig.queue([ASIN], "two")
    rig.upload("two")
    assert rig.look().not_found == 1


@ON_SQLITE
def test_a_listing_that_cannot_be_read_proves_nothing(rig: UploadRig) -> None:
    lose(rig)
    rig.fail(fault("error_503_html", LISTING_CALLS, times=None))
    with pytest.raises(Unavailable):
        rig.look()
    assert (rig.row()["status"], rig.row()["lookups"]) == (QueueStatus.UNKNOWN, 0)


def test_a_look_that_was_overtaken_changes_nothing(rig: UploadRig) -> None:
    lose(rig, "drop_after")
    attempts = rig.pipeline.uploads.attempts
    (seen,) = attempts.unresolved("one")
    rig.look()
    rig.upload(worker="second")
    assert not attempts.not_found(seen)
    assert rig.is_done()
