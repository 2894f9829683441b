"""The BASE shops: what they have, and the prices and visibility written to them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from ecauto_pipeline.defs.assets.amazon import FACT_KEYS
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, SINGLE_RUN
from ecauto_pipeline.defs.resources import PIPELINE, pipeline_of
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.base_shop.changes import Kind, Outcome
from ecauto_pipeline.errors import EcautoError, RunIncomplete
from ecauto_pipeline.sync.base_shop.report import WriteOptions, WriteReport

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.pipeline import Pipeline

GROUP = "base"
POOL = "base_api"

WRITE_KEYS = {
    Kind.VISIBILITY: dg.AssetKey("base_visibility"),
    Kind.PRICE: dg.AssetKey("base_prices"),
}

MIRROR_KEY = dg.AssetKey("base_listings")

_DESCRIPTIONS = {
    Kind.VISIBILITY: "Listings hidden because they are sold out on Amazon, shown when back.",
    Kind.PRICE: "Prices written because Amazon's price has moved far enough.",
}

_FROM_AMAZON = [
    dg.AssetDep(FACT_KEYS[fact], partition_mapping=dg.AllPartitionMapping())
    for fact in (Fact.PRICE, Fact.STOCK)
]


class WriteConfig(dg.Config):
    """How a run may write; an empty `accounts` means every active one of the run's partitions."""

    accounts: list[str] = Field(default_factory=list)
    dry_run: bool = False
    accept_large_change: bool = False


@dg.multi_asset(
    name="base_writes",
    specs=[
        dg.AssetSpec(
            key,
            description=_DESCRIPTIONS[kind],
            group_name=GROUP,
            kinds={"base", "sql"},
            deps=_FROM_AMAZON,
            metadata={"dagster/table_name": "decisions"},
            skippable=True,
        )
        for kind, key in WRITE_KEYS.items()
    ],
    partitions_def=BASE_ACCOUNTS,
    backfill_policy=SINGLE_RUN,
    can_subset=True,
    pool=POOL,
    required_resource_keys={PIPELINE},
)
def base_writes(
    context: dg.AssetExecutionContext, config: WriteConfig
) -> Iterator[dg.AssetCheckResult]:
    """Hide what is sold out, show what is back, then write prices; account by account."""
    pipeline = pipeline_of(context)
    kinds = [kind for kind, key in WRITE_KEYS.items() if key in context.selected_asset_keys]
    options = WriteOptions(
        run_id=context.run.run_id,
        dry_run=config.dry_run,
        accept_large_change=config.accept_large_change,
        price_only=kinds == [Kind.PRICE],
    )
    problems: list[str] = []
    for account_id in active_accounts(context, pipeline, config.accounts):
        for kind in kinds:
            problems += _write(context, pipeline, account_id, kind, options)
    if problems:
        raise RunIncomplete("; ".join(problems[:5]))
    yield from ()


def active_accounts(
    context: dg.AssetExecutionContext, pipeline: "Pipeline", chosen: list[str]
) -> list[str]:
    """The accounts of this run's partitions: those chosen, else those that are switched on."""
    if chosen:
        return [account for account in context.partition_keys if account in chosen]
    active = {account.id for account in pipeline.shops.accounts()}
    partitions = list(context.partition_keys)
    for account in partitions:
        if account not in active:
            context.log.warning("%s is left out: it is not an active account", account)
    return [account for account in partitions if account in active]


def _write(
    context: dg.AssetExecutionContext,
    pipeline: "Pipeline",
    account_id: str,
    kind: Kind,
    options: WriteOptions,
) -> list[str]:
    """Write one account's changes of one kind; another account's trouble is not this one's."""
    log = RunLog(context, pipeline.clock)
    sync = pipeline.shops.writes(log)
    write = sync.sync_visibility if kind == Kind.VISIBILITY else sync.sync_prices
    try:
        report = write(account_id, options, log)
    except EcautoError as error:
        return [f"{account_id}: {error}"]
    for note in report.notes:
        context.log.warning(note)
    context.log_event(
        dg.AssetMaterialization(
            WRITE_KEYS[kind],
            partition=account_id,
            metadata=write_metadata(report) | {"dry_run": options.dry_run},
        )
    )
    return report.problems


def write_metadata(report: WriteReport) -> dict[str, Any]:
    """The numbers that plot over time, and a table of what changed."""
    metadata: dict[str, Any] = {
        "listings": report.listings,
        "in_stock": report.in_stock,
        "out_of_stock": report.out_of_stock,
        "unknown": report.unknown,
        **{str(outcome): report.outcomes[outcome] for outcome in Outcome},
        "hidden": report.done(new="hidden"),
        "shown": report.done(new="public"),
        "calls": sum(report.calls.values()),
        "errors": len(report.problems),
        "seconds": round(report.seconds, 1),
    }
    if report.changes:
        rows = [
            {
                "asin": change.listing.asin,
                "old": change.old,
                "new": change.new,
                "reason": change.reason,
                "outcome": str(outcome),
            }
            for change, outcome in report.changes
        ]
        metadata["changed"] = table(("asin", "old", "new", "reason", "outcome"), rows)
    return metadata


@dg.asset(
    key=MIRROR_KEY,
    description="What each shop really has, all pages, and where it is not what we think.",
    group_name=GROUP,
    kinds={"base", "sql"},
    partitions_def=BASE_ACCOUNTS,
    backfill_policy=SINGLE_RUN,
    pool=POOL,
    required_resource_keys={PIPELINE},
    output_required=False,
    metadata={"dagster/table_name": "base_items"},
)
def base_listings(
    context: dg.AssetExecutionContext,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Mirror every page of the accounts' items."""
    pipeline = pipeline_of(context)
    problems: list[str] = []
    for account_id in active_accounts(context, pipeline, []):
        try:
            metadata = _mirror(context, pipeline, account_id)
        except EcautoError as error:
            problems.append(f"{account_id}: {error}")
            continue
        context.log_event(
            dg.AssetMaterialization(MIRROR_KEY, partition=account_id, metadata=metadata)
        )
    if problems:
        raise RunIncomplete("; ".join(problems))
    yield from ()


_DRIFT = ("asin", "what", "item_id", "selling_price", "shop_price", "visibility", "shop_visible")
_UNKNOWN = ("item_id", "identifier", "title", "price_jpy", "visible")


def _mirror(
    context: dg.AssetExecutionContext, pipeline: "Pipeline", account_id: str
) -> dict[str, Any]:
    report = pipeline.shops.writes(RunLog(context, pipeline.clock)).mirror_items(account_id)
    drift = [{name: _shown(row[name]) for name in _DRIFT} for row in report.drift]
    unknown = [{name: _shown(row[name]) for name in _UNKNOWN} for row in report.unknown_here]
    return {
        "dagster/row_count": report.items,
        "drift": len(drift),
        "unknown_here": len(unknown),
        "calls": sum(report.calls.values()),
        "differences": table(_DRIFT, drift),
        "items_unknown_here": table(_UNKNOWN, unknown),
    }


def _shown(value: object) -> str:
    return "" if value is None else str(value)


ALL = [base_writes, base_listings]
