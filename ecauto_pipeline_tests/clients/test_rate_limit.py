"""Waiting for a turn: never too early for the server, never longer than needed."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ecauto_pipeline.clients.rate_limit import LONGEST_BLOCK_SECONDS, PACING, Pacer, RateStore, Turn
from ecauto_pipeline.errors import Deferred, Throttled
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

INTERVAL = 2 / PACING
"""Seconds between turns of a bucket with a published rate of 0.5 a second."""


class NoDice(random.Random):
    """Chance that always gives the least."""

    def uniform(self, a: float, b: float) -> float:
        """The least."""
        return a


class StrictServer:
    """A marketplace whose bucket of one token refuses what comes too early."""

    def __init__(self, clock: FakeClock, per_second: float) -> None:
        self._clock = clock
        self._interval = timedelta(seconds=1 / per_second)
        self._next_at = clock.now()
        self.passed = self.refused = 0

    def call(self, upward: float, downward: float) -> bool:
        """Whether the call passes; the times are those of its way there and back."""
        self._clock.sleep(upward)
        now = self._clock.now()
        passes = now >= self._next_at
        if passes:
            self._next_at = now + self._interval
        self.passed += passes
        self.refused += not passes
        self._clock.sleep(downward)
        return passes


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[RateStore]:
    """Buckets that go by the test's clock; PostgreSQL goes by its own."""
    engine = database.open_engine(f"sqlite:///{tmp_path / 'buckets.sqlite'}")
    rate_buckets.create(engine)
    yield RateBuckets(engine, clock)
    engine.dispose()


@pytest.fixture
def pacer(store: RateStore, clock: FakeClock) -> Pacer:
    return configured(store, clock)


def configured(store: RateStore, clock: FakeClock, burst: float = 1) -> Pacer:
    pacer = Pacer(store, clock, dice=NoDice())
    pacer.configure("a", 0.5, burst)
    return pacer


def answer(pacer: Pacer, turn: Turn, clock: FakeClock, latency: float) -> None:
    sent_at = clock.now()
    clock.sleep(latency)
    pacer.answered(turn, sent_at, clock.now())


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=1e-4)


def since_midday(clock: FakeClock) -> float:
    return (clock.now() - MIDDAY).total_seconds()


def test_turns_keep_a_margin_below_the_published_rate(pacer: Pacer, clock: FakeClock) -> None:
    for _ in range(4):
        pacer.wait_turn("a")
    assert clock.slept == [near(INTERVAL)] * 3


def test_a_turn_knows_when_it_began(pacer: Pacer, clock: FakeClock) -> None:
    pacer.wait_turn("a")
    assert pacer.wait_turn("a") == Turn("a", clock.now())


def test_nobody_waits_who_comes_late_enough(pacer: Pacer, clock: FakeClock) -> None:
    for _ in range(3):
        pacer.wait_turn("a")
        clock.advance(seconds=5)
    assert clock.slept == []


@pytest.mark.parametrize(("burst", "at_once"), [(1, 1), (1.5, 1), (2, 1), (3, 2), (10, 9)])
def test_one_token_of_a_burst_is_left_alone(
    store: RateStore, clock: FakeClock, burst: float, at_once: int
) -> None:
    pacer = configured(store, clock, burst)
    for _ in range(at_once):
        pacer.wait_turn("a")
    assert clock.slept == []
    pacer.wait_turn("a")
    assert len(clock.slept) == 1


def test_a_turn_after_the_deadline_is_not_booked(pacer: Pacer, clock: FakeClock) -> None:
    pacer.wait_turn("a")
    with pytest.raises(Deferred, match="a: the next turn"):
        pacer.wait_turn("a", until=clock.now() + timedelta(seconds=1))
    assert clock.slept == []
    pacer.wait_turn("a", until=clock.now() + timedelta(seconds=3))
    assert clock.slept == [near(INTERVAL)]


def test_a_deadline_that_has_passed_gives_no_turn(pacer: Pacer, clock: FakeClock) -> None:
    with pytest.raises(Deferred):
        pacer.wait_turn("a", until=clock.now() - timedelta(seconds=1))


def test_long_waits_are_told_before_they_begin(store: RateStore, clock: FakeClock) -> None:
    told: list[tuple[str, float, int]] = []
    pacer = Pacer(store, clock, lambda name, wait: told.append((name, wait, len(clock.slept))))
    pacer.configure("slow", 0.5, 1)
    pacer.configure("fast", 2, 1)
    for name in ("slow", "slow", "fast", "fast"):
        pacer.wait_turn(name)
    assert told == [("slow", near(INTERVAL), 0)]


def test_a_refusal_makes_everybody_wait(pacer: Pacer, store: RateStore, clock: FakeClock) -> None:
    other = configured(store, clock)
    pacer.throttled(pacer.wait_turn("a"), 10)
    other.wait_turn("a")
    assert clock.slept == [near(10)]


def test_refusals_in_a_row_wait_longer_up_to_a_limit(pacer: Pacer, store: RateStore) -> None:
    turn = Turn("a", MIDDAY)
    pauses: list[float] = []
    for _ in range(30):
        pacer.throttled(turn, None)
        pauses.append(store.blocked_for("a"))
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == LONGEST_BLOCK_SECONDS


def test_an_answer_ends_the_row_of_refusals(
    pacer: Pacer, store: RateStore, clock: FakeClock
) -> None:
    turn = Turn("a", MIDDAY)
    for _ in range(3):
        pacer.throttled(turn, None)
    clock.advance(seconds=60)
    answer(pacer, pacer.wait_turn("a"), clock, 0.1)
    pacer.throttled(turn, None)
    assert store.blocked_for("a") == 2


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(None, 2), (0.5, 2), (30, 30), (86_400, LONGEST_BLOCK_SECONDS)]
)
def test_what_the_marketplace_asks_for_is_respected(
    pacer: Pacer, store: RateStore, retry_after: float | None, pause: float
) -> None:
    pacer.throttled(Turn("a", MIDDAY), retry_after)
    assert store.blocked_for("a") == pause


def test_pauses_differ_by_chance(store: RateStore, clock: FakeClock) -> None:
    pauses: set[float] = set()
    for seed in range(20):
        pacer = Pacer(store, clock, dice=random.Random(seed))
        pacer.configure("a", 0.5, 1)
        pacer.throttled(Turn("a", MIDDAY), None)
        pauses.add(store.blocked_for("a"))
        clock.advance(hours=1)
    assert len(pauses) == 20
    assert min(pauses) >= 2
    assert max(pauses) <= 4


class WakingClock(FakeClock):
    """A clock on which something happens during the first wait."""

    meanwhile: Callable[[], None] | None = None

    def sleep(self, seconds: float) -> None:
        """Wait, and let it happen."""
        super().sleep(seconds)
        if seconds > 0 and self.meanwhile:
            happening, self.meanwhile = self.meanwhile, None
            happening()


@pytest.fixture
def clock() -> WakingClock:
    return WakingClock()


@pytest.mark.parametrize("burst", [1, 2])
def test_who_has_booked_waits_out_a_block(
    store: RateStore, clock: WakingClock, burst: float
) -> None:
    pacer = configured(store, clock, burst)
    pacer.wait_turn("a")
    clock.meanwhile = lambda: store.block("a", 30)
    turn = pacer.wait_turn("a")
    assert clock.slept == [near(INTERVAL), near(30)]
    assert turn.slot_at == clock.now()


def test_who_has_booked_gives_up_if_the_block_outlasts_the_deadline(
    pacer: Pacer, store: RateStore, clock: WakingClock
) -> None:
    pacer.wait_turn("a")
    clock.meanwhile = lambda: store.block("a", 30)
    with pytest.raises(Deferred):
        pacer.wait_turn("a", until=clock.now() + timedelta(seconds=20))


def test_blocks_without_end_are_an_error(
    pacer: Pacer, store: RateStore, clock: WakingClock
) -> None:
    def block_again() -> None:
        store.block("a", 30)
        clock.meanwhile = block_again

    pacer.wait_turn("a")
    clock.meanwhile = block_again
    with pytest.raises(Throttled, match="again and again"):
        pacer.wait_turn("a")


def test_who_has_booked_waits_out_a_delay_and_keeps_the_place(
    pacer: Pacer, store: RateStore, clock: WakingClock
) -> None:
    pacer.wait_turn("a")
    clock.meanwhile = lambda: store.delay("a", 0.3)
    turn = pacer.wait_turn("a")
    assert clock.slept == [near(INTERVAL), near(0.3)]
    assert turn.slot_at == clock.now()


def test_who_wakes_up_late_keeps_the_next_one_at_a_distance(
    pacer: Pacer, clock: WakingClock
) -> None:
    pacer.wait_turn("a")
    clock.meanwhile = lambda: clock.advance(seconds=1.5)
    late = pacer.wait_turn("a")
    assert 2 < (pacer.wait_turn("a").slot_at - late.slot_at).total_seconds() < INTERVAL


def test_a_late_arrival_delays_the_next_request(pacer: Pacer, clock: FakeClock) -> None:
    answer(pacer, pacer.wait_turn("a"), clock, 0.0)
    answer(pacer, pacer.wait_turn("a"), clock, 0.1)
    answer(pacer, pacer.wait_turn("a"), clock, 0.6)
    sent_at = clock.now()
    pacer.wait_turn("a")
    # It may have arrived half a second late: the next keeps the server's distance from then.
    assert 2.5 - 0.6 <= (clock.now() - sent_at).total_seconds() < 2.5 - 0.6 + INTERVAL - 2


def test_within_the_margin_nothing_is_delayed(pacer: Pacer, clock: FakeClock) -> None:
    for latency in (0.05, 0.05, 0.07, 0.06, 0.08):
        answer(pacer, pacer.wait_turn("a"), clock, latency)
    pacer.wait_turn("a")
    assert since_midday(clock) == near(5 * INTERVAL)


def test_a_burst_forgives_late_arrivals(store: RateStore, clock: FakeClock) -> None:
    pacer = configured(store, clock, burst=2)
    for latency in (0.1, 1.5, 0.1, 1.5):
        answer(pacer, pacer.wait_turn("a"), clock, latency)
    pacer.wait_turn("a")
    assert since_midday(clock) == near(4 * INTERVAL)


@pytest.mark.parametrize(("per_second", "jitter"), [(0.1, 0.03), (0.5, 0.03), (40, 0.0003)])
def test_a_strict_server_is_used_up_and_hardly_refuses(
    store: RateStore, clock: FakeClock, per_second: float, jitter: float
) -> None:
    calls, dice = 1500, random.Random(7)
    server = StrictServer(clock, per_second)
    pacer = Pacer(store, clock, dice=random.Random(8))
    pacer.configure("a", per_second, 1)
    start = clock.now()
    for _ in range(calls):
        turn = pacer.wait_turn("a")
        clock.sleep(dice.expovariate(30 / jitter))
        slow = dice.expovariate(0.06 / jitter) if dice.random() < 0.01 else 0.0
        sent_at = clock.now()
        if server.call(dice.uniform(1, 2) * jitter + slow, dice.uniform(1, 2) * jitter):
            pacer.answered(turn, sent_at, clock.now())
        else:
            pacer.throttled(turn, None)
    assert server.refused <= calls / 1000
    assert used_share(server, start, clock.now(), per_second) >= 0.93


def used_share(server: StrictServer, start: datetime, end: datetime, per_second: float) -> float:
    return (server.passed - 1) / (end - start).total_seconds() / per_second


def test_a_learned_rate_holds_for_all(pacer: Pacer, store: RateStore, clock: FakeClock) -> None:
    other = configured(store, clock)
    pacer.learned("a", 1.0)
    for _ in range(3):
        other.wait_turn("a")
    assert clock.slept == [near(1 / PACING)] * 2


@pytest.mark.parametrize(
    ("named", "believed"), [(0.001, 0.25), (0.25, 0.25), (3.0, 3.0), (5.0, 5.0), (100.0, 5.0)]
)
def test_a_learned_rate_is_believed_within_bounds(
    pacer: Pacer, clock: FakeClock, named: float, believed: float
) -> None:
    pacer.learned("a", named)
    for _ in range(2):
        pacer.wait_turn("a")
    assert clock.slept == [near(1 / believed / PACING)]


class CountingStore(RateBuckets):
    """Buckets that count what is learned."""

    learnings = 0

    def learn(self, bucket: str, per_second: float) -> None:
        """Count, then learn."""
        self.learnings += 1
        super().learn(bucket, per_second)


def test_what_is_known_is_not_written_again(tmp_path: Path, clock: FakeClock) -> None:
    engine = database.open_engine(f"sqlite:///{tmp_path / 'counting.sqlite'}")
    rate_buckets.create(engine)
    store = CountingStore(engine, clock)
    pacer = configured(store, clock)
    for rate in (0.5, 0.5, 0.6, 0.6, 0.5):
        pacer.learned("a", rate)
    engine.dispose()
    assert store.learnings == 3


def test_what_another_process_learned_is_corrected(
    pacer: Pacer, store: RateStore, clock: FakeClock
) -> None:
    pacer.learned("a", 5.0)
    restarted = configured(store, clock)
    restarted.learned("a", 0.5)
    for _ in range(2):
        restarted.wait_turn("a")
    assert clock.slept == [near(INTERVAL)]
