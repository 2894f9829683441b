"""The Shopify mirrors from one command: a run for each store and entity, and a report on all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from ecauto_pipeline.cli.launch import plain_values, run_job
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
    _check(options, now.astimezone(JAPAN).date())
    report = MirrorsReport(started_at=now, ended_at=now)
    errors: list[EcautoError] = []
    ensure_partitions(instance, SHOPIFY_STORES, stores)
    for store_id in stores:
        for entity in options.entities:
            _mirror(instance, pipeline, (store_id, entity), options, (report, errors))
    report.ended_at = pipeline.clock.now()
    if len(errors) == len(report.runs) and all(isinstance(each, Misconfigured) for each in errors):
        raise errors[0]
    return report


def _check(options: MirrorOptions, today: date) -> None:
    first = options.first_day
    if first is not None and first > today:
        raise Misconfigured(f"--from {first}: that day has not come yet in Japan")
    if first is not None and first < FIRST_DAY:
        raise Misconfigured(f"--from {first}: the first day is {FIRST_DAY}; --full reads all")


def _mirror(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    mirrored: tuple[str, Entity],
    options: MirrorOptions,
    so_far: tuple[MirrorsReport, list[EcautoError]],
) -> None:
    store_id, entity = mirrored
    report, errors = so_far
    first, last = _days(pipeline, store_id, entity, options)
    run = run_job(
        instance,
        f"shopify_{entity}_sync",
        tags=store_days(store_id, first, last),
        ops={f"shopify_{entity}": {"mode": options.mode}},
    )
    report.runs[f"{store_id}/{entity}"] = run.run_id
    for observation in run.observations:
        report.stores.setdefault(store_id, {})[str(entity)] = plain_values(observation.metadata)
    if not run.succeeded:
        errors.append(run.error)
        report.problems.append(str(run.error))


def _days(
    pipeline: Pipeline, store_id: str, entity: Entity, options: MirrorOptions
) -> tuple[date, date]:
    """The days that the run is over: those asked for, else from the last sync to today."""
    today = pipeline.clock.now().astimezone(JAPAN).date()
    if options.first_day is not None:
        return options.first_day, min(options.last_day or today, today)
    if options.full:
        return today, today
    return first_day_due(pipeline.mirrors.states.get(store_id, entity), today), today


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
