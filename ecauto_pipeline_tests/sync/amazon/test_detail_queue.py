"""Which offers are read next."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from ecauto_pipeline.clock import StoppableClock
from ecauto_pipeline.domain.amazon.facts import (
    DETAIL_ORDER,
    OPTIONAL_DETAILS,
    DetailNeed,
    Fact,
    KnownOffers,
)
from ecauto_pipeline.domain.amazon.freshness import Due
from ecauto_pipeline.sync.amazon.detail_queue import Detail, DetailQueue
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

RECHECK_BUDGET = timedelta(minutes=10)
DEADLINE = MIDDAY + timedelta(minutes=50)


@pytest.fixture
def stoppable(clock: FakeClock) -> StoppableClock:
    return StoppableClock(clock)


@pytest.fixture
def details(stoppable: StoppableClock) -> DetailQueue:
    return DetailQueue(stoppable, RECHECK_BUDGET)


def detail(need: DetailNeed, number: int = 0) -> Detail:
    asin = f"B00000000{number}"
    due = Due(asin, "00", frozenset({Fact.STOCK}))
    return Detail(due, KnownOffers(asin, listed=True), need)


def in_a_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Starts it; calling what is returned gives its result."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def result() -> object:
        thread.join(PATIENCE_SECONDS)
        return results[0]

    return result


def test_the_most_urgent_come_first_then_the_first(details: DetailQueue) -> None:
    for number, need in enumerate([*reversed(DETAIL_ORDER), *DETAIL_ORDER]):
        details.put(detail(need, number))
    taken = details.take(99)
    assert [each.need for each in taken] == [need for need in DETAIL_ORDER for _ in range(2)]
    for first, second in zip(taken[::2], taken[1::2], strict=True):
        assert first.due.asin < second.due.asin


def test_no_more_are_taken_than_asked_for(details: DetailQueue) -> None:
    for number in range(5):
        details.put(detail(DetailNeed.CHANGED, number))
    assert [len(details.take(count)) for count in (2, 2, 2, 2)] == [2, 2, 1, 0]


def test_so_many_are_waited_for(details: DetailQueue) -> None:
    waited = in_a_thread(lambda: details.wait_for(3))
    for number in range(3):
        details.put(detail(DetailNeed.CHANGED, number))
    assert waited() is True


def test_when_no_more_will_come_fewer_are_enough(details: DetailQueue) -> None:
    details.put(detail(DetailNeed.CHANGED))
    waited = in_a_thread(lambda: details.wait_for(20))
    details.complete()
    assert waited() is True


def test_an_empty_queue_that_is_complete_has_none(details: DetailQueue) -> None:
    waited = in_a_thread(lambda: details.wait_for(1))
    details.complete()
    assert waited() is False
    details.put(detail(DetailNeed.INCONCLUSIVE))
    assert details.wait_for(20)


def test_whoever_waits_is_woken_when_all_is_stopped(
    details: DetailQueue, stoppable: StoppableClock
) -> None:
    details.put(detail(DetailNeed.CHANGED))
    waited = in_a_thread(lambda: details.wait_for(20))
    stoppable.stop()
    details.wake()
    assert waited() is False
    assert not details.wait_for(1)


@pytest.mark.parametrize("need", sorted(set(DetailNeed) - OPTIONAL_DETAILS))
def test_what_is_needed_may_wait_until_the_deadline(
    details: DetailQueue, clock: FakeClock, need: DetailNeed
) -> None:
    details.put(detail(DetailNeed.RECHECK))
    details.put(detail(need))
    details.complete()
    clock.advance(hours=1)
    assert details.until(DEADLINE) == DEADLINE


@pytest.mark.parametrize(
    ("need", "budget"),
    [(DetailNeed.RECHECK, RECHECK_BUDGET), (DetailNeed.SPARE, timedelta(0))],
)
def test_what_is_optional_waits_only_so_long_after_the_sweep(
    details: DetailQueue, clock: FakeClock, need: DetailNeed, budget: timedelta
) -> None:
    details.put(detail(need))
    assert details.until(DEADLINE) == DEADLINE
    clock.advance(seconds=60)
    details.complete()
    assert details.until(DEADLINE) == MIDDAY + timedelta(seconds=60) + budget
    assert details.until(MIDDAY) == MIDDAY
