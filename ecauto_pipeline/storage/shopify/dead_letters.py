"""What came from a shop and could not be read, kept until it can."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import BadRecord, Entity, Shape
from ecauto_pipeline.domain.text import storable
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.database import insert_into, reading
from ecauto_pipeline.storage.shopify.tables import dead_letters
from ecauto_pipeline.storage.storable import storable_value

RECORD_ID_LENGTH = 100
"""Characters that the column takes."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read, as it last came, and how often it did."""

    id: int
    store_id: str
    entity: Entity
    record_id: str
    shape: Shape
    payload: Mapping[str, Any]
    reason: str
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime


_LETTERS = sa.select(*(dead_letters.c[field.name] for field in fields(DeadLetter))).order_by(
    dead_letters.c.id
)


class DeadLetters:
    """The `dead_letters` table."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def add(self, store_id: str, entity: Entity, bad: Sequence[BadRecord]) -> int:
        """Keep what could not be read; a letter that is there gets the newest payload and reason.

        Returns how many letters these are.
        """
        if not bad:
            return 0
        now = self._clock.now()
        # Each key once: PostgreSQL refuses to write a row twice in a statement.
        rows = {
            (key := _key(each.record_id)): {
                "store_id": store_id,
                "entity": entity,
                "record_id": key,
                "shape": each.shape,
                "payload": storable_value(each.payload),
                "reason": storable(each.reason),
                "seen": 1,
                "first_seen_at": now,
                "last_seen_at": now,
            }
            for each in bad
        }
        insert = insert_into(self._engine.dialect, dead_letters)
        newest = ("shape", "payload", "reason", "last_seen_at")
        statement = insert.on_conflict_do_update(
            index_elements=["store_id", "entity", "record_id"],
            set_={
                **{name: insert.excluded[name] for name in newest},
                "seen": dead_letters.c.seen + 1,
            },
        )
        with self._engine.begin() as connection:
            # In one order, so that two who write the same letters do not wait for each other.
            connection.execute(statement, [rows[key] for key in sorted(rows)])
        return len(rows)

    def open_letters(
        self,
        store_id: str | None = None,
        entity: Entity | None = None,
        limit: int | None = None,
    ) -> list[DeadLetter]:
        """The letters, or so many of them, the oldest first."""
        query = _LETTERS.limit(limit)
        if store_id is not None:
            query = query.where(dead_letters.c.store_id == store_id)
        if entity is not None:
            query = query.where(dead_letters.c.entity == entity)
        return self._read(query)

    def record_ids(self, store_id: str, entity: Entity) -> list[str]:
        """What the letters are about."""
        query = sa.select(dead_letters.c.record_id).where(_of(store_id, entity))
        with self._reading.connect() as connection:
            return list(connection.execute(query).scalars())

    def get(self, ids: Iterable[int]) -> list[DeadLetter]:
        """These letters, as far as they are there."""
        return [
            letter
            for chunk in chunks(sorted(set(ids)))
            for letter in self._read(_LETTERS.where(dead_letters.c.id.in_(chunk)))
        ]

    def remove(self, ids: Iterable[int]) -> int:
        """Delete these letters; returns how many were there."""
        with self._engine.begin() as connection:
            return sum(_delete(connection, dead_letters.c.id.in_(chunk)) for chunk in chunks(ids))

    def resolve(
        self,
        store_id: str,
        entity: Entity,
        record_ids: Iterable[str],
        *,
        connection: sa.Connection | None = None,
    ) -> int:
        """Delete the letters of records that have been saved since; returns how many there were.

        With a `connection` that is part of its transaction.
        """
        which = _of(store_id, entity)
        if connection is None:
            # Mostly there are none, and a writer on SQLite keeps all others out.
            with self._reading.connect() as looking:
                if (
                    looking.execute(sa.select(dead_letters.c.id).where(which).limit(1)).first()
                    is None
                ):
                    return 0
        with self._engine.begin() if connection is None else nullcontext(connection) as writing:
            return sum(
                _delete(writing, which & dead_letters.c.record_id.in_(chunk))
                for chunk in chunks(map(_key, record_ids))
            )

    def counts(self) -> dict[tuple[str, Entity], int]:
        """How many letters there are, where there are any."""
        group = (dead_letters.c.store_id, dead_letters.c.entity)
        query = sa.select(*group, sa.func.count()).group_by(*group)
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return {(store_id, Entity(entity)): count for store_id, entity, count in rows}

    def _read(self, query: sa.Select[Any]) -> list[DeadLetter]:
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return [
            DeadLetter(id_, store_id, Entity(entity), record_id, Shape(shape), *rest)
            for id_, store_id, entity, record_id, shape, *rest in rows
        ]


def _key(record_id: str) -> str:
    return storable(record_id)[:RECORD_ID_LENGTH]


def _of(store_id: str, entity: Entity) -> sa.ColumnElement[bool]:
    return sa.and_(dead_letters.c.store_id == store_id, dead_letters.c.entity == entity)


def _delete(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(dead_letters).where(which)).rowcount
