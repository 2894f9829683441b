"""Turns are given in order and in time, whoever asks and whatever the clock does."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import CLOCK_SLACK_SECONDS, RateBuckets, RateWindows
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.children import at_once
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.postgres import with_frozen_clock

HOUR = timedelta(hours=1)


@pytest.fixture
def frozen_url(url: str) -> str:
    """The address of a database whose own clock stands still, too."""
    return with_frozen_clock(url)


@pytest.fixture
def frozen(frozen_url: str) -> Iterator[sa.Engine]:
    engine = database.open_engine(frozen_url)
    yield engine
    engine.dispose()


@pytest.fixture
def buckets(frozen: sa.Engine, clock: FakeClock) -> RateBuckets:
    return RateBuckets(frozen, clock)


@pytest.fixture
def sqlite(tmp_path: Path, clock: FakeClock) -> Iterator[RateBuckets]:
    """Buckets that go by the test's clock, to the microsecond."""
    engine = database.open_engine(f"sqlite:///{tmp_path / 'by_the_clock.sqlite'}")
    rate_buckets.create(engine)
    yield RateBuckets(engine, clock)
    engine.dispose()


@pytest.fixture
def windows(engine: sa.Engine, clock: FakeClock) -> RateWindows:
    return RateWindows(engine, clock)


def waits(buckets: RateBuckets, count: int, cost: float = 1.0) -> list[float]:
    """The waits of that many who ask at the same time."""
    return [buckets.reserve("a", cost=cost) or 0.0 for _ in range(count)]


def set_clock_back(engine: sa.Engine, **by: float) -> None:
    """Set the clock back as the database sees it: what is written lies in the future."""
    us = int(timedelta(**by) / timedelta(microseconds=1))
    names = ("tat_us", "blocked_until_us", "delayed_until_us", "seen_us")
    with engine.begin() as connection:
        changed = {name: rate_buckets.c[name] + us for name in names}
        connection.execute(sa.update(rate_buckets).values(changed))


def test_turns_come_one_after_the_other(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.5, burst=1)
    assert waits(buckets, 4) == [0, 2, 4, 6]


def test_turns_are_exactly_spaced(clock: FakeClock, sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=0.3, burst=1)
    slots = waits(sqlite, 5)
    assert [b - a for a, b in pairwise(slots)] == pytest.approx([1 / 0.3] * 4, abs=2e-6)


def test_a_burst_is_given_at_once_and_refills(clock: FakeClock, sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=2, burst=3)
    assert waits(sqlite, 5) == [0, 0, 0, 0.5, 1]
    clock.advance(seconds=60)
    assert waits(sqlite, 4) == [0, 0, 0, 0.5]


def test_half_a_burst_refills_in_half_the_time(clock: FakeClock, sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=1, burst=4)
    waits(sqlite, 4)
    clock.advance(seconds=2)
    assert waits(sqlite, 3) == [0, 0, 1]


def test_a_cost_takes_that_many_tokens(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=10)
    assert waits(buckets, 3, cost=5) == [0, 0, 5]


def test_a_wait_that_is_too_long_books_nothing(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    assert buckets.reserve("a", max_wait=0) == 0
    assert buckets.reserve("a", max_wait=5) is None
    assert buckets.reserve("a", max_wait=10) == 10
    assert buckets.reserve("a", max_wait=-1) is None
    assert buckets.reserve("a") == 20


def test_buckets_do_not_know_each_other(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    buckets.configure("b", per_second=0.1, burst=1)
    assert waits(buckets, 2) == [0, 10]
    assert buckets.reserve("b") == 0


def test_a_bucket_that_was_never_configured_is_an_error(buckets: RateBuckets) -> None:
    with pytest.raises(LookupError, match="no such bucket: a"):
        buckets.reserve("a")


def test_a_deep_queue_keeps_its_spacing(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.01, burst=1)
    assert waits(buckets, 5) == [0, 100, 200, 300, 400]


@pytest.mark.parametrize("burst", [1, 5])
def test_a_block_holds_everybody_and_empties_the_bucket(buckets: RateBuckets, burst: int) -> None:
    buckets.configure("a", per_second=1, burst=burst)
    assert buckets.blocked_for("a") == 0
    buckets.block("a", 30)
    assert buckets.blocked_for("a") == 30
    assert waits(buckets, 3) == [30, 31, 32]


def test_a_shorter_block_does_not_end_a_longer_one(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=1)
    buckets.block("a", 30)
    buckets.block("a", 2)
    assert buckets.blocked_for("a") == 30


def test_a_block_ends(clock: FakeClock, sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=1, burst=1)
    sqlite.block("a", 30)
    clock.advance(seconds=30)
    assert sqlite.blocked_for("a") == 0
    assert waits(sqlite, 2) == [0, 1]


def test_departures_keep_their_distance(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    assert [buckets.depart("a", spacing=0.8) for _ in range(3)] == [0, 8, 16]


def test_a_delay_holds_the_next_departure(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    buckets.delay("a", 12)
    buckets.delay("a", 3)
    assert [buckets.depart("a", spacing=0.8) for _ in range(2)] == [12, 20]
    assert waits(buckets, 2) == [0, 10]


def test_nobody_departs_during_a_block(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    buckets.block("a", 30)
    assert buckets.depart("a", spacing=0.8) is None


@pytest.mark.parametrize("seconds", [CLOCK_SLACK_SECONDS + 1, 3600, 365 * 86400])
def test_a_clock_set_back_stalls_nobody(
    buckets: RateBuckets, frozen: sa.Engine, seconds: float
) -> None:
    buckets.configure("a", per_second=0.5, burst=1)
    waits(buckets, 3)
    set_clock_back(frozen, seconds=seconds)
    assert waits(buckets, 3) == [6, 8, 10]


def test_a_clock_set_back_does_not_lengthen_a_block(
    buckets: RateBuckets, frozen: sa.Engine
) -> None:
    buckets.configure("a", per_second=1, burst=1)
    buckets.block("a", 30)
    set_clock_back(frozen, hours=1)
    assert buckets.blocked_for("a") == 30
    assert waits(buckets, 2) == [30, 31]
    assert buckets.blocked_for("a") == 30


def test_a_clock_a_little_behind_is_not_believed(buckets: RateBuckets, frozen: sa.Engine) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    waits(buckets, 1)
    set_clock_back(frozen, seconds=CLOCK_SLACK_SECONDS - 0.5)
    assert waits(buckets, 1) == [10.5]


def test_a_clock_set_forward_gives_the_burst_and_no_more(
    buckets: RateBuckets, frozen: sa.Engine
) -> None:
    buckets.configure("a", per_second=0.5, burst=2)
    waits(buckets, 10)
    set_clock_back(frozen, hours=-1)
    assert waits(buckets, 4) == [0, 0, 2, 4]


def test_a_clock_forward_and_back_again_stalls_nobody(
    clock: FakeClock, sqlite: RateBuckets
) -> None:
    sqlite.configure("a", per_second=0.5, burst=1)
    clock.advance(hours=1)
    waits(sqlite, 2)
    clock.advance(hours=-1)
    assert waits(sqlite, 2) == [4, 6]


def test_a_frozen_clock_still_gives_turns_in_order(sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=2, burst=1)
    assert waits(sqlite, 200) == [n / 2 for n in range(200)]


def test_what_one_learns_all_use(frozen: sa.Engine, clock: FakeClock, buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=1)
    RateBuckets(frozen, clock).learn("a", 0.1)
    assert waits(buckets, 3) == [0, 10, 20]


@pytest.mark.parametrize("available", [10.0, 4.0, 0.0])
def test_a_level_that_the_server_tells_is_waited_for(
    buckets: RateBuckets, available: float
) -> None:
    buckets.configure("a", per_second=1, burst=10)
    buckets.note_level("a", available)
    assert waits(buckets, 2, cost=5) == [max(0, 5 - available), 10 - available]


def test_no_more_is_assumed_than_is_known(buckets: RateBuckets) -> None:
    """The server does not know yet of what others have booked meanwhile."""
    buckets.configure("a", per_second=1, burst=10)
    assert waits(buckets, 2, cost=5) == [0, 0]
    buckets.note_level("a", 5)
    assert waits(buckets, 1, cost=5) == [5]


def test_what_was_booked_too_much_comes_back(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=10)
    waits(buckets, 1, cost=8)
    buckets.note_level("a", 9, unused=7)
    assert waits(buckets, 2, cost=5) == [0, 1]


def test_a_level_is_that_of_now(clock: FakeClock, sqlite: RateBuckets) -> None:
    sqlite.configure("a", per_second=2, burst=10)
    clock.advance(hours=1)
    sqlite.note_level("a", 0)
    assert waits(sqlite, 1, cost=4) == [2]
    clock.advance(hours=1)
    assert waits(sqlite, 2, cost=10) == [0, 5]


def test_a_level_does_not_end_a_block(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=10)
    buckets.block("a", 30)
    buckets.note_level("a", 10)
    assert waits(buckets, 1) == [30]


def test_configuring_the_same_again_keeps_queue_and_learned_rate(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=1)
    buckets.learn("a", 0.1)
    waits(buckets, 2)
    buckets.configure("a", per_second=1, burst=1)
    assert waits(buckets, 2) == [20, 30]


def test_another_configured_rate_forgets_queue_and_learned_rate(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=1, burst=1)
    buckets.learn("a", 0.001)
    waits(buckets, 3)
    buckets.configure("a", per_second=0.5, burst=1)
    assert waits(buckets, 2) == [2, 4]


def test_a_snapshot_shows_every_bucket(buckets: RateBuckets) -> None:
    assert buckets.snapshot() == []
    buckets.configure("b", per_second=0.5, burst=1)
    buckets.configure("a", per_second=2, burst=4)
    buckets.reserve("b")
    buckets.block("a", 30)
    first, second = buckets.snapshot()
    assert (first.bucket, first.per_second, first.burst) == ("a", 2, 4)
    assert (first.free_in_seconds, first.blocked_seconds) == (30, 30)
    assert (second.bucket, second.blocked_seconds) == ("b", 0)
    assert second.free_in_seconds == 2


def test_looking_does_not_book(buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.1, burst=1)
    for _ in range(3):
        buckets.snapshot()
    assert buckets.reserve("a") == 0


def test_a_window_gives_its_limit_and_starts_afresh(windows: RateWindows) -> None:
    assert [windows.take("a", MIDDAY, 3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert windows.used("a", MIDDAY) == 3
    assert windows.used("a", MIDDAY + HOUR) == 0
    assert windows.take("a", MIDDAY + HOUR, 3)
    assert windows.used("a", MIDDAY + HOUR) == 1


def test_a_cost_above_what_is_left_counts_nothing(windows: RateWindows) -> None:
    assert not windows.take("a", MIDDAY, limit=3, cost=4)
    assert windows.take("a", MIDDAY, limit=3, cost=2)
    assert not windows.take("a", MIDDAY, limit=3, cost=2)
    assert windows.take("a", MIDDAY, limit=3, cost=1)
    assert not windows.take("a", MIDDAY + HOUR, limit=3, cost=4)
    assert windows.used("a", MIDDAY) == 3


def test_a_clock_set_back_gives_no_second_window(windows: RateWindows) -> None:
    assert windows.take("a", MIDDAY, limit=2)
    assert windows.take("a", MIDDAY - HOUR, limit=2)
    assert not windows.take("a", MIDDAY - HOUR, limit=2)
    assert windows.used("a", MIDDAY) == 2


def test_a_window_can_be_used_up_at_a_word(windows: RateWindows) -> None:
    windows.exhaust("a", MIDDAY, limit=5)
    assert windows.used("a", MIDDAY) == 5
    assert not windows.take("a", MIDDAY, limit=5)
    assert windows.take("a", MIDDAY + HOUR, limit=5)
    windows.exhaust("a", MIDDAY + HOUR, limit=5)
    assert not windows.take("a", MIDDAY + HOUR, limit=5)


def test_using_up_never_counts_less(windows: RateWindows) -> None:
    windows.take("a", MIDDAY, limit=100, cost=50)
    windows.exhaust("a", MIDDAY, limit=10)
    assert windows.used("a", MIDDAY) == 50


def take_turns(url: str, count: int) -> list[float]:
    """The waits of a process that asks so often."""
    engine = database.open_engine(url)
    turns = waits(RateBuckets(engine, FakeClock()), count)
    engine.dispose()
    return turns


@pytest.mark.process
def test_processes_share_a_bucket(frozen_url: str, buckets: RateBuckets) -> None:
    buckets.configure("a", per_second=0.5, burst=10)
    reports = at_once(3, take_turns, frozen_url, 60)
    for report in reports:
        assert report == sorted(report)
    turns = sorted(wait for report in reports for wait in report)
    assert turns == [0] * 10 + [2 * number for number in range(1, 171)]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_postgresql_goes_by_its_own_clock(engine: sa.Engine, clock: FakeClock) -> None:
    buckets = RateBuckets(engine, clock)
    its_time = sa.select(sa.extract("epoch", sa.func.clock_timestamp()))
    buckets.configure("a", per_second=0.001, burst=1)
    with engine.connect() as connection:
        before = float(connection.execute(its_time).scalar_one())
        assert buckets.reserve("a") == 0
        clock.advance(days=1)
        wait = buckets.reserve("a")
        after = float(connection.execute(its_time).scalar_one())
    assert wait is not None
    assert before + 1000 <= after + wait
    assert wait <= 1000


def take_window(url: str, limit: int) -> int:
    engine = database.open_engine(url)
    windows = RateWindows(engine, FakeClock())
    taken = sum(windows.take("a", MIDDAY, limit) for _ in range(limit))
    engine.dispose()
    return taken


@pytest.mark.process
def test_processes_never_exceed_a_window(url: str, engine: sa.Engine) -> None:
    assert sum(at_once(4, take_window, url, 100)) == 100
    assert RateWindows(engine, FakeClock()).used("a", MIDDAY) == 100
