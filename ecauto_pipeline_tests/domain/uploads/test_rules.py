"""What an item is known by, when its turn is, and how long things take."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.uploads.rules import (
    UploadRules,
    asin_of_identifier,
    first_free_identifier,
    free_slots,
    identifier_for,
)

ASIN = "B0FGQJ45HW"
RULES = UploadRules()


def japan(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=JAPAN)


def test_an_identifier_is_the_same_however_often_it_is_computed() -> None:
    assert identifier_for(ASIN, 1) == identifier_for(ASIN, 1) == "b-B0FGQJ45HW-1"


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], "b-B0FGQJ45HW-1"),
        ([None], "b-B0FGQJ45HW-1"),
        (["b-B0FGQJ45HW-1"], "b-B0FGQJ45HW-2"),
        (["b-B0FGQJ45HW-2"], "b-B0FGQJ45HW-1"),
        (["b-B0FGQJ45HW-20251101093000"], "b-B0FGQJ45HW-1"),
    ],
)
def test_the_first_free_generation_is_taken(taken: list[str | None], free: str) -> None:
    assert first_free_identifier(ASIN, taken) == free


@given(generation=st.integers(1, 10**6))
def test_our_own_identifiers_are_recognised(generation: int) -> None:
    assert asin_of_identifier(identifier_for(ASIN, generation)) == ASIN


@pytest.mark.parametrize(
    "identifier",
    [
        f"b-{ASIN}-20251101093000",
        f"s-{ASIN}-1700000000",
        f"base-{ASIN}-1700000000",
        f"BASE-{ASIN}",
        f"b-{ASIN.lower()}-1",
        f" b-{ASIN}-1 ",
        f"s-{ASIN}-1700000000_12",
        f"b-{ASIN}_2",
    ],
)
def test_version_1_s_identifiers_are_recognised(identifier: str) -> None:
    assert asin_of_identifier(identifier) == ASIN


@pytest.mark.parametrize(
    "identifier", [None, "", "ABC-123", ASIN, f"x-{ASIN}-1", f"b-{ASIN}-1-2", "b-ペンケース-1"]
)
def test_anybody_else_s_are_not(identifier: str | None) -> None:
    assert asin_of_identifier(identifier) is None


def test_looking_up_proves_something_only_after_the_lease_and_both_delays() -> None:
    rules = UploadRules(late_apply=timedelta(seconds=40), visibility_lag=timedelta(seconds=2))
    assert rules.settled_after_lease == timedelta(seconds=42)
    assert rules.looks == 3


def test_retries_wait_twice_as_long_each_time_and_an_hour_at_most() -> None:
    now = japan(20, 12)
    minutes = [(RULES.retry_at(now, n) - now).total_seconds() / 60 for n in range(8)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("now", "is_open", "opens_at"),
    [
        (japan(20, 5, 59, 59), False, japan(20, 6)),
        (japan(20, 6), True, japan(20, 6)),
        (japan(20, 12, 34, 56), True, japan(20, 12, 34, 56)),
        (japan(20, 22, 59, 59), True, japan(20, 22, 59, 59)),
        (japan(20, 23), False, japan(21, 6)),
        (japan(20, 0), False, japan(20, 6)),
    ],
)
def test_uploads_are_made_from_six_to_eleven_at_night_in_japan(
    now: datetime,
    is_open: bool,  # noqa: FBT001 - an answer
    opens_at: datetime,
) -> None:
    assert RULES.is_open(now.astimezone(UTC)) is is_open
    assert RULES.opens_at(now.astimezone(UTC)) == opens_at


def test_slots_are_spread_evenly_over_the_open_hours() -> None:
    slots = free_slots(japan(20, 0), None, 17, RULES)
    assert [slots.at(n) for n in (0, 1, 16, 17)] == [
        japan(20, 6),
        japan(20, 7),
        japan(20, 22),
        japan(21, 6),
    ]


def test_slots_follow_the_last_one_taken() -> None:
    assert free_slots(japan(20, 9, 30), japan(20, 14), 17, RULES).at(0) == japan(20, 15)
    assert free_slots(japan(20, 9, 30), japan(20, 22), 17, RULES).at(0) == japan(21, 6)
    assert free_slots(japan(20, 9, 30), japan(19, 22), 17, RULES).at(0) == japan(20, 10)


moments = st.timedeltas(timedelta(), timedelta(days=700)).map(japan(1, 0).astimezone(UTC).__add__)
hours = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda pair: pair[0] < pair[1])


@given(
    now=moments,
    taken=st.none() | st.timedeltas(timedelta(days=-30), timedelta(days=30)),
    per_day=st.integers(1, 5000),
    open_hours=hours,
    count=st.integers(1, 300),
)
def test_no_slot_is_outside_the_hours_or_beyond_the_daily_limit(
    now: datetime,
    taken: timedelta | None,
    per_day: int,
    open_hours: tuple[int, int],
    count: int,
) -> None:
    rules = UploadRules(from_hour=open_hours[0], to_hour=open_hours[1])
    last = None if taken is None else now + taken
    slots = free_slots(now, last, per_day, rules)
    times = [slots.at(number) for number in range(count)]
    assert all(rules.is_open(time) for time in times)
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[0] >= now
    assert last is None or times[0] > last
    assert max(Counter(time.astimezone(JAPAN).date() for time in times).values()) <= per_day


@given(now=moments, per_day=st.integers(1, 5000), first=st.integers(1, 50), more=st.integers(1, 50))
def test_filling_twice_keeps_the_daily_limit_as_well(
    now: datetime, per_day: int, first: int, more: int
) -> None:
    slots = free_slots(now, None, per_day, RULES)
    times = [slots.at(number) for number in range(first)]
    slots = free_slots(now, times[-1], per_day, RULES)
    times += [slots.at(number) for number in range(more)]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert max(Counter(time.astimezone(JAPAN).date() for time in times).values()) <= per_day
