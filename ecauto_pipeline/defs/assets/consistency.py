"""Whether listings, queue and shops agree, and whether what is listed may be."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from ecauto_pipeline.defs.assets.accounts import active_accounts, each_account
from ecauto_pipeline.defs.assets.base_shop import POOL, listings_event
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.assets.uploads import GROUP, QUEUE_KEY, UPLOADS_KEY
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, SINGLE_RUN
from ecauto_pipeline.wiring.pipeline import Pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.sync.uploads.consistency import ConsistencyReport

CONSISTENCY_KEY = dg.AssetKey("consistency")
SCREENINGS_KEY = dg.AssetKey("screenings")


class CheckConfig(dg.Config):
    """Whether what is safe is mended."""

    fix: bool = False


@dg.asset(
    key=CONSISTENCY_KEY,
    description="Where listings, queue and BASE disagree; mended where that is safe.",
    group_name=GROUP,
    kinds={"base", "sql"},
    deps=[UPLOADS_KEY],
    partitions_def=BASE_ACCOUNTS,
    backfill_policy=SINGLE_RUN,
    pool=POOL,
    output_required=False,
)
def consistency(
    context: dg.AssetExecutionContext, config: CheckConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Read every shop whole, keep what it shows and compare, account by account."""
    log = RunLog(context, pipeline.clock)

    def check(account_id: str) -> Sequence[str]:
        report = pipeline.uploads.check_account(
            account_id, log, run_id=context.run.run_id, fix=config.fix
        )
        if report.reading:
            context.log_event(listings_event(report.reading))
        context.log_event(
            dg.AssetMaterialization(
                CONSISTENCY_KEY, partition=account_id, metadata=consistency_metadata(report)
            )
        )
        return report.problems

    each_account(active_accounts(context, pipeline), check)
    yield from ()


def consistency_metadata(report: "ConsistencyReport") -> dict[str, Any]:
    """How many of each kind, how many were mended, and which."""
    mended = report.mended_counts
    metadata: dict[str, Any] = {
        **report.counts,
        **{f"mended_{kind}": mended.get(kind, 0) for kind in report.counts},
        "mended": sum(mended.values()),
        "shop_empty": report.shop_empty,
        "calls": sum(report.calls.values()),
    }
    if report.shop_items is not None:
        metadata["shop_items"] = report.shop_items
    if report.lookup:
        metadata |= {"adopted": report.lookup.adopted, "not_found": report.lookup.not_found}
    if rows := report.rows():
        metadata["findings"] = table(tuple(rows[0]), rows)
    return metadata


@dg.asset_check(
    asset=QUEUE_KEY,
    name="listings_agree_with_queue",
    description="No listing is pending although its upload succeeded, and none is left out.",
)
def listings_agree_with_queue(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Compare our own tables; the shops are not asked."""
    counts: dict[str, int] = {}
    for account in pipeline.shops.accounts():
        report = pipeline.uploads.consistency.check_account(account.id, None)
        for kind, count in report.counts.items():
            counts[kind] = counts.get(kind, 0) + count
    return dg.AssetCheckResult(
        passed=not any(counts.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=dict(counts),
    )


@dg.asset(
    key=SCREENINGS_KEY,
    description="What the screening rules say of everything that is listed, and the review list.",
    group_name=GROUP,
    kinds={"sql"},
    metadata={"dagster/table_name": "screenings"},
)
def screenings(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[Any]:
    """Apply the rules of now to what was listed under those of then."""
    report = pipeline.uploads.screener.rescan()
    doubtful = [
        {
            "asin": asin,
            "verdict": str(result.verdict),
            "score": result.score,
            "reasons": "; ".join(result.reasons),
        }
        for asin, result in report.doubtful.items()
    ]
    waiting = [
        {"asin": row["asin"], "score": row["score"], "reasons": "; ".join(row["reasons"])}
        for row in pipeline.uploads.screenings.review_list()
    ]
    return dg.MaterializeResult(
        metadata={
            **{str(verdict): count for verdict, count in report.verdicts.items()},
            "waiting_for_review": len(waiting),
            "listed_and_doubtful": table(("asin", "verdict", "score", "reasons"), doubtful),
            "review_list": table(("asin", "score", "reasons"), waiting),
        }
    )


ALL = [consistency, screenings]
CHECKS = [listings_agree_with_queue]
