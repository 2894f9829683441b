"""Bringing BASE shops in step with the caches: decide, write down, then write to the shop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ecauto_pipeline.clients.base_shop.client import BaseShopClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.changes import (
    Breaker,
    Change,
    Kind,
    Outcome,
    Plan,
    delist,
    plan_changes,
)
from ecauto_pipeline.domain.base_shop.pricing import PriceRule
from ecauto_pipeline.errors import Deferred, EcautoError, ItemGone, Rejected, Unavailable
from ecauto_pipeline.storage.base_shop.listings import ListingStore
from ecauto_pipeline.sync.base_shop.report import MirrorReport, WriteOptions, WriteReport
from ecauto_pipeline.sync.progress import Progress

FAILURES_IN_A_ROW = 3
"""After so many writes without a usable answer an account is left until the next run."""


@dataclass(frozen=True, slots=True)
class BaseShopSync:
    """All that is needed to write to BASE shops."""

    store: ListingStore
    client_for: Callable[[str], BaseShopClient]
    clock: Clock
    rule: PriceRule
    breaker: Breaker
    proof_age: timedelta = timedelta(hours=48)

    def sync_visibility(
        self, account_id: str, options: WriteOptions, progress: Progress
    ) -> WriteReport:
        """Hide what is sold out, then show what is back."""
        return self._sync(account_id, Kind.VISIBILITY, options, progress)

    def sync_prices(
        self, account_id: str, options: WriteOptions, progress: Progress
    ) -> WriteReport:
        """Write the prices that differ enough."""
        return self._sync(account_id, Kind.PRICE, options, progress)

    def mirror_items(self, account_id: str) -> MirrorReport:
        """Read all pages of the shop, and compare."""
        client = self.client_for(account_id)
        items = list(client.items())
        self.store.replace_items(account_id, items)
        return MirrorReport(
            account_id,
            len(items),
            self.store.drift(account_id),
            client.calls,
            self.store.unknown_items(account_id),
        )

    def plan(self, account_id: str) -> Plan:
        """What should change on the account's shop, by what is proven now."""
        proof_since = self.clock.now() - self.proof_age
        return plan_changes(self.store.listed(account_id, proof_since), self.rule)

    def _sync(
        self, account_id: str, kind: Kind, options: WriteOptions, progress: Progress
    ) -> WriteReport:
        started = self.clock.now()
        plan = self.plan(account_id)
        report = WriteReport(
            account_id, kind, plan.listings, plan.in_stock, plan.out_of_stock, plan.unknown
        )
        changes = _changes(plan, kind, options)
        objection = None if options.accept_large_change else self.breaker.objection(plan)
        if options.dry_run:
            self._plan_only(changes, objection, options, report)
        elif changes and objection:
            self._hold(changes, objection, options, report)
        elif changes:
            self._carry_out(changes, options, report, progress)
        report.seconds = (self.clock.now() - started).total_seconds()
        return report

    def _plan_only(
        self,
        changes: Sequence[Change],
        objection: str | None,
        options: WriteOptions,
        report: WriteReport,
    ) -> None:
        self.store.record(options.run_id, changes, Outcome.PLANNED, dry_run=True)
        report.add(changes, Outcome.PLANNED)
        if changes and objection:
            report.notes.append(f"{report.account_id}: would be held, because {objection}")

    def _hold(
        self, changes: Sequence[Change], objection: str, options: WriteOptions, report: WriteReport
    ) -> None:
        ids = self.store.record(options.run_id, changes, Outcome.HELD, dry_run=False)
        self.store.not_written(ids.values(), Outcome.HELD, objection)
        report.add(changes, Outcome.HELD)
        report.problems.append(
            f"{report.account_id}: nothing was written, because {objection};"
            " if that is right, run `ecauto sync --accept-large-change`"
        )

    def _carry_out(
        self,
        changes: Sequence[Change],
        options: WriteOptions,
        report: WriteReport,
        progress: Progress,
    ) -> None:
        client = self.client_for(report.account_id)
        ids = self.store.record(options.run_id, changes, Outcome.PLANNED, dry_run=False)
        try:
            _Writer(self.store, client, report, options.run_id, ids).write(changes, progress)
        finally:
            report.calls = client.calls


def _changes(plan: Plan, kind: Kind, options: WriteOptions) -> Sequence[Change]:
    if kind == Kind.VISIBILITY:
        return plan.visibility
    return plan.prices if options.price_only else plan.prices_of_the_shown


@dataclass(slots=True)
class _Writer:
    """Writes one account's changes; each is recorded as soon as the shop has taken it."""

    store: ListingStore
    client: BaseShopClient
    report: WriteReport
    run_id: str
    ids: dict[int, int]
    failures_in_a_row: int = 0

    def write(self, changes: Sequence[Change], progress: Progress) -> None:
        """Write until all is done, a budget is used up, or the account cannot go on."""
        what = f"{self.report.kind} of {self.report.account_id}"
        for number, change in enumerate(changes):
            try:
                self._write_one(change)
            except EcautoError as reason:
                self._leave(changes[number:], reason)
                return
            progress.advanced(what, number + 1, len(changes))

    def _write_one(self, change: Change) -> None:
        try:
            self.client.edit(
                change.listing.item_id, price_jpy=change.price_jpy, visible=change.visible
            )
        except ItemGone:
            self.failures_in_a_row = 0
            self._delist(change)
        except Rejected as refusal:
            self.failures_in_a_row = 0
            self._fail(change, f"BASE refuses it: {refusal}")
        except Unavailable as problem:
            self.failures_in_a_row += 1
            if self.failures_in_a_row == FAILURES_IN_A_ROW:
                raise
            self._fail(change, str(problem))
        else:
            self.failures_in_a_row = 0
            self._done(change)

    def _done(self, change: Change) -> None:
        self.store.written(self.ids[change.listing.id], change)
        self.report.add([change], Outcome.WRITTEN)

    def _delist(self, change: Change) -> None:
        """An edit said that the item is gone: ask for the item itself before believing it."""
        try:
            self.client.item(change.listing.item_id)
        except ItemGone as gone:
            self.store.not_written([self.ids[change.listing.id]], Outcome.FAILED, str(gone))
            gone_change = delist(change.listing)
            ids = self.store.record(self.run_id, [gone_change], Outcome.PLANNED, dry_run=False)
            self.store.written(ids[change.listing.id], gone_change)
            self.report.add([gone_change], Outcome.WRITTEN)
        except (Rejected, Unavailable) as problem:
            self._fail(change, f"BASE says that the item is gone; asked again: {problem}")
        else:
            self._fail(change, "BASE says that the item is gone, and shows it")

    def _fail(self, change: Change, reason: str) -> None:
        self.store.not_written([self.ids[change.listing.id]], Outcome.FAILED, reason)
        self.report.add([change], Outcome.FAILED)
        self.report.problems.append(
            f"{self.report.account_id}: {change.listing.asin} {change.kind}: {reason}"
        )

    def _leave(self, changes: Sequence[Change], reason: Exception) -> None:
        ids = [self.ids[change.listing.id] for change in changes]
        self.store.not_written(ids, Outcome.DEFERRED, str(reason))
        self.report.add(changes, Outcome.DEFERRED)
        told = self.report.notes if isinstance(reason, Deferred) else self.report.problems
        told.append(f"{self.report.account_id}: {reason}")
