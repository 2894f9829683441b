"""One listing after another onto a shop, exactly once.

claim → rules → the item is made, hidden → pictures → a fresh look at price and stock → shown.
Of a call whose answer was lost nobody knows what it did: the row becomes unknown, and `lookup`
finds out. All after the making may be repeated, so a lost worker's row simply goes on from there.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.facts import Verdict
from ecauto_pipeline.domain.shops.changes import NewItem
from ecauto_pipeline.domain.shops.pricing import PriceRule
from ecauto_pipeline.domain.uploads.rules import SEND_MARGIN, Content, Upload, UploadRules
from ecauto_pipeline.errors import (
    AccountStopped,
    Deferred,
    ItemGone,
    Misconfigured,
    NotSent,
    Rejected,
    Throttled,
    Unavailable,
)
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.sync.shop import Shop

LACKING_AGAIN_AFTER = timedelta(hours=3)
"""A product of which something is missing is tried again after the caches were refreshed."""

STOPPED_AGAIN_AFTER = timedelta(minutes=10)
"""A row that met a limit, or an account that needs a person, is not tried each minute."""


class Result(StrEnum):
    """What became of a claimed row."""

    PUBLISHED = "published"
    HIDDEN = "hidden"
    FAILED = "failed"
    UNKNOWN = "unknown"
    PUT_BACK = "put_back"
    OVERTAKEN = "overtaken"


class Fence(Protocol):
    """Ends this process when its lease does, so that it cannot send any more."""

    def arm(self, seconds: float) -> None:
        """From now on there are so many seconds."""
        ...

    def disarm(self) -> None:
        """Nothing is under way."""
        ...


class NoFence:
    """Ends nothing: for where nothing is sent, or another process watches."""

    def arm(self, seconds: float) -> None:
        """Nothing."""

    def disarm(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the rules leave of a product's text, or why it must not be listed."""

    title: str
    detail: str
    refusal: str = ""


Screen = Callable[[Content], Accepted]
"""Applies the screening rules."""

FreshCheck = Callable[[str], Verdict]
"""Asks Amazon for one product's offers now."""


class _Overtaken(Exception):
    """The row is not ours any more: whatever we know of it is old."""


class _TooLate(Exception):
    """Too little of the lease is left to send anything."""

    def __str__(self) -> str:
        return "its turn came too late in its lease"


@dataclass(slots=True)
class UploadReport:
    """What became of the rows of one account."""

    account_id: str
    results: Counter[Result] = field(default_factory=Counter[Result])
    notes: list[str] = field(default_factory=list[str])
    stopped: str = ""
    needs_a_person: bool = False


@dataclass(slots=True)
class _Departure:
    """The last look before an item is made, when nothing but the sending is left to do."""

    uploader: "Uploader"
    upload: Upload
    sent: bool = False

    def check(self) -> None:
        """Commit that it is sent, if there is time left and the row is still ours."""
        left = self.upload.lease_until - self.uploader.clock.now()
        if left < self.uploader.call_timeout + SEND_MARGIN:
            raise _TooLate
        if not self.uploader.attempts.sending(self.upload):
            raise _Overtaken
        self.sent = True


@dataclass(frozen=True, slots=True)
class Uploader:
    """All that an upload needs of the world."""

    queue: UploadQueue
    attempts: UploadAttempts
    shop: Shop
    clock: Clock
    rules: UploadRules
    price_rule: PriceRule
    screen: Screen
    fresh_check: FreshCheck
    call_timeout: timedelta
    fence: Fence = field(default_factory=NoFence)

    def run(
        self, account_id: str, worker: str, *, limit: int | None = None, now_due: bool = True
    ) -> UploadReport:
        """Upload what is due (or, without `now_due`, whatever is pending), one after another.

        Ends early, with the reason, when a budget is used up or a person must act.
        """
        report = UploadReport(account_id)
        while not report.stopped and (limit is None or report.results.total() < limit):
            if now_due and not self.rules.is_open(self.clock.now()):
                report.stopped = "uploads pause for the night"
                break
            upload = self.attempts.claim(account_id, worker, now_due=now_due)
            if upload is None:
                break
            try:
                report.results[self._carry(upload, report)] += 1
            except _Overtaken:
                report.results[Result.OVERTAKEN] += 1
            finally:
                self.fence.disarm()
        return report

    def _carry(self, upload: Upload, report: UploadReport) -> Result:
        """Carry one row as far as it goes."""
        self._arm(upload)
        try:
            content = self.queue.content(upload.asin)
            if upload.item_id is None:
                made = self._create(upload, content)
                if isinstance(made, Result):
                    return made
                upload = made
            return self._complete(upload, content, report)
        except (Deferred, AccountStopped, Misconfigured) as stop:
            report.stopped = str(stop)
            report.needs_a_person = not isinstance(stop, Deferred)
            # No retry is spent on that.
            return self._wait(upload, STOPPED_AGAIN_AFTER, str(stop))
        except Rejected as refusal:
            reason = f"{self.shop.label} refuses it after it was made: {refusal}"
            self._own(self.attempts.fail(upload, reason))
            return Result.FAILED
        except Unavailable as problem:
            return self._put_back(upload, problem)

    def _create(self, upload: Upload, content: Content) -> Upload | Result:
        """Make the item, hidden: the one call that must not be made twice."""
        # The price may be an old one: the item is shown only after a fresh look at it.
        for what, known in (("title", content.title), ("price", content.amazon_price_jpy)):
            if not known:
                lacking = f"the product has no {what} yet"
                return self._wait(upload, LACKING_AGAIN_AFTER, lacking)
        accepted = self.screen(content)
        if accepted.refusal:
            self._own(self.attempts.fail(upload, accepted.refusal))
            return Result.FAILED
        price = self.price_rule.selling_price(content.amazon_price_jpy or 0)
        new = NewItem(upload.identifier, accepted.title, accepted.detail, price)
        if not self.shop.take_upload_slot():
            raise Deferred(f"{upload.account_id}: today's uploads are used up")
        departure = _Departure(self, upload)
        try:
            item = self.shop.add(new, departure.check)
        except Rejected as refusal:
            self._own(self.attempts.fail(upload, f"{self.shop.label} refuses it: {refusal}"))
            return Result.FAILED
        except (_TooLate, Unavailable) as problem:
            if departure.sent and not isinstance(problem, NotSent | Throttled):
                self._own(self.attempts.lost(upload, str(problem)))
                return Result.UNKNOWN
            return self._put_back(upload, problem)
        return self._renewed(self.attempts.created(upload, item.item_id, price))

    def _complete(self, upload: Upload, content: Content, report: UploadReport) -> Result:
        """Add the pictures that are not there yet; show the item if it is proven to ship now."""
        item_id = upload.item_id or ""
        notes: list[str] = []
        for number, url in enumerate(content.images[: self.shop.max_images], 1):
            if number <= upload.images_done:
                continue
            try:
                self.shop.add_image(item_id, number, url)
            except ItemGone:
                raise
            except (Rejected, Unavailable) as problem:
                notes.append(f"picture {number}: {problem}")
            upload = self._renewed(self.attempts.image_added(upload, number))
        try:
            verdict = self.fresh_check(upload.asin)
        except (Deferred, Unavailable) as problem:
            verdict = Verdict(None, f"Amazon could not be asked: {problem}")
        price = None
        if verdict.in_stock and verdict.price_jpy is not None:
            price = self.price_rule.selling_price(verdict.price_jpy)
            self.shop.edit(item_id, price_jpy=price, visible=True)
        else:
            notes.append(f"left hidden: {verdict.reason}")
        shown, note = price is not None, "; ".join(notes)
        self._own(self.attempts.finish(upload, price_jpy=price, public=shown, note=note))
        report.notes += [f"{upload.asin}: {each}" for each in notes]
        return Result.PUBLISHED if shown else Result.HIDDEN

    def _wait(self, upload: Upload, length: timedelta, reason: str) -> Result:
        """Put the row back without spending a retry."""
        at = self.clock.now() + length
        self._own(self.attempts.put_back(upload, at, reason, spend_retry=False))
        return Result.PUT_BACK

    def _put_back(self, upload: Upload, problem: Exception) -> Result:
        """Certainly nothing was made, or what was done may be done again."""
        at = self.rules.retry_at(self.clock.now(), upload.retry_count)
        spend_retry = not isinstance(problem, _TooLate)
        self._own(self.attempts.put_back(upload, at, str(problem), spend_retry=spend_retry))
        given_up = spend_retry and self.rules.gives_up(upload.retry_count + 1)
        return Result.FAILED if given_up else Result.PUT_BACK

    def _renewed(self, upload: Upload | None) -> Upload:
        """The lease began anew with what was just recorded, and ends when the row says so."""
        if upload is None:
            raise _Overtaken
        self._arm(upload)
        return upload

    def _arm(self, upload: Upload) -> None:
        self.fence.arm((upload.lease_until - self.clock.now()).total_seconds())

    @staticmethod
    def _own(done: bool) -> None:  # noqa: FBT001 - the answer of a fenced statement
        if not done:
            raise _Overtaken
