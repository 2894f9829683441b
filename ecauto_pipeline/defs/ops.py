"""Work that is no asset: take-over of v1.0, intake, decisions of people, replay of dead letters."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from ecauto_pipeline.defs.assets.amazon import POOL as AMAZON_POOL
from ecauto_pipeline.defs.assets.consistency import SCREENINGS_KEY
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.assets.uploads import queue_event
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, ensure_partitions
from ecauto_pipeline.errors import Misconfigured, RunIncomplete
from ecauto_pipeline.wiring.pipeline import Pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.sync.uploads.intake import IntakeReport


class ImportConfig(dg.Config):
    """What to take over."""

    path: str
    dry_run: bool = False


@dg.op(out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def take_over_v1(
    context: dg.OpExecutionContext, config: ImportConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """Take over a v1.0 folder or `master.db`; the original is only read."""
    report = pipeline.import_v1(Path(config.path), dry_run=config.dry_run)
    numbers = report.as_dict()
    context.add_output_metadata({"report": dg.MetadataValue.md("\n".join(report.lines()))})
    return numbers | {"lines": report.lines()}


class IntakeConfig(dg.Config):
    """Which list to take in, and how; a list of the inbox is put away afterwards."""

    path: str
    account_id: str | None = None
    priority: int = 5
    no_queue: bool = False
    dry_run: bool = False
    from_inbox: bool = False


@dg.op(
    out=dg.Out(dict[str, Any], io_manager_key="io_manager"),
    pool=AMAZON_POOL,
)
def take_in_products(
    context: dg.OpExecutionContext, config: IntakeConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """From a list of ASINs to products, pending listings and rows of the upload queue."""
    report = _take_in(context, config, pipeline)
    if report is None:
        lines = ["another run has taken this list"]
        return {"counts": {}, "rows": [], "problems": [], "lines": lines}
    columns = ("asin", "outcome", "account_id", "detail")
    numbers = report.as_dict()
    context.add_output_metadata(
        {
            **numbers["counts"],
            "calls": numbers["calls"],
            "seconds": numbers["seconds"],
            "outcomes": table(columns, numbers["rows"]),
        }
    )
    return numbers | {"lines": report.lines()}


def _take_in(
    context: dg.OpExecutionContext, config: IntakeConfig, pipeline: Pipeline
) -> "IntakeReport | None":
    from ecauto_pipeline.storage.uploads.inbox import read_asin_file, report_path  # noqa: PLC0415
    from ecauto_pipeline.sync.uploads.intake import IntakeOptions  # noqa: PLC0415 - imports the clients

    log = RunLog(context, pipeline.clock)
    options = IntakeOptions(
        account_id=config.account_id,
        priority=config.priority,
        held=config.no_queue,
        dry_run=config.dry_run,
        time_budget=pipeline.settings.refresh.time_budget,
    )
    path = Path(config.path)
    if config.from_inbox:
        result = pipeline.uploads.intake.process_inbox_file(
            path, pipeline.uploads.inbox, options, log
        )
        if result and result.problem:
            raise RunIncomplete(f"{path.name}: {result.problem}")
        report = result.report if result else None
    else:
        report = pipeline.uploads.intake.take_in(read_asin_file(path), options, log)
        if not config.dry_run:
            report.write_csv(report_path(path))
    if report and not config.dry_run:
        queued = pipeline.uploads.fill_queue(pipeline.uploads.queue.waiting_accounts())
        tell_of_queued(context, pipeline, queued)
    return report


def tell_of_queued(
    context: dg.OpExecutionContext, pipeline: Pipeline, queued: Mapping[str, int]
) -> None:
    """Tell the asset `upload_queue` how many rows each account's queue has more."""
    ensure_partitions(context.instance, BASE_ACCOUNTS, queued)
    for account_id, count in queued.items():
        context.log_event(queue_event(pipeline, account_id, count))


def put_back(context: dg.OpExecutionContext, pipeline: Pipeline, retry: Callable[[], int]) -> int:
    """Let failed rows be put back, and tell of each account that had some; how many in all."""

    def failed() -> Counter[str]:
        accounts = pipeline.shops.known_accounts()
        queue = pipeline.uploads.queue
        return Counter({each.id: queue.counts(each.id)["failed"] for each in accounts})

    before = failed()
    count = retry()
    tell_of_queued(context, pipeline, before - failed())
    return count


class RetryConfig(dg.Config):
    """Which rows of the queue to try again."""

    ids: list[int]


@dg.op(out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def retry_failed_uploads(
    context: dg.OpExecutionContext, config: RetryConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """Put failed rows of the upload queue back, with all their retries."""
    count = put_back(context, pipeline, lambda: pipeline.uploads.queue.retry(config.ids))
    return {"put_back": count}


class DecisionConfig(dg.Config):
    """What a person decided about doubtful products."""

    decision: Literal["release", "refuse"]
    asins: list[str]


@dg.op(out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def decide_about_products(
    context: dg.OpExecutionContext, config: DecisionConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """Note the decision; failed uploads of what is released are put back.

    Raises:
        Misconfigured: one was never screened; then nothing is decided about any.
    """
    uploads, asins = pipeline.uploads, config.asins
    releases = config.decision == "release"
    decide = uploads.screenings.release if releases else uploads.screenings.refuse
    if unknown := decide(asins):
        raise Misconfigured(f"{', '.join(unknown)}: never screened, so there is nothing to decide")
    context.log_event(
        dg.AssetObservation(
            SCREENINGS_KEY, metadata={config.decision: dg.MetadataValue.json(asins)}
        )
    )
    if not releases:
        return {"put_back": 0, "not_listed": []}
    count = put_back(context, pipeline, lambda: uploads.queue.retry_asins(asins))
    placed = uploads.intake.store.placed(asins)
    return {"put_back": count, "not_listed": [asin for asin in asins if asin not in placed]}


class ReplayConfig(dg.Config):
    """Which dead letters to read again; none named means all of the store, or of all stores."""

    ids: list[int] = Field(default_factory=list[int])
    store_id: str | None = None


@dg.op(out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def replay_dead_letters(
    context: dg.OpExecutionContext, config: ReplayConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """Read again what could not be read when it came, and save what can be now."""
    report = pipeline.mirrors.replay(config.ids, config.store_id)
    numbers = report.as_dict()
    context.add_output_metadata(
        {"replayed": report.replayed, "left": len(report.left), "problems": numbers["problems"]}
    )
    return numbers


@dg.op(out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def merge_webhooks(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dict[str, Any]:
    """Merge what shops told us by webhooks into their mirrors."""
    report = pipeline.mirrors.webhooks.merge()
    for sentence in [*report.notes, *report.problems]:
        context.log.warning(sentence)
    numbers = report.numbers()
    context.add_output_metadata(numbers)
    if report.errors:
        raise RunIncomplete("; ".join(report.errors))
    return numbers
