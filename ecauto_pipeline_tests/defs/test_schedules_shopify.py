"""What launches runs of the Shopify mirrors by itself, and that such a run catches up."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs.partitions import RANGE_END, RANGE_START, STORE, store_days
from ecauto_pipeline.defs.schedules import SHOPIFY_TIMES, increment_request
from ecauto_pipeline.domain.shopify.mirror import Entity, SyncState
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline_tests.defs.ticks import Tick, sense, strike
from ecauto_pipeline_tests.mirrored import (
    STORES,
    Mirrored,
    days,
    mirrored,
    partitions,
    today,
)

FIRST, SECOND = STORES

DAYS_AWAY = 3

RUN_ID = "5f5e1f1c-5a5e-4d1a-9a7c-0123456789ab"

MERGE = "shopify_webhooks_merge"


@pytest.fixture
def here(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Mirrored]:
    with mirrored(tmp_path, migrated_sqlite) as here:
        yield here


def tick(entity: Entity, here: Mirrored) -> Tick:
    """What the schedule of the entity does now."""
    name, _ = SHOPIFY_TIMES[entity]
    return strike(name, here.instance, datetime.now(UTC))


def run(request: dg.RunRequest, entity: Entity, here: Mirrored) -> dg.ExecuteInProcessResult:
    """The run that was asked for."""
    config = {name: step["config"] for name, step in request.run_config["ops"].items()}
    return here.runs.run(f"shopify_{entity}_sync", request.tags, **config)


def going_on(here: Mirrored, job: str, status: str, **tags: str) -> None:
    """Let there be such a run."""
    run_status = dg.DagsterRunStatus[status]
    here.instance.add_run(dg.DagsterRun(job_name=job, run_id=RUN_ID, status=run_status, tags=tags))


def known_stores(here: Mirrored) -> list[str]:
    return list(here.instance.get_dynamic_partitions("shopify_store"))


# --- schedules -------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", list(Entity))
def test_the_first_tick_launches_a_run_of_today_for_each_store(
    entity: Entity, here: Mirrored
) -> None:
    requests = tick(entity, here).run_requests
    assert [request.tags[STORE] for request in requests] == list(STORES)
    for store_id, request in zip(STORES, requests, strict=True):
        assert request.tags[RANGE_START] == request.tags[RANGE_END] == f"{today()}|{store_id}"
        job = defs.resolve_job_def(f"shopify_{entity}_sync")
        assert dg.validate_run_config(job, dict(request.run_config))
        mode = {"config": {"mode": "increment"}}
        assert request.run_config == {"ops": {f"shopify_{entity}": mode}}
    assert len({request.run_key for request in requests}) == len(STORES)
    assert known_stores(here) == list(STORES)


def test_three_days_later_one_run_for_each_store_catches_up(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    with mirrored(tmp_path, migrated_sqlite, days_ago=DAYS_AWAY) as here:
        rig = here.rig
        for store_id in STORES:
            for entity in Entity:
                rig.shop(store_id).edit_random(1, entity)
            rig.sync_all(store_id)
        for day in range(1, DAYS_AWAY + 1):
            rig.later(days=1, seconds=-2 if day == DAYS_AWAY else 0)
            for store_id in STORES:
                rig.shop(store_id).edit_random(15)
                rig.shop(store_id).create("orders")
                rig.shop(store_id).delete_random(2)
        for entity in Entity:
            requests = tick(entity, here).run_requests
            for store_id, request in zip(STORES, requests, strict=True):
                names = days(today() - timedelta(days=DAYS_AWAY), DAYS_AWAY + 1)
                assert request.tags[RANGE_START] == f"{names[0]}|{store_id}"
                assert request.tags[RANGE_END] == f"{names[-1]}|{store_id}"
                result = run(request, entity, here)
                assert result.success
                numbers = here.runs.metadata(result, f"shopify_{entity}")
                assert numbers.keys() == partitions(store_id, names)
        for store_id in STORES:
            rig.agrees(store_id)


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "SUCCESS", "FAILURE"])
def test_a_store_whose_run_goes_on_is_left_out_and_the_others_start(
    here: Mirrored, status: str
) -> None:
    tags = store_days(FIRST, today(), today())
    going_on(here, "shopify_orders_sync", status, **tags)
    requests = tick(Entity.ORDERS, here).run_requests
    over = status in {"SUCCESS", "FAILURE"}
    assert [request.tags[STORE] for request in requests] == list(STORES if over else STORES[1:])
    requests = tick(Entity.PRODUCTS, here).run_requests
    assert len(requests) == len(STORES)


def test_a_tick_while_all_goes_on_or_without_any_store_launches_nothing(here: Mirrored) -> None:
    here.configure(FIRST)
    tags = store_days(FIRST, today(), today())
    going_on(here, "shopify_orders_sync", "STARTED", **tags)
    nothing = Tick([], "no Shopify store is configured, or all are being synced")
    assert tick(Entity.ORDERS, here) == nothing
    here.configure()
    assert tick(Entity.PRODUCTS, here) == nothing


def test_a_store_that_rests_is_not_gone_over_from_its_last_change(here: Mirrored) -> None:
    now = datetime.now(UTC)
    long_ago, lately = now - timedelta(days=100), now - timedelta(days=2)
    here.rig.mirrors.states.update(FIRST, Entity.ORDERS, watermark_at=long_ago, synced_at=lately)
    here.rig.mirrors.states.update(SECOND, Entity.ORDERS, watermark_at=lately, synced_at=lately)
    requests = tick(Entity.ORDERS, here).run_requests
    for store_id, request in zip(STORES, requests, strict=True):
        assert request.tags[RANGE_START] == f"{today() - timedelta(days=2)}|{store_id}"


@pytest.mark.parametrize(
    ("at", "since", "first", "last"),
    [
        ("2026-03-03T15:00", None, "2026-03-04", "2026-03-04"),
        ("2026-03-03T14:59", None, "2026-03-03", "2026-03-03"),
        ("2026-03-03T15:00", "2026-03-03T14:59", "2026-03-03", "2026-03-04"),
        ("2026-03-03T15:00", "2026-03-03T15:00", "2026-03-04", "2026-03-04"),
        ("2026-03-03T15:00", "2026-02-28T14:00", "2026-02-28", "2026-03-04"),
        ("2026-03-03T14:59", "2026-03-03T15:00", "2026-03-03", "2026-03-03"),
        ("2026-03-03T15:00", "2019-06-01T00:00", "2020-01-01", "2026-03-04"),
    ],
    ids=["after", "before", "across", "within", "February", "a clock ahead", "long ago"],
)
def test_days_begin_at_midnight_in_japan(at: str, since: str | None, first: str, last: str) -> None:
    time = datetime.fromisoformat(at).replace(tzinfo=UTC)
    reached = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else None
    request = increment_request(time, SyncState(FIRST, Entity.ORDERS, watermark_at=reached))
    assert (
        request.tags.items()
        >= {
            RANGE_START: f"{first}|{FIRST}",
            RANGE_END: f"{last}|{FIRST}",
            STORE: FIRST,
        }.items()
    )


# --- sensors ---------------------------------------------------------------------------------


def test_stores_that_are_new_in_the_settings_become_partitions(here: Mirrored) -> None:
    here.configure(FIRST)
    assert sense("shopify_stores", here.instance).skip_message == f"added: {FIRST}"
    assert sense("shopify_stores", here.instance).skip_message == "no store is new"
    here.configure(*STORES)
    assert sense("shopify_stores", here.instance).skip_message == f"added: {SECOND}"
    assert known_stores(here) == list(STORES)


def receive(here: Mirrored, topic: str, body: object, number: int = 1) -> None:
    """Put a webhook where the receiver puts it."""
    now = here.rig.clock.now()
    webhook = ReceivedWebhook(
        f"w{number}", FIRST, topic, "2026-10", now, json.dumps(body), received_at=now
    )
    assert here.rig.mirrors.inbox.put(webhook)


def test_webhooks_are_merged_by_a_run_while_some_wait(here: Mirrored) -> None:
    assert sense("shopify_webhooks", here.instance).skip_message == "no webhook waits"
    body = rest_bodies(here.rig.shop(FIRST), "orders")[0]
    receive(here, "orders/updated", body)
    assert len(sense("shopify_webhooks", here.instance).run_requests) == 1
    result = here.runs.run(MERGE)
    assert result.success
    numbers = result.output_for_node("merge_webhooks")
    assert (numbers["merged"], numbers["saved"], numbers["problems"]) == (1, 1, [])
    found, _ = here.rig.mirror(Entity.ORDERS, FIRST)
    assert found.keys() == {body["id"]}
    assert sense("shopify_webhooks", here.instance).skip_message == "no webhook waits"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("STARTING", "a run goes on"),
        ("STARTED", "a run goes on"),
        ("FAILURE", "the last run failed a moment ago"),
        ("SUCCESS", None),
    ],
)
def test_one_run_at_a_time_merges_webhooks(here: Mirrored, status: str, reason: str | None) -> None:
    receive(here, "orders/updated", {})
    going_on(here, MERGE, status)
    assert sense("shopify_webhooks", here.instance).skip_message == reason


def test_a_webhook_that_nobody_can_read_does_not_keep_the_others_waiting(here: Mirrored) -> None:
    body = rest_bodies(here.rig.shop(FIRST), "products")[0]
    receive(here, "products/update", {"id": "no number"}, 1)
    receive(here, "products/update", body, 2)
    result = here.runs.run(MERGE)
    assert result.success
    numbers = result.output_for_node("merge_webhooks")
    assert (numbers["merged"], len(numbers["problems"])) == (1, 1)
    assert here.rig.mirrors.inbox.pending_count() == 0
