"""The upload queue, and what was uploaded from it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from ecauto_pipeline.defs.assets.accounts import active_accounts, each_account
from ecauto_pipeline.defs.assets.base_shop import POOL
from ecauto_pipeline.defs.assets.reporting import table
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, SINGLE_RUN
from ecauto_pipeline.wiring.pipeline import Pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.sync.uploads.workers import WorkersReport

GROUP = "uploads"
QUEUE_KEY = dg.AssetKey("upload_queue")
UPLOADS_KEY = dg.AssetKey("uploads")


class FillConfig(dg.Config):
    """How many listings are queued, of all accounts together, and whether those on hold are."""

    limit: int | None = None
    held: bool = False


class UploadConfig(dg.Config):
    """How much is uploaded, and whether the hour and the schedule matter."""

    limit: int | None = None
    now: bool = False


@dg.asset(
    key=QUEUE_KEY,
    description="Every pending listing, with an account and a time within its daily limit.",
    group_name=GROUP,
    kinds={"sql"},
    partitions_def=BASE_ACCOUNTS,
    backfill_policy=SINGLE_RUN,
    output_required=False,
    metadata={"dagster/table_name": "upload_queue"},
)
def upload_queue(
    context: dg.AssetExecutionContext, config: FillConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Queue what was never queued."""
    accounts = active_accounts(context, pipeline)
    filled = pipeline.uploads.fill_queue(accounts, limit=config.limit, held=config.held)
    for account_id in accounts:
        context.log_event(queue_event(pipeline, account_id, filled.get(account_id, 0)))
    yield from ()


def queue_event(pipeline: Pipeline, account_id: str, queued: int) -> dg.AssetMaterialization:
    """How an account's queue stands after so many rows were added."""
    counts = pipeline.uploads.queue.counts(account_id)
    return dg.AssetMaterialization(
        QUEUE_KEY, partition=account_id, metadata={"queued": queued, **counts}
    )


@dg.asset(
    key=UPLOADS_KEY,
    description="Items made on the BASE shops from the queue, each exactly once.",
    group_name=GROUP,
    kinds={"base", "sql"},
    deps=[QUEUE_KEY],
    partitions_def=BASE_ACCOUNTS,
    backfill_policy=SINGLE_RUN,
    pool=POOL,
    output_required=False,
    metadata={"dagster/table_name": "upload_queue"},
)
def uploads(
    context: dg.AssetExecutionContext, config: UploadConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Look up what is unknown, then upload what is due; account by account."""
    from ecauto_pipeline.sync.uploads.workers import run_workers  # noqa: PLC0415 - orjson

    def upload(account_id: str) -> Iterator[str]:
        report = run_workers(
            account_id, limit=config.limit, now=config.now, say=context.log.warning
        )
        waiting = pipeline.uploads.queue.counts(account_id)["pending"]
        metadata = upload_metadata(report) | {"waiting": waiting}
        context.log_event(
            dg.AssetMaterialization(UPLOADS_KEY, partition=account_id, metadata=metadata)
        )
        if report.problem:
            yield report.problem

    each_account(active_accounts(context, pipeline), upload)
    yield from ()


def upload_metadata(report: "WorkersReport") -> dict[str, Any]:
    """What became of the rows that were due, and what the shop was asked."""
    results = ("published", "hidden", "failed", "unknown", "put_back", "overtaken")
    metadata: dict[str, Any] = {
        **{name: report.results[name] for name in results},
        **{name: report.looked_up[name] for name in ("adopted", "not_found", "rescued")},
        "calls": sum(report.calls.values()),
        "workers_lost": report.workers_lost,
    }
    if report.stopped:
        metadata["stopped"] = report.stopped
    if report.notes:
        metadata["notes"] = table(("note",), [{"note": note} for note in report.notes])
    return metadata


ALL = [upload_queue, uploads]
