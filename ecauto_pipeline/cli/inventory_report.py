"""The run report of the inventory sync: v1.0's counts per step, API calls, time, errors."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(slots=True)
class CacheStep:
    """Step 1: which facts were missing or expired, and what Amazon answered."""

    products: int = 0
    due: int = 0
    refreshed: int = 0
    unknown: int = 0
    deferred: int = 0
    errors: int = 0
    changes: int = 0
    calls: int = 0
    calls_by_operation: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0


@dataclass(slots=True)
class WriteStep:
    """Steps 2 and 3: what was decided about the listings, and what the shops took."""

    listings: int = 0
    in_stock: int = 0
    out_of_stock: int = 0
    unknown: int = 0
    written: int = 0
    hidden: int = 0
    shown: int = 0
    planned: int = 0
    held: int = 0
    deferred: int = 0
    failed: int = 0
    unchanged: int = 0
    calls: int = 0
    errors: int = 0
    seconds: float = 0

    def add(self, numbers: dict[str, Any]) -> None:
        """Add an account's numbers."""
        for name in self.__slots__:
            if name in numbers:
                setattr(self, name, getattr(self, name) + numbers[name])
        touched = ("written", "planned", "held", "deferred", "failed")
        changes = sum(numbers.get(name, 0) for name in touched)
        self.unchanged += numbers.get("listings", 0) - changes


@dataclass(slots=True)
class SyncReport:
    """The whole sync."""

    started_at: datetime
    ended_at: datetime
    dry_run: bool = False
    cache: CacheStep = field(default_factory=CacheStep)
    visibility: WriteStep = field(default_factory=WriteStep)
    prices: WriteStep = field(default_factory=WriteStep)
    steps: list[str] = field(default_factory=list[str])
    runs: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])

    @property
    def seconds(self) -> float:
        """How long it took."""
        return round((self.ended_at - self.started_at).total_seconds(), 1)

    @property
    def errors(self) -> int:
        """How much could not be done."""
        return self.cache.errors + self.visibility.errors + self.prices.errors

    @property
    def succeeded(self) -> bool:
        """Whether all that was to be done was done."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        shown = asdict(self)
        return shown | {
            "status": "done" if self.succeeded else "errors",
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "seconds": self.seconds,
            "errors": self.errors,
        }

    def lines(self, zone: ZoneInfo) -> Iterable[str]:
        """For people."""
        yield "Inventory sync" + (" (dry run: nothing was written)" if self.dry_run else "")
        if "cache" in self.steps:
            yield from self._cache_lines()
        if "visibility" in self.steps:
            yield from self._visibility_lines()
        if "prices" in self.steps:
            yield from self._price_lines()
        yield ""
        yield "Total"
        yield _row("started", f"{self.started_at.astimezone(zone):%Y-%m-%d %H:%M:%S}")
        yield _row("ended", f"{self.ended_at.astimezone(zone):%Y-%m-%d %H:%M:%S}")
        yield _row("seconds", self.seconds)
        yield _row("errors", max(self.errors, len(self.problems)))
        yield _row("status", "done" if self.succeeded else "ended with errors")
        for problem in self.problems:
            yield f"  ! {problem}"

    def _cache_lines(self) -> Iterable[str]:
        cache = self.cache
        yield ""
        yield "Step 1: caches of Amazon's catalog, prices and stock"
        yield from _rows(
            ("products", cache.products),
            ("within TTL", cache.products - cache.due),
            ("due", cache.due),
            ("refreshed", cache.refreshed),
            ("no proof, kept as is", cache.unknown),
            ("left for the next run", cache.deferred),
            ("errors", cache.errors),
            ("API calls", cache.calls),
        )
        for operation, calls in sorted(cache.calls_by_operation.items()):
            yield _row(f"  {operation}", calls)
        yield _row("seconds", cache.seconds)

    def _visibility_lines(self) -> Iterable[str]:
        step = self.visibility
        yield ""
        yield "Step 2: stock (visibility on BASE)"
        yield from _rows(
            ("listings", step.listings),
            ("in stock", step.in_stock),
            ("out of stock", step.out_of_stock),
            ("not known, kept as is", step.unknown),
            ("hidden", step.hidden),
            ("shown", step.shown),
        )
        yield from _rows(*_common(step))

    def _price_lines(self) -> Iterable[str]:
        step = self.prices
        hits = self.cache.products - self.cache.errors - self.cache.deferred
        share = hits / self.cache.products if self.cache.products else 1
        yield ""
        yield "Step 3: prices on BASE"
        yield from _rows(
            ("listings", step.listings),
            ("prices written", step.written),
            ("no change needed", step.unchanged),
            ("served from the caches", f"{share:.1%}"),
        )
        yield from _rows(*_common(step))


def _common(step: WriteStep) -> Sequence[tuple[str, object]]:
    always = [
        ("API calls", step.calls),
        ("errors", step.errors),
        ("seconds", round(step.seconds, 1)),
    ]
    some = [("planned", step.planned), ("held back", step.held), ("left for later", step.deferred)]
    return [*((label, count) for label, count in some if count), *always]


def _rows(*pairs: tuple[str, object]) -> Iterable[str]:
    return (_row(label, value) for label, value in pairs)


def _row(label: str, value: object) -> str:
    return f"  {label:<26}{value:>12}" if isinstance(value, int) else f"  {label:<26}{value!s:>12}"
