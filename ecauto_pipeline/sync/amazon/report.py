"""What a refresh did, per fact and shard, in numbers that plot over time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ecauto_pipeline.domain.amazon.facts import Fact, KnownOffers, Verdict
from ecauto_pipeline.domain.amazon.freshness import Due

CHANGES_KEPT = 2_000
"""The most changes a report lists; all of them are in the database."""

_STOCK = {True: "in stock", False: "out of stock", None: "unknown"}


class Result(StrEnum):
    """What became of a due product."""

    REFRESHED = "refreshed"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    ERROR = "errors"


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A fact that is not what it was."""

    asin: str
    shard: str
    fact: Fact
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one product's facts of one kind."""

    due: Due
    facts: frozenset[Fact]
    result: Result
    changes: tuple[ProductChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Called:
    """A request was answered: for which products, about which facts."""

    dues: tuple[Due, ...]
    facts: frozenset[Fact]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lane waits for its turn."""

    bucket: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Problem:
    """A request stayed without a usable answer."""

    message: str


@dataclass(slots=True)
class RefreshReport:
    """The tally: `counts[fact, shard, measure]`."""

    counts: Counter[tuple[Fact, str, str]] = field(default_factory=Counter[tuple[Fact, str, str]])
    requests: dict[tuple[Fact, str], float] = field(default_factory=dict[tuple[Fact, str], float])
    changes: list[ProductChange] = field(default_factory=list[ProductChange])
    problems: list[str] = field(default_factory=list[str])
    calls: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0

    def add_outcome(self, outcome: Outcome) -> None:
        """Count what became of a product."""
        for fact in outcome.facts & outcome.due.facts:
            self.counts[fact, outcome.due.shard, outcome.result] += 1
        room = CHANGES_KEPT - len(self.changes)
        self.changes.extend(outcome.changes[:room])

    def add_call(self, called: Called) -> None:
        """Share a request out among the shards whose products were in it."""
        for due in called.dues:
            for fact in called.facts & due.facts:
                key = fact, due.shard
                self.requests[key] = self.requests.get(key, 0) + 1 / len(called.dues)

    def add(self, fact: Fact, shard: str, measure: str, count: int) -> None:
        """Count something else."""
        self.counts[fact, shard, measure] += count

    def of(self, fact: Fact, shard: str) -> Mapping[str, float]:
        """All measures of a fact in a shard."""
        measures = ("due", "cache_hits", *Result)
        numbers: dict[str, float] = {str(m): self.counts[fact, shard, str(m)] for m in measures}
        return numbers | {"calls": round(self.requests.get((fact, shard), 0), 2)}

    def total(self, facts: Iterable[Fact], measure: str) -> int:
        """A measure over all shards, at its highest among the facts (they share answers)."""
        return max(
            (
                sum(n for (f, _, m), n in self.counts.items() if (f, m) == (fact, measure))
                for fact in facts
            ),
            default=0,
        )

    @property
    def errors(self) -> int:
        """How many products stayed without any answer."""
        return self.total(Fact, Result.ERROR)


def changes_of(due: Due, known: KnownOffers, verdict: Verdict) -> tuple[ProductChange, ...]:
    """What a proof changes about a product."""
    found: list[ProductChange] = []
    if verdict.is_proof and verdict.in_stock != known.in_stock:
        old, new = _STOCK[known.in_stock], _STOCK[verdict.in_stock]
        found.append(ProductChange(due.asin, due.shard, Fact.STOCK, old, new))
    if verdict.price_jpy is not None and verdict.price_jpy != known.price_jpy:
        old = "" if known.price_jpy is None else str(known.price_jpy)
        found.append(ProductChange(due.asin, due.shard, Fact.PRICE, old, str(verdict.price_jpy)))
    return tuple(found)
