"""What became of the decisions about an account's listings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ecauto_pipeline.domain.shops.changes import Change, Kind, Outcome


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a run may write: not at all, or beyond what the breaker allows."""

    run_id: str
    dry_run: bool = False
    accept_large_change: bool = False
    price_only: bool = False


@dataclass(slots=True)
class WriteReport:
    """What became of one account's decisions of one kind."""

    account_id: str
    kind: Kind
    listings: int = 0
    in_stock: int = 0
    out_of_stock: int = 0
    unknown: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    changes: list[tuple[Change, Outcome]] = field(default_factory=list[tuple[Change, Outcome]])
    calls: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    seconds: float = 0

    def add(self, changes: Iterable[Change], outcome: Outcome) -> None:
        """Count what became of these."""
        for change in changes:
            self.outcomes[outcome] += 1
            self.changes.append((change, outcome))

    def done(self, *, new: str) -> int:
        """How many changes to that value were written, or are planned in a dry run."""
        done = {Outcome.WRITTEN, Outcome.PLANNED}
        return sum(change.new == new and outcome in done for change, outcome in self.changes)
