"""Refreshing the caches of Amazon's facts: what is due, side by side within each quota.

The sweep (getCompetitivePricing) sees most changes, fast. Where it proves too little, because it
is inconclusive, something changed, or the product is listed, the offers themselves are read: in
batches and one by one, each from a quota of its own. The catalog has its own quota as well.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from ecauto_pipeline.clients.amazon.client import BATCH, AmazonClient
from ecauto_pipeline.clock import Clock, StoppableClock
from ecauto_pipeline.domain.amazon.facts import (
    CATALOG_FACTS,
    OFFER_FACTS,
    OPTIONAL_DETAILS,
    BuyFrom,
    CompetitivePrice,
    DetailNeed,
    Fact,
    ItemOffers,
    KnownOffers,
    Verdict,
    detail_need,
    judge_competitive_price,
    judge_offers,
    unknown,
)
from ecauto_pipeline.domain.amazon.freshness import Due, FreshnessRules, Scope
from ecauto_pipeline.errors import Deferred, Unavailable
from ecauto_pipeline.storage.amazon.product_files import ProductFiles
from ecauto_pipeline.storage.amazon.products import OffersUpdate, ProductStore
from ecauto_pipeline.sync.amazon.detail_queue import Detail, DetailQueue
from ecauto_pipeline.sync.amazon.lanes import Emit, Lane, run_lanes
from ecauto_pipeline.sync.amazon.report import (
    Called,
    Outcome,
    Problem,
    RefreshReport,
    Result,
    Waiting,
    changes_of,
)
from ecauto_pipeline.sync.progress import Progress

OnWait = Callable[[str, float], None]

FAILURES_IN_A_ROW = 3
"""After so many requests without a usable answer a lane gives up until the next run."""

_ABSENT = "not in the answer"
_UNCHANGED = Verdict(in_stock=True, reason="unchanged since its offers were read")


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """What a refresh is asked to do."""

    scope: Scope
    time_budget: timedelta
    recheck_budget: timedelta
    limit: int = 30_000


@dataclass(frozen=True, slots=True)
class AmazonRefresher:
    """All a refresh needs of the world.

    `client_for` opens the client with the clock that the refresh can stop, and with whom to tell
    about waits.
    """

    store: ProductStore
    files: ProductFiles
    client_for: Callable[[Clock, OnWait], AmazonClient]
    clock: Clock
    rules: FreshnessRules
    buy_from: BuyFrom

    def refresh(self, plan: RefreshPlan, progress: Progress) -> RefreshReport:
        """Fetch what is due, most urgent first, until all is done or the time is up.

        Each answer is stored at once, so that nothing is lost when the refresh is interrupted.

        Raises:
            CredentialsRejected: Amazon does not accept the credentials.
        """
        started = self.clock.now()
        report = RefreshReport()
        facts = plan.scope.facts
        dues = self.store.due(plan.scope, plan.limit)
        for due in dues:
            for fact in due.facts:
                report.add(fact, due.shard, "due", 1)
        if len(dues) == plan.limit:
            beyond = self.store.count_due(plan.scope) - plan.limit
            for fact in facts:
                report.add(fact, dues[-1].shard, Result.DEFERRED, max(beyond, 0))
        for shard in self.store.freshness(plan.scope):
            for fact in facts:
                report.add(fact, shard.shard, "cache_hits", shard.fresh[fact])
        if left := self._adopt_files(dues, report):
            _Run(self, plan, left, report, progress).go()
        report.seconds = (self.clock.now() - started).total_seconds()
        return report

    def _adopt_files(self, dues: Sequence[Due], report: RefreshReport) -> list[Due]:
        """Take from the file cache what is fresh there and expired in the database."""
        left: list[Due] = []
        adopted: list[dict[str, Any]] = []
        now = self.clock.now()
        for due in dues:
            columns = self.files.read(due.asin) or {}
            times = {fact: columns.get(f"{fact}_updated_at") for fact in due.facts}
            if all(
                at is not None and at >= now - self.rules.ttl_of(fact, due.tier)
                for fact, at in times.items()
            ):
                adopted.append(columns)
                for fact in due.facts:
                    report.add(fact, due.shard, "cache_hits", 1)
            else:
                left.append(due)
        self.store.adopt(adopted)
        return left


@dataclass(frozen=True, slots=True)
class OffersCheck:
    """Asks for the offers of one product now, from the quota that is kept for urgent ones."""

    store: ProductStore
    client: AmazonClient
    buy_from: BuyFrom

    def __call__(self, asin: str) -> Verdict:
        """What Amazon proves about the product; it is stored.

        Raises:
            Unavailable: no usable answer.
        """
        answer = self.client.offers(asin).get(asin)
        verdict = judge_offers(answer, self.buy_from) if answer else unknown(_ABSENT)
        self.store.save_offers([OffersUpdate(asin, verdict, detailed=True)])
        return verdict


class _Answered(NamedTuple):
    """A product, what was known of it, and what is now."""

    due: Due
    known: KnownOffers
    update: OffersUpdate


class _Run:
    """One refresh under way: four lanes, and the tally that this thread keeps."""

    def __init__(
        self,
        refresher: AmazonRefresher,
        plan: RefreshPlan,
        dues: Sequence[Due],
        report: RefreshReport,
        progress: Progress,
    ) -> None:
        self._store = refresher.store
        self._files = refresher.files
        self._files_lock = threading.Lock()
        self._buy_from = refresher.buy_from
        self._clock = StoppableClock(refresher.clock)
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = refresher.client_for(
            self._clock, lambda bucket, seconds: self._events.put(Waiting(bucket, seconds))
        )
        self._deadline = refresher.clock.now() + plan.time_budget
        self._details = DetailQueue(self._clock, plan.recheck_budget)
        self._catalog = [due for due in dues if due.needs_catalog]
        self._offers = [due for due in dues if due.needs_offers]
        self._report = report
        # Counts on while the lanes run.
        report.calls = self._client.calls
        self._progress = progress
        self._done = 0

    def go(self) -> None:
        """Run the lanes to their end and close the client."""
        client, lanes = self._client, list[Lane]()
        if self._catalog:
            lanes += [partial(self._batches, self._catalog, CATALOG_FACTS, self._ask_catalog)]
        if self._offers:
            lanes += [
                partial(self._batches, self._offers, OFFER_FACTS, self._sweep),
                partial(self._read_details, BATCH, client.offers_batch),
                partial(self._read_details, 1, lambda asins, until: client.offers(asins[0], until)),
            ]
        try:
            run_lanes(lanes, self._events, self._clock, self._handle, self._details.wake)
        finally:
            client.close()
        for left in self._details.take(len(self._offers)):
            if left.need not in OPTIONAL_DETAILS:
                self._report.add_outcome(Outcome(left.due, OFFER_FACTS, Result.DEFERRED))

    def _handle(self, event: object) -> None:
        match event:
            case Outcome():
                self._report.add_outcome(event)
                self._done += bool(event.facts)
                total = len(self._catalog) + len(self._offers)
                self._progress.advanced("products", self._done, total)
            case Waiting():
                self._progress.waiting(event.bucket, event.seconds)
            case Called():
                self._report.add_call(event)
            case Problem():
                self._report.problems.append(event.message)
            case _:
                raise TypeError(f"an unknown event: {event!r}")

    def _ask_catalog(self, dues: Sequence[Due], emit: Emit) -> None:
        asins = [due.asin for due in dues]
        found = self._client.search_catalog(asins, self._deadline)
        emit(Called(tuple(dues), CATALOG_FACTS))
        self._store.save_catalog(asins, found)
        self._cache(asins)
        for due in dues:
            result = Result.REFRESHED if due.asin in found else Result.UNKNOWN
            emit(Outcome(due, CATALOG_FACTS, result))

    def _sweep(self, dues: Sequence[Due], emit: Emit) -> None:
        """Store what the sweep proves, and queue the products whose offers are to be read."""
        asins = [due.asin for due in dues]
        found = self._client.competitive_prices(asins, self._deadline)
        emit(Called(tuple(dues), OFFER_FACTS))
        # A product that is gone meanwhile (an intake found that it does not exist) is left out.
        known_by_asin = self._store.known(asins)
        proven: list[_Answered] = []
        details: list[Detail] = []
        for due in dues:
            known = known_by_asin.get(due.asin)
            if known is None:
                continue
            swept = found.get(due.asin) or CompetitivePrice(due.asin, _ABSENT)
            need = detail_need(known, swept)
            if need is not None:
                details.append(Detail(due, known, need, swept))
            if need is None or need in OPTIONAL_DETAILS:
                unconfirmed = need == DetailNeed.SPARE
                verdict = judge_competitive_price(swept) if unconfirmed else _UNCHANGED
                proven.append(_Answered(due, known, OffersUpdate(due.asin, verdict, swept)))
        self._save(proven, emit)
        for detail in details:
            self._details.put(detail)

    def _read_details(
        self,
        size: int,
        ask: Callable[[Sequence[str], datetime], dict[str, ItemOffers]],
        emit: Emit,
    ) -> None:
        failures = 0
        while failures < FAILURES_IN_A_ROW and self._details.wait_for(size):
            until = self._details.until(self._deadline)
            details = self._details.take(size)
            if not details:
                continue
            try:
                found = ask([detail.due.asin for detail in details], until)
            except Deferred:
                for detail in details:
                    self._details.put(detail)
                return
            except Unavailable as problem:
                failures += 1
                asked = [d.due for d in details if d.need not in OPTIONAL_DETAILS]
                self._give_up(asked, OFFER_FACTS, problem, emit)
                continue
            failures = 0
            emit(Called(tuple(detail.due for detail in details), OFFER_FACTS))
            self._judge_details(details, found, emit)

    def _judge_details(
        self, details: Iterable[Detail], found: Mapping[str, ItemOffers], emit: Emit
    ) -> None:
        judged: list[_Answered] = []
        rechecked: list[_Answered] = []
        for detail in details:
            due = detail.due
            answer = found.get(due.asin)
            if answer is not None and detail.contradicts(answer):
                self._details.put(detail.asked_again())
                continue
            verdict = judge_offers(answer, self._buy_from) if answer else unknown(_ABSENT)
            update = OffersUpdate(due.asin, verdict, detail.swept, detailed=True)
            answered = _Answered(due, detail.known, update)
            if detail.need not in OPTIONAL_DETAILS:
                judged.append(answered)
            elif verdict.is_proof:
                rechecked.append(answered)
        self._save(judged, emit)
        self._save(rechecked, emit, facts=frozenset())

    def _save(
        self,
        answers: Sequence["_Answered"],
        emit: Emit,
        facts: frozenset[Fact] = OFFER_FACTS,
    ) -> None:
        """Store the answers and count them; those already counted come with no `facts`."""
        self._store.save_offers([answer.update for answer in answers])
        proven = [each.due.asin for each in answers if each.update.verdict.is_proof]
        self._cache(proven)
        for due, known, update in answers:
            result = Result.REFRESHED if update.verdict.is_proof else Result.UNKNOWN
            emit(Outcome(due, facts, result, changes_of(due, known, update.verdict)))

    def _cache(self, asins: Sequence[str]) -> None:
        """Write the files anew; one lane at a time, so that none writes what was before."""
        with self._files_lock:
            self._files.write(self._store.facts(asins))

    def _batches(
        self,
        dues: Sequence[Due],
        facts: frozenset[Fact],
        ask: Callable[[Sequence[Due], Emit], None],
        emit: Emit,
    ) -> None:
        failures = 0
        batches = [dues[start : start + BATCH] for start in range(0, len(dues), BATCH)]
        while batches and failures < FAILURES_IN_A_ROW:
            try:
                ask(batches[0], emit)
                failures = 0
            except Deferred:
                break
            except Unavailable as problem:
                failures += 1
                self._give_up(batches[0], facts, problem, emit)
            del batches[0]
        for due in (due for batch in batches for due in batch):
            emit(Outcome(due, facts, Result.DEFERRED))
        if facts == OFFER_FACTS:
            self._details.complete()

    def _give_up(
        self, dues: Iterable[Due], facts: frozenset[Fact], problem: Unavailable, emit: Emit
    ) -> None:
        emit(Problem(str(problem)))
        for due in dues:
            emit(Outcome(due, facts, Result.ERROR))
