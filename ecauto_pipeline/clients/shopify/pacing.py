"""Waiting for one's turn at a store: budgets that Shopify tells with every answer."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecauto_pipeline.clients.json_body import mapping
from ecauto_pipeline.clients.rate_limit import (
    LONGEST_BLOCK_SECONDS,
    PACING,
    REPORTED_WAIT_SECONDS,
    RateStore,
)
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import Throttled

MOST_BOOKINGS = 50

BLOCK_SECONDS = 1.0
"""The pause after a refusal that does not say how long: what Shopify recommends."""

REST_FILLS_IN_SECONDS = 20
"""On every plan the bucket of REST calls is empty again after that long."""

_CALLS = re.compile(r"(?P<used>[0-9]{1,6})/(?P<size>[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Budget:
    """What comes in a second, how much can be saved up, and how much is left."""

    per_second: float
    size: float
    available: float


STANDARD_GRAPHQL = Budget(per_second=100, size=2000, available=2000)
STANDARD_REST = Budget(per_second=2, size=40, available=40)
"""Those of the smallest plan, until the first answer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a GraphQL answer says about its price; None: nothing."""

    requested: float | None
    actual: float | None
    budget: Budget | None


class ShopifyPacing:
    """Turns for the calls of one process; the buckets are shared by all."""

    def __init__(
        self,
        rates: RateStore,
        clock: Clock,
        on_wait: Callable[[str, float], None] | None = None,
    ) -> None:
        self._rates = rates
        self._clock = clock
        self._on_wait = on_wait
        self._known: dict[str, tuple[float, float]] = {}

    def wait_turn(self, bucket: str, cost: float, at_first: Budget) -> None:
        """Sleep until the bucket holds the cost, which is taken; a new one begins as `at_first`.

        Raises:
            Throttled: Shopify refuses everybody's calls again and again.
        """
        for _ in range(MOST_BOOKINGS):
            try:
                wait = self._rates.reserve(bucket, cost=cost) or 0.0
            except LookupError:
                # Another process may know the bucket better: it is made only if there is none.
                self._rates.configure(bucket, at_first.per_second * PACING, at_first.size)
                wait = self._rates.reserve(bucket, cost=cost) or 0.0
            if self._on_wait and wait >= REPORTED_WAIT_SECONDS:
                self._on_wait(bucket, wait)
            self._clock.sleep(wait)
            if wait == 0 or self._rates.blocked_for(bucket) == 0:
                return
        raise Throttled(f"{bucket}: refused again and again, no turn to be had")

    def noted(self, bucket: str, budget: Budget, *, unused: float = 0.0) -> None:
        """Take note of what an answer says, and of what it cost less than was taken."""
        quota = (budget.per_second, budget.size)
        if self._known.get(bucket) != quota:
            self._rates.configure(bucket, budget.per_second * PACING, budget.size)
            self._known[bucket] = quota
        self._rates.note_level(bucket, budget.available, unused=max(0.0, unused))

    def refused(self, bucket: str, seconds: float | None) -> None:
        """Take note of a refusal: everybody waits that long."""
        pause = BLOCK_SECONDS if seconds is None else max(seconds, BLOCK_SECONDS)
        self._rates.block(bucket, min(pause, LONGEST_BLOCK_SECONDS))


def rest_budget(headers: Mapping[str, str]) -> Budget | None:
    """The budget in the headers of a REST answer, such as `32/40`."""
    found = _CALLS.fullmatch(headers.get("X-Shopify-Shop-Api-Call-Limit", ""))
    if found is None:
        return None
    used, size = int(found["used"]), int(found["size"])
    return Budget(size / REST_FILLS_IN_SECONDS, size, max(0, size - used))


def graphql_cost(body: Mapping[str, Any]) -> Cost:
    """The price and the budget in a GraphQL answer."""
    cost = mapping(mapping(body.get("extensions")).get("cost"))
    status = mapping(cost.get("throttleStatus"))
    rate, size = _number(status.get("restoreRate")), _number(status.get("maximumAvailable"))
    available = _number(status.get("currentlyAvailable"))
    return Cost(
        _number(cost.get("requestedQueryCost")),
        _number(cost.get("actualQueryCost")),
        Budget(rate, size, available) if rate and size and available is not None else None,
    )


def _number(value: object) -> float | None:
    """A sane number, not below nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(max(0, value)) if math.isfinite(value) else None
