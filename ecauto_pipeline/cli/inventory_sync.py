"""The inventory sync from one command: the Amazon half, the BASE half, a report on both."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from ecauto_pipeline.cli.command import plain_values
from ecauto_pipeline.cli.inventory_report import SyncReport, WriteStep
from ecauto_pipeline.cli.launch import JobRun, run_job
from ecauto_pipeline.defs.assets.base_shop import WRITE_KEYS
from ecauto_pipeline.defs.partitions import (
    BASE_ACCOUNTS,
    account_range,
    ensure_partitions,
    range_tags,
)
from ecauto_pipeline.defs.sensors import watermarks
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.domain.shops.changes import Kind
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.wiring.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What to sync, and how."""

    price_only: bool = False
    stock_only: bool = False
    account_id: str | None = None
    dry_run: bool = False
    accept_large_change: bool = False

    @property
    def facts(self) -> frozenset[Fact]:
        """What to fetch from Amazon."""
        if self.price_only:
            return frozenset({Fact.PRICE})
        return frozenset({Fact.STOCK}) if self.stock_only else frozenset(Fact)

    @property
    def kinds(self) -> Sequence[Kind]:
        """What to write to BASE: visibility comes first."""
        if self.price_only:
            return [Kind.PRICE]
        return [Kind.VISIBILITY] if self.stock_only else [Kind.VISIBILITY, Kind.PRICE]

    @property
    def jobs(self) -> tuple[str, str]:
        """The jobs of both halves."""
        if self.price_only:
            return "price_refresh", "price_sync"
        if self.stock_only:
            return "stock_refresh", "visibility_sync"
        return "amazon_refresh", "base_sync"


def sync_inventory(
    instance: dg.DagsterInstance, pipeline: Pipeline, options: SyncOptions
) -> SyncReport:
    """Run both halves; the second one runs whatever the first one could not fetch.

    Raises:
        Misconfigured: a setting or credential is wrong; a person must act.
    """
    accounts = [account.id for account in pipeline.shops.accounts(options.account_id)]
    now = pipeline.clock.now()
    report = SyncReport(started_at=now, ended_at=now, dry_run=options.dry_run)
    _refresh(instance, pipeline, options, report)
    if accounts:
        _write(instance, accounts, options, report)
    report.problems += _strangers(pipeline, options)
    report.ended_at = pipeline.clock.now()
    return report


def _strangers(pipeline: Pipeline, options: SyncOptions) -> list[str]:
    """Accounts that have listings and are configured nowhere: nothing can be written to them."""
    if options.account_id:
        return []
    known = {account.id for account in pipeline.shops.known_accounts()}
    return [
        f"{account}: it has listings, but is not configured: add it to ECAUTO_BASE__ACCOUNTS"
        for account in pipeline.shops.listings.accounts()
        if account not in known
    ]


def _refresh(
    instance: dg.DagsterInstance, pipeline: Pipeline, options: SyncOptions, report: SyncReport
) -> None:
    """The Amazon half, over the shards with something due; none of it when nothing is."""
    scope = Scope(options.facts, account_id=options.account_id)
    report.steps.append("cache")
    shards = pipeline.amazon.products.freshness(scope)
    report.cache.products = sum(shard.products for shard in shards)
    due = pipeline.amazon.products.due_shards(scope)
    if due:
        run = run_job(
            instance,
            options.jobs[0],
            tags=range_tags(due[0], due[-1]),
            ops={"amazon_facts": {"account_id": options.account_id}},
        )
        _note_run(run, report)
        for observation in run.observations:
            for name, value in plain_values(observation.metadata).items():
                if hasattr(report.cache, name):
                    setattr(report.cache, name, value)
    for event in watermarks(pipeline):
        instance.report_runless_asset_event(event)


def _write(
    instance: dg.DagsterInstance,
    accounts: list[str],
    options: SyncOptions,
    report: SyncReport,
) -> None:
    run = run_job(
        instance,
        options.jobs[1],
        tags=account_range(ensure_partitions(instance, BASE_ACCOUNTS, accounts), accounts),
        ops={
            "base_writes": {
                "accounts": accounts,
                "dry_run": options.dry_run,
                "accept_large_change": options.accept_large_change,
            }
        },
    )
    _note_run(run, report)
    steps: dict[dg.AssetKey, WriteStep] = {
        WRITE_KEYS[Kind.VISIBILITY]: report.visibility,
        WRITE_KEYS[Kind.PRICE]: report.prices,
    }
    for kind in options.kinds:
        report.steps.append("visibility" if kind == Kind.VISIBILITY else "prices")
    for event in run.materializations:
        steps[event.asset_key].add(plain_values(event.metadata))


def _note_run(run: JobRun, report: SyncReport) -> None:
    report.runs[run.job_name] = run.run_id
    if run.succeeded:
        return
    if isinstance(run.error, Misconfigured):
        raise run.error
    report.problems.append(str(run.error))
