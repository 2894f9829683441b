"""Flows side by side: their events, their errors, their end."""

import queue
import threading
from typing import Any

import pytest

from ecauto_pipeline.clock import StoppableClock, Stopped, SystemClock
from ecauto_pipeline.sync.amazon.lanes import Emit, Lane, run_lanes
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import FakeClock


class Broken(Exception):
    """Something that went wrong in a lane."""


class Interrupted(BaseException):
    """As from the keyboard."""


class Scene:
    """Runs lanes, and remembers what they told."""

    def __init__(self) -> None:
        self.clock = StoppableClock(SystemClock())
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.handled: list[object] = []
        self.woken = threading.Event()

    def run(self, *lanes: Lane) -> None:
        run_lanes(lanes, self.events, self.clock, self.handled.append, self.woken.set)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def counting(name: str, count: int = 3) -> Lane:
    def lane(emit: Emit) -> None:
        for number in range(count):
            emit((name, number))

    return lane


def test_all_events_are_handled_each_lanes_in_order(scene: Scene) -> None:
    scene.run(counting("a"), counting("b", 5))
    for name, count in (("a", 3), ("b", 5)):
        assert [each for each in scene.handled if each in [(name, n) for n in range(count)]] == [
            (name, number) for number in range(count)
        ]
    assert len(scene.handled) == 8


def test_events_are_handled_by_the_thread_that_runs_the_lanes(scene: Scene) -> None:
    seen: set[int] = set()
    run_lanes(
        [counting("a"), counting("b")],
        scene.events,
        scene.clock,
        lambda _: seen.add(threading.get_ident()),
        scene.woken.set,
    )
    assert seen == {threading.get_ident()}


def test_without_lanes_nothing_happens(scene: Scene) -> None:
    scene.run()
    assert scene.handled == []


def test_lanes_run_side_by_side(scene: Scene) -> None:
    meeting = threading.Barrier(3)

    def lane(emit: Emit) -> None:
        emit(meeting.wait(PATIENCE_SECONDS))

    scene.run(lane, lane, lane)
    assert sorted(map(str, scene.handled)) == ["0", "1", "2"]


def test_an_error_stops_all_and_goes_on(scene: Scene) -> None:
    ended: list[str] = []

    def sleeping(_: Emit) -> None:
        try:
            scene.clock.sleep(3600)
        except Stopped:
            ended.append("stopped in its sleep")
            raise

    def failing(emit: Emit) -> None:
        emit("before")
        raise Broken("here")

    with pytest.raises(Broken, match="here"):
        scene.run(sleeping, failing)
    assert ended == ["stopped in its sleep"]
    assert scene.handled == ["before"]
    assert scene.woken.is_set()


def test_who_waits_for_another_lane_is_woken(scene: Scene) -> None:
    def waiting(_: Emit) -> None:
        assert scene.woken.wait(PATIENCE_SECONDS)
        if scene.clock.stopped:
            raise Stopped

    def failing(_: Emit) -> None:
        raise Broken

    with pytest.raises(Broken):
        scene.run(waiting, failing)


def test_an_interruption_stops_all(scene: Scene) -> None:
    def handle(_: object) -> None:
        raise Interrupted

    def lane(emit: Emit) -> None:
        emit("event")
        scene.clock.sleep(3600)

    with pytest.raises(Interrupted):
        run_lanes([lane, lane], scene.events, scene.clock, handle, scene.woken.set)
    assert scene.clock.stopped


def test_a_lane_that_was_stopped_is_no_error(scene: Scene) -> None:
    def stopped(_: Emit) -> None:
        raise Stopped

    scene.run(stopped, counting("a"))
    assert len(scene.handled) == 3


def test_the_clock_is_stopped_in_the_end(scene: Scene) -> None:
    scene.run(counting("a"))
    with pytest.raises(Stopped):
        scene.clock.sleep(0)


def test_a_stopped_clock_of_any_kind_sleeps_no_more() -> None:
    inner = FakeClock()
    clock = StoppableClock(inner)
    clock.sleep(5)
    clock.stop()
    with pytest.raises(Stopped):
        clock.sleep(5)
    assert inner.slept == [5]
