"""Waiting for one's turn, so that a marketplace's quota is used up and never exceeded."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import Deferred, Throttled

PACING = 0.97
"""The share of the published rate that is used: the rest absorbs packets that arrive late.

A request that arrives late makes the next one early; without a margin a third of them is refused.
What exceeds the margin is measured and made up for, see `Pacer.answered`.
"""

SPACING = (1 + PACING) / 2
"""The least distance between two requests, as a share of that between turns.

Half the margin is for making up a delay, the other half for what cannot be measured.
"""

SLACK_TOKENS = 1
"""Tokens left to the server, so that several requests arriving close together find one."""

REPORTED_WAIT_SECONDS = 1.0
"""Shorter waits are not worth a word."""

LONGEST_BLOCK_SECONDS = 300.0
"""The longest pause after a refusal."""

LEAST_LEARNED, MOST_LEARNED = 0.5, 10.0
"""What an answer says about the quota is believed within these multiples of the published rate."""

_MOST_BOOKINGS = 50
_MOST_DOUBLINGS = 16
"""By then the pause of any quota of ours is beyond `LONGEST_BLOCK_SECONDS`."""


class RateStore(Protocol):
    """Buckets shared by all processes: whoever books a turn gets the next one free."""

    def configure(self, bucket: str, per_second: float, burst: float) -> None:
        """Make the bucket, or change it if the rate is another than configured before."""
        ...

    def reserve(
        self, bucket: str, *, cost: float = 1.0, max_wait: float | None = None
    ) -> float | None:
        """Book a turn: the seconds until then; None, and nothing booked, if above `max_wait`.

        Raises:
            LookupError: the bucket was never configured.
        """
        ...

    def block(self, bucket: str, seconds: float) -> None:
        """Let nobody have a turn that long; who has booked one meanwhile must book again."""
        ...

    def blocked_for(self, bucket: str) -> float:
        """Seconds until the end of the block; 0 without one."""
        ...

    def depart(self, bucket: str, spacing: float) -> float | None:
        """Seconds until whoever has a turn may send; None when the bucket is blocked.

        `spacing` is the distance from the one before, as a share of that between turns.
        """
        ...

    def delay(self, bucket: str, seconds: float) -> None:
        """Let the next one depart that far from now at the earliest."""
        ...

    def learn(self, bucket: str, per_second: float) -> None:
        """Use this rate until another is configured."""
        ...

    def note_level(self, bucket: str, available: float, *, unused: float = 0.0) -> None:
        """The server says that `available` is left, and took `unused` less than was booked."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to send one request, from `slot_at` on."""

    bucket: str
    slot_at: datetime


@dataclass(slots=True)
class _Quota:
    """What this process knows about a bucket."""

    published: float
    burst: float
    per_second: float
    learned: float | None = None
    quickest: float = 0.0
    throttles: int = 0

    @property
    def interval(self) -> float:
        """Seconds the server needs for a token."""
        return 1 / self.per_second

    @property
    def margin(self) -> float:
        """How late a request may arrive without making the next one early."""
        return self.interval / PACING * (1 - SPACING)

    @property
    def is_tight(self) -> bool:
        """Whether the server saves up no token that would forgive an early request."""
        return self.burst < 1 + SLACK_TOKENS


class Pacer:
    """Turns for one process; the turns of all processes come one after the other."""

    def __init__(
        self,
        store: RateStore,
        clock: Clock,
        on_wait: Callable[[str, float], None] | None = None,
        *,
        dice: random.Random | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_wait = on_wait
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not a secret
        self._quotas: dict[str, _Quota] = {}
        self._lock = threading.Lock()

    def configure(self, bucket: str, per_second: float, burst: float) -> None:
        """Name the bucket's published quota; to be called before anything else."""
        with self._lock:
            self._quotas[bucket] = _Quota(per_second, burst, per_second)
        self._store.configure(bucket, per_second * PACING, max(1.0, burst - SLACK_TOKENS))

    def wait_turn(self, bucket: str, until: datetime | None = None) -> Turn:
        """Sleep until it is our turn.

        Raises:
            Deferred: the turn would come after `until`; none was booked.
            Throttled: the marketplace refuses everybody's requests again and again.
        """
        for _ in range(_MOST_BOOKINGS):
            slot_at = self._clock.now()
            left = None if until is None else (until - slot_at).total_seconds()
            wait = self._store.reserve(bucket, max_wait=left)
            if wait is None:
                raise Deferred(f"{bucket}: the next turn comes too late")
            self._sleep(bucket, wait)
            if self._quotas[bucket].is_tight:
                # The server's distance is kept also from a process that woke up late.
                slot_at = self._clock.now()
                wait = self._store.depart(bucket, SPACING)
                if wait is None:
                    continue  # blocked since: the turn is lost, and another one has to be booked
                self._sleep(bucket, wait)
            elif wait > 0 and self._store.blocked_for(bucket) > 0:
                continue
            return Turn(bucket, slot_at + timedelta(seconds=wait))
        raise Throttled(f"{bucket}: refused again and again, no turn to be had")

    def _sleep(self, bucket: str, seconds: float) -> None:
        if self._on_wait and seconds >= REPORTED_WAIT_SECONDS:
            self._on_wait(bucket, seconds)
        self._clock.sleep(seconds)

    def answered(self, turn: Turn, sent_at: datetime, answered_at: datetime) -> None:
        """Take note of an answer; if the request arrived late, the next one leaves later.

        How late is known from the quickest answer: sending and answering took that much longer.
        """
        quota = self._quotas[turn.bucket]
        late_start = max(0.0, (sent_at - turn.slot_at).total_seconds())
        took = late_start + (answered_at - sent_at).total_seconds()
        with self._lock:
            quota.throttles = 0
            # The first request opens the connection: nothing yet to measure it by.
            usual, quota.quickest = quota.quickest, min(quota.quickest or took, took)
        next_in = quota.interval + quota.margin - usual
        if quota.is_tight and took - usual > quota.margin and next_in > 0:
            self._store.delay(turn.bucket, next_in)

    def throttled(self, turn: Turn, retry_after: float | None) -> None:
        """Take note of a refusal (429): everybody waits, longer each time in a row."""
        quota = self._quotas[turn.bucket]
        with self._lock:
            pause = quota.interval * 2 ** min(quota.throttles, _MOST_DOUBLINGS)
            quota.throttles += 1
            pause += self._dice.uniform(0, pause)
        pause = min(max(pause, retry_after or 0.0), LONGEST_BLOCK_SECONDS)
        self._store.block(turn.bucket, pause)

    def learned(self, bucket: str, per_second: float) -> None:
        """Take note of the rate that an answer names."""
        quota = self._quotas[bucket]
        rate = min(max(per_second, quota.published * LEAST_LEARNED), quota.published * MOST_LEARNED)
        with self._lock:
            if rate == quota.learned:
                return
            quota.learned = quota.per_second = rate
        self._store.learn(bucket, rate * PACING)
