"""Uploads to shops: what an item is known by, when its turn is, and what follows from a failure.

Making an item is not idempotent (BASE's items/add is not), so a call whose answer was lost is
never sent again: the row becomes `unknown`, the shop is asked for the identifier, and the item is
adopted or the row put back.
"""

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.amazon.asin import is_asin

PRIORITIES = range(1, 21)

SEND_MARGIN = timedelta(seconds=1)
"""A call is sent only if this much of the lease is left beyond its time-out."""

_V1_FORMS = re.compile(r"(?:base|b|s)-([A-Z0-9]{10})(?:-\d+)?(?:_\d+)?", re.IGNORECASE)
"""`b-{ASIN}-{time}`, v1.0's older `s-`, `base-` and `BASE-` forms, each also with `_N`."""


class QueueStatus(StrEnum):
    """Where a row of the upload queue stands."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UNKNOWN = "unknown"
    SUCCESS = "success"
    FAILED = "failed"


LIVE = (QueueStatus.PENDING, QueueStatus.UPLOADING, QueueStatus.UNKNOWN)
"""Of these there is at most one for a listing."""


def identifier_for(asin: str, generation: int) -> str:
    """What the item is known by: ASCII, no spaces, and the same however often it is computed.

    >>> identifier_for("B0FGQJ45HW", 1)
    'b-B0FGQJ45HW-1'
    """
    return f"b-{asin}-{generation}"


def first_free_identifier(asin: str, taken: Collection[str | None]) -> str:
    """The identifier of the product's first generation that no listing has."""
    generations = itertools.count(1)
    return next(name for n in generations if (name := identifier_for(asin, n)) not in taken)


def asin_of_identifier(identifier: str | None) -> str | None:
    """The ASIN in an identifier of ours or of v1.0's; None for anybody else's."""
    match = _V1_FORMS.fullmatch((identifier or "").strip())
    asin = match[1].upper() if match else ""
    return asin if is_asin(asin) else None


@dataclass(frozen=True, slots=True)
class UploadRules:
    """How long things take, and how often they are tried.

    A worker may send until its lease ends. Only from then on, plus the longest that the shop may
    still take to carry a call out (`late_apply`) and to show what it made (`visibility_lag`), does
    looking it up prove anything.
    """

    lease: timedelta = timedelta(minutes=3)
    late_apply: timedelta = timedelta(minutes=1)
    visibility_lag: timedelta = timedelta(minutes=1)
    look_again_after: tuple[timedelta, ...] = (timedelta(minutes=1), timedelta(minutes=5))
    max_retries: int = 5
    from_hour: int = 6
    to_hour: int = 23

    @property
    def settled_after_lease(self) -> timedelta:
        """How long after the end of a lease the shop shows whether the item was made."""
        return self.late_apply + self.visibility_lag

    @property
    def looks(self) -> int:
        """How often an item is looked for before its row is put back."""
        return 1 + len(self.look_again_after)

    def retry_at(self, now: datetime, retry_count: int) -> datetime:
        """When a failed try is made up for: 1, 2, 4 … minutes later, an hour at most."""
        return now + min(timedelta(minutes=2**retry_count), timedelta(hours=1))

    def gives_up(self, retry_count: int) -> bool:
        """Whether that many retries are more than are made."""
        return retry_count > self.max_retries

    def is_open(self, now: datetime) -> bool:
        """Whether uploads are made at this time of the day in Japan."""
        return self.from_hour <= now.astimezone(JAPAN).hour < self.to_hour

    def opens_at(self, now: datetime) -> datetime:
        """When uploads are made next."""
        local = now.astimezone(JAPAN)
        opening = local.replace(hour=self.from_hour, minute=0, second=0, microsecond=0)
        if local.hour < self.from_hour:
            return opening
        return now if self.is_open(now) else opening + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Upload:
    """A claimed row of the queue; `attempt_no` and `worker` fence all that is written about it."""

    id: int
    asin: str
    account_id: str
    attempt_no: int
    worker: str
    lease_until: datetime
    identifier: str
    item_id: str | None = None
    images_done: int = 0
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A row of which nobody knows whether its item was made."""

    id: int
    asin: str
    account_id: str
    attempt_no: int
    identifier: str | None
    lookups: int
    retry_count: int
    imported: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What an item is made of, as the caches have it; None where nothing is known."""

    asin: str
    title: str | None
    description: str | None
    brand: str | None
    category: str | None
    images: Sequence[str] = field(default_factory=tuple[str, ...])
    amazon_price_jpy: int | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """The times of an account's uploads: so many a day, evenly over the open hours.

    `first` counts from the slot that begins at `day`'s opening; slot n of a day begins
    n x (open hours / daily limit) after it.
    """

    day_opens_at: datetime
    first: int
    per_day: int
    spacing: timedelta

    def at(self, number: int) -> datetime:
        """When the n-th upload from now on is due."""
        days, slot = divmod(self.first + number, self.per_day)
        return self.day_opens_at + timedelta(days=days) + slot * self.spacing


def free_slots(
    now: datetime, last_taken: datetime | None, daily_limit: int, rules: UploadRules
) -> Slots:
    """The slots after now and after the last one taken."""
    spacing = timedelta(hours=rules.to_hour - rules.from_hour) / daily_limit
    start = rules.opens_at(max(now, last_taken + spacing) if last_taken else now)
    opening = start.astimezone(JAPAN).replace(
        hour=rules.from_hour, minute=0, second=0, microsecond=0
    )
    passed = -(-(start - opening) // spacing)
    return Slots(opening, passed, daily_limit, spacing)


@dataclass(frozen=True, slots=True)
class Found:
    """What a shop shows for an identifier: the items that carry it."""

    item_ids: Sequence[str]
    visible: bool = False
