"""What is launched by events: the BASE half after the Amazon half, and the watermarks."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from ecauto_pipeline.defs import jobs
from ecauto_pipeline.defs.assets.amazon import WATERMARK_KEYS, expired_rows
from ecauto_pipeline.defs.assets.uploads import queue_event
from ecauto_pipeline.defs.partitions import (
    BASE_ACCOUNTS,
    GOING_ON,
    RANGE_END,
    RANGE_START,
    SHOPIFY_STORES,
    account_range,
    known_partitions,
    range_tags,
)
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.wiring.pipeline import Pipeline

LAUNCHED_BY = "ecauto/launched_by"
"""The tag of a run that another program follows up itself."""

PARTITION = "dagster/partition"
"""The tag of a run over one partition, as the UI launches it."""

WATERMARKS_EVERY_SECONDS = 300
UPLOADS_EVERY_SECONDS = 60
WEBHOOKS_AGAIN_AFTER = timedelta(minutes=10)
"""A webhook that cannot be merged is not tried every half minute."""


def follow_up(
    context: dg.RunStatusSensorContext, pipeline: Pipeline
) -> dg.SensorResult | dg.SkipReason:
    """The BASE half for all active accounts, once an Amazon half has ended, well or not.

    What it fetched before it failed is proven all the same, and a sold-out listing must not wait.
    """
    if LAUNCHED_BY in context.dagster_run.tags:
        return dg.SkipReason("the command that launched the run goes on by itself")
    accounts = [account.id for account in pipeline.shops.accounts()]
    if not accounts:
        return dg.SkipReason("no active BASE account")
    tags = account_range(known_partitions(context.instance, BASE_ACCOUNTS), accounts)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=context.dagster_run.run_id, tags=tags)],
        dynamic_partitions_requests=[BASE_ACCOUNTS.build_add_request(accounts)],
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[jobs.price_refresh, jobs.stock_refresh, jobs.amazon_refresh],
    request_job=jobs.base_sync,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Launches `base_sync` when a refresh has succeeded.",
)
def base_half_after_success(
    context: dg.RunStatusSensorContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Launches `base_sync` when a refresh has succeeded."""
    return follow_up(context, pipeline)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    monitored_jobs=[jobs.price_refresh, jobs.stock_refresh, jobs.amazon_refresh],
    request_job=jobs.base_sync,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Launches `base_sync` when a refresh has failed part of the way.",
)
def base_half_after_failure(
    context: dg.RunStatusSensorContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Launches `base_sync` when a refresh has failed part of the way."""
    return follow_up(context, pipeline)


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=WATERMARKS_EVERY_SECONDS,
    description="Marks each kind of fact of which no row is older than its TTL.",
)
def freshness_watermarks(
    _context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Marks each kind of fact of which no row is older than its TTL."""
    events = watermarks(pipeline)
    return dg.SensorResult(asset_events=events) if events else dg.SkipReason("rows are expired")


def watermarks(pipeline: Pipeline) -> list[dg.AssetMaterialization]:
    """A materialization for each watermark that holds now."""
    counted = ((fact, *expired_rows(pipeline, fact)) for fact in Fact)
    return [
        dg.AssetMaterialization(WATERMARK_KEYS[fact], metadata={"rows": total})
        for fact, expired, total in counted
        if not expired
    ]


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Queues every pending listing that was never queued, without anyone acting.",
)
def pending_listings(
    _context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Queues every pending listing that was never queued, without anyone acting."""
    waiting = pipeline.uploads.queue.waiting_accounts()
    if not waiting:
        return dg.SkipReason("every pending listing has a row in the queue")
    filled = pipeline.uploads.fill_queue(waiting)
    if not filled:
        names = ", ".join(sorted(waiting))
        return dg.SkipReason(
            f"listings wait for accounts that are not active or may upload nothing: {names}"
        )
    return dg.SensorResult(
        asset_events=[queue_event(pipeline, account, count) for account, count in filled.items()],
        dynamic_partitions_requests=[BASE_ACCOUNTS.build_add_request(sorted(filled))],
    )


@dg.sensor(
    job=jobs.upload,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=UPLOADS_EVERY_SECONDS,
    description="Launches `upload` for each account with something due; one run at a time.",
)
def due_uploads(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Launches `upload` for each account with something due; one run at a time."""
    if not pipeline.settings.upload.is_open(pipeline.clock.now()):
        return dg.SkipReason("uploads pause for the night")
    active = {account.id for account in pipeline.shops.accounts()}
    going_on = dg.RunsFilter(job_name=jobs.upload.name, statuses=GOING_ON)
    runs = context.instance.get_runs(going_on)
    busy = {account for run in runs for account in accounts_of(run.tags, context.instance)}
    due = [
        account
        for account in pipeline.uploads.queue.due_accounts()
        if account in active and account not in busy
    ]
    if not due:
        return dg.SkipReason("nothing is due")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(tags=range_tags(account, account)) for account in due],
        dynamic_partitions_requests=[BASE_ACCOUNTS.build_add_request(due)],
    )


def accounts_of(tags: Mapping[str, str], instance: dg.DagsterInstance) -> list[str]:
    """The accounts that a run with these tags is over."""
    if PARTITION in tags:
        return [tags[PARTITION]]
    known = list(known_partitions(instance, BASE_ACCOUNTS))
    start, end = tags.get(RANGE_START), tags.get(RANGE_END)
    if start not in known or end not in known:
        return []
    return known[known.index(start) : known.index(end) + 1]


@dg.sensor(
    job=jobs.product_intake,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Takes in the lists of ASINs put into `inbox` in the data folder.",
)
def asin_inbox(
    _context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Takes in the lists of ASINs put into `inbox` in the data folder.

    A list that a lost process left behind is asked for again at once, one that came back because
    its run failed in the next hour: an attempt's run key is never used twice.
    """
    now, inbox = pipeline.clock.now(), pipeline.uploads.inbox
    abandoned = inbox.put_back_abandoned()
    requests: list[dg.RunRequest] = []
    for file in inbox.ready():
        attempt = f"{now:%Y%m%dT%H%M%S}" if file in abandoned else f"{now:%Y%m%dT%H}"
        config = {"path": str(file.absolute()), "from_inbox": True}
        requests.append(
            dg.RunRequest(
                run_key=f"{file.name}:{file.stat().st_mtime_ns}:{attempt}",
                run_config={"ops": {"take_in_products": {"config": config}}},
            )
        )
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("no list")


@dg.sensor(
    job=jobs.shopify_webhooks_merge,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Launches `shopify_webhooks_merge` while webhooks wait; one run at a time.",
)
def shopify_webhooks(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    """Launches `shopify_webhooks_merge` while webhooks wait; one run at a time."""
    if not pipeline.mirrors.inbox.pending_count():
        return dg.SkipReason("no webhook waits")
    of_job = dg.RunsFilter(job_name=jobs.shopify_webhooks_merge.name)
    for last in context.instance.get_run_records(of_job, limit=1):
        if last.dagster_run.status in GOING_ON:
            return dg.SkipReason("a run goes on")
        rested = pipeline.clock.now() - last.update_timestamp
        if last.dagster_run.is_failure_or_canceled and rested < WEBHOOKS_AGAIN_AFTER:
            return dg.SkipReason("the last run failed a moment ago")
    return dg.RunRequest()


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    description="Adds a partition for each Shopify store that is new in the settings.",
)
def shopify_stores(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Adds a partition for each Shopify store that is new in the settings."""
    known = known_partitions(context.instance, SHOPIFY_STORES)
    new = [store_id for store_id in pipeline.mirrors.store_ids() if store_id not in known]
    if not new:
        return dg.SkipReason("no store is new")
    return dg.SensorResult(
        skip_reason=f"added: {', '.join(new)}",
        dynamic_partitions_requests=[SHOPIFY_STORES.build_add_request(new)],
    )


ALL = [
    base_half_after_success,
    base_half_after_failure,
    freshness_watermarks,
    pending_listings,
    due_uploads,
    asin_inbox,
    shopify_webhooks,
    shopify_stores,
]
