"""Comparing an account's listings and queue with its shop, and mending what is safe."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.changes import Item, no_such_item
from ecauto_pipeline.domain.uploads.consistency import (
    Delist,
    FailRows,
    Finding,
    FindingKind,
    ListingState,
    LookUp,
    QueueState,
    disbelief,
    find,
)
from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.errors import EcautoError, Implausible, ItemGone, Rejected, Unavailable
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.sync.shop import Shop
from ecauto_pipeline.sync.uploads.lookup import LookupReport, resolve_unknown

EXAMPLES = 5
"""So many ASINs of a kind are told in words; the tables have all."""

States = tuple[Sequence[ListingState], Sequence[QueueState]]


@dataclass(frozen=True, slots=True)
class ShopReading:
    """A shop as it showed itself, whole and believed, and where that is not what we think.

    `before` is what we thought when the reading began.
    """

    account_id: str
    items: Sequence[Item]
    findings: Sequence[Finding]
    before: States
    calls: Counter[str]


@dataclass(slots=True)
class ConsistencyReport:
    """What disagrees on one account, and what was mended.

    `reading` is None where the shop was not read or is not believed; `shop_items` is how many items
    it showed, also in the latter case.
    """

    account_id: str
    reading: ShopReading | None = None
    findings: list[Finding] = field(default_factory=list[Finding])
    mended: list[Finding] = field(default_factory=list[Finding])
    lookup: LookupReport | None = None
    shop_items: int | None = None
    shop_empty: bool = False
    problems: list[str] = field(default_factory=list[str])
    calls: Counter[str] = field(default_factory=Counter[str])

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind were found."""
        found = Counter(finding.kind for finding in self.findings)
        return {str(kind): found[kind] for kind in FindingKind}

    @property
    def mended_counts(self) -> dict[str, int]:
        """How many of each kind were mended."""
        return dict(Counter(str(finding.kind) for finding in self.mended))

    @property
    def remaining(self) -> list[Finding]:
        """What was found and is not mended; lookups report for themselves."""
        mended = set(self.mended)
        return [finding for finding in self.findings if finding not in mended]

    def rows(self) -> list[dict[str, str]]:
        """The findings as a table: those that were not mended first."""
        mended = set(self.mended)
        return [
            {
                "kind": str(finding.kind),
                "asin": finding.asin or "",
                "detail": finding.detail,
                "mend": "mended" if finding in mended else "safe" if finding.safe else "",
            }
            for finding in [*self.remaining, *self.mended]
        ]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        names = ("adopted", "not_found", "rescued", "doubled")
        lookup = self.lookup
        return {
            "account_id": self.account_id,
            "counts": self.counts,
            "mended": self.mended_counts,
            "looked_up": lookup and {name: getattr(lookup, name) for name in names},
            "shop_items": self.shop_items,
            "shop_empty": self.shop_empty,
            "problems": self.problems,
            "calls": sum(self.calls.values()),
            "findings": self.rows(),
        }

    def lines(self) -> list[str]:
        """What a person reads: a line for each kind found, with some examples."""
        if not self.findings and not self.problems:
            return [f"{self.account_id}: all agrees"]
        mended = self.mended_counts
        lines = list(self.problems)
        for kind, count in self.counts.items():
            if count:
                named = [each.asin or each.detail for each in self.findings if each.kind == kind]
                more = f" and {count - EXAMPLES} more" if count > EXAMPLES else ""
                lines.append(
                    f"{self.account_id}: {count} {kind}, {mended.get(kind, 0)} mended:"
                    f" {', '.join(named[:EXAMPLES])}{more}"
                )
        if self.lookup:
            lines.append(
                f"{self.account_id}: looked up: {self.lookup.adopted} found,"
                f" {self.lookup.not_found} not found, {self.lookup.rescued} rescued"
            )
        return lines


@dataclass(frozen=True, slots=True)
class ConsistencyCheck:
    """All that the check of an account needs, but for its shop."""

    store: ConsistencyStore
    attempts: UploadAttempts
    rules: UploadRules
    clock: Clock

    def read_shop(self, account_id: str, shop: Shop) -> ShopReading:
        """Read the account's shop whole, compare, and keep what it showed.

        Raises:
            Implausible: it shows nothing of what we have listed there; what was kept stays.
            EcautoError: it cannot be read; likewise.
        """
        before = self.store.states(account_id)
        items = list(shop.items())
        if doubt := disbelief(before[0], items):
            raise Implausible(doubt, len(items))
        return self.compared(account_id, items, before, shop.calls)

    def compared(
        self, account_id: str, items: Sequence[Item], before: States, calls: Counter[str]
    ) -> ShopReading:
        """Keep what the shop showed, and tell where it is not what we thought, and think."""
        self.store.replace_items(account_id, items)
        now = self.clock.now()
        # What changed while the shop was read is no disagreement.
        after = set(find(account_id, *self.store.states(account_id), items, now))
        found = [each for each in find(account_id, *before, items, now) if each in after]
        return ShopReading(account_id, items, found, before, Counter(calls))

    def check_account(
        self,
        account_id: str,
        shop: Shop | None,
        progress: Progress | None = None,
        *,
        run_id: str = "",
        fix: bool = False,
    ) -> ConsistencyReport:
        """Compare, and with `fix` mend what is safe; without a shop our own sides only.

        A shop that cannot be read or believed is a problem in the report, and nothing is mended.
        """
        report = ConsistencyReport(account_id)
        try:
            report.reading = self.read_shop(account_id, shop) if shop else None
        except Implausible as doubt:
            report.shop_items, report.shop_empty = doubt.shown, True
            report.problems.append(f"{account_id}: {doubt}; nothing is mended")
        except EcautoError as reason:
            report.problems.append(f"{account_id}: the shop was not read: {reason}")
        if shop is None or report.reading is None:
            states, now = self.store.states(account_id), self.clock.now()
            report.findings = find(account_id, *states, None, now)
        else:
            report.findings = [*report.reading.findings]
            report.shop_items = len(report.reading.items)
            if fix:
                _Mender(self, shop, run_id, report).mend(report.reading, progress or Silent())
        report.calls = Counter(shop.calls) if shop else Counter()
        return report


@dataclass(frozen=True, slots=True)
class _Mender:
    """Carries out an account's mends; those that call the shop come last."""

    check: ConsistencyCheck
    shop: Shop
    run_id: str
    report: ConsistencyReport

    def mend(self, reading: ShopReading, progress: Progress) -> None:
        """Mend one after another; what is other than it was is left for the next time."""
        check, report = self.check, self.report
        try:
            if any(isinstance(finding.mend, FailRows) for finding in reading.findings):
                # Before an upload is said to have made nothing, the shop is read the other way
                # round: pages shift while items are deleted, so that one reading may miss an item.
                both = {item.item_id: item for item in self.shop.items(newest_first=True)}
                both |= {item.item_id: item for item in reading.items}
                items = list(both.values())
                reading = check.compared(report.account_id, items, reading.before, self.shop.calls)
                report.reading, report.findings = reading, [*reading.findings]
            gone = [each for each in reading.findings if isinstance(each.mend, Delist)]
            rest = [e for e in reading.findings if e.mend and not isinstance(e.mend, Delist)]
            self._carry_out(rest, "mended", progress)
            if any(isinstance(each.mend, LookUp) for each in rest):
                report.lookup = resolve_unknown(
                    check.attempts, self.shop, check.rules, report.account_id
                )
            self._carry_out(gone, "asked for again", progress)
        except EcautoError as reason:
            report.problems.append(f"{report.account_id}: not all was mended: {reason}")
        if not report.problems:
            check.store.note_check(report.account_id)

    def _carry_out(self, findings: Sequence[Finding], what: str, progress: Progress) -> None:
        account, store = self.report.account_id, self.check.store
        for number, finding in enumerate(findings, 1):
            mend = finding.mend
            done = False
            if isinstance(mend, Delist):
                # The second proof: the shop is asked for the item alone.
                try:
                    self.shop.item(mend.listing.item_id or "")
                except ItemGone:
                    done = store.delist(mend, self.run_id, no_such_item(self.shop.label))
                except Rejected as refusal:
                    self.report.problems.append(
                        f"{account}: {mend.listing.asin} is not delisted: {refusal}"
                    )
            elif mend and not isinstance(mend, LookUp):  # one lookup serves all rows
                done = store.apply(mend)
            if done:
                self.report.mended.append(finding)
            progress.advanced(f"disagreements of {account} {what}", number, len(findings))


def adopt_before_uploading(
    queue: UploadQueue,
    check: ConsistencyCheck,
    account_id: str,
    open_shop: Callable[[], Shop],
) -> None:
    """Once after a take-over: what v1.0 had put on the shop is adopted, not made again.

    Raises:
        Unavailable: the shop could not be read whole, so nothing may be uploaded yet.
    """
    if not queue.has_imported(account_id) or check.store.checked(account_id):
        return
    report = check.check_account(account_id, open_shop(), run_id="take-over", fix=True)
    if report.problems:
        raise Unavailable(f"{account_id}: not compared with the shop yet: {report.problems[0]}")
