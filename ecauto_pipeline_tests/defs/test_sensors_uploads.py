"""The sensors of the way to a published listing: what they see, and what they launch."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, RANGE_END, RANGE_START, ensure_partitions
from ecauto_pipeline.domain.amazon.asin import is_asin
from ecauto_pipeline.storage.tables import account_configs, listings, products, upload_queue
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.ticks import Tick, sense, strike

ACTIVE, OTHER, OFF = "first", "second", "third"

NOW = datetime.now(UTC)

RUN_ID = "5f5e1f1c-5a5e-4d1a-9a7c-0123456789ab"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The pipeline that sensors open too, with two active accounts; uploads have no pause."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECAUTO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ECAUTO_DATABASE_URL", raising=False)
    monkeypatch.delenv("ECAUTO_BASE__ACCOUNTS", raising=False)
    open_hours(monkeypatch, 0, 24)
    pipeline = Pipeline()
    rows = [
        {
            "id": account,
            "platform": "base",
            "active": account != OFF,
            "credentials": "{}",
            "created_at": NOW,
            "updated_at": NOW,
        }
        for account in (ACTIVE, OTHER, OFF)
    ]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(account_configs), rows)
    yield pipeline
    pipeline.close()


def open_hours(monkeypatch: pytest.MonkeyPatch, from_hour: int, to_hour: int) -> None:
    monkeypatch.setenv("ECAUTO_UPLOAD__FROM_HOUR", str(from_hour))
    monkeypatch.setenv("ECAUTO_UPLOAD__TO_HOUR", str(to_hour))


def asin_of(number: int) -> str:
    asin = f"B0{number:08d}"
    assert is_asin(asin)
    return asin


def add_pending(pipeline: Pipeline, account: str, numbers: range, **values: Any) -> None:
    """Add products with pending listings of the account."""
    asins = [asin_of(number) for number in numbers]
    times = {"created_at": NOW, "updated_at": NOW}
    listing = {"platform": "base", "account_id": account, "status": "pending", **times}
    known = [{"asin": asin, "shard": "00", **times} for asin in asins]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(products), known)
        rows = [{"asin": asin, "sku": f"b-{asin}-1", **listing, **values} for asin in asins]
        connection.execute(sa.insert(listings), rows)


def add_queued(pipeline: Pipeline, account: str, numbers: range, **values: Any) -> None:
    """Add such listings with rows of the queue that are due."""
    add_pending(pipeline, account, numbers)
    due = {"scheduled_time": NOW, "status": "pending", "created_at": NOW, **values}
    rows = [
        {"asin": asin_of(number), "platform": "base", "account_id": account, **due}
        for number in numbers
    ]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(upload_queue), rows)


def events(tick: Tick) -> dict[str | None, Mapping[str, Any]]:
    """The numbers that were reported of the queue, by account."""
    found: dict[str | None, Mapping[str, Any]] = {}
    for event in tick.asset_events:
        assert event.asset_key == dg.AssetKey("upload_queue")
        found[event.partition] = {key: value.value for key, value in event.metadata.items()}
    return found


def test_the_sensors_run_by_themselves() -> None:
    found = {sensor.name: sensor for sensor in defs.sensors or []}
    for name, job in (("due_uploads", "upload"), ("asin_inbox", "product_intake")):
        assert found[name].job_name == job
    for name in ("pending_listings", "due_uploads", "asin_inbox"):
        assert found[name].default_status is dg.DefaultSensorStatus.RUNNING


# --- pending listings ------------------------------------------------------------------------


def test_without_a_pending_listing_nothing_is_queued(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    add_queued(pipeline, ACTIVE, range(2))
    tick = sense("pending_listings", instance)
    assert not tick.asset_events
    assert tick.skip_message == "every pending listing has a row in the queue"


def test_pending_listings_are_queued_in_the_tick_itself(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    add_pending(pipeline, ACTIVE, range(3))
    add_pending(pipeline, OTHER, range(10, 12))
    tick = sense("pending_listings", instance)
    assert not tick.run_requests
    counts = {"uploading": 0, "unknown": 0, "success": 0, "failed": 0}
    assert events(tick) == {
        ACTIVE: {"queued": 3, "pending": 3, **counts},
        OTHER: {"queued": 2, "pending": 2, **counts},
    }
    assert instance.get_dynamic_partitions("base_account") == [ACTIVE, OTHER]
    assert pipeline.uploads.queue.counts()["pending"] == 5
    assert (
        sense("pending_listings", instance).skip_message
        == "every pending listing has a row in the queue"
    )


def test_a_held_listing_waits_for_a_person(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    add_pending(pipeline, ACTIVE, range(1), held=True)
    assert (
        sense("pending_listings", instance).skip_message
        == "every pending listing has a row in the queue"
    )


def test_listings_of_an_account_that_is_switched_off_are_told_of(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    add_pending(pipeline, OFF, range(2))
    wanted = f"listings wait for accounts that are not active or may upload nothing: {OFF}"
    assert sense("pending_listings", instance).skip_message == wanted
    add_pending(pipeline, ACTIVE, range(10, 11))
    tick = sense("pending_listings", instance)
    assert events(tick).keys() == {ACTIVE}
    assert pipeline.uploads.queue.counts(OFF)["pending"] == 0


def test_a_hundred_thousand_listings_are_queued_in_one_tick(
    pipeline: Pipeline, instance: dg.DagsterInstance, record_property: Any
) -> None:
    add_pending(pipeline, ACTIVE, range(60_000))
    add_pending(pipeline, OTHER, range(60_000, 100_000))
    started = time.perf_counter()
    tick = sense("pending_listings", instance)
    seconds = time.perf_counter() - started
    record_property("seconds", seconds)
    print(f"100,000 listings queued in {seconds:.1f} s")  # noqa: T201 - `pytest -s` shows it
    assert {account: of["queued"] for account, of in events(tick).items()} == {
        ACTIVE: 60_000,
        OTHER: 40_000,
    }
    row = upload_queue.c
    distinct = sa.select(sa.func.count(), sa.func.count(row.asin.distinct()))
    day = sa.func.date(row.scheduled_time, "+9 hours")  # Japan's
    busiest = sa.select(sa.func.count(row.id)).group_by(row.account_id, day)
    with pipeline.engine.connect() as connection:
        assert tuple(connection.execute(distinct).one()) == (100_000, 100_000)
        assert max(connection.execute(busiest).scalars()) <= 1000
    assert (
        sense("pending_listings", instance).skip_message
        == "every pending listing has a row in the queue"
    )


# --- due uploads -----------------------------------------------------------------------------


def accounts(tick: Tick) -> list[str]:
    """The accounts for which a run is asked for, one each."""
    requests = tick.run_requests
    assert all(request.tags[RANGE_START] == request.tags[RANGE_END] for request in requests)
    return [request.tags[RANGE_START] for request in requests]


def test_each_active_account_with_something_due_gets_a_run(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    for number, account in enumerate((ACTIVE, OTHER, OFF)):
        add_queued(pipeline, account, range(10 * number, 10 * number + 2))
    tick = sense("due_uploads", instance)
    assert accounts(tick) == [ACTIVE, OTHER]


@pytest.mark.parametrize(
    ("values", "is_due"),
    [
        ({"scheduled_time": NOW + timedelta(days=1)}, False),
        ({"scheduled_time": None}, True),
        ({"status": "unknown", "scheduled_time": NOW}, True),
        ({"status": "failed"}, False),
        ({"status": "success"}, False),
        ({"status": "uploading", "lease_until": NOW + timedelta(days=1)}, False),
        ({"status": "uploading", "lease_until": NOW - timedelta(minutes=1)}, True),
    ],
)
def test_only_what_is_due_is_uploaded(
    pipeline: Pipeline, instance: dg.DagsterInstance, values: dict[str, Any], *, is_due: bool
) -> None:
    add_queued(pipeline, ACTIVE, range(1), **values)
    tick = sense("due_uploads", instance)
    assert accounts(tick) == ([ACTIVE] if is_due else [])
    assert tick.skip_message == (None if is_due else "nothing is due")


def test_uploads_pause_for_the_night(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_queued(pipeline, ACTIVE, range(1))
    other_half = (datetime.now(JAPAN).hour + 12) % 24
    open_hours(monkeypatch, other_half, other_half + 1)
    tick = sense("due_uploads", instance)
    assert (accounts(tick), tick.skip_message) == ([], "uploads pause for the night")


@pytest.mark.parametrize(
    ("tags", "free"),
    [
        ({RANGE_START: ACTIVE, RANGE_END: ACTIVE}, [OTHER]),
        ({RANGE_START: ACTIVE, RANGE_END: OTHER}, []),
        ({"dagster/partition": OTHER}, [ACTIVE]),
        ({RANGE_START: "gone", RANGE_END: "gone"}, [ACTIVE, OTHER]),
        ({}, [ACTIVE, OTHER]),
    ],
)
@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTED", "SUCCESS", "FAILURE"])
def test_an_account_whose_upload_goes_on_is_skipped(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    free: list[str],
    status: str,
) -> None:
    ensure_partitions(instance, BASE_ACCOUNTS, [ACTIVE, OTHER])
    add_queued(pipeline, ACTIVE, range(1))
    add_queued(pipeline, OTHER, range(10, 11))
    run_status = dg.DagsterRunStatus[status]
    run = dg.DagsterRun(job_name="upload", run_id=RUN_ID, status=run_status, tags=tags)
    instance.add_run(run)
    tick = sense("due_uploads", instance)
    over = status in {"SUCCESS", "FAILURE"}
    assert accounts(tick) == ([ACTIVE, OTHER] if over else free)


# --- lists in the inbox ----------------------------------------------------------------------


def put_list(folder: Path, name: str) -> Path:
    """Put a list there that was written a while ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("B0FGQJ45HW", "utf-8")
    a_while_ago = time.time() - 60
    os.utime(path, (a_while_ago, a_while_ago))
    return path


def test_without_a_list_nothing_is_taken_in(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    assert pipeline.uploads.inbox.ready() == []
    assert sense("asin_inbox", instance).skip_message == "no list"


def test_each_list_of_the_inbox_gets_a_run(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    paths = [put_list(pipeline.uploads.inbox.folder, name) for name in ("one.txt", "two.csv")]
    tick = sense("asin_inbox", instance)
    found = {
        request.run_config["ops"]["take_in_products"]["config"]["path"]: request
        for request in tick.run_requests
    }
    assert found.keys() == {str(path.absolute()) for path in paths}
    for path, request in found.items():
        config = request.run_config["ops"]["take_in_products"]["config"]
        assert config["from_inbox"] is True
        assert (request.run_key or "").startswith(f"{Path(path).name}:")
        job = defs.resolve_job_def("product_intake")
        assert dg.validate_run_config(job, dict(request.run_config))


def run_keys(instance: dg.DagsterInstance) -> set[str | None]:
    return {request.run_key for request in sense("asin_inbox", instance).run_requests}


def test_another_list_of_the_same_name_has_another_run_key(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    put_list(pipeline.uploads.inbox.folder, "one.txt")
    first = run_keys(instance)
    path = put_list(pipeline.uploads.inbox.folder, "one.txt")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert len(first) == 1
    assert not first & run_keys(instance)


def test_a_list_that_a_lost_process_left_is_put_back_and_asked_for_again(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    path = put_list(pipeline.uploads.inbox.folder, "one.txt")
    first = run_keys(instance)
    working = pipeline.uploads.inbox.folder / "working" / path.name
    working.parent.mkdir(parents=True, exist_ok=True)
    path.rename(working)
    again = run_keys(instance)
    assert path.exists()
    assert not working.exists()
    assert len(again) == 1
    assert not first & again


# --- the daily check -------------------------------------------------------------------------


def test_the_daily_check_mends_what_is_safe_for_all_active_accounts(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    assert len(pipeline.shops.accounts()) == 2
    at = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)
    [request] = strike("consistency_check_daily", instance, at).run_requests
    assert instance.get_dynamic_partitions("base_account") == [ACTIVE, OTHER]
    assert request.run_config == {"ops": {"consistency": {"config": {"fix": True}}}}
    assert request.tags.items() >= {RANGE_START: ACTIVE, RANGE_END: OTHER}.items()
    job = defs.resolve_job_def("consistency_check")
    assert dg.validate_run_config(job, dict(request.run_config))
