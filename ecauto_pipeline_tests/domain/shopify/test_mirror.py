"""How far a mirror is proven to reach, and what is asked for next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.shopify.mirror import (
    BULK_FROM,
    DEEP_OVERLAP,
    EVERYTHING,
    OVERLAP,
    RESUME_WITHIN,
    Depth,
    Entity,
    SyncState,
    Transport,
    bulk_to_resume,
    depth_of,
    increment,
    next_watermark,
    pick_transport,
    too_many_missing,
)

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by `timezones`


def state(entity: Entity = Entity.ORDERS, **known: datetime) -> SyncState:
    return SyncState("shop", entity, **known)  # pyright: ignore[reportArgumentType]


def test_a_mirror_begins_with_everything() -> None:
    first = state()
    assert depth_of(first, NOW) is Depth.FULL
    assert increment(first, Depth.FULL) == EVERYTHING


def test_an_increment_begins_before_its_watermark() -> None:
    known = state(watermark_at=NOW, full_at=NOW)
    assert depth_of(known, NOW) is Depth.USUAL
    assert increment(known, Depth.USUAL).since == NOW - OVERLAP
    assert increment(known, Depth.DEEP).since == NOW - DEEP_OVERLAP


@pytest.mark.parametrize("entity", [Entity.PRODUCTS, Entity.ORDERS])
def test_once_a_day_an_increment_looks_back_two_days(entity: Entity) -> None:
    known = state(entity, watermark_at=NOW, full_at=NOW - timedelta(days=30), deep_at=NOW)
    assert depth_of(known, NOW + timedelta(hours=23)) is Depth.USUAL
    assert depth_of(known, NOW + timedelta(hours=24)) is Depth.DEEP


def test_all_customers_are_read_once_a_week() -> None:
    known = state(Entity.CUSTOMERS, watermark_at=NOW, full_at=NOW)
    assert depth_of(known, NOW + timedelta(days=6)) is Depth.USUAL
    assert depth_of(known, NOW + timedelta(days=7)) is Depth.FULL


def test_a_hole_makes_the_next_run_read_everything() -> None:
    assert depth_of(state(watermark_at=NOW), NOW) is Depth.FULL


def test_nothing_seen_moves_no_watermark() -> None:
    assert next_watermark(None, NOW, None) is None
    assert next_watermark(NOW, NOW + timedelta(days=1), None) == NOW


@given(old=st.none() | MOMENTS, started=MOMENTS, newest=MOMENTS)
def test_a_watermark_never_goes_back_nor_past_what_is_proven(
    old: datetime | None, started: datetime, newest: datetime
) -> None:
    moved = next_watermark(old, started, newest)
    assert moved is not None
    assert old is None or moved >= old
    assert moved <= max(old or moved, min(started, newest))
    assert moved >= min(started, newest)


@pytest.mark.parametrize("entity", Entity)
def test_bulk_is_for_what_is_large(entity: Entity) -> None:
    large = BULK_FROM[entity]
    assert pick_transport(None, entity, large) is Transport.BULK
    assert pick_transport(None, entity, large - 1) is Transport.GRAPHQL
    assert pick_transport(None, entity, None) is Transport.GRAPHQL
    assert pick_transport(Transport.REST, entity, large) is Transport.REST


def test_a_bulk_operation_is_resumed_for_the_same_query_while_it_is_recent() -> None:
    begun = replace(state(), bulk_operation_id="gid", bulk_query="all", bulk_started_at=NOW)
    later = NOW + RESUME_WITHIN
    assert bulk_to_resume(begun, "all", later - timedelta(seconds=1)) == "gid"
    assert bulk_to_resume(begun, "all", later) is None
    assert bulk_to_resume(begun, "some", NOW) is None
    assert bulk_to_resume(replace(begun, bulk_operation_id=None), "all", NOW) is None
    assert bulk_to_resume(state(), "all", NOW) is None


@pytest.mark.parametrize(
    ("missing", "live", "believed"),
    [(0, 0, True), (19, 19, True), (20, 39, False), (20, 40, True), (5_000, 9_000, False)],
)
def test_a_shop_that_lost_most_of_its_records_is_not_believed(
    missing: int, live: int, *, believed: bool
) -> None:
    assert too_many_missing(missing, live) is not believed
