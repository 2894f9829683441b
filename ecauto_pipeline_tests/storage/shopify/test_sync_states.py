"""What was proven of a mirror stays proven."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.shopify.mirror import Entity, SyncState
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

LATER = MIDDAY + timedelta(hours=1)
ORDERS = Entity.ORDERS


@pytest.fixture
def states(engine: sa.Engine, clock: FakeClock) -> SyncStates:
    return SyncStates(engine, clock)


def test_without_a_row_the_state_is_empty(states: SyncStates) -> None:
    assert states.get("one", ORDERS) == SyncState("one", ORDERS)
    assert states.all() == []


def test_an_update_changes_only_what_it_names(states: SyncStates) -> None:
    states.update("one", ORDERS, watermark_at=MIDDAY, problem="why", source_count=2**40)
    states.update("one", ORDERS, problem=None, bulk_operation_id="gid://shopify/BulkOperation/1")
    state = states.get("one", ORDERS)
    assert state == SyncState(
        "one",
        ORDERS,
        watermark_at=MIDDAY,
        source_count=2**40,
        bulk_operation_id="gid://shopify/BulkOperation/1",
    )
    assert isinstance(state.entity, Entity)


def test_stores_and_entities_have_states_of_their_own(states: SyncStates) -> None:
    for store_id, entity in (("two", ORDERS), ("one", ORDERS), ("one", Entity.CUSTOMERS)):
        states.update(store_id, entity, full_at=MIDDAY)
    found = [(state.store_id, state.entity) for state in states.all()]
    assert found == [("one", Entity.CUSTOMERS), ("one", ORDERS), ("two", ORDERS)]


@pytest.mark.parametrize("name", ["watermark_at", "deletes_until"])
def test_what_is_proven_does_not_go_back(states: SyncStates, name: str) -> None:
    for value, proven in ((None, None), (MIDDAY, MIDDAY), (LATER, LATER), (MIDDAY, LATER)):
        states.update("one", ORDERS, **{name: value})
        assert getattr(states.get("one", ORDERS), name) == proven
    states.update("one", ORDERS, **{name: None})
    assert getattr(states.get("one", ORDERS), name) == LATER


def test_other_times_go_where_they_are_told(states: SyncStates) -> None:
    states.update("one", ORDERS, full_at=LATER)
    states.update("one", ORDERS, full_at=None)
    assert states.get("one", ORDERS).full_at is None


def test_a_column_that_is_not_there_is_refused(states: SyncStates) -> None:
    with pytest.raises(KeyError, match="water_level"):
        states.update("one", ORDERS, water_level=3)
