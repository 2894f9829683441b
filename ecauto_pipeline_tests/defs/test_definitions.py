"""The code location: what it defines, by the names that users hold on to."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs import sensors
from ecauto_pipeline.defs.partitions import RANGE_END, RANGE_START
from ecauto_pipeline.domain.amazon.asin import SHARDS
from ecauto_pipeline.storage.tables import account_configs
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.children import run
from ecauto_pipeline_tests.defs.ticks import strike

FACTS = {
    "amazon_catalog": timedelta(days=7),
    "amazon_classification": timedelta(days=30),
    "amazon_prices": timedelta(hours=24),
    "amazon_stock": timedelta(hours=1),
}
WATERMARKS = {f"{name}_fresh": ttl for name, ttl in FACTS.items()}
WRITES = ["base_visibility", "base_prices"]
MIRRORS = {
    "shopify_customers": timedelta(hours=2),
    "shopify_products": timedelta(hours=4),
    "shopify_orders": timedelta(hours=1),
}
"""How often each is scheduled."""
GROUPS = {
    "amazon": [*FACTS, *WATERMARKS],
    "base": ["base_listings", *WRITES],
    "shopify": list(MIRRORS),
}

JOBS = {
    "price_refresh": ["amazon_prices"],
    "stock_refresh": ["amazon_stock"],
    "catalog_refresh": ["amazon_catalog", "amazon_classification"],
    "amazon_refresh": list(FACTS),
    "price_sync": ["base_prices"],
    "visibility_sync": ["base_visibility"],
    "base_sync": WRITES,
    "base_mirror": ["base_listings"],
    **{f"{name}_sync": [name] for name in MIRRORS},
}

SCHEDULES = {
    "price_refresh_nightly": ("0 2 * * *", "price_refresh"),
    "stock_refresh_hourly": ("0 * * * *", "stock_refresh"),
    "catalog_refresh_hourly": ("10 * * * *", "catalog_refresh"),
}

SHOPIFY_SCHEDULES = {
    "shopify_customers_every_2h": ("0 */2 * * *", "shopify_customers_sync"),
    "shopify_products_every_4h": ("30 */4 * * *", "shopify_products_sync"),
    "shopify_orders_hourly": ("15 * * * *", "shopify_orders_sync"),
}

FOLLOW_UPS = ["base_half_after_success", "base_half_after_failure"]

RUN_ID = "5f5e1f1c-5a5e-4d1a-9a7c-0123456789ab"

NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""12:00 in Japan."""


@pytest.fixture(scope="module")
def assets() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The pipeline that sensors open too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECAUTO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ECAUTO_DATABASE_URL", raising=False)
    monkeypatch.delenv("ECAUTO_BASE__ACCOUNTS", raising=False)
    pipeline = Pipeline()
    yield pipeline
    pipeline.close()


def test_the_definitions_load_without_a_warning() -> None:
    dg.Definitions.validate_loadable(defs)


def loaded(statement: str, folder: Path, *flags: str, **settings: str) -> "CompletedProcess[str]":
    """A process that runs the statement in that folder, with no settings but these."""
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path), **settings}
    return run([sys.executable, *flags, "-c", statement], environment=environment, folder=folder)


def test_loading_does_no_work_and_warns_of_nothing(tmp_path: Path) -> None:
    # Preview and beta notices are about Dagster's own words, not about how we use them.
    statement = (
        "import sys, dagster, warnings;"
        "warnings.simplefilter('ignore', dagster.PreviewWarning);"
        "warnings.simplefilter('ignore', dagster.BetaWarning);"
        "from ecauto_pipeline.definitions import defs;"
        "defs.resolve_all_job_defs();"
        "heavy = {'httpx', 'sp_api', 'pandas', 'alembic', 'sqlalchemy'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ended = loaded(statement, tmp_path, "-W", "error", "-W", "ignore::DeprecationWarning")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")
    assert list(tmp_path.iterdir()) == []


def test_every_asset_is_in_its_group_and_documented(assets: dict[str, dg.AssetSpec]) -> None:
    for group, names in GROUPS.items():
        found = [name for name, spec in assets.items() if spec.group_name == group]
        assert sorted(found) == sorted(names)
    for name, spec in assets.items():
        assert spec.group_name != "default", name
        assert (spec.description or "").endswith("."), name


def test_amazon_is_partitioned_by_shard_and_base_by_account(
    assets: dict[str, dg.AssetSpec],
) -> None:
    for name in FACTS:
        definition = assets[name].partitions_def
        assert isinstance(definition, dg.StaticPartitionsDefinition)
        assert definition.get_partition_keys() == [f"{number:02d}" for number in range(24)]
    for name in GROUPS["base"]:
        definition = assets[name].partitions_def
        assert isinstance(definition, dg.DynamicPartitionsDefinition)
        assert definition.name == "base_account"
    for name in WATERMARKS:
        assert assets[name].partitions_def is None


def test_shopify_is_partitioned_by_store_and_day_in_japan(assets: dict[str, dg.AssetSpec]) -> None:
    for name in MIRRORS:
        definition = assets[name].partitions_def
        assert isinstance(definition, dg.MultiPartitionsDefinition)
        found = {each.name: each.partitions_def for each in definition.partitions_defs}
        assert found.keys() == {"store", "day"}
        stores, days = found["store"], found["day"]
        assert isinstance(stores, dg.DynamicPartitionsDefinition)
        assert stores.name == "shopify_store"
        assert isinstance(days, dg.DailyPartitionsDefinition)
        before_midnight = datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC)
        for now, last in ((before_midnight, 20), (before_midnight + timedelta(seconds=1), 21)):
            with dg.partition_loading_context(effective_dt=now):
                assert days.get_last_partition_key() == f"2026-11-{last}"


def test_a_mirror_is_late_when_its_schedule_was_missed(assets: dict[str, dg.AssetSpec]) -> None:
    for name, every in MIRRORS.items():
        policy = dg.FreshnessPolicy.time_window(fail_window=2 * every, warn_window=1.5 * every)
        assert assets[name].freshness_policy == policy


def test_ttls_are_freshness_policies(assets: dict[str, dg.AssetSpec]) -> None:
    for name, ttl in (FACTS | WATERMARKS).items():
        policy = assets[name].freshness_policy
        assert policy == dg.FreshnessPolicy.time_window(fail_window=ttl, warn_window=0.75 * ttl)


JUDGED = """
import json
from ecauto_pipeline.definitions import defs
def seconds(window):
    return window and window.to_timedelta().total_seconds()
print(json.dumps({
    spec.key.to_user_string(): (
        seconds(spec.freshness_policy.fail_window),
        seconds(spec.freshness_policy.warn_window),
        spec.description,
    )
    for spec in defs.resolve_all_asset_specs()
    if spec.group_name == "amazon"
}))
"""


def test_an_asset_is_judged_by_the_ttl_that_is_set(tmp_path: Path) -> None:
    settings = {"ECAUTO_TTL__STOCK": "2h", "ECAUTO_TTL__PRICE": "70s", "ECAUTO_TTL__CATALOG": "5s"}
    ended = loaded(JUDGED, tmp_path, **settings)
    assert ended.returncode == 0, ended.stderr
    judged = json.loads(ended.stdout)
    # Dagster knows no window below a minute, and a warning must come before the failure.
    for fact, fails, warns, told in (
        ("stock", 7200, 5400, "TTL: 2 hours."),
        ("prices", 70, None, "TTL: 70 seconds."),
        ("catalog", 60, None, "TTL: 5 seconds."),
        ("classification", 30 * 86_400, 22.5 * 86_400, "TTL: 30 days."),
    ):
        for name in (f"amazon_{fact}", f"amazon_{fact}_fresh"):
            assert judged[name][:2] == [fails, warns], name
            assert judged[name][2].endswith(f". {told}"), name


def test_a_malformed_setting_names_itself_when_the_definitions_are_loaded(tmp_path: Path) -> None:
    ended = loaded(JUDGED, tmp_path, ECAUTO_TTL__STOCK="soon")
    assert ended.returncode != 0
    last = ended.stderr.splitlines()[-1]
    wanted = "ECAUTO_TTL__STOCK: a duration like 90s, 30m, 24h or 7d is wanted"
    assert last == f"ecauto_pipeline.errors.Misconfigured: {wanted}"


def test_one_run_at_a_time_talks_to_each_marketplace() -> None:
    graph = defs.resolve_asset_graph()
    pools = {name: graph.get(dg.AssetKey(name)).pools for name in (*FACTS, *GROUPS["base"])}
    assert pools == {
        **{name: {"amazon_sp_api"} for name in FACTS},
        **{name: {"base_api"} for name in GROUPS["base"]},
    }


def test_one_run_covers_a_whole_backfill() -> None:
    graph = defs.resolve_asset_graph()
    for name in (*FACTS, *GROUPS["base"], *MIRRORS):
        assert graph.get(dg.AssetKey(name)).backfill_policy == dg.BackfillPolicy.single_run()


def test_what_is_written_follows_from_what_amazon_said(assets: dict[str, dg.AssetSpec]) -> None:
    for name in WRITES:
        upstream = {dep.asset_key.to_user_string() for dep in assets[name].deps}
        assert upstream == {"amazon_prices", "amazon_stock"}


@pytest.mark.parametrize(("name", "selected"), JOBS.items())
def test_a_job_covers_its_assets_and_runs_in_one_process(name: str, selected: list[str]) -> None:
    job = defs.resolve_job_def(name)
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert keys == set(selected)
    assert job.executor_def is dg.in_process_executor
    assert job.description
    assert job.description.endswith(".")


def test_jobs_that_are_no_assets_and_runs_from_the_ui_run_in_one_process_too() -> None:
    no_assets = ("import_v1", "shopify_replay", "shopify_webhooks_merge")
    jobs = [defs.resolve_job_def(name) for name in no_assets]
    for job in (*jobs, defs.resolve_implicit_global_asset_job_def()):
        assert job.executor_def is dg.in_process_executor


def test_every_fact_is_checked_against_its_ttl() -> None:
    keys = {
        (check.asset_key.to_user_string(), check.name)
        for check in defs.resolve_asset_graph().asset_check_keys
    }
    assert keys >= {(name, "rows_within_ttl") for name in FACTS}
    assert keys >= {(name, "as_many_as_the_shop") for name in MIRRORS}


def test_resources_hold_no_configuration_and_so_no_secret() -> None:
    resources = defs.get_repository_def().get_top_level_resources()
    assert "pipeline" in resources
    for name, resource in resources.items():
        schema = resource.config_schema.config_type
        assert schema is not None
        assert "secret" not in repr(getattr(schema, "fields", "")).lower(), name
        assert not getattr(schema, "fields", {}), name


def schedule_of(name: str) -> dg.ScheduleDefinition:
    return defs.resolve_schedule_def(name)


@pytest.mark.parametrize(("name", "told"), (SCHEDULES | SHOPIFY_SCHEDULES).items())
def test_a_schedule_goes_by_the_clock_in_japan(name: str, told: tuple[str, str]) -> None:
    schedule = schedule_of(name)
    assert (schedule.cron_schedule, schedule.job_name) == told
    assert schedule.execution_timezone == "Asia/Tokyo"
    assert schedule.description
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize("name", ["price_refresh_nightly", "stock_refresh_hourly"])
def test_one_run_covers_all_shards(name: str, instance: dg.DagsterInstance) -> None:
    [request] = strike(name, instance, NOON).run_requests
    assert request.tags.items() >= {RANGE_START: "00", RANGE_END: "23"}.items()


def test_the_catalog_is_covered_in_a_day(instance: dg.DagsterInstance) -> None:
    covered: list[str] = []
    for hour in range(24):
        at = NOON + timedelta(hours=hour, minutes=10)
        [request] = strike("catalog_refresh_hourly", instance, at).run_requests
        assert request.tags[RANGE_START] == request.tags[RANGE_END]
        covered.append(request.tags[RANGE_START])
    assert sorted(covered) == list(SHARDS)


@pytest.mark.parametrize(("name", "told"), SCHEDULES.items())
@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "SUCCESS", "FAILURE"])
def test_a_schedule_skips_while_its_job_goes_on(
    name: str, told: tuple[str, str], status: str, instance: dg.DagsterInstance
) -> None:
    goes_on = status not in {"SUCCESS", "FAILURE"}
    _, job_name = told
    run_status = dg.DagsterRunStatus[status]
    instance.add_run(dg.DagsterRun(job_name=job_name, run_id=RUN_ID, status=run_status))
    tick = strike(name, instance, NOON)
    assert len(tick.run_requests) == (0 if goes_on else 1)
    assert tick.skip_message == (f"{job_name} still goes on" if goes_on else None)


def test_sensors_run_by_themselves() -> None:
    found = {sensor.name: sensor for sensor in defs.sensors or []}
    others = ("freshness_watermarks", "shopify_webhooks", "shopify_stores")
    for name in (*FOLLOW_UPS, *others):
        sensor = found[name]
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert sensor.description
    for name in FOLLOW_UPS:
        assert found[name].job_name == "base_sync"
    assert found["shopify_webhooks"].job_name == "shopify_webhooks_merge"


def follow_up(
    sensor: str, instance: dg.DagsterInstance, pipeline: Pipeline, tags: dict[str, str]
) -> Any:
    """What the sensor does when a run with those tags has ended."""
    run = dg.DagsterRun(job_name="stock_refresh", run_id=RUN_ID, tags=tags)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor,
        dagster_instance=instance,
        dagster_run=run,
        dagster_event=dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name),
    )
    return getattr(sensors, sensor)(context, pipeline=pipeline)


def add_accounts(pipeline: Pipeline, **active: bool) -> None:
    rows = [
        {
            "id": name,
            "platform": "base",
            "active": switched_on,
            "credentials": "{}",
            "created_at": NOON,
            "updated_at": NOON,
        }
        for name, switched_on in active.items()
    ]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(account_configs), rows)


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_the_base_half_follows_for_all_active_accounts(
    name: str, instance: dg.DagsterInstance, pipeline: Pipeline
) -> None:
    add_accounts(pipeline, first=True, second=False, third=True)
    result = follow_up(name, instance, pipeline, {})
    assert isinstance(result, dg.SensorResult)
    [request] = result.run_requests or []
    assert request.run_key == RUN_ID
    assert request.tags.items() >= {RANGE_START: "first", RANGE_END: "third"}.items()
    [wanted] = result.dynamic_partitions_requests or []
    assert (wanted.partitions_def_name, wanted.partition_keys) == (
        "base_account",
        ["first", "third"],
    )


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_a_run_that_a_command_launched_is_left_to_it(
    name: str, instance: dg.DagsterInstance, pipeline: Pipeline
) -> None:
    skipped = follow_up(name, instance, pipeline, {sensors.LAUNCHED_BY: "ecauto"})
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "the command that launched the run goes on by itself"


def test_without_an_account_nothing_follows(
    instance: dg.DagsterInstance, pipeline: Pipeline
) -> None:
    add_accounts(pipeline, only=False)
    skipped = follow_up(FOLLOW_UPS[0], instance, pipeline, {})
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "no active BASE account"
