"""The rows of one entity of a Shopify store, and their children, written in a transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.domain.shopify.mirror import Entity, Record
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.shopify.bulk_upsert import bulk_upsert
from ecauto_pipeline.storage.shopify.tables import (
    shopify_customers,
    shopify_order_items,
    shopify_orders,
    shopify_product_variants,
    shopify_products,
)


@dataclass(frozen=True, slots=True)
class Children:
    """Where the children of an entity are kept, and the column that names their parent."""

    table: sa.Table
    parent_id: sa.Column[Any]


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where an entity is kept."""

    table: sa.Table
    children: Children | None = None


MIRRORS: Mapping[Entity, Mirror] = {
    Entity.CUSTOMERS: Mirror(shopify_customers),
    Entity.PRODUCTS: Mirror(
        shopify_products,
        Children(shopify_product_variants, shopify_product_variants.c.product_id),
    ),
    Entity.ORDERS: Mirror(
        shopify_orders, Children(shopify_order_items, shopify_order_items.c.order_id)
    ),
}


class Verdict(Enum):
    """What a record is to the mirror."""

    CREATED = auto()
    REVIVED = auto()
    CHANGED = auto()
    SAME = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """What the mirror has of a record."""

    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a record; `deleted_at` is what it and its children will have."""

    record: Record
    verdict: Verdict
    deleted_at: datetime | None = None


def newest(records: Iterable[Record]) -> list[Record]:
    """One record for each id, the newest, of equals the last; in the order of the ids."""
    chosen: dict[int, Record] = {}
    for record in records:
        other = chosen.get(record.id)
        if other is None or record.updated_at >= other.updated_at:
            chosen[record.id] = record
    return [chosen[id_] for id_ in sorted(chosen)]


def decide(record: Record, known: Known | None) -> Decision:
    """What to do with a record: one that is not older than what is there gets written."""
    if known is None:
        return Decision(record, Verdict.CREATED)
    if record.updated_at < known.updated_at:
        return Decision(record, Verdict.STALE, known.deleted_at)
    if known.deleted_at is not None and record.updated_at > known.deleted_at:
        return Decision(record, Verdict.REVIVED)
    # The same version is written, too: an order changes its customer's totals without a new one.
    verdict = Verdict.CHANGED if record.updated_at > known.updated_at else Verdict.SAME
    return Decision(record, verdict, known.deleted_at)


@dataclass(frozen=True, slots=True)
class MirrorRows:
    """The rows of an entity of a store, in a transaction that nobody else writes to them in."""

    connection: sa.Connection
    store_id: str
    entity: Entity
    now: datetime

    @property
    def mirror(self) -> Mirror:
        """Where they are kept."""
        return MIRRORS[self.entity]

    def known(self, ids: Iterable[int]) -> dict[int, Known]:
        """What the mirror has of these records."""
        table = self.mirror.table
        found: dict[int, Known] = {}
        for chunk in chunks(ids):
            query = sa.select(table.c.id, table.c.updated_at, table.c.deleted_at).where(
                table.c.store_id == self.store_id, table.c.id.in_(chunk)
            )
            for id_, updated_at, deleted_at in self.connection.execute(query):
                found[id_] = Known(updated_at, deleted_at)
        return found

    def write(self, accepted: Sequence[Decision]) -> int:
        """Write the records, and the children of those that came with all of theirs.

        Returns how many children were written.
        """
        ours = {"store_id": self.store_id, "synced_at": self.now}
        rows = [
            {
                **each.record.columns,
                **ours,
                "id": each.record.id,
                "updated_at": each.record.updated_at,
                "payload": each.record.payload,
            }
            for each in accepted
        ]
        bulk_upsert(self.connection, self.mirror.table, rows, guarded=True)
        children = self.mirror.children
        if children is None:
            return 0
        # What a record did not bring of its children comes back with it.
        revived = [each.record.id for each in accepted if each.verdict is Verdict.REVIVED]
        self.update(children.parent_id, revived, {"deleted_at": None, "synced_at": self.now})
        complete = [each for each in accepted if each.record.children_complete]
        return self._replace_children(children, complete)

    def _replace_children(self, children: Children, parents: Sequence[Decision]) -> int:
        """Write what these parents came with, and delete the other children that they have."""
        rows: dict[int, Mapping[str, Any]] = {}
        # A child that moved may be in two lists: the newest is right.
        for parent in sorted(parents, key=lambda each: each.record.updated_at):
            ours = {
                "store_id": self.store_id,
                children.parent_id.name: parent.record.id,
                "synced_at": self.now,
                "deleted_at": parent.deleted_at,
            }
            rows |= {child["id"]: {**child, **ours} for child in parent.record.children}
        table = children.table
        # Looked for first, as mostly there are none: deleting by "not in" would scan them all.
        gone: list[int] = []
        for chunk in chunks(parent.record.id for parent in parents):
            query = sa.select(table.c.id).where(
                table.c.store_id == self.store_id, children.parent_id.in_(chunk)
            )
            gone += [id_ for id_ in self.connection.execute(query).scalars() if id_ not in rows]
        for chunk in chunks(gone):
            self.connection.execute(
                sa.delete(table).where(table.c.store_id == self.store_id, table.c.id.in_(chunk))
            )
        ordered = [rows[id_] for id_ in sorted(rows)]
        bulk_upsert(self.connection, table, ordered, guarded=False)
        return len(rows)

    def mark(self, ids: Sequence[int], deleted_at: datetime | None) -> None:
        """Set `deleted_at` of the records and their children."""
        values = {"deleted_at": deleted_at, "synced_at": self.now}
        self.update(self.mirror.table.c.id, ids, values)
        if self.mirror.children is not None:
            self.update(self.mirror.children.parent_id, ids, values)

    def update(self, column: sa.Column[Any], ids: Iterable[int], values: Mapping[str, Any]) -> None:
        """Set these values in the rows that have one of the ids in that column."""
        table = column.table
        for chunk in chunks(ids):
            which = sa.and_(table.c.store_id == self.store_id, column.in_(chunk))
            self.connection.execute(sa.update(table).where(which).values(**values))
