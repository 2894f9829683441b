"""What is launched by the clock, in Japan time; a job whose last run still goes on is skipped."""

from typing import Any

import dagster as dg

from ecauto_pipeline import jobs
from ecauto_pipeline.domain.asin import SHARDS
from ecauto_pipeline.partitions import ALL_SHARDS, GOING_ON, account_range_tags, range_tags
from ecauto_pipeline.resources import opened_pipeline

TIMEZONE = "Asia/Tokyo"


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
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All shards at 02:00.",
)
def price_refresh_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """All shards at 02:00."""
    return _launch(context, "price_refresh", ALL_SHARDS)


@dg.schedule(
    job=jobs.stock_refresh,
    cron_schedule="0 * * * *",
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All shards at every full hour.",
)
def stock_refresh_hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """All shards at every full hour."""
    return _launch(context, "stock_refresh", ALL_SHARDS)


@dg.schedule(
    job=jobs.catalog_refresh,
    cron_schedule="10 * * * *",
    execution_timezone=TIMEZONE,
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
    execution_timezone=TIMEZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All active accounts at 05:30, before the uploads begin; what is safe is mended.",
)
def consistency_check_daily(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """All active accounts at 05:30, before the uploads begin; what is safe is mended."""
    with opened_pipeline() as pipeline:
        accounts = [account.id for account in pipeline.base_accounts()]
    if not accounts:
        return dg.SkipReason("no active BASE account")
    tags = account_range_tags(context.instance, accounts)
    config = {"ops": {"consistency": {"config": {"fix": True}}}}
    return _launch(context, "consistency_check", tags, config)


ALL = [price_refresh_nightly, stock_refresh_hourly, catalog_refresh_hourly, consistency_check_daily]
