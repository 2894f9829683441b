"""The products whose offers are to be read, most urgent first."""

import heapq
import itertools
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecauto_pipeline.clock import StoppableClock
from ecauto_pipeline.domain.amazon.facts import (
    DETAIL_ORDER,
    OPTIONAL_DETAILS,
    CompetitivePrice,
    DetailNeed,
    ItemOffers,
    KnownOffers,
)
from ecauto_pipeline.domain.amazon.freshness import Due


@dataclass(frozen=True, slots=True)
class Detail:
    """A product whose offers are to be read, and why; `again` after a contradiction."""

    due: Due
    known: KnownOffers
    need: DetailNeed
    swept: CompetitivePrice | None = None
    again: bool = False

    def contradicts(self, answer: ItemOffers) -> bool:
        """The sweep counted new offers, now there are none: not to be believed at once."""
        counted = self.swept is not None and bool(self.swept.new_offers)
        none_now = answer.status in {"Success", "NoBuyableOffers"} and not answer.offers
        return counted and none_now and not self.again

    def asked_again(self) -> "Detail":
        """First of all; but what is optional stays so, as its product is counted already."""
        need = self.need if self.need in OPTIONAL_DETAILS else DetailNeed.INCONCLUSIVE
        return replace(self, need=need, again=True)


class DetailQueue:
    """Filled by the sweep, emptied by the detail lanes."""

    def __init__(self, clock: StoppableClock, recheck_budget: timedelta) -> None:
        self._clock = clock
        self._recheck_budget = recheck_budget
        self._heap: list[tuple[int, int, Detail]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._complete_at: datetime | None = None

    def put(self, detail: Detail) -> None:
        """Add one."""
        with self._changed:
            rank = DETAIL_ORDER.index(detail.need)
            heapq.heappush(self._heap, (rank, next(self._order), detail))
            self._changed.notify_all()

    def complete(self) -> None:
        """The sweep has ended: no more will come, but for contradictions asked again."""
        with self._changed:
            self._complete_at = self._clock.now()
            self._changed.notify_all()

    def wake(self) -> None:
        """Let everyone who waits see that the clock was stopped."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        """Wait until so many are there, or as many as will come; False when none will."""
        with self._changed:
            while not self._clock.stopped:
                if len(self._heap) >= count or (self._complete_at and self._heap):
                    return True
                if self._complete_at:
                    return False
                self._changed.wait()
            return False

    def take(self, count: int) -> list[Detail]:
        """Up to so many, most urgent first."""
        with self._changed:
            return [heapq.heappop(self._heap)[2] for _ in range(min(count, len(self._heap)))]

    def until(self, deadline: datetime) -> datetime:
        """Until when the next one may wait for its turn.

        A mere re-check may not wait for long after the sweep, what is only to spare not at all.
        """
        with self._changed:
            if self._complete_at is None or not self._heap:
                return deadline
            need = self._heap[0][2].need
            if need not in OPTIONAL_DETAILS:
                return deadline
            budget = self._recheck_budget if need == DetailNeed.RECHECK else timedelta(0)
            return min(deadline, self._complete_at + budget)
