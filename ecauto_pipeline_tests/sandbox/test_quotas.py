"""Amazon's token buckets and BASE's hours and days."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.quotas import AMAZON_ALLOWANCES, ShopQuotas, TokenBuckets
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller, ShopCaller
from ecauto_pipeline_tests.sandbox.conftest import SHOPS


@pytest.fixture
def slow_amazon(world: World, clock: FakeClock) -> Iterator[AmazonCaller]:
    """Amazon at its published rates."""
    with Sandbox(world, clock=clock) as sandbox:
        caller = AmazonCaller(sandbox.url)
        yield caller
        caller.http.close()


def test_an_empty_bucket_is_429_until_it_has_refilled(
    slow_amazon: AmazonCaller, clock: FakeClock
) -> None:
    asins = FIRST_ASINS[:2]
    first = slow_amazon.competitive(asins)
    assert first.headers["x-amzn-RateLimit-Limit"] == "0.5"
    throttled = slow_amazon.competitive(asins)
    assert throttled.status_code == 429
    assert throttled.json()["errors"][0]["code"] == "QuotaExceeded"
    assert "x-amzn-RateLimit-Limit" not in throttled.headers
    assert "Retry-After" not in throttled.headers
    clock.advance(seconds=1.9)
    assert slow_amazon.competitive(asins).status_code == 429
    clock.advance(seconds=0.1)
    assert slow_amazon.competitive(asins).status_code == 200


def test_operations_do_not_share_a_bucket(slow_amazon: AmazonCaller) -> None:
    asins = FIRST_ASINS[:2]
    calls = (slow_amazon.competitive, slow_amazon.batch, slow_amazon.search)
    assert [call(asins).status_code for call in calls] == [200, 200, 200]
    assert slow_amazon.offers(asins[0]).status_code == 200
    assert slow_amazon.batch(asins).status_code == 429


@pytest.mark.parametrize("operation", AMAZON_ALLOWANCES)
def test_a_bucket_lets_through_its_burst_and_then_its_rate(operation: str) -> None:
    clock = FakeClock()
    buckets = TokenBuckets(clock)
    allowance = AMAZON_ALLOWANCES[operation]
    assert sum(buckets.take(operation) for _ in range(10)) == allowance.burst
    granted = 0
    for _ in range(1000):
        clock.advance(seconds=0.1)
        granted += buckets.take(operation)
    assert granted == pytest.approx(100 * allowance.per_second, abs=1)


def test_the_multiplier_scales_rate_and_burst() -> None:
    buckets = TokenBuckets(FakeClock(), 10)
    assert buckets.rate("getItemOffersBatch") == 1
    assert sum(buckets.take("getItemOffersBatch") for _ in range(30)) == 10


class Tally:
    """Counters in memory."""

    def __init__(self) -> None:
        self.numbers: Counter[tuple[str, str]] = Counter()

    def count(self, account_id: str, window: str) -> int:
        """How much was counted."""
        return self.numbers[account_id, window]

    def add(self, account_id: str, window: str) -> None:
        """Count one more."""
        self.numbers[account_id, window] += 1


def used_up(quotas: ShopQuotas, calls: int) -> list[str | None]:
    answers = [quotas.take_call("a") for _ in range(calls)]
    return [answer.error if answer else None for answer in answers]


def test_an_hour_of_calls_ends_on_the_hour() -> None:
    clock = FakeClock(datetime(2026, 11, 20, 3, 59, 30, tzinfo=UTC))
    quotas = ShopQuotas(Tally(), clock, 0.001)
    assert used_up(quotas, 6) == [None] * 5 + ["hour_api_limit"]
    assert quotas.take_call("b") is None
    clock.advance(seconds=30)
    assert quotas.take_call("a") is None


def test_a_day_of_calls_ends_at_midnight_in_japan() -> None:
    clock = FakeClock(datetime(2026, 11, 20, 15, 0, tzinfo=UTC))
    quotas = ShopQuotas(Tally(), clock, 0.001)
    for _ in range(20):
        assert used_up(quotas, 5) == [None] * 5
        clock.advance(hours=1)
    assert used_up(quotas, 1) == ["day_api_limit"]
    clock.advance(hours=4)
    assert used_up(quotas, 1) == [None]


def test_adding_items_has_a_quota_of_its_own(world: World, clock: FakeClock) -> None:
    with Sandbox(world, SHOPS, clock=clock, rate_multiplier=0.002) as sandbox:
        shop = ShopCaller(sandbox.url, SHOPS[0])
        shop.refresh()
        assert [shop.add().status_code for _ in range(2)] == [200, 200]
        refused = shop.add()
        assert (refused.status_code, refused.json()["error"]) == (400, "exceed_daily_limit")
        assert shop.get("items").status_code == 200
        while (response := shop.get("items")).status_code == 200:
            continue
        assert response.json()["error"] == "hour_api_limit"
        assert sandbox.calls(account=SHOPS[0].account_id, status=200) == 9
        shop.http.close()
