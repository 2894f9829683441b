"""Bringing shops in step with the caches: decide, write down, then write to the shop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.changes import (
    Breaker,
    Change,
    Kind,
    Outcome,
    Plan,
    delist,
    plan_changes,
)
from ecauto_pipeline.domain.shops.pricing import PriceRule
from ecauto_pipeline.errors import Deferred, EcautoError, ItemGone, Rejected, Unavailable
from ecauto_pipeline.storage.shops.listings import ListingStore
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.shop import Shop
from ecauto_pipeline.sync.shops.report import WriteOptions, WriteReport

FAILURES_IN_A_ROW = 3
"""After so many writes without a usable answer an account is left until the next run."""


@dataclass(frozen=True, slots=True)
class ShopSync:
    """All that is needed to write to the shops of a marketplace."""

    store: ListingStore
    shop_of: Callable[[str], Shop]
    clock: Clock
    rule: PriceRule
    breaker: Breaker
    proof_age: timedelta = timedelta(hours=48)

    def plan(self, account_id: str) -> Plan:
        """What should change on the account's shop, by what is proven now."""
        proof_since = self.clock.now() - self.proof_age
        return plan_changes(self.store.listed(account_id, proof_since), self.rule)

    def write(
        self, account_id: str, kind: Kind, options: WriteOptions, progress: Progress
    ) -> WriteReport:
        """Hide what is sold out, then show what is back; or write the prices that differ enough.

        Raises:
            EcautoError: the shop cannot be opened; nothing was decided.
        """
        started = self.clock.now()
        plan = self.plan(account_id)
        report = WriteReport(
            account_id, kind, plan.listings, plan.in_stock, plan.out_of_stock, plan.unknown
        )
        changes = plan.changes(kind, prices_alone=options.price_only)
        objection = None if options.accept_large_change else self.breaker.objection(plan)
        if options.dry_run:
            self.store.record(options.run_id, changes, Outcome.PLANNED, dry_run=True)
            report.add(changes, Outcome.PLANNED)
            if changes and objection:
                report.notes.append(f"{account_id}: would be held, because {objection}")
        elif changes and objection:
            ids = self.store.record(options.run_id, changes, Outcome.HELD, dry_run=False)
            self.store.not_written(ids.values(), Outcome.HELD, objection)
            report.add(changes, Outcome.HELD)
            report.problems.append(
                f"{account_id}: nothing was written, because {objection};"
                " if that is right, run `ecauto sync --accept-large-change`"
            )
        elif changes:
            shop = self.shop_of(account_id)
            ids = self.store.record(options.run_id, changes, Outcome.PLANNED, dry_run=False)
            try:
                _Writer(self.store, shop, report, options.run_id, ids).write(changes, progress)
            finally:
                report.calls = shop.calls
        report.seconds = (self.clock.now() - started).total_seconds()
        return report


@dataclass(slots=True)
class _Writer:
    """Writes one account's changes; each is recorded as soon as the shop has taken it."""

    store: ListingStore
    shop: Shop
    report: WriteReport
    run_id: str
    ids: dict[int, int]
    failures_in_a_row: int = 0

    def write(self, changes: Sequence[Change], progress: Progress) -> None:
        """Write until all is done, a budget is used up, or the account cannot go on."""
        account = self.report.account_id
        for number, change in enumerate(changes):
            try:
                self._write_one(change)
            except EcautoError as reason:
                rest = changes[number:]
                ids = [self.ids[each.listing.id] for each in rest]
                self.store.not_written(ids, Outcome.DEFERRED, str(reason))
                self.report.add(rest, Outcome.DEFERRED)
                told = self.report.notes if isinstance(reason, Deferred) else self.report.problems
                told.append(f"{account}: {reason}")
                return
            progress.advanced(f"{self.report.kind} of {account}", number + 1, len(changes))

    def _write_one(self, change: Change) -> None:
        listing, label = change.listing, self.shop.label
        before, self.failures_in_a_row = self.failures_in_a_row, 0
        try:
            self.shop.edit(listing.item_id, price_jpy=change.price_jpy, visible=change.visible)
        except ItemGone:
            failure: str | None = f"{label} says that the item is gone, and shows it"
            # That is believed when the item itself is asked for and gone as well.
            try:
                self.shop.item(listing.item_id)
            except ItemGone as gone:
                self.store.not_written([self.ids[listing.id]], Outcome.FAILED, str(gone))
                change = delist(listing, label)
                ids = self.store.record(self.run_id, [change], Outcome.PLANNED, dry_run=False)
                failure, self.ids = None, self.ids | ids
            except (Rejected, Unavailable) as problem:
                failure = f"{label} says that the item is gone; asked again: {problem}"
        except Rejected as refusal:
            failure = f"{label} refuses it: {refusal}"
        except Unavailable as problem:
            self.failures_in_a_row = before + 1
            if self.failures_in_a_row == FAILURES_IN_A_ROW:
                raise
            failure = str(problem)
        else:
            failure = None
        if failure is not None:
            self.store.not_written([self.ids[listing.id]], Outcome.FAILED, failure)
            self.report.problems.append(
                f"{self.report.account_id}: {listing.asin} {change.kind}: {failure}"
            )
        else:
            self.store.written(self.ids[listing.id], change)
        self.report.add([change], Outcome.WRITTEN if failure is None else Outcome.FAILED)
