"""Comparing an account's listings and queue with its shop, and mending what is safe."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecauto_pipeline.clients.base_shop.client import BaseShopClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.changes import Item
from ecauto_pipeline.domain.uploads.consistency import (
    Delist,
    FailRows,
    Finding,
    FindingKind,
    ListingState,
    LookUp,
    Mend,
    QueueState,
    disbelief,
    find,
)
from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.errors import EcautoError, ItemGone, Rejected, Unavailable
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.sync.uploads.lookup import LookupReport, resolve_unknown

EXAMPLES = 5
"""So many ASINs of a kind are told in words; the tables have all."""

States = tuple[Sequence[ListingState], Sequence[QueueState]]


@dataclass(slots=True)
class ConsistencyReport:
    """What disagrees on one account, and what was mended; `shop_items` is None for no reading."""

    account_id: str
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
                of_kind = [finding for finding in self.findings if finding.kind == kind]
                lines.append(
                    f"{self.account_id}: {count} {kind}, {mended.get(kind, 0)} mended:"
                    f" {_examples(of_kind)}"
                )
        if self.lookup:
            lines.append(
                f"{self.account_id}: looked up: {self.lookup.adopted} found,"
                f" {self.lookup.not_found} not found, {self.lookup.rescued} rescued"
            )
        return lines


@dataclass(frozen=True, slots=True)
class ConsistencyCheck:
    """All that the check of an account needs, but for its shop's client."""

    store: ConsistencyStore
    attempts: UploadAttempts
    rules: UploadRules
    clock: Clock

    def check_account(
        self,
        account_id: str,
        client: BaseShopClient | None,
        progress: Progress | None = None,
        *,
        run_id: str = "",
        fix: bool = False,
    ) -> ConsistencyReport:
        """Compare, and with `fix` mend what is safe; without a client the shop is not read.

        A shop that cannot be read or believed is a problem in the report, and nothing is mended.
        """
        report = ConsistencyReport(account_id)
        before = self.store.states(account_id)
        items = self._read(client, before, report) if client else None
        report.findings = self._find(account_id, before, items)
        if client and items is not None:
            try:
                if fix:
                    items = self._read_again(client, items, before, report)
                # What changed while the shop was read is no disagreement.
                after = set(self._find(account_id, self.store.states(account_id), items))
                report.findings = [each for each in report.findings if each in after]
                if fix:
                    _Mender(self, client, run_id, report).mend(progress or Silent())
            except EcautoError as reason:
                report.problems.append(f"{account_id}: not all was mended: {reason}")
        report.calls = Counter(client.calls) if client else Counter()
        if fix and items is not None and not report.problems:
            self.store.note_check(account_id)
        return report

    def _find(self, account_id: str, states: States, items: Sequence[Item] | None) -> list[Finding]:
        return find(account_id, *states, items, self.clock.now())

    def _read(
        self, client: BaseShopClient, states: States, report: ConsistencyReport
    ) -> list[Item] | None:
        try:
            items = list(client.items())
        except EcautoError as reason:
            report.problems.append(f"{report.account_id}: the shop was not read: {reason}")
            return None
        report.shop_items = len(items)
        if doubt := disbelief(states[0], items):
            report.shop_empty = True
            report.problems.append(f"{report.account_id}: {doubt}; nothing is mended")
            return None
        return items

    def _read_again(
        self,
        client: BaseShopClient,
        items: Sequence[Item],
        states: States,
        report: ConsistencyReport,
    ) -> Sequence[Item]:
        """Before an upload is said to have made nothing, the shop is read the other way round.

        Pages shift while items are deleted, so that one reading may miss an item.
        """
        if not any(isinstance(finding.mend, FailRows) for finding in report.findings):
            return items
        both = {item.item_id: item for item in client.items("created", "desc")}
        both |= {item.item_id: item for item in items}
        report.findings = self._find(report.account_id, states, list(both.values()))
        return list(both.values())


@dataclass(frozen=True, slots=True)
class _Mender:
    """Carries out an account's mends; those that call the shop come last."""

    check: ConsistencyCheck
    client: BaseShopClient
    run_id: str
    report: ConsistencyReport

    def mend(self, progress: Progress) -> None:
        """Mend one after another; what is other than it was is left for the next time."""
        findings = self.report.findings
        gone = [each for each in findings if isinstance(each.mend, Delist)]
        todo = [each for each in findings if each.mend and not isinstance(each.mend, Delist)]
        self._mend_all(todo, "mended", progress)
        if any(isinstance(each.mend, LookUp) for each in findings):
            check = self.check
            self.report.lookup = resolve_unknown(
                check.attempts, self.client, check.rules, self.report.account_id
            )
        self._mend_all(gone, "asked for again", progress)

    def _mend_all(self, findings: Sequence[Finding], what: str, progress: Progress) -> None:
        for number, finding in enumerate(findings):
            if finding.mend and self._carry_out(finding.mend):
                self.report.mended.append(finding)
            told = f"disagreements of {self.report.account_id} {what}"
            progress.advanced(told, number + 1, len(findings))

    def _carry_out(self, mend: Mend) -> bool:
        if isinstance(mend, LookUp):  # one lookup serves all rows
            return False
        if isinstance(mend, Delist):
            return self._is_gone(mend.listing) and self.check.store.delist(mend, self.run_id)
        return self.check.store.apply(mend)

    def _is_gone(self, listing: ListingState) -> bool:
        """The second proof: BASE is asked for the item alone."""
        try:
            self.client.item(listing.item_id or "")
        except ItemGone:
            return True
        except Rejected as refusal:
            self.report.problems.append(
                f"{self.report.account_id}: {listing.asin} is not delisted: {refusal}"
            )
        return False


def _examples(findings: Sequence[Finding]) -> str:
    named = [finding.asin or finding.detail for finding in findings[:EXAMPLES]]
    more = len(findings) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def adopt_before_uploading(
    queue: UploadQueue,
    check: ConsistencyCheck,
    account_id: str,
    open_client: Callable[[], BaseShopClient],
) -> None:
    """Once after a take-over: what v1.0 had put on the shop is adopted, not made again.

    Raises:
        Unavailable: the shop could not be read whole, so nothing may be uploaded yet.
    """
    if not queue.has_imported(account_id) or check.store.checked(account_id):
        return
    report = check.check_account(account_id, open_client(), run_id="take-over", fix=True)
    if report.problems:
        raise Unavailable(f"{account_id}: not compared with the shop yet: {report.problems[0]}")
