"""What is mirrored of a Shopify store, and how far a mirror is proven to reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

OVERLAP = timedelta(minutes=10)
"""How far behind its watermark an increment begins: a change may show up that late in a list.

Shopify publishes no bound; seconds were observed.
"""

DEEP_OVERLAP = timedelta(hours=48)
"""How far behind it begins once a day, for what showed up later still."""

DEEP_EVERY = timedelta(days=1)
FULL_EVERY = timedelta(days=7)
"""How often all customers are read: an order changes their totals without touching `updated_at`."""

RECENT_ORDERS = timedelta(days=59)
"""Without the scope `read_all_orders` older orders are invisible, silently, after 60 days."""

RECONCILE_EVERY = timedelta(days=1)
"""How often all ids are compared because the mirror lacks some; when it has too many, at once."""

RESUME_WITHIN = timedelta(days=1)
"""An older bulk operation is not waited for: what it tells is too old."""

MOST_MISSING_SHARE, MISSING_FROM = 0.5, 20
"""A shop that lists less than half of what it had, twenty records or more, is not believed."""


class Entity(StrEnum):
    """What is mirrored; variants come with their products, line items with their orders."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    ORDERS = "orders"


SYNC_EVERY = {
    Entity.CUSTOMERS: timedelta(hours=2),
    Entity.PRODUCTS: timedelta(hours=4),
    Entity.ORDERS: timedelta(hours=1),
}
"""How often each is scheduled."""


class Transport(StrEnum):
    """How records are fetched."""

    GRAPHQL = "graphql"
    REST = "rest"
    BULK = "bulk"


BULK_FROM = {Entity.CUSTOMERS: 25_000, Entity.PRODUCTS: 5_000, Entity.ORDERS: 10_000}
"""From so many records on a bulk operation is quicker than pages: about a hundred of them, or what
the Standard plan's points allow in two minutes."""


class Shape(StrEnum):
    """The form a record came in: a node of GraphQL or of a bulk file, or a resource of REST."""

    NODE = "graphql"
    BODY = "rest"


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: changed from `since` on and before `until`, created from then on.

    None leaves that end open.
    """

    since: datetime | None = None
    until: datetime | None = None
    created_since: datetime | None = None


EVERYTHING = Window()


@dataclass(frozen=True, slots=True)
class Record:
    """A customer, product or order as one row, and its children as rows.

    `columns` holds what the source supplied, by column name: a column that is missing there is left
    alone, None is written. `children` are the columns of all variants or line items, each with its
    `id`; when the list is not complete, they are left alone.
    """

    id: int
    updated_at: datetime
    columns: Mapping[str, Any]
    payload: Mapping[str, Any]
    children: Sequence[Mapping[str, Any]] = ()
    children_complete: bool = True


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What came and could not be read, kept for a later try."""

    record_id: str
    shape: Shape
    payload: Mapping[str, Any]
    reason: str

    @property
    def has_id(self) -> bool:
        """Whether at least its id could be read."""
        return self.record_id.isdecimal()


@dataclass(frozen=True, slots=True)
class Page:
    """Records that came together.

    `withheld` names the fields that the shop did not let us see.
    """

    records: Sequence[Record]
    bad: Sequence[BadRecord] = ()
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deletion:
    """A record that is no more, and since when."""

    id: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class SyncState:
    """How far the mirror of one entity of one store is proven to reach.

    Everything changed before `watermark_at` is in it; None: it was never complete.
    """

    store_id: str
    entity: Entity
    watermark_at: datetime | None = None
    deletes_until: datetime | None = None
    synced_at: datetime | None = None
    deep_at: datetime | None = None
    full_at: datetime | None = None
    reconciled_at: datetime | None = None
    source_count: int | None = None
    mirror_count: int | None = None
    counted_at: datetime | None = None
    bulk_operation_id: str | None = None
    bulk_query: str | None = None
    bulk_started_at: datetime | None = None
    problem: str | None = None


class Depth(StrEnum):
    """How far back an increment looks."""

    USUAL = "usual"
    DEEP = "deep"
    FULL = "full"


def depth_of(state: SyncState, now: datetime) -> Depth:
    """What is due: everything at first, then the usual overlap, now and then a longer one."""
    if state.watermark_at is None or state.full_at is None:
        return Depth.FULL
    if state.entity is Entity.CUSTOMERS:
        return Depth.FULL if now - state.full_at >= FULL_EVERY else Depth.USUAL
    deep_at = max(state.deep_at or state.full_at, state.full_at)
    return Depth.DEEP if now - deep_at >= DEEP_EVERY else Depth.USUAL


def increment(state: SyncState, depth: Depth) -> Window:
    """What an increment asks for."""
    if depth is Depth.FULL or state.watermark_at is None:
        return EVERYTHING
    overlap = DEEP_OVERLAP if depth is Depth.DEEP else OVERLAP
    return Window(since=state.watermark_at - overlap)


def next_watermark(
    old: datetime | None, started_at: datetime, newest: datetime | None
) -> datetime | None:
    """How far a listing that was read to its end proves the mirror to reach.

    Never past the moment it was asked for: a node may be newer than its place in the list. Never
    past the newest record seen: our clock may be ahead of Shopify's, and an empty list proves
    nothing. Never back.
    """
    if newest is None:
        return old
    proven = min(started_at, newest)
    return proven if old is None else max(old, proven)


def pick_transport(chosen: Transport | None, entity: Entity, expected: int | None) -> Transport:
    """The transport a store is set to; where that is left to us, bulk for what is large."""
    if chosen is not None:
        return chosen
    large = expected is not None and expected >= BULK_FROM[entity]
    return Transport.BULK if large else Transport.GRAPHQL


def bulk_to_resume(state: SyncState, query: str, now: datetime) -> str | None:
    """The bulk operation that an earlier run began for the same query, if it is recent."""
    began_at = state.bulk_started_at
    if state.bulk_query != query or began_at is None or now - began_at >= RESUME_WITHIN:
        return None
    return state.bulk_operation_id


def too_many_missing(missing: int, live: int) -> bool:
    """Whether a listing lacks so much of what the mirror has that a person should look first."""
    return missing >= MISSING_FROM and missing > MOST_MISSING_SHARE * live
