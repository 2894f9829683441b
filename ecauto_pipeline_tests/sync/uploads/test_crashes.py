"""A process may end at any boundary between two statements of an upload: one after the other."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecauto_pipeline.domain.uploads.rules import LIVE
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS
from ecauto_pipeline.sandbox.faults import Fault
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.storage.uploads import attempts as upload_attempts
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.uploads.rig import ADD, UploadRig, fault, uploads_rigged

MOST_BOUNDARIES = 80

STATEMENTS = ("claim", "sending", "created", "image", "finish")
"""Of an upload that nothing disturbs."""

ENUMERATED = (*STATEMENTS, "rescue", "unknown", "adopt", "not found", "put back", "fail")
"""Every statement at whose boundaries a process is ended below."""

LIMIT = fault("base_error", error="exceed_daily_limit")


def boundaries(*statements: str) -> set[str]:
    return {f"{side} {name}" for name in statements for side in ("before", "after")}


class Crashed(BaseException):
    """The process is gone: nobody catches this."""


@dataclass(slots=True)
class CrashAt:
    """Lets the process end at its n-th boundary; 0: at none."""

    number: int = 0
    reached: list[str] = field(default_factory=list[str])

    def aim(self, number: int) -> None:
        """Begin to count anew."""
        self.number = number
        self.reached.clear()

    def __call__(self, name: str) -> None:
        self.reached.append(name)
        if len(self.reached) == self.number:
            raise Crashed(name)

    @property
    def struck(self) -> bool:
        return len(self.reached) == self.number


@pytest.fixture
def rig(url: str, tmp_path: Path, clock: FakeClock) -> Generator[UploadRig]:
    by_day_and_night = UploadSettings(from_hour=0, to_hour=24)
    with uploads_rigged(url, tmp_path / "data", clock, upload=by_day_and_night) as rig:
        yield rig


def run_until_done(rig: UploadRig, pipeline: Pipeline, worker: str) -> None:
    """Workers one after another, as time goes by, until the queue is drained."""
    for turn in range(20):
        pipeline.uploads.resolve_unknown("one")
        rig.upload(pipeline=pipeline, worker=f"{worker} {turn}")
        if all(row["status"] not in LIVE for row in rig.rows()):
            return
        rig.settle()


def crash_everywhere(rig: UploadRig, faults: Iterable[Fault] = ()) -> Counter[str]:
    """End an upload at its first boundary, another one at its second, and so on.

    Each time the queue is drained afterwards, and the product must be on the shop once. Returns at
    which boundaries uploads were ended.
    """
    ended: Counter[str] = Counter()
    crash = CrashAt()
    with rig.watched(crash) as pipeline:
        for number in range(1, MOST_BOUNDARIES):
            asin = f"B0CRASH{number:03}"
            rig.sandbox.world.ensure(asin)
            rig.queue([asin])
            rig.fail(*faults)
            crash.aim(number)
            with suppress(Crashed):
                run_until_done(rig, pipeline, f"crashing {number}")
            if not crash.struck:
                expect_once(rig, asin)
                return ended
            ended[crash.reached[-1]] += 1
            crash.aim(0)
            rig.settle()
            rig.drain(worker=f"after {number}")
            expect_once(rig, asin)
    raise AssertionError(f"more than {MOST_BOUNDARIES} boundaries: {ended}")


def expect_once(rig: UploadRig, asin: str) -> None:
    """The product is on the shop, once, and the row and the listing say so."""
    (item,) = [item for item in rig.items() if asin in (item.identifier or "")]
    (row,) = [row for row in rig.rows() if row["asin"] == asin]
    (listing,) = [each for each in rig.listings() if each["asin"] == asin]
    assert (row["status"], row["item_id"]) == ("success", str(item.item_id)), row
    assert listing["status"] == "listed"
    assert listing["platform_item_id"] == str(item.item_id)
    assert (listing["visibility"] == "public") == bool(item.visible)
    assert item.visible or "left hidden" in row["error_message"]
    assert len(item.images) == 2


def test_every_boundary_there_is_is_among_them() -> None:
    source = inspect.getsource(upload_attempts)
    assert set(re.findall(r'self\._at\("([^"]+)"\)', source)) == boundaries(*ENUMERATED)


def test_an_upload_may_end_at_any_boundary(rig: UploadRig) -> None:
    ended = crash_everywhere(rig)
    assert set(ended) == boundaries("rescue", *STATEMENTS)
    assert ended["before image"] == ended["after image"] == 2


def test_so_may_one_whose_answer_is_lost(rig: UploadRig) -> None:
    ended = crash_everywhere(rig, [fault("drop_after")])
    assert set(ended) == boundaries(
        "rescue", "claim", "sending", "unknown", "adopt", "image", "finish"
    )


@pytest.mark.parametrize("backend", ["sqlite"])
def test_so_may_one_that_was_lost_on_its_way(rig: UploadRig) -> None:
    ended = crash_everywhere(rig, [fault("drop_before")])
    assert set(ended) == boundaries("rescue", "unknown", "not found", *STATEMENTS)
    assert ended["before not found"] == ended["after not found"] == 3


@pytest.mark.parametrize("backend", ["sqlite"])
def test_so_may_one_that_a_limit_puts_back(rig: UploadRig) -> None:
    ended = crash_everywhere(rig, [LIMIT])
    assert set(ended) == boundaries("rescue", "put back", *STATEMENTS)


def test_so_may_one_that_fails_for_good(rig: UploadRig) -> None:
    rig.queue(FIRST_ASINS[:1])
    rig.fail(fault("base_error", error="validation_error", times=2))
    for name in ("before fail", "after fail"):
        with rig.watched(crash_at(name)) as pipeline, pytest.raises(Crashed):
            run_until_done(rig, pipeline, name)
        rig.settle()
    assert rig.row()["status"] == "failed"
    assert rig.items() == []
    assert rig.sandbox.calls(ADD) == 2


def crash_at(name: str) -> Callable[[str], None]:
    def checkpoint(reached: str) -> None:
        if reached == name:
            raise Crashed(name)

    return checkpoint


def test_an_upload_that_is_looked_up_may_end_there_too(rig: UploadRig) -> None:
    """The process ends after items/add was sent, and the next ones end as well."""
    rig.queue(FIRST_ASINS[:1])
    ends = (
        "before created",
        "after rescue",
        "before adopt",
        "after adopt",
        "after image",
        "before finish",
    )
    for name in ends:
        with rig.watched(crash_at(name)) as pipeline, pytest.raises(Crashed):
            run_until_done(rig, pipeline, name)
        rig.settle()
    rig.drain()
    assert rig.is_done()
    assert rig.sandbox.calls(ADD) == 1
