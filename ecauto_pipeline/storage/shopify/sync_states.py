"""How far each mirror of a Shopify store is proven to reach."""

from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import Entity, SyncState
from ecauto_pipeline.storage.database import insert_into, reading
from ecauto_pipeline.storage.shopify.tables import sync_state

FORWARD_ONLY = frozenset({"watermark_at", "deletes_until"})
"""What was proven once stays proven."""

_STATES = sa.select(*(sync_state.c[field.name] for field in fields(SyncState)))


class SyncStates:
    """The `sync_state` table."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def get(self, store_id: str, entity: Entity) -> SyncState:
        """The state of an entity of a store; an empty one if nothing is known."""
        query = _STATES.where(sync_state.c.store_id == store_id, sync_state.c.entity == entity)
        with self._reading.connect() as connection:
            row = connection.execute(query).first()
        return SyncState(store_id, entity) if row is None else _state(row)

    def all(self) -> list[SyncState]:
        """Every state, by store and entity."""
        query = _STATES.order_by(sync_state.c.store_id, sync_state.c.entity)
        with self._reading.connect() as connection:
            return [_state(row) for row in connection.execute(query)]

    def update(
        self,
        store_id: str,
        entity: Entity,
        *,
        connection: sa.Connection | None = None,
        allow_back: bool = False,
        **changes: Any,
    ) -> None:
        """Set these columns; `watermark_at` and `deletes_until` do not go back unless allowed.

        With a `connection` that is part of its transaction.
        """
        keys = {"store_id": store_id, "entity": entity, "updated_at": self._clock.now()}
        values = {**changes, **keys}
        guarded = frozenset[str]() if allow_back else FORWARD_ONLY
        with self._engine.begin() if connection is None else nullcontext(connection) as writing:
            writing.execute(_upsert(writing.dialect, values, guarded))


def _state(row: sa.Row[Any]) -> SyncState:
    store_id, entity, *rest = row
    return SyncState(store_id, Entity(entity), *rest)


def _upsert(dialect: sa.Dialect, values: dict[str, Any], guarded: frozenset[str]) -> sa.Insert:
    insert = insert_into(dialect, sync_state).values(values)
    changes = {
        name: _later(insert.excluded[name], sync_state.c[name])
        if name in guarded
        else insert.excluded[name]
        for name in values
    }
    return insert.on_conflict_do_update(index_elements=["store_id", "entity"], set_=changes)


def _later(new: sa.ColumnElement[Any], old: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The later of the two, where nothing is before everything."""
    return sa.case((new >= old, new), (old.is_(None), new), else_=old)
