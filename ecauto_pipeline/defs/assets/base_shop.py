"""The BASE shops: what they have, and the prices and visibility written to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from ecauto_pipeline.defs.assets.accounts import active_accounts, each_account
from ecauto_pipeline.defs.assets.amazon import FACT_KEYS
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, SINGLE_RUN
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.shops.changes import Kind, Outcome
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.uploads.consistency import differences, strangers
from ecauto_pipeline.errors import Implausible
from ecauto_pipeline.sync.shops.report import WriteOptions, WriteReport
from ecauto_pipeline.wiring.pipeline import Pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.sync.uploads.consistency import ShopReading

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
)
def base_writes(
    context: dg.AssetExecutionContext, config: WriteConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Hide what is sold out, show what is back, then write prices; account by account."""
    kinds = [kind for kind, key in WRITE_KEYS.items() if key in context.selected_asset_keys]
    options = WriteOptions(
        run_id=context.run.run_id,
        dry_run=config.dry_run,
        accept_large_change=config.accept_large_change,
        price_only=kinds == [Kind.PRICE],
    )
    log = RunLog(context, pipeline.clock)
    sync = pipeline.shops.writes(log)

    def write(kind: Kind, account_id: str) -> list[str]:
        report = sync.write(account_id, kind, options, log)
        for note in report.notes:
            context.log.warning(note)
        metadata = write_metadata(report) | {"dry_run": options.dry_run}
        context.log_event(
            dg.AssetMaterialization(WRITE_KEYS[kind], partition=account_id, metadata=metadata)
        )
        return report.problems

    accounts = active_accounts(context, pipeline, config.accounts)
    each_account(accounts, *(partial(write, kind) for kind in kinds))
    yield from ()


def write_metadata(report: WriteReport) -> dict[str, Any]:
    """The numbers that plot over time, and a table of what changed."""
    metadata: dict[str, Any] = {
        "listings": report.listings,
        "in_stock": report.in_stock,
        "out_of_stock": report.out_of_stock,
        "unknown": report.unknown,
        **{str(outcome): report.outcomes[outcome] for outcome in Outcome},
        "hidden": report.done(new=Visibility.HIDDEN),
        "shown": report.done(new=Visibility.PUBLIC),
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
    output_required=False,
    metadata={"dagster/table_name": "base_items"},
)
def base_listings(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Mirror every page of the accounts' items; the daily check does so, too."""
    log = RunLog(context, pipeline.clock)

    def mirror(account_id: str) -> list[str]:
        try:
            reading = pipeline.uploads.read_shop(account_id, log)
        except Implausible as doubt:
            return [f"{doubt}; what was kept of it stays"]
        context.log_event(listings_event(reading))
        return []

    each_account(active_accounts(context, pipeline), mirror)
    yield from ()


_DIFFERENCE = (
    "asin",
    "what",
    "item_id",
    "selling_price",
    "shop_price",
    "visibility",
    "shop_visible",
)
_UNKNOWN = ("item_id", "identifier", "title", "price_jpy", "visible")


def listings_event(reading: "ShopReading") -> dg.AssetMaterialization:
    """What a shop has, and where it is not what we think."""
    drift = differences(reading.findings)
    unknown = [asdict(item) for item in strangers(reading.findings)]
    return dg.AssetMaterialization(
        MIRROR_KEY,
        partition=reading.account_id,
        metadata={
            "dagster/row_count": len(reading.items),
            "drift": len(drift),
            "unknown_here": len(unknown),
            "calls": sum(reading.calls.values()),
            "differences": table(_DIFFERENCE, [_shown(row, _DIFFERENCE) for row in drift]),
            "items_unknown_here": table(_UNKNOWN, [_shown(row, _UNKNOWN) for row in unknown]),
        },
    )


def _shown(row: Mapping[str, object], columns: Sequence[str]) -> dict[str, str]:
    return {name: "" if row[name] is None else str(row[name]) for name in columns}


ALL = [base_writes, base_listings]
