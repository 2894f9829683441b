"""Whether listings, queue and shops agree, and whether what is listed may be."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from ecauto_pipeline.defs.assets.base_shop import POOL, active_accounts
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.assets.uploads import GROUP, QUEUE_KEY, UPLOADS_KEY
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, SINGLE_RUN
from ecauto_pipeline.defs.resources import PIPELINE, pipeline_of
from ecauto_pipeline.errors import EcautoError, RunIncomplete

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
    required_resource_keys={PIPELINE},
)
def consistency(
    context: dg.AssetExecutionContext, config: CheckConfig
) -> Iterator[dg.MaterializeResult[Any]]:
    """Read every shop whole and compare, account by account."""
    pipeline = pipeline_of(context)
    log = RunLog(context, pipeline.clock)
    problems: list[str] = []
    for account_id in active_accounts(context, pipeline, []):
        try:
            report = pipeline.uploads.check_account(
                account_id, log, run_id=context.run.run_id, fix=config.fix
            )
        except EcautoError as error:
            problems.append(f"{account_id}: {error}")
            continue
        problems += report.problems
        context.log_event(
            dg.AssetMaterialization(
                CONSISTENCY_KEY, partition=account_id, metadata=consistency_metadata(report)
            )
        )
    if problems:
        raise RunIncomplete("; ".join(problems[:5]))
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
    required_resource_keys={PIPELINE},
)
def listings_agree_with_queue(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Compare our own tables; the shops are not asked."""
    pipeline = pipeline_of(context)
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
    required_resource_keys={PIPELINE},
)
def screenings(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Apply the rules of now to what was listed under those of then."""
    pipeline = pipeline_of(context)
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
