"""The Shopify assets: which days a run reads of which store, and what it tells of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.defs.assets.shopify import CHECK, MirrorConfig
from ecauto_pipeline.defs.partitions import (
    SHOPIFY_STORES,
    ensure_partitions,
    range_tags,
    store_days,
)
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.storage.shopify.rows import MIRRORS
from ecauto_pipeline.sync.shopify.mirror import Mode
from ecauto_pipeline_tests.defs.runs import failure, rows
from ecauto_pipeline_tests.mirrored import (
    STORES,
    Mirrored,
    days,
    mirrored,
    moment,
    partitions,
    today,
)
from ecauto_pipeline_tests.program import WRONG_TOKEN

FIRST, SECOND = STORES

JOB, ASSET = "shopify_{}_sync", "shopify_{}"

DAY = today() - timedelta(days=30)

Counted = tuple[str, int, int]
"""A store, and how many it and its mirror have."""

TOTALS = {
    "store", "transport", "since", "until", "pages", "read", "created", "changed", "same", "stale",
    "children", "bad", "deleted", "revived", "source_count", "mirror_count", "notes", "problems",
    "seconds", "dagster/row_count", "changed_that_day",
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Mirrored]:
    with mirrored(tmp_path, migrated_sqlite) as here:
        ensure_partitions(here.instance, SHOPIFY_STORES, STORES)
        yield here


def run(
    here: Mirrored, entity: Entity, tags: dict[str, str], mode: str = "window"
) -> dg.ExecuteInProcessResult:
    """Run the job of the entity."""
    ops: dict[str, Any] = {ASSET.format(entity): {"mode": mode}}
    return here.runs.run(JOB.format(entity), tags, **ops)


def touch(here: Mirrored, entity: Entity, *, store_id: str = FIRST) -> None:
    """Change something in the first and last second of the day, and just before and after it."""
    shop = here.rig.shop(store_id)
    moments = (-1, 0, 86_399, 86_400)
    for id_, seconds in zip(shop.ids(entity), moments, strict=False):
        shop.edit(entity, id_, updated_at=moment(DAY, seconds))


def check_of(here: Mirrored, entity: Entity) -> tuple[dg.AssetCheckEvaluation, list[Counted]]:
    """What the check said last, and of which numbers."""
    key = dg.AssetCheckKey(dg.AssetKey(ASSET.format(entity)), CHECK)
    summary = here.instance.event_log_storage.get_asset_check_summary_records([key])[key]
    assert summary.last_check_execution_record is not None
    event = summary.last_check_execution_record.event
    assert event is not None
    said = event.get_dagster_event().asset_check_evaluation_data
    counts: Any = said.metadata["counts"].value
    return said, [(row["store"], row["shop"], row["mirror"]) for row in rows(counts.records)]


@pytest.mark.parametrize("entity", list(Entity))
def test_a_partition_is_what_a_store_changed_that_day_in_japan(
    entity: Entity, here: Mirrored
) -> None:
    touch(here, entity)
    expected = here.changed_on(entity, days(DAY, 1), FIRST)
    assert len(expected) >= 2
    asset = ASSET.format(entity)
    result = here.runs.run(JOB.format(entity), partition=f"{DAY}|{FIRST}")
    assert result.success
    [partition] = partitions(FIRST, days(DAY, 1))
    assert here.runs.materialized(asset) == {partition}
    numbers = here.runs.metadata(result, asset)[partition]
    assert numbers.keys() == TOTALS
    assert numbers["changed_that_day"] == len(expected)
    found, _ = here.rig.mirror(entity, FIRST)
    assert numbers["dagster/row_count"] == numbers["mirror_count"] == len(found)
    # The search for customers knows no end: those changed later come as well.
    after = today() if entity is Entity.CUSTOMERS else DAY
    length = (after - DAY).days + 1
    assert expected <= found.keys() <= here.changed_on(entity, days(DAY, length), FIRST)
    assert here.rig.mirror(entity, SECOND) == ({}, {})


def test_a_range_of_days_is_one_run_with_a_materialization_for_each(here: Mirrored) -> None:
    touch(here, Entity.ORDERS)
    asset, names = ASSET.format(Entity.ORDERS), days(DAY - timedelta(days=2), 5)
    tags = store_days(FIRST, DAY - timedelta(days=2), DAY + timedelta(days=2))
    result = run(here, Entity.ORDERS, tags)
    assert result.success
    assert here.runs.materialized(asset) == partitions(FIRST, names)
    numbers = here.runs.metadata(result, asset)
    counts = {name: len(here.changed_on(Entity.ORDERS, [name], FIRST)) for name in names}
    assert {f"{name}|{FIRST}": count for name, count in counts.items()} == {
        partition: of["changed_that_day"] for partition, of in numbers.items()
    }
    last = f"{names[-1]}|{FIRST}"
    assert numbers[last]["read"] == sum(counts.values()) >= 4
    assert all(of.keys() == {"changed_that_day"} for day, of in numbers.items() if day != last)
    [observation] = result.get_asset_observation_events()
    assert observation.asset_observation_data.asset_observation.metadata["store"].value == FIRST


def test_a_range_of_stores_is_the_days_of_each(here: Mirrored) -> None:
    asset, names = ASSET.format(Entity.PRODUCTS), days(DAY, 3)
    for store_id in STORES:
        touch(here, Entity.PRODUCTS, store_id=store_id)
    tags = range_tags(f"{names[0]}|{FIRST}", f"{names[-1]}|{SECOND}")
    result = run(here, Entity.PRODUCTS, tags)
    assert result.success
    both = partitions(FIRST, names) | partitions(SECOND, names)
    assert here.runs.materialized(asset) == both
    for store_id in STORES:
        found, _ = here.rig.mirror(Entity.PRODUCTS, store_id)
        assert found.keys() == here.changed_on(Entity.PRODUCTS, names, store_id) != set()


@pytest.mark.parametrize("wrong", STORES)
def test_a_trouble_with_one_store_is_not_the_others(here: Mirrored, wrong: str) -> None:
    [right] = set(STORES) - {wrong}
    here.configure(*STORES, wrong=wrong)
    both = range_tags(f"{today()}|{FIRST}", f"{today()}|{SECOND}")
    result = run(here, Entity.ORDERS, both, "increment")
    sentence = failure(result)
    assert wrong in sentence
    assert right not in sentence
    assert WRONG_TOKEN not in sentence
    assert here.runs.materialized(ASSET.format(Entity.ORDERS)) == partitions(
        right, [today().isoformat()]
    )
    here.rig.agrees(right, [Entity.ORDERS], wholly=True)
    assert check_of(here, Entity.ORDERS)[0].passed


def test_all_that_fail_are_named(here: Mirrored) -> None:
    here.configure(FIRST, wrong=FIRST)
    both = range_tags(f"{today()}|{FIRST}", f"{today()}|{SECOND}")
    sentence = failure(run(here, Entity.ORDERS, both))
    assert FIRST in sentence
    assert SECOND in sentence


def test_a_store_that_is_not_configured_any_more_is_named_and_others_are_mirrored(
    here: Mirrored,
) -> None:
    here.configure(SECOND)
    both = range_tags(f"{today()}|{FIRST}", f"{today()}|{SECOND}")
    result = run(here, Entity.PRODUCTS, both, "increment")
    assert failure(result) == f"ECAUTO_SHOPIFY__STORES: {FIRST} is not there any more"
    here.rig.agrees(SECOND, [Entity.PRODUCTS], wholly=True)


def test_an_increment_is_all_since_the_watermark_whatever_its_days_are(here: Mirrored) -> None:
    asset = ASSET.format(Entity.ORDERS)
    tags = store_days(FIRST, today() - timedelta(days=3), today())
    result = run(here, Entity.ORDERS, tags, "increment")
    assert result.success
    names = days(today() - timedelta(days=3), 4)
    assert here.runs.materialized(asset) == partitions(FIRST, names)
    here.rig.agrees(FIRST, [Entity.ORDERS], wholly=True)
    numbers = here.runs.metadata(result, asset)[f"{today()}|{FIRST}"]
    assert numbers["depth"] == "full"
    assert numbers["watermark_at"]
    again = run(here, Entity.ORDERS, tags, "increment")
    numbers = here.runs.metadata(again, asset)[f"{today()}|{FIRST}"]
    assert (numbers["depth"], numbers["created"], numbers["changed"]) == ("usual", 0, 0)
    assert numbers["read"] < numbers["mirror_count"] // 4


def test_the_check_compares_what_both_sides_have(here: Mirrored) -> None:
    tags = store_days(FIRST, today(), today())
    assert run(here, Entity.CUSTOMERS, tags, "increment").success
    said, counts = check_of(here, Entity.CUSTOMERS)
    assert said.passed
    count = len(here.rig.shop(FIRST).ids(Entity.CUSTOMERS))
    assert counts == [(FIRST, count, count)]


def test_lost_rows_are_a_warning_and_made_up_by_the_next_run(here: Mirrored) -> None:
    tags = store_days(FIRST, today(), today())
    assert run(here, Entity.CUSTOMERS, tags, "increment").success
    table = MIRRORS[Entity.CUSTOMERS].table
    ids = here.rig.shop(FIRST).ids(Entity.CUSTOMERS)
    with here.rig.engine.begin() as connection:
        connection.execute(sa.delete(table).where(table.c.id.in_(ids[:3])))
    assert run(here, Entity.CUSTOMERS, tags, "increment").success
    said, counts = check_of(here, Entity.CUSTOMERS)
    assert (said.passed, said.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert said.metadata["differing"].value == 1
    assert counts == [(FIRST, len(ids), len(ids) - 3)]
    assert run(here, Entity.CUSTOMERS, tags, "increment").success
    assert check_of(here, Entity.CUSTOMERS)[0].passed
    here.rig.agrees(FIRST, [Entity.CUSTOMERS], wholly=True)


def test_everything_is_read_again_when_that_is_wanted(here: Mirrored) -> None:
    tags = store_days(FIRST, today(), today())
    for mode in ("increment", "full"):
        result = run(here, Entity.PRODUCTS, tags, mode)
        numbers = here.runs.metadata(result, ASSET.format(Entity.PRODUCTS))[f"{today()}|{FIRST}"]
        assert (numbers["depth"], numbers["read"]) == ("full", numbers["mirror_count"])
    here.rig.agrees(FIRST, [Entity.PRODUCTS], wholly=True)


def test_a_mode_that_is_none_is_refused_before_anything_runs(here: Mirrored) -> None:
    words = set(get_args(MirrorConfig.model_fields["mode"].annotation))
    assert words == {str(mode) for mode in Mode}
    tags = store_days(FIRST, today(), today())
    with pytest.raises(dg.DagsterInvalidConfigError, match="everything"):
        run(here, Entity.ORDERS, tags, "everything")
    assert here.instance.get_runs() == []
