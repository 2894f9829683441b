"""An account's listings and queue as the consistency check sees them, and its mends.

Each mend is one transaction, and happens only if the rows still are what they were when it was
decided.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.changes import Kind, Outcome
from ecauto_pipeline.domain.base_shop.visibility import Visibility
from ecauto_pipeline.domain.uploads.consistency import (
    FOUND_ON_SHOP,
    NOT_ON_SHOP,
    Adopt,
    Delist,
    FailRows,
    Follow,
    ListingState,
    QueueState,
)
from ecauto_pipeline.domain.uploads.rules import LIVE, QueueStatus
from ecauto_pipeline.storage.database import reading, upsert
from ecauto_pipeline.storage.tables import account_checks, decisions, listings, upload_queue
from ecauto_pipeline.storage.uploads.queue import PLATFORM, of_account

_LISTING = (
    listings.c.id,
    listings.c.asin,
    listings.c.account_id,
    listings.c.platform_item_id,
    listings.c.sku,
    listings.c.status,
    listings.c.visibility,
    listings.c.selling_price,
    listings.c.held,
)

_ROW = (
    upload_queue.c.id,
    upload_queue.c.asin,
    upload_queue.c.account_id,
    upload_queue.c.status,
    upload_queue.c.attempt_no,
    upload_queue.c.item_id,
    upload_queue.c.identifier,
    upload_queue.c.lease_until,
    upload_queue.c.scheduled_time,
)


class ConsistencyStore:
    """Reads what should agree, and changes our side of it."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def states(self, account_id: str) -> tuple[list[ListingState], list[QueueState]]:
        """All listings and all queue rows of the account, in order of id."""
        ours = sa.and_(listings.c.platform == PLATFORM, listings.c.account_id == account_id)
        query = sa.select(*_LISTING).where(ours).order_by(listings.c.id)
        queue = sa.select(*_ROW).where(of_account(account_id)).order_by(upload_queue.c.id)
        with self._reading.connect() as connection:
            return (
                [ListingState(*row) for row in connection.execute(query)],
                [QueueState(*row) for row in connection.execute(queue)],
            )

    def checked(self, account_id: str) -> bool:
        """Whether the account's shop was ever read whole and compared."""
        query = sa.select(account_checks.c.checked_at).where(
            account_checks.c.account_id == account_id
        )
        with self._reading.connect() as connection:
            return connection.execute(query).scalar() is not None

    def note_check(self, account_id: str) -> None:
        """The account's shop was read whole, and what is safe was mended."""
        row = {"account_id": account_id, "checked_at": self._clock.now()}
        with self._engine.begin() as connection:
            upsert(connection, account_checks, [row])

    def apply(self, mend: Adopt | FailRows | Follow) -> bool:
        """Change our rows; False: they are not what they were, and stay as they are."""
        if isinstance(mend, Adopt):
            return self._adopt(mend)
        if isinstance(mend, FailRows):
            return self._fail(mend)
        return self._follow(mend)

    def delist(self, mend: Delist, run_id: str) -> bool:
        """The item was proven to be gone: the listing and a decision say so at once."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            _queue_stands_still(connection)
            done = _live(connection, mend.listing) == set() and _change(
                connection, mend.listing, status="delisted", updated_at=now
            )
            if done:
                connection.execute(
                    sa.insert(decisions).values(
                        run_id=run_id,
                        account_id=mend.listing.account_id,
                        listing_id=mend.listing.id,
                        asin=mend.listing.asin,
                        kind=Kind.DELIST,
                        old="listed",
                        new="delisted",
                        rule="item_gone",
                        reason="BASE has no such item any more",
                        dry_run=False,
                        outcome=Outcome.WRITTEN,
                        decided_at=now,
                        written_at=now,
                    )
                )
        return done

    def _adopt(self, mend: Adopt) -> bool:
        now, item = self._clock.now(), mend.item
        with self._engine.begin() as connection:
            _queue_stands_still(connection)
            if _live(connection, mend.listing) != _seen(mend.waiting):
                return False
            done = _change(
                connection,
                mend.listing,
                platform_item_id=item.item_id,
                selling_price=item.price_jpy,
                status="listed",
                visibility=Visibility.of(visible=item.visible),
                listed_at=sa.func.coalesce(listings.c.listed_at, now),
                updated_at=now,
            )
            if done:
                _settle(connection, mend, now)
        return done

    def _fail(self, mend: FailRows) -> bool:
        with self._engine.begin() as connection:
            _queue_stands_still(connection)
            if _live(connection, mend.listing) != _seen(mend.waiting):
                return False
            still = sa.select(listings.c.id).where(_as_seen(mend.listing)).exists()
            changed = connection.execute(
                sa.update(upload_queue)
                .where(_among(mend.rows), upload_queue.c.status == QueueStatus.SUCCESS, still)
                .values(
                    status=QueueStatus.FAILED,
                    processed_at=self._clock.now(),
                    error_message=NOT_ON_SHOP,
                )
            )
        return changed.rowcount > 0

    def _follow(self, mend: Follow) -> bool:
        with self._engine.begin() as connection:
            return _change(
                connection,
                mend.listing,
                selling_price=mend.item.price_jpy,
                visibility=Visibility.of(visible=mend.item.visible),
                updated_at=self._clock.now(),
            )


def _settle(connection: sa.Connection, mend: Adopt, now: datetime) -> None:
    """The listing's rows know the item, so that none of them makes it again."""
    item = mend.item
    values: dict[str, Any] = {"item_id": item.item_id, "error_message": FOUND_ON_SHOP}
    # A hidden item may lack its pictures: its upload goes on from there.
    if item.visible:
        values |= {"status": QueueStatus.SUCCESS, "processed_at": now}
    connection.execute(sa.update(upload_queue).where(_among(mend.waiting)).values(values))
    failed = sa.and_(_of(mend.listing), upload_queue.c.status == QueueStatus.FAILED)
    connection.execute(sa.update(upload_queue).where(failed).values(item_id=item.item_id))


def _queue_stands_still(connection: sa.Connection) -> None:
    """Nobody queues or claims until the end of the transaction; on SQLite nobody could anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE upload_queue IN SHARE ROW EXCLUSIVE MODE"))


def _live(connection: sa.Connection, listing: ListingState) -> set[tuple[int, str, int]]:
    """The listing's rows that an upload is waiting for or at, as they are now."""
    query = sa.select(upload_queue.c.id, upload_queue.c.status, upload_queue.c.attempt_no).where(
        _of(listing), upload_queue.c.status.in_(LIVE)
    )
    return {(row[0], row[1], row[2]) for row in connection.execute(query)}


def _of(listing: ListingState) -> sa.ColumnElement[bool]:
    return sa.and_(of_account(listing.account_id), upload_queue.c.asin == listing.asin)


def _seen(rows: Sequence[QueueState]) -> set[tuple[int, str, int]]:
    return {(row.id, row.status, row.attempt_no) for row in rows}


def _among(rows: Sequence[QueueState]) -> sa.ColumnElement[bool]:
    return upload_queue.c.id.in_([row.id for row in rows])


def _change(connection: sa.Connection, listing: ListingState, **values: Any) -> bool:
    """Change the listing if it is still what was seen."""
    changed = connection.execute(sa.update(listings).where(_as_seen(listing)).values(values))
    return changed.rowcount == 1


def _as_seen(listing: ListingState) -> sa.ColumnElement[bool]:
    return sa.and_(
        listings.c.id == listing.id,
        listings.c.status == listing.status,
        listings.c.visibility == listing.visibility,
        listings.c.platform_item_id.is_not_distinct_from(listing.item_id),
        listings.c.selling_price.is_not_distinct_from(listing.selling_price),
    )
