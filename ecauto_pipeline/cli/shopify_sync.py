"""The Shopify mirrors from one command: a run for each store and entity, and a report on all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from ecauto_pipeline.cli.command import plain_values
from ecauto_pipeline.cli.launch import run_job
from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.defs.partitions import (
    FIRST_DAY,
    SHOPIFY_STORES,
    ensure_partitions,
    first_day_due,
    store_days,
)
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.errors import EcautoError, Misconfigured
from ecauto_pipeline.wiring.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """What to mirror; without days or `full`, what changed since the watermarks."""

    store_id: str | None = None
    entity: Entity | None = None
    full: bool = False
    first_day: date | None = None
    last_day: date | None = None

    @property
    def mode(self) -> str:
        """How the assets are to read."""
        if self.full:
            return "full"
        return "increment" if self.first_day is None else "window"

    def days(self, today: date) -> tuple[date, date] | None:
        """The first and the last day asked for; None leaves it to how far the mirrors reach.

        Raises:
            Misconfigured: there is no such day.
        """
        first = self.first_day
        if first is None:
            return (today, today) if self.full else None
        if first > today:
            raise Misconfigured(f"--from {first}: that day has not come yet in Japan")
        if first < FIRST_DAY:
            raise Misconfigured(f"--from {first}: the first day is {FIRST_DAY}; --full reads all")
        return first, min(self.last_day or today, today)

    @property
    def entities(self) -> Sequence[Entity]:
        """Products before orders, and customers before both."""
        return list(Entity) if self.entity is None else [self.entity]


@dataclass(slots=True)
class MirrorsReport:
    """What became of each store's entities."""

    started_at: datetime
    ended_at: datetime
    stores: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=dict[str, dict[str, dict[str, Any]]]
    )
    runs: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])

    @property
    def succeeded(self) -> bool:
        """Whether every mirror is up to date."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "status": "done" if self.succeeded else "errors",
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "seconds": round((self.ended_at - self.started_at).total_seconds(), 1),
            "stores": self.stores,
            "runs": self.runs,
            "problems": self.problems,
        }

    def lines(self, zone: ZoneInfo) -> Iterable[str]:
        """For people."""
        yield f"Shopify mirrors, {self.ended_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        for store_id, entities in self.stores.items():
            yield store_id
            for entity, numbers in entities.items():
                yield f"  {entity:<10} {_told(numbers)}"
                for note in numbers.get("notes", []):
                    yield f"    {note}"
        for problem in self.problems:
            yield f"  ! {problem}"


def mirror_stores(
    instance: dg.DagsterInstance, pipeline: Pipeline, options: MirrorOptions
) -> MirrorsReport:
    """Mirror each entity of each store; the trouble of one is not that of the others.

    Raises:
        Misconfigured: there is no store, or none whose settings work, or there is no such day.
    """
    stores = pipeline.mirrors.store_ids(options.store_id)
    if not stores:
        raise Misconfigured("ECAUTO_SHOPIFY__STORES: no Shopify store is configured")
    now = pipeline.clock.now()
    today = now.astimezone(JAPAN).date()
    asked = options.days(today)
    report = MirrorsReport(started_at=now, ended_at=now)
    errors: list[EcautoError] = []
    ensure_partitions(instance, SHOPIFY_STORES, stores)
    for store_id, entity in product(stores, options.entities):
        state = pipeline.mirrors.states.get(store_id, entity)
        first, last = asked or (first_day_due(state, today), today)
        run = run_job(
            instance,
            f"shopify_{entity}_sync",
            tags=store_days(store_id, first, last),
            ops={f"shopify_{entity}": {"mode": options.mode}},
        )
        report.runs[f"{store_id}/{entity}"] = run.run_id
        for observation in run.observations:
            numbers = plain_values(observation.metadata)
            report.stores.setdefault(store_id, {})[str(entity)] = numbers
        if not run.succeeded:
            errors.append(run.error)
            report.problems.append(str(run.error))
    report.ended_at = pipeline.clock.now()
    if len(errors) == len(report.runs) and all(isinstance(each, Misconfigured) for each in errors):
        raise errors[0]
    return report


def _told(numbers: dict[str, Any]) -> str:
    parts = [
        f"{numbers[name]} {name}"
        for name in ("read", "created", "changed", "deleted", "bad")
        if numbers.get(name) or name == "read"
    ]
    counts = [numbers.get("mirror_count"), numbers.get("source_count")]
    if None not in counts:
        parts.append(f"{counts[0]} here, {counts[1]} on the shop")
    return ", ".join(parts)
