"""How much each marketplace lets through, as published, times a multiplier."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecauto_pipeline.clock import JAPAN, Clock


@dataclass(frozen=True, slots=True)
class Allowance:
    """A token bucket's refill and size."""

    per_second: float
    burst: float


# The default rates and bursts of the published models; an account may have others.
AMAZON_ALLOWANCES: Mapping[str, Allowance] = {
    "searchCatalogItems": Allowance(2, 2),
    "getCatalogItem": Allowance(2, 2),
    "getCompetitivePricing": Allowance(0.5, 1),
    "getItemOffers": Allowance(0.5, 1),
    # It was 0.5 until July 2023: rates are cut now and then.
    "getItemOffersBatch": Allowance(0.1, 1),
}


class TokenBuckets:
    """A bucket for each operation of Amazon's; full to begin with."""

    def __init__(self, clock: Clock, multiplier: float = 1.0) -> None:
        self._clock = clock
        self._multiplier = multiplier
        self._levels: dict[str, tuple[float, datetime]] = {}
        self._lock = threading.Lock()

    def rate(self, operation: str) -> float:
        """What the header x-amzn-RateLimit-Limit tells: requests a second."""
        return AMAZON_ALLOWANCES[operation].per_second * self._multiplier

    def take(self, operation: str) -> bool:
        """Take one token, if there is one."""
        now = self._clock.now()
        size = max(1.0, AMAZON_ALLOWANCES[operation].burst * self._multiplier)
        with self._lock:
            level, at = self._levels.get(operation, (size, now))
            waited = max(0.0, (now - at).total_seconds())
            level = min(size, level + waited * self.rate(operation))
            # What floats lose in adding up must not cost a token.
            granted = level >= 1 - 1e-9
            self._levels[operation] = (level - granted, now)
        return granted


@dataclass(frozen=True, slots=True)
class ShopifyPlan:
    """What a store's plan lets through: requests of REST, points of GraphQL."""

    rest: Allowance
    graphql: Allowance


# Every bucket fills in 20 s. The sizes of GraphQL's were observed, Enterprise's follow from it.
SHOPIFY_PLANS: Mapping[str, ShopifyPlan] = {
    "standard": ShopifyPlan(Allowance(2, 40), Allowance(100, 2_000)),
    "advanced": ShopifyPlan(Allowance(4, 80), Allowance(200, 4_000)),
    "plus": ShopifyPlan(Allowance(20, 400), Allowance(1_000, 20_000)),
    "enterprise": ShopifyPlan(Allowance(40, 800), Allowance(2_000, 40_000)),
}


class PointBucket:
    """Shopify's leaky bucket, seen from what is left in it; full to begin with."""

    def __init__(self, clock: Clock, allowance: Allowance, multiplier: float = 1.0) -> None:
        self._clock = clock
        self.per_second = float(allowance.per_second * multiplier)
        self.size = float(allowance.burst * multiplier)
        self._level = self.size
        self._at = clock.now()
        self._lock = threading.Lock()

    def take(self, points: float) -> bool:
        """Take so many points, if there are as many."""
        with self._lock:
            self._restore()
            granted = self._level >= points - 1e-9
            self._level -= points if granted else 0
        return granted

    def give_back(self, points: float) -> None:
        """Put back what was not used after all."""
        with self._lock:
            self._level = min(self.size, self._level + points)

    def level(self) -> float:
        """How much could be taken now."""
        with self._lock:
            self._restore()
            return self._level

    def _restore(self) -> None:
        now = self._clock.now()
        waited = max(0.0, (now - self._at).total_seconds())
        self._level = min(self.size, self._level + waited * self.per_second)
        self._at = now


class Counters(Protocol):
    """Numbers that survive a restart."""

    def count(self, account_id: str, window: str) -> int:
        """How much was counted in a window."""
        ...

    def add(self, account_id: str, window: str) -> None:
        """Count one more."""
        ...


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit of BASE's that a call would break: its error and description."""

    error: str
    description: str


# This text is the real one of December 2025; the documentation has another.
HOUR = Exceeded(
    "hour_api_limit",
    "1時間のAPIの利用回数を超えました。時間が経ってから再度アクセスしてください。",
)
DAY = Exceeded(
    "day_api_limit",
    "1日のAPIの利用上限を超えました。日付が変わってからもう一度アクセスしてください。",
)
ADDS = Exceeded("exceed_daily_limit", "1日の商品登録数の上限を超えました。")


class ShopQuotas:
    """BASE's limits for each account: they start afresh at :00 and at midnight in Japan."""

    CALLS_AN_HOUR = 5_000
    CALLS_A_DAY = 100_000
    # Told by sellers and their tools.
    ADDS_A_DAY = 1_000

    def __init__(self, counters: Counters, clock: Clock, multiplier: float = 1.0) -> None:
        self._counters = counters
        self._clock = clock
        self._multiplier = multiplier

    def take_call(self, account_id: str) -> Exceeded | None:
        """Count a call, or say which limit forbids it."""
        # The hour ends at :00, not an hour after the first call.
        now = self._clock.now().astimezone(JAPAN)
        hour, day = f"hour {now:%Y-%m-%d %H}", f"day {now:%Y-%m-%d}"
        if self._full(account_id, hour, self.CALLS_AN_HOUR):
            return HOUR
        if self._full(account_id, day, self.CALLS_A_DAY):
            return DAY
        self._counters.add(account_id, hour)
        self._counters.add(account_id, day)
        return None

    def take_add(self, account_id: str) -> Exceeded | None:
        """Count an added item, or say that the day's are used up."""
        window = f"adds {self._clock.now().astimezone(JAPAN):%Y-%m-%d}"
        if self._full(account_id, window, self.ADDS_A_DAY):
            return ADDS
        self._counters.add(account_id, window)
        return None

    def _full(self, account_id: str, window: str, limit: int) -> bool:
        return self._counters.count(account_id, window) >= limit * self._multiplier
