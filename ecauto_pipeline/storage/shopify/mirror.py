"""The mirrors of Shopify stores: the newest version of every record, and which are deleted."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import Deletion, Entity, Record
from ecauto_pipeline.storage import locks
from ecauto_pipeline.storage.database import reading
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.rows import MIRRORS, MirrorRows, Verdict, decide, newest
from ecauto_pipeline.storage.shopify.tables import (
    dead_letters,
    shopify_customers,
    shopify_order_items,
    shopify_orders,
    sync_state,
)

IDS_AT_ONCE = 10_000
"""Ids that are fetched together where all are asked for."""

_PERSONAL = [
    *("email", "phone", "first_name", "last_name", "note", "tags", "payload"),
    *(each.name for each in shopify_customers.c if each.name.startswith("default_address_")),
]
"""What of a customer does not outlast a request to be forgotten."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of the records of a batch; a record that came twice counts once.

    `created` were not there, or marked as deleted; `same` were there with the same `updated_at` and
    are written again; `stale` are older than what is there, and left out. `children` counts the
    rows written of variants or line items.
    """

    created: int = 0
    changed: int = 0
    same: int = 0
    stale: int = 0
    children: int = 0


class ShopifyStore:
    """The tables of the mirrors."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._letters = DeadLetters(engine, clock)

    def save(self, store_id: str, entity: Entity, records: Sequence[Record]) -> Saved:
        """Store the records that are not older than what is there, and their children.

        All of it is stored, or nothing.
        """
        ordered = newest(records)
        with self._writing(store_id, entity) as (rows,):
            known = rows.known(record.id for record in ordered)
            decisions = [decide(record, known.get(record.id)) for record in ordered]
            children = rows.write([each for each in decisions if each.verdict is not Verdict.STALE])
        counts = Counter(each.verdict for each in decisions)
        return Saved(
            created=counts[Verdict.CREATED] + counts[Verdict.REVIVED],
            changed=counts[Verdict.CHANGED],
            same=counts[Verdict.SAME],
            stale=counts[Verdict.STALE],
            children=children,
        )

    def tombstone(self, store_id: str, entity: Entity, deletions: Sequence[Deletion]) -> int:
        """Mark records and their children as deleted; returns how many records.

        Those that are unknown, marked already, or updated after their deletion are left alone.
        """
        # A record may be deleted, come back and be deleted again: the last time counts.
        latest: dict[int, datetime] = {}
        for each in deletions:
            latest[each.id] = max(each.deleted_at, latest.get(each.id, each.deleted_at))
        by_time: defaultdict[datetime, list[int]] = defaultdict(list)
        with self._writing(store_id, entity) as (rows,):
            known = rows.known(latest)
            for id_, was in known.items():
                if was.deleted_at is None and was.updated_at <= latest[id_]:
                    by_time[latest[id_]].append(id_)
            for deleted_at, gone in by_time.items():
                rows.mark(gone, deleted_at)
        return sum(map(len, by_time.values()))

    def revive(self, store_id: str, entity: Entity, ids: Iterable[int]) -> int:
        """Mark records and their children as not deleted; returns how many records were."""
        with self._writing(store_id, entity) as (rows,):
            known = rows.known(set(ids))
            back = [id_ for id_, was in known.items() if was.deleted_at is not None]
            rows.mark(back, None)
        return len(back)

    def live_ids(
        self, store_id: str, entity: Entity, *, created_since: datetime | None = None
    ) -> Sequence[int]:
        """The ids of all records that are not deleted, in no particular order."""
        return self._ids(entity, _live(store_id, entity, created_since))

    def ids_deleted(self, store_id: str, entity: Entity) -> Sequence[int]:
        """The ids of all records that are marked as deleted, in no particular order."""
        table = MIRRORS[entity].table
        which = sa.and_(table.c.store_id == store_id, table.c.deleted_at.is_not(None))
        return self._ids(entity, which)

    def _ids(self, entity: Entity, which: sa.ColumnElement[bool]) -> Sequence[int]:
        """Kept compactly: eight bytes each."""
        table = MIRRORS[entity].table
        query = sa.select(table.c.id).where(which)
        ids = array("q")
        with self._reading.connect().execution_options(yield_per=IDS_AT_ONCE) as connection:
            for part in connection.execute(query).scalars().partitions():
                ids.extend(part)
        return ids

    def count(self, store_id: str, entity: Entity, *, created_since: datetime | None = None) -> int:
        """How many records are not deleted."""
        query = (
            sa.select(sa.func.count())
            .select_from(MIRRORS[entity].table)
            .where(_live(store_id, entity, created_since))
        )
        with self._reading.connect() as connection:
            return connection.execute(query).scalar_one()

    def lacking(self, store_id: str, entity: Entity, record_ids: Sequence[str]) -> int:
        """How many of these records have no row that is not deleted."""
        numbers = [int(each) for each in record_ids if each.isdecimal()]
        with self._reading.connect() as connection:
            rows = MirrorRows(connection, store_id, entity, self._clock.now())
            known = rows.known(numbers)
        return len(record_ids) - sum(each.deleted_at is None for each in known.values())

    def redact_customer(self, store_id: str, customer_id: int, order_ids: Sequence[int]) -> None:
        """Forget what is personal of a customer and of these orders; their bare rows stay."""
        personal = {**dict.fromkeys(_PERSONAL), "synced_at": self._clock.now()}
        of_order = {name: personal[name] for name in ("email", "payload", "synced_at")}
        of_item = {name: personal[name] for name in ("payload", "synced_at")}
        with self._writing(store_id, Entity.CUSTOMERS, Entity.ORDERS) as (customers, orders):
            customers.update(shopify_customers.c.id, [customer_id], personal)
            orders.update(shopify_orders.c.id, order_ids, of_order)
            orders.update(shopify_order_items.c.order_id, order_ids, of_item)
            letters = {Entity.CUSTOMERS: [customer_id], Entity.ORDERS: order_ids}
            for entity, ids in letters.items():
                self._letters.resolve(
                    store_id, entity, map(str, ids), connection=customers.connection
                )

    def forget_store(self, store_id: str) -> None:
        """Delete all rows of the store."""
        mirrors = list(MIRRORS.values())
        tables = [mirror.children.table for mirror in mirrors if mirror.children is not None]
        tables += [mirror.table for mirror in mirrors]
        with self._writing(store_id, *Entity) as (rows, *_):
            for table in (*tables, sync_state, dead_letters):
                rows.connection.execute(sa.delete(table).where(table.c.store_id == store_id))

    @contextmanager
    def _writing(self, store_id: str, *entities: Entity) -> Generator[list[MirrorRows]]:
        """A transaction, alone in writing to these entities of the store.

        What was read in it still holds when it is acted upon. Locking the rows would not do, as
        those that are not there yet cannot be locked.
        """
        now = self._clock.now()
        with self._engine.begin() as connection:
            for entity in entities:
                locks.hold_until_commit(connection, f"shopify/{store_id}/{entity}/rows")
            yield [MirrorRows(connection, store_id, entity, now) for entity in entities]


def _live(store_id: str, entity: Entity, created_since: datetime | None) -> sa.ColumnElement[bool]:
    table = MIRRORS[entity].table
    which = sa.and_(table.c.store_id == store_id, table.c.deleted_at.is_(None))
    return which if created_since is None else which & (table.c.created_at >= created_since)
