"""Turns follow what Shopify says of its budgets, shared by all processes."""

from collections.abc import Callable

import pytest

from ecauto_pipeline.clients.rate_limit import LONGEST_BLOCK_SECONDS, PACING
from ecauto_pipeline.clients.shopify.pacing import (
    BLOCK_SECONDS,
    STANDARD_GRAPHQL,
    STANDARD_REST,
    Budget,
    Cost,
    ShopifyPacing,
    graphql_cost,
    rest_budget,
)
from ecauto_pipeline.errors import Throttled
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.clients.shopify.rig import cost
from ecauto_pipeline_tests.fakes import FakeClock


@pytest.fixture
def rates(clock: FakeClock) -> RateBuckets:
    engine = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(engine)
    return RateBuckets(engine, clock)


@pytest.fixture
def pacing(rates: RateBuckets, clock: FakeClock) -> ShopifyPacing:
    return ShopifyPacing(rates, clock)


def waited(clock: FakeClock, work: Callable[[], object]) -> float:
    """How long something takes."""
    before = clock.now()
    work()
    return (clock.now() - before).total_seconds()


def test_a_new_bucket_is_the_smallest_plans(pacing: ShopifyPacing, clock: FakeClock) -> None:
    times = [waited(clock, lambda: pacing.wait_turn("a", 500, STANDARD_GRAPHQL)) for _ in range(5)]
    assert times == pytest.approx([0, 0, 0, 0, 500 / (100 * PACING)], abs=1e-3)


def test_another_process_takes_over_what_is_known(
    pacing: ShopifyPacing, rates: RateBuckets, clock: FakeClock
) -> None:
    pacing.noted("a", Budget(1000, 20000, 20000))
    ShopifyPacing(rates, clock).wait_turn("a", 100, STANDARD_GRAPHQL)
    (state,) = rates.snapshot()
    assert (state.per_second, state.burst) == (1000 * PACING, 20000)


def test_a_larger_plan_is_noticed(pacing: ShopifyPacing, clock: FakeClock) -> None:
    pacing.wait_turn("a", 1, STANDARD_REST)
    pacing.noted("a", Budget(20, 400, 399))
    times = [waited(clock, lambda: pacing.wait_turn("a", 1, STANDARD_REST)) for _ in range(400)]
    assert sum(times) < 1, "nearly 400 calls at once, not 40"


def test_what_others_use_up_is_waited_for(pacing: ShopifyPacing, clock: FakeClock) -> None:
    pacing.wait_turn("a", 100, STANDARD_GRAPHQL)
    pacing.noted("a", Budget(100, 2000, 40))
    took = waited(clock, lambda: pacing.wait_turn("a", 100, STANDARD_GRAPHQL))
    assert took == pytest.approx(60 / (100 * PACING), abs=1e-3)


def test_what_was_taken_too_much_is_given_back(pacing: ShopifyPacing, clock: FakeClock) -> None:
    for _ in range(10):
        pacing.wait_turn("a", 1000, STANDARD_GRAPHQL)
        pacing.noted("a", Budget(100, 2000, 2000), unused=1000)
    assert clock.slept == []


def test_long_waits_are_told(rates: RateBuckets, clock: FakeClock) -> None:
    told: list[tuple[str, float]] = []
    pacing = ShopifyPacing(rates, clock, lambda bucket, wait: told.append((bucket, wait)))
    pacing.wait_turn("a", 2000, STANDARD_GRAPHQL)
    pacing.wait_turn("a", 50, STANDARD_GRAPHQL)
    pacing.wait_turn("a", 970, STANDARD_GRAPHQL)
    assert told == [("a", pytest.approx(10, abs=1e-3))]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, BLOCK_SECONDS), (2.0, 2.0), (0.0, BLOCK_SECONDS), (9999.0, LONGEST_BLOCK_SECONDS)],
)
def test_a_refusal_holds_everybody(
    pacing: ShopifyPacing, rates: RateBuckets, asked: float | None, pause: float
) -> None:
    pacing.wait_turn("a", 1, STANDARD_REST)
    pacing.refused("a", asked)
    assert rates.blocked_for("a") == pause


class BlockedWhileAsleep(FakeClock):
    """Whoever wakes up finds that somebody else was refused meanwhile, that often."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0
        self.rates: RateBuckets | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if seconds > 0 and self.times and self.rates:
            self.times -= 1
            self.rates.block("a", 60)


@pytest.fixture
def clock() -> BlockedWhileAsleep:
    return BlockedWhileAsleep()


def test_a_turn_lost_by_a_refusal_is_booked_again(
    pacing: ShopifyPacing, rates: RateBuckets, clock: BlockedWhileAsleep
) -> None:
    pacing.wait_turn("a", 40, STANDARD_REST)
    clock.rates, clock.times = rates, 3
    assert waited(clock, lambda: pacing.wait_turn("a", 1, STANDARD_REST)) > 180


def test_nobody_waits_for_a_turn_for_ever(
    pacing: ShopifyPacing, rates: RateBuckets, clock: BlockedWhileAsleep
) -> None:
    pacing.wait_turn("a", 40, STANDARD_REST)
    clock.rates, clock.times = rates, 1000
    with pytest.raises(Throttled, match="again and again"):
        pacing.wait_turn("a", 1, STANDARD_REST)


def test_headers_of_rest_tell_the_plan() -> None:
    header = "X-Shopify-Shop-Api-Call-Limit"
    assert rest_budget({header: "32/40"}) == Budget(2, 40, 8)
    assert rest_budget({header: "401/400"}) == Budget(20, 400, 0)
    for strange in ({}, {header: ""}, {header: "1/0"}, {header: "a/b"}, {header: "-1/40"}):
        assert rest_budget(strange) is None


def test_answers_of_graphql_tell_price_and_plan() -> None:
    body = {"extensions": {"cost": cost(57, 1943, actual=50)}}
    assert graphql_cost(body) == Cost(57, 50, Budget(100, 2000, 1943))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"extensions": None},
        {"extensions": {"cost": {"throttleStatus": []}}},
        {"extensions": {"cost": cost(float("nan"), 5, rate=0)}},
    ],
)
def test_answers_without_a_price_tell_nothing(body: dict[str, object]) -> None:
    assert graphql_cost(body) == Cost(None, None, None)
