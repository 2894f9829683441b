"""One listing after another onto a shop: in order, once, and what follows when it goes wrong."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ecauto_pipeline.clients.base_shop.client import BaseShopClient, CallBudget
from ecauto_pipeline.clients.http import JsonApi, open_http
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.domain.uploads.rules import Content, QueueStatus
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.faults import Fault
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.storage.rate_buckets import RateWindows
from ecauto_pipeline.storage.tables import products, screenings
from ecauto_pipeline.sync.uploads.uploader import (
    LACKING_AGAIN_AFTER,
    Accepted,
    Result,
    Uploader,
)
from ecauto_pipeline_tests.chaos.worker import Orders, work
from ecauto_pipeline_tests.children import (
    FORKS,
    PATIENCE_SECONDS,
    has_stopped,
    is_pending,
    wait_for,
    working,
)
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.uploads.rig import (
    ADD,
    CACHED_PRICE,
    IMAGES,
    UploadRig,
    fault,
    uploads_rigged,
)

ASIN, OTHER, THIRD = FIRST_ASINS[:3]
NOBODY = "http://127.0.0.1:9"
ALL_DAY = UploadSettings(from_hour=0, to_hour=24)
"""For processes of their own, which go by the machine's clock."""

WHOLE_DAY = 24 * 3600

Open = Callable[..., AbstractContextManager[UploadRig]]


ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest.fixture
def backend() -> str:
    """One database will do for the rest: the queue is tested with each of them on its own."""
    return "sqlite"


@pytest.fixture
def open_rig(url: str, tmp_path: Path, clock: FakeClock) -> Open:
    return partial(uploads_rigged, url, tmp_path / "data", clock)


@pytest.fixture
def rig(open_rig: Open) -> Generator[UploadRig]:
    """One product waits for its upload."""
    with open_rig() as rig:
        yield rig


def operations(sandbox: Sandbox) -> list[str]:
    """The writes to the shops, in their order."""
    return [
        call.operation for call in sandbox.journal.calls() if call.operation.startswith("items/")
    ]


@ON_BOTH
def test_an_item_is_made_hidden_then_pictured_then_shown_at_the_fresh_price(rig: UploadRig) -> None:
    seen: list[tuple[str, int, int, int]] = []

    def watch(name: str) -> None:
        if name in {"before created", "before image"}:
            item = rig.item()
            seen.append((name, item.visible, item.price, len(item.images)))

    rig.queue([ASIN])
    with rig.watched(watch) as pipeline:
        report = rig.upload(pipeline=pipeline)
    first_price = rig.pipeline.settings.pricing.selling_price(CACHED_PRICE)
    assert seen == [
        ("before created", 0, first_price, 0),
        ("before image", 0, first_price, 1),
        ("before image", 0, first_price, 2),
    ]
    assert operations(rig.sandbox) == [ADD, "items/add_image", "items/add_image", "items/edit"]
    assert report.results == {Result.PUBLISHED: 1}
    assert rig.is_done()
    row, listing = rig.row(), rig.listing()
    assert (row["attempt_no"], row["retry_count"], row["images_done"]) == (1, 0, 2)
    assert (row["error_message"], row["lease_until"]) == (None, None)
    assert listing["selling_price"] == rig.price_of(ASIN) != first_price
    assert listing["in_stock_quantity"] == 1
    assert listing["listed_at"] is not None


@ON_BOTH
def test_the_identifier_is_committed_before_the_call(rig: UploadRig) -> None:
    found: list[tuple[object, object, object, object]] = []

    def watch(name: str) -> None:
        if name == "after sending":
            row = rig.row()
            found.append((row["identifier"], row["sent_at"], rig.listing()["sku"], rig.items()))

    rig.queue([ASIN])
    with rig.watched(watch) as pipeline:
        rig.upload(pipeline=pipeline)
    assert found == [(f"b-{ASIN}-1", rig.row()["sent_at"], f"b-{ASIN}-1", [])]
    assert found[0][1] is not None


@ON_BOTH
def test_a_product_on_two_shops_has_two_identifiers(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.queue([ASIN], "two")
    rig.upload()
    rig.upload("two")
    assert rig.item("one").identifier == f"b-{ASIN}-1"
    assert rig.item("two").identifier == f"b-{ASIN}-2"


def test_a_listing_keeps_the_sku_it_has(rig: UploadRig) -> None:
    rig.queue([ASIN], sku=f"s-{ASIN}-1700000000")
    rig.upload()
    assert rig.item().identifier == f"s-{ASIN}-1700000000"


UNANSWERED = (
    fault("drop_before"),
    fault("drop_after"),
    fault("error_after"),
    fault("error_503_html"),
    fault("error_500_errors_empty"),
    fault("empty_body"),
    fault("truncated_json"),
    fault("body", text="<html>maintenance</html>"),
    fault("body", text="<html>gateway</html>", status=404),
    fault("base_error", error="server_error", error_description="DB error"),
    fault("base_error", error="server_error", status=500),
)


@pytest.mark.parametrize("lost", UNANSWERED, ids=lambda each: f"{each.kind}-{each.status}")
def test_what_was_sent_and_not_answered_is_unknown_and_never_sent_again(
    rig: UploadRig, lost: Fault
) -> None:
    rig.queue([ASIN])
    rig.fail(lost)
    assert rig.upload().results == {Result.UNKNOWN: 1}
    row = rig.row()
    assert (row["status"], row["retry_count"], row["item_id"]) == (QueueStatus.UNKNOWN, 0, None)
    assert row["error_message"]
    assert row["scheduled_time"] == row["lease_until"] + timedelta(minutes=2)
    rig.wait(timedelta(hours=1))
    assert rig.upload(worker="second").results == {}
    assert rig.upload(worker="third", now_due=False).results == {}
    assert rig.sandbox.calls(ADD) == 1


@ON_BOTH
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("validation_error", "バリデーションエラーです。"),
        ("bad_params", "不正なパラメーターです。"),
    ],
)
def test_a_refusal_is_for_good_and_the_words_are_kept(
    rig: UploadRig, error: str, words: str
) -> None:
    rig.queue([ASIN])
    rig.fail(fault("base_error", error=error, error_description=words))
    assert rig.upload().results == {Result.FAILED: 1}
    row = rig.row()
    assert row["status"] == QueueStatus.FAILED
    assert error in row["error_message"]
    assert words in row["error_message"]
    assert row["processed_at"] is not None
    rig.wait(timedelta(hours=1))
    assert rig.upload(worker="second").results == {}
    assert rig.listing()["status"] == "pending"


def test_asking_for_fewer_calls_spends_a_retry_and_makes_nothing(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.fail(fault("throttle_429"))
    assert rig.upload().results == {Result.PUT_BACK: 1}
    assert (rig.row()["status"], rig.row()["retry_count"]) == (QueueStatus.PENDING, 1)
    assert rig.items() == []


def unreachable(rig: UploadRig, uploader: Uploader) -> Uploader:
    """The uploader of a machine from which BASE cannot be reached."""
    pipeline = rig.pipeline
    account = pipeline.shops.accounts("one")[0]
    pacer = Pacer(pipeline.rate_buckets, rig.clock)
    windows = RateWindows(pipeline.engine, rig.clock)
    budget = CallBudget(account, "nobody", pacer, windows, rig.clock, multiplier=1000)
    api = JsonApi(open_http(1), NOBODY, rig.clock)
    client = BaseShopClient(api, pipeline.shops.tokens(account), budget, rig.clock)
    return replace(uploader, shop=client)


@ON_BOTH
def test_a_call_that_was_not_sent_is_retried_later_and_later_and_then_given_up(
    rig: UploadRig,
) -> None:
    rig.queue([ASIN])
    pauses: list[float] = []
    for retry in range(1, 6):
        now = rig.clock.now()
        assert rig.upload(changed=partial(unreachable, rig)).results == {Result.PUT_BACK: 1}
        row = rig.row()
        assert (row["status"], row["retry_count"]) == (QueueStatus.PENDING, retry)
        assert rig.upload(changed=partial(unreachable, rig)).results == {}, "it is not due yet"
        pauses.append((row["scheduled_time"] - now).total_seconds() // 60)
        rig.wait(row["scheduled_time"] - rig.clock.now())
    assert pauses == [1, 2, 4, 8, 16]
    assert rig.upload(changed=partial(unreachable, rig)).results == {Result.FAILED: 1}
    row = rig.row()
    assert row["status"] == QueueStatus.FAILED
    assert row["error_message"].startswith(
        "given up after 5 retries: 127.0.0.1:9 cannot be reached"
    )


@ON_BOTH
@pytest.mark.parametrize("error", ["hour_api_limit", "day_api_limit", "exceed_daily_limit"])
def test_a_limit_leaves_the_rest_pending_without_spending_a_retry(
    rig: UploadRig, error: str
) -> None:
    rig.queue([ASIN, OTHER, THIRD])
    rig.fail(fault("base_error", error=error, after=1))
    report = rig.upload()
    assert report.results == {Result.PUBLISHED: 1, Result.PUT_BACK: 1}
    assert report.stopped
    assert [row["status"] for row in rig.rows()].count("pending") == 2
    assert {row["retry_count"] for row in rig.rows()} == {0}
    assert rig.sandbox.calls(ADD) == 2


@ON_BOTH
def test_the_daily_limit_is_ours_too_and_ends_at_midnight_in_japan(open_rig: Open) -> None:
    with open_rig(shops={"one": {"daily_upload_limit": 2}}) as rig:
        rig.queue([ASIN, OTHER, THIRD])
        report = rig.upload(now_due=False)
        assert report.results == {Result.PUBLISHED: 2, Result.PUT_BACK: 1}
        assert report.stopped == "one: today's uploads are used up"
        assert sorted(row["retry_count"] for row in rig.rows()) == [0, 0, 0]
        rig.clock.advance(hours=11, seconds=1800)  # 23:30 in Japan
        assert rig.upload(worker="second", now_due=False).results == {Result.PUT_BACK: 1}
        rig.clock.advance(hours=1)
        assert rig.upload(worker="third", now_due=False).results == {Result.PUBLISHED: 1}


def test_the_hourly_budget_is_kept_from_our_side_as_well(open_rig: Open) -> None:
    with open_rig(shops={"one": {"calls_per_hour": 10}}, rate_multiplier=1) as rig:
        rig.queue([ASIN, OTHER, THIRD])
        report = rig.upload()
        # Nine in ten of an hour's calls may be uploads'; one takes four.
        assert report.results == {Result.PUBLISHED: 2, Result.PUT_BACK: 1}
        assert "the calls of this hour are used up" in report.stopped
        assert {row["retry_count"] for row in rig.rows()} == {0}
        rig.clock.advance(hours=1)
        rig.drain()
        assert len(rig.items()) == 3


def test_nothing_is_uploaded_at_night_but_by_hand(rig: UploadRig) -> None:
    rig.queue([ASIN])
    night = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)  # 23:30 in Japan
    rig.wait(night - rig.clock.now())
    report = rig.upload()
    assert (report.results, report.stopped) == ({}, "uploads pause for the night")
    assert rig.upload(now_due=False).results == {Result.PUBLISHED: 1}


def test_a_restricted_account_stops_alone_and_says_so(rig: UploadRig) -> None:
    rig.queue([ASIN, OTHER], "one")
    rig.queue([THIRD], "two")
    words = "アカウントが制限されています。"
    rig.fail(fault("base_error", error="access_denied", error_description=words))
    report = rig.upload()
    assert "BASE has restricted the shop of account one" in report.stopped
    assert words in report.stopped
    assert "run `ecauto base connect one`" in report.stopped
    assert rig.upload("two").results == {Result.PUBLISHED: 1}
    calls = rig.sandbox.calls(account="one")
    rig.wait(timedelta(hours=1))
    assert rig.upload(worker="second").results == {Result.PUT_BACK: 1}
    assert rig.sandbox.calls(account="one") == calls, "nothing is sent for it any more"
    assert [row["retry_count"] for row in rig.rows()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("lacking", "words"), [("title_ja", "no title yet"), ("amazon_price_jpy", "no price yet")]
)
def test_a_product_that_lacks_something_waits_without_spending_a_retry(
    rig: UploadRig, lacking: str, words: str
) -> None:
    rig.queue([ASIN], product={lacking: None})
    now = rig.clock.now()
    assert rig.upload().results == {Result.PUT_BACK: 1}
    row = rig.row()
    assert (row["status"], row["retry_count"]) == (QueueStatus.PENDING, 0)
    assert words in row["error_message"]
    assert row["scheduled_time"] == now + LACKING_AGAIN_AFTER
    assert rig.sandbox.calls(ADD) == 0


def test_what_the_rules_forbid_is_not_listed_until_a_person_releases_it(
    open_rig: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "screening"
    folder.mkdir(parents=True)
    (folder / "blocked.toml").write_text(f'asins = ["{OTHER}"]\n', "utf-8")
    with open_rig() as rig:
        rig.queue([OTHER])
        assert rig.upload().results == {Result.FAILED: 1}
        assert rig.row()["error_message"] == f"screened out: blocked ASIN: {OTHER}"
        assert rig.sandbox.calls(ADD) == 0
        assert [row["verdict"] for row in rig.rig.rows(screenings)] == ["blocked"]


def test_a_picture_that_base_cannot_use_is_left_out_and_named(rig: UploadRig) -> None:
    rig.queue([ASIN], product={"images": [IMAGES[0], "ftp://nowhere/b.jpg", IMAGES[1]]})
    report = rig.upload()
    assert report.results == {Result.PUBLISHED: 1}
    assert rig.item().images == {1: IMAGES[0], 3: IMAGES[1]}
    (note,) = report.notes
    assert note.startswith(f"{ASIN}: picture 2: ")
    assert "no_image" in note
    assert rig.row()["error_message"] == note.removeprefix(f"{ASIN}: ")


def test_a_picture_whose_answer_is_lost_is_sent_again(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.fail(fault("drop_after", "items/add_image"))
    assert rig.upload().results == {Result.PUBLISHED: 1}
    assert rig.is_done()
    assert rig.sandbox.calls("items/add_image") == 3


@ON_BOTH
def test_publishing_may_be_repeated(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.fail(fault("error_after", "items/edit", times=5))
    assert rig.upload().results == {Result.PUT_BACK: 1}
    assert (rig.row()["retry_count"], rig.row()["images_done"]) == (1, 2)
    rig.wait(timedelta(minutes=2))
    assert rig.upload(worker="second").results == {Result.PUBLISHED: 1}
    assert rig.is_done()
    assert rig.sandbox.calls(ADD) == 1
    assert rig.sandbox.calls("items/add_image") == 2


def test_an_item_deleted_before_it_was_shown_is_not_made_again(rig: UploadRig) -> None:
    def delete(name: str) -> None:
        if name == "after created":
            with rig.sandbox.state.lock:
                rig.sandbox.state.delete_item("one", rig.item().item_id)

    rig.queue([ASIN])
    with rig.watched(delete) as pipeline:
        assert rig.upload(pipeline=pipeline).results == {Result.FAILED: 1}
    assert rig.row()["error_message"].startswith("BASE refuses it after it was made")
    assert rig.sandbox.calls(ADD) == 1


def test_what_amazon_has_not_in_stock_stays_hidden_and_says_why(open_rig: Open) -> None:
    world = World(count=200)
    (asin, *_) = world.of_kind(Kind.OUT)
    with open_rig(world=world) as rig:
        rig.queue([asin])
        report = rig.upload()
        assert report.results == {Result.HIDDEN: 1}
        assert (rig.row()["status"], rig.item().visible) == (QueueStatus.SUCCESS, 0)
        assert (rig.listing()["status"], rig.listing()["visibility"]) == ("listed", "hidden")
        assert rig.row()["error_message"].startswith("left hidden: ")


def test_a_sold_out_product_is_known_to_be_so_afterwards(open_rig: Open) -> None:
    world = World(count=200)
    (asin, *_) = world.of_kind(Kind.OUT)
    with open_rig(world=world) as rig:
        rig.queue([asin])
        rig.upload()
        assert [row["amazon_in_stock"] for row in rig.rig.rows(products)] == [False]


def test_an_item_is_left_hidden_when_amazon_cannot_be_asked(rig: UploadRig) -> None:
    rig.queue([ASIN])
    rig.fail(fault("error_503_html", "getItemOffers", times=None))
    report = rig.upload()
    assert report.results == {Result.HIDDEN: 1}
    assert "Amazon could not be asked" in rig.row()["error_message"]
    assert rig.item().visible == 0


class Ended(BaseException):
    """The process is gone."""


def end_at(name: str, times: int = 1) -> Callable[[str], None]:
    """Ends the process when it comes there for so many times."""
    left = [times]

    def checkpoint(reached: str) -> None:
        left[0] -= reached == name
        if reached == name and left[0] == 0:
            raise Ended

    return checkpoint


@ON_BOTH
@pytest.mark.parametrize(
    ("boundary", "times", "done_before"),
    [
        ("after claim", 1, []),
        ("before sending", 1, []),
        ("after created", 1, [ADD]),
        ("after image", 1, [ADD, "items/add_image"]),
        ("after image", 2, [ADD, "items/add_image", "items/add_image"]),
        ("before finish", 1, [ADD, "items/add_image", "items/add_image", "items/edit"]),
    ],
)
def test_another_worker_goes_on_from_where_a_lost_one_was(
    rig: UploadRig, boundary: str, times: int, done_before: list[str]
) -> None:
    rig.queue([ASIN])
    with rig.watched(end_at(boundary, times)) as pipeline, pytest.raises(Ended):
        rig.upload(pipeline=pipeline)
    assert operations(rig.sandbox) == done_before
    assert rig.look().rescued == 0, "its lease is not over"
    rig.wait(rig.pipeline.settings.upload.lease)
    assert rig.look().rescued == 1
    assert rig.upload(worker="second").results == {Result.PUBLISHED: 1}
    assert rig.is_done()
    again = ["items/edit"] if "items/edit" in done_before else []
    assert operations(rig.sandbox) == [
        ADD,
        "items/add_image",
        "items/add_image",
        "items/edit",
        *again,
    ]


def overtake_at(rig: UploadRig, boundary: str) -> Callable[[str], None]:
    """Sleeps at a boundary until others have finished the upload."""
    slept = [False]

    def checkpoint(reached: str) -> None:
        if reached == boundary and not slept[0]:
            slept[0] = True
            rig.settle()
            rig.drain()

    return checkpoint


OVERTAKEN_AT = {
    "before sending": (),
    "before created": (),
    "after created": (),
    "before image": (),
    "after image": (),
    "before finish": (),
    "before fail": (fault("base_error", error="validation_error"),),
    "before put back": (fault("base_error", error="hour_api_limit"),),
    "before unknown": (fault("drop_after"),),
}


@ON_BOTH
@pytest.mark.parametrize("boundary", OVERTAKEN_AT)
def test_an_overtaken_worker_changes_nothing(rig: UploadRig, boundary: str) -> None:
    rig.queue([ASIN])
    rig.fail(*OVERTAKEN_AT[boundary])
    before: list[object] = []

    def checkpoint(name: str) -> None:
        sleep(name)
        if name == boundary:
            before.append([rig.rows(), rig.listing()])

    sleep = overtake_at(rig, boundary)
    with rig.watched(checkpoint) as pipeline:
        report = rig.upload(pipeline=pipeline)
    assert report.results == {Result.OVERTAKEN: 1}
    assert rig.is_done()
    assert before[0] == [rig.rows(), rig.listing()]
    assert rig.sandbox.calls(ADD, status=200) <= 1


def test_a_turn_that_came_too_late_is_put_back_without_spending_a_retry(rig: UploadRig) -> None:
    rig.queue([ASIN])

    def slow_screen(content: Content) -> Accepted:
        rig.clock.advance(seconds=150)
        return Accepted(content.title or "", "")

    report = rig.upload(changed=lambda uploader: replace(uploader, screen=slow_screen))
    assert report.results == {Result.PUT_BACK: 1}
    assert (rig.row()["status"], rig.row()["retry_count"]) == (QueueStatus.PENDING, 0)
    assert rig.row()["error_message"] == "its turn came too late in its lease"
    assert rig.sandbox.calls(ADD) == 0


class Alarm:
    """A fence that remembers when it would have struck."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.strikes_at: datetime | None = None

    def arm(self, seconds: float) -> None:
        self.strikes_at = self._clock.now() + timedelta(seconds=seconds)

    def disarm(self) -> None:
        self.strikes_at = None


def test_the_fence_strikes_no_later_than_the_lease_in_the_queue_ends(rig: UploadRig) -> None:
    alarm = Alarm(rig.clock)
    rig.queue([ASIN])
    compared: list[str] = []

    def slow(name: str) -> None:
        rig.clock.advance(seconds=7)
        row = rig.row()
        if alarm.strikes_at and row["status"] == QueueStatus.UPLOADING:
            compared.append(name)
            assert alarm.strikes_at <= row["lease_until"], name

    with rig.watched(slow) as pipeline:
        rig.upload(pipeline=pipeline, changed=lambda uploader: replace(uploader, fence=alarm))
    assert {"after sending", "after created", "after image", "before finish"} <= set(compared)
    assert alarm.strikes_at is None


@ON_BOTH
def test_without_the_fence_a_worker_that_slept_makes_a_duplicate_and_the_look_up_tells(
    rig: UploadRig,
) -> None:
    rig.queue([ASIN])
    slept = [False]

    def sleep(name: str) -> None:
        if name == "after sending" and not slept[0]:
            slept[0] = True
            rig.settle()
            for _ in range(4):
                rig.look()
                rig.wait(timedelta(minutes=5))
            rig.fail(fault("drop_after"))
            assert rig.upload(worker="second").results == {Result.UNKNOWN: 1}

    with rig.watched(sleep) as pipeline:
        assert rig.upload(pipeline=pipeline).results == {Result.OVERTAKEN: 1}
    first, second = rig.items()
    assert first.identifier == second.identifier
    rig.settle()
    report = rig.look()
    assert report.doubled == [
        f"{ASIN}: BASE has it more than once: {second.item_id}, {first.item_id}"
    ]
    assert report.adopted == 1
    rig.upload(worker="third")
    assert rig.row()["item_id"] == str(first.item_id)
    assert [item.visible for item in rig.items()] == [1, 0], "the other one is never shown"


@pytest.fixture
def real_shop(url: str, tmp_path: Path) -> Iterator[UploadRig]:
    """A queue for processes of their own, by the machine's clock."""
    clock = FakeClock(datetime.now(UTC))
    limits = {"one": {"daily_upload_limit": WHOLE_DAY}}
    with uploads_rigged(url, tmp_path / "data", clock, upload=ALL_DAY, shops=limits) as rig:
        yield rig


@pytest.mark.process
@pytest.mark.parametrize(("fenced", "status", "made"), [(True, -signal.SIGALRM, 0), (False, 0, 1)])
def test_a_process_stopped_past_its_lease_is_ended_before_it_sends(
    real_shop: UploadRig, *, fenced: bool, status: int, made: int
) -> None:
    rig = real_shop
    rig.queue([ASIN])
    rig.pipeline.shops.client("one").me()
    orders = Orders("one", fenced=fenced, stop_itself=True)
    with working(worker := FORKS.Process(target=work, args=(rig.pipeline.settings, orders))):
        pid = worker.pid or 0
        wait_for("the stop", lambda: has_stopped(pid) or not worker.is_alive())
        assert has_stopped(pid)
        # Both its lease and, where there is one, its fence end while it sleeps.
        rig.set_row(lease_until=rig.clock.now() - timedelta(days=1))
        if fenced:
            wait_for("the alarm", lambda: is_pending(pid, signal.SIGALRM))
        os.kill(pid, signal.SIGCONT)
        worker.join(PATIENCE_SECONDS)
    assert worker.exitcode == status
    assert len(rig.items()) == made
    assert rig.row()["status"] == ("uploading" if fenced else "success")
