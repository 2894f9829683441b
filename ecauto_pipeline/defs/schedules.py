"""What is launched by the clock, in Japan time; a job whose last run still goes on is skipped."""

from datetime import datetime
from typing import Any

import dagster as dg

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.defs import jobs
from ecauto_pipeline.defs.partitions import (
    ALL_SHARDS,
    BASE_ACCOUNTS,
    GOING_ON,
    SHOPIFY_STORES,
    STORE,
    account_range,
    ensure_partitions,
    first_day_due,
    range_tags,
    store_days,
)
from ecauto_pipeline.domain.amazon.asin import SHARDS
from ecauto_pipeline.domain.shopify.mirror import Entity, SyncState
from ecauto_pipeline.wiring.pipeline import Pipeline


def _launch(
    context: dg.ScheduleEvaluationContext,
    job_name: str,
    tags: dict[str, str],
    run_config: dict[str, Any] | None = None,
) -> dg.RunRequest | dg.SkipReason:
    going_on = dg.RunsFilter(job_name=job_name, statuses=GOING_ON)
    if context.instance.get_runs(going_on, limit=1):
        return dg.SkipReason(f"{job_name} still goes on")
    return dg.RunRequest(tags=tags, run_config=run_config)


@dg.schedule(
    job=jobs.price_refresh,
    cron_schedule="0 2 * * *",
    execution_timezone=JAPAN.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All shards at 02:00.",
)
def price_refresh_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """All shards at 02:00."""
    return _launch(context, "price_refresh", ALL_SHARDS)


@dg.schedule(
    job=jobs.stock_refresh,
    cron_schedule="0 * * * *",
    execution_timezone=JAPAN.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All shards at every full hour.",
)
def stock_refresh_hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """All shards at every full hour."""
    return _launch(context, "stock_refresh", ALL_SHARDS)


@dg.schedule(
    job=jobs.catalog_refresh,
    cron_schedule="10 * * * *",
    execution_timezone=JAPAN.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The shard of the hour, so that a day covers all.",
)
def catalog_refresh_hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """The shard of the hour, so that a day covers all."""
    shard = SHARDS[context.scheduled_execution_time.hour]
    return _launch(context, "catalog_refresh", range_tags(shard, shard))


@dg.schedule(
    job=jobs.consistency_check,
    cron_schedule="30 5 * * *",
    execution_timezone=JAPAN.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All active accounts at 05:30, before the uploads begin; what is safe is mended.",
)
def consistency_check_daily(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    """All active accounts at 05:30, before the uploads begin; what is safe is mended."""
    accounts = [account.id for account in pipeline.shops.accounts()]
    if not accounts:
        return dg.SkipReason("no active BASE account")
    tags = account_range(ensure_partitions(context.instance, BASE_ACCOUNTS, accounts), accounts)
    config = {"ops": {"consistency": {"config": {"fix": True}}}}
    return _launch(context, "consistency_check", tags, config)


SHOPIFY_TIMES = {
    Entity.CUSTOMERS: ("shopify_customers_every_2h", "0 */2 * * *"),
    Entity.PRODUCTS: ("shopify_products_every_4h", "30 */4 * * *"),
    Entity.ORDERS: ("shopify_orders_hourly", "15 * * * *"),
}


def shopify_schedule(entity: Entity) -> dg.ScheduleDefinition:
    """One run for each store, over the days since its last one."""
    name, cron = SHOPIFY_TIMES[entity]
    job = jobs.SHOPIFY[entity]

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=JAPAN.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"What changed of each store's {entity} since its watermark.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        """One run for each store that has none going on."""
        stores = pipeline.mirrors.store_ids()
        ensure_partitions(context.instance, SHOPIFY_STORES, stores)
        going_on = context.instance.get_runs(dg.RunsFilter(job_name=job.name, statuses=GOING_ON))
        busy = {run.tags.get(STORE) for run in going_on}
        requests = [
            increment_request(
                context.scheduled_execution_time, pipeline.mirrors.states.get(store_id, entity)
            )
            for store_id in stores
            if store_id not in busy
        ]
        return requests or dg.SkipReason("no Shopify store is configured, or all are being synced")

    return tick


def increment_request(now: datetime, state: SyncState) -> dg.RunRequest:
    """The run that catches up with a store, over the days since it last did to today."""
    today = now.astimezone(JAPAN).date()
    config = {"ops": {f"shopify_{state.entity}": {"config": {"mode": "increment"}}}}
    return dg.RunRequest(
        run_key=f"{now:%Y%m%dT%H%M}/{state.store_id}",
        tags=store_days(state.store_id, first_day_due(state, today), today),
        run_config=config,
    )


ALL = [
    price_refresh_nightly,
    stock_refresh_hourly,
    catalog_refresh_hourly,
    consistency_check_daily,
    *(shopify_schedule(entity) for entity in Entity),
]
