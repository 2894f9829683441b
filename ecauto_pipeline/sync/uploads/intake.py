"""New products from lists of ASINs: asked about at Amazon, screened, and listed as pending."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.domain.screening.rules import Product, Screening, Verdict, screen
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.uploads.intake import (
    Candidate,
    IntakeRow,
    Outcome,
    ParsedFile,
    choose_account,
    invalid_rows,
    obstacle,
)
from ecauto_pipeline.domain.uploads.rules import PRIORITIES
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.storage.screening.verdicts import REFUSED
from ecauto_pipeline.storage.uploads.inbox import Inbox, read_asin_file
from ecauto_pipeline.storage.uploads.intake import IntakeStore, already_there
from ecauto_pipeline.sync.amazon.refresh import AmazonRefresher, RefreshPlan
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.screening import Screener

CHUNK = 2_000
"""ASINs that are asked about and committed together."""

EXAMPLES = 5
"""ASINs named per outcome in the report for people."""

PROBLEMS_KEPT = 10

_NOT_ASKED = "not asked at Amazon: the time was up; add it again later"
_DRY = "not asked at Amazon: dry run"
_SOLD_OUT = "sold out at Amazon now: it stays hidden until it is back"
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How products are taken in; `held` listings are not queued until somebody says so."""

    account_id: str | None = None
    priority: int = 5
    held: bool = False
    dry_run: bool = False
    time_budget: timedelta = timedelta(minutes=50)


@dataclass(slots=True)
class IntakeReport:
    """What became of each ASIN of a list."""

    dry_run: bool = False
    repeated: int = 0
    rows: list[IntakeRow] = field(default_factory=list[IntakeRow])
    calls: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])
    seconds: float = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each outcome."""
        found = Counter(row.outcome for row in self.rows)
        return {str(outcome): found[outcome] for outcome in Outcome}

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "dry_run": self.dry_run,
            "asins": sum(row.outcome != Outcome.INVALID for row in self.rows),
            "repeated": self.repeated,
            "counts": self.counts,
            "calls": sum(self.calls.values()),
            "calls_by_operation": dict(self.calls),
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
            "rows": [asdict(row) for row in self.rows],
        }

    def lines(self) -> list[str]:
        """Everything in plain words, with some examples of what was not added."""
        numbers = self.as_dict()
        counts = [f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items()]
        first = f"{numbers['asins']} ASINs ({self.repeated} repeated): {', '.join(counts)}"
        if self.dry_run:
            return [f"dry run, nothing written or asked: {first}", *self._examples()]
        spent = f"{numbers['calls']} calls to Amazon in {numbers['seconds']} s"
        return [first, spent, *self._examples(), *(f"problem: {each}" for each in self.problems)]

    def _examples(self) -> Iterator[str]:
        for outcome in Outcome:
            rows = [row for row in self.rows if row.outcome == outcome]
            if outcome == Outcome.ADDED or not rows:
                continue
            shown = "; ".join(f"{row.asin} ({row.detail})" for row in rows[:EXAMPLES])
            more = f"; and {len(rows) - EXAMPLES} more" if len(rows) > EXAMPLES else ""
            yield f"{outcome.replace('_', ' ')}: {shown}{more}"

    def write_csv(self, path: Path) -> None:
        """Write the rows as a table that Excel opens; it appears when it is complete."""
        unfinished = path.with_name(f"{path.name}.tmp")
        with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("asin", "outcome", "account_id", "detail"))
            for row in self.rows:
                cells = (row.asin, str(row.outcome), row.account_id, row.detail)
                writer.writerow(map(_harmless, cells))
        unfinished.replace(path)


@dataclass(frozen=True, slots=True)
class InboxResult:
    """Where a list of the inbox went, with its report, or why it could not be used."""

    path: Path
    report: IntakeReport | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """All that an intake needs of the world.

    `accounts` are all there are, also inactive ones, and `setting` is where they are configured.
    """

    store: IntakeStore
    refresher: AmazonRefresher
    screener: Screener
    accounts: Sequence[Account]
    setting: str
    clock: Clock

    def take_in(
        self, parsed: ParsedFile, options: IntakeOptions, progress: Progress
    ) -> IntakeReport:
        """List the products that are not listed yet and that Amazon proves; each has an outcome.

        What is done is kept when it is interrupted, and not asked for again the next time.

        Raises:
            Misconfigured: there is no such account or priority; nothing was changed.
            CredentialsRejected: Amazon does not accept the credentials.
        """
        started = self.clock.now()
        report = IntakeReport(options.dry_run, parsed.repeated)
        run = _Run(self, options, progress, report, started + options.time_budget)
        for start in range(0, len(parsed.asins), CHUNK):
            report.rows += run.take_in(parsed.asins[start : start + CHUNK])
        report.rows += invalid_rows(parsed)
        report.seconds = (self.clock.now() - started).total_seconds()
        return report

    def process_inbox_file(
        self, path: Path, inbox: Inbox, options: IntakeOptions, progress: Progress
    ) -> InboxResult | None:
        """Take in the products of a list and put it away; None: another process has it.

        A list that cannot be read goes to `failed`. When anything else goes wrong it goes back.

        Raises:
            EcautoError: as `take_in`.
        """
        with inbox.taken(path) as working:
            if working is None:
                return None
            try:
                parsed = read_asin_file(working)
            except Misconfigured as problem:
                return InboxResult(inbox.fail(working, str(problem)), problem=str(problem))
            report = self.take_in(parsed, options, progress)
            return InboxResult(inbox.finish(working, report.write_csv), report)

    def usable_accounts(self, options: IntakeOptions) -> list[Account]:
        """The accounts among which to choose.

        Raises:
            Misconfigured: there is none, or not the one asked for.
        """
        if options.account_id is not None:
            return [self._named(options.account_id)]
        active = [account for account in self.accounts if account.active]
        if not active:
            raise Misconfigured(f"{self.setting}: there is no active account to list on")
        # With a limit of 0 nothing would ever be uploaded.
        return [account for account in active if account.daily_upload_limit] or active

    def _named(self, account_id: str) -> Account:
        account = next((each for each in self.accounts if each.id == account_id), None)
        if account is None:
            ids = ", ".join(each.id for each in self.accounts) or "none is configured"
            raise Misconfigured(f"--account {account_id}: there is no such account ({ids})")
        if not account.active:
            raise Misconfigured(f"--account {account.label}: it is switched off (active = false)")
        return account


class _Run:
    """One intake under way."""

    def __init__(
        self,
        intake: Intake,
        options: IntakeOptions,
        progress: Progress,
        report: IntakeReport,
        deadline: datetime,
    ) -> None:
        if options.priority not in PRIORITIES:
            raise Misconfigured(f"--priority {options.priority}: 1 to {PRIORITIES[-1]} is wanted")
        self._intake = intake
        self._store = intake.store
        self._options = options
        self._progress = progress
        self._report = report
        self._deadline = deadline
        self._accounts = intake.usable_accounts(options)
        self._loads = Counter(intake.store.loads())

    def take_in(self, asins: Sequence[str]) -> list[IntakeRow]:
        """The outcomes of these ASINs, in their order."""
        rows = {asin: already_there(asin, at) for asin, at in self._store.placed(asins).items()}
        new = [asin for asin in asins if asin not in rows]
        rows |= {row.asin: row for row in self._outcomes(new)}
        return [rows[asin] for asin in asins]

    def _outcomes(self, asins: Sequence[str]) -> list[IntakeRow]:
        left = self._deadline - self._intake.clock.now()
        if self._options.dry_run or left <= timedelta(0):
            detail = _DRY if self._options.dry_run else _NOT_ASKED
            return [IntakeRow(asin, Outcome.NOT_ANSWERED, detail) for asin in asins]
        if not asins:
            return []
        asked_at = self._intake.clock.now()
        self._store.prepare(asins)
        self._refresh(asins, left)
        rows = self._judge(asins, asked_at)
        options = self._options
        return self._store.commit(rows, priority=options.priority, held=options.held)

    def _refresh(self, asins: Sequence[str], left: timedelta) -> None:
        plan = RefreshPlan(
            Scope(asins=frozenset(asins)), time_budget=left, recheck_budget=timedelta(0)
        )
        refreshed = self._intake.refresher.refresh(plan, self._progress)
        self._report.calls.update(refreshed.calls)
        room = PROBLEMS_KEPT - len(self._report.problems)
        self._report.problems += refreshed.problems[:room]

    def _judge(self, asins: Sequence[str], asked_at: datetime) -> list[IntakeRow]:
        """The rows as they are to be; nothing is listed yet."""
        known = self._store.candidates(asins)
        ttl = self._intake.refresher.rules.ttl
        rows: list[IntakeRow] = []
        listable: list[Candidate] = []
        for asin in asins:
            row = obstacle(
                asin,
                known.get(asin),
                catalog_since=asked_at - ttl[Fact.CATALOG],
                price_since=asked_at - ttl[Fact.PRICE],
            )
            if row is None:
                listable.append(known[asin])
            else:
                rows.append(row)
        return rows + self._screen(listable)

    def _screen(self, candidates: Sequence[Candidate]) -> list[IntakeRow]:
        screener = self._intake.screener
        results = {each.asin: screen(_product(each), screener.rules) for each in candidates}
        # In one order, so that two intakes cannot wait for each other.
        screener.store.save(dict(sorted(results.items())))
        return [self._row(each, results[each.asin]) for each in candidates]

    def _row(self, candidate: Candidate, result: Screening) -> IntakeRow:
        asin, screener = candidate.asin, self._intake.screener
        if refusal := screener.refusal(asin, result):
            in_doubt = result.verdict == Verdict.REVIEW
            if in_doubt and screener.store.decision(asin) != REFUSED:
                return IntakeRow(asin, Outcome.NEEDS_REVIEW, refusal)
            return IntakeRow(asin, Outcome.SCREENED_OUT, refusal)
        account_id = choose_account(candidate.category, self._accounts, self._loads)
        self._loads[account_id] += 1
        detail = _SOLD_OUT if candidate.in_stock is False else ""
        return IntakeRow(asin, Outcome.ADDED, detail, account_id)


def _product(candidate: Candidate) -> Product:
    return Product(
        asin=candidate.asin,
        title=candidate.title or "",
        description=candidate.description or "",
        brand=candidate.brand or "",
        category=candidate.category or "",
    )


def _harmless(cell: str) -> str:
    """Excel would run what looks like a formula; the list came from anywhere."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
