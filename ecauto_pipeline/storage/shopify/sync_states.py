"""How far each mirror of a Shopify store is proven to reach."""

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
        **changes: Any,
    ) -> None:
        """Set these columns; `watermark_at` and `deletes_until` do not go back."""
        keys = {"store_id": store_id, "entity": entity, "updated_at": self._clock.now()}
        insert = insert_into(self._engine.dialect, sync_state).values({**changes, **keys})
        written: dict[str, sa.ColumnElement[Any]] = {}
        for name in (*changes, *keys):
            new, old = insert.excluded[name], sync_state.c[name]
            if name in FORWARD_ONLY:
                # Where there is none yet, comparing gives none: that is before everything.
                new = sa.case((new >= old, new), (old.is_(None), new), else_=old)
            written[name] = new
        statement = insert.on_conflict_do_update(
            index_elements=["store_id", "entity"], set_=written
        )
        with self._engine.begin() as connection:
            connection.execute(statement)


def _state(row: sa.Row[Any]) -> SyncState:
    store_id, entity, *rest = row
    return SyncState(store_id, Entity(entity), *rest)
