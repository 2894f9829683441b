"""An account's listings and queue as the consistency check sees them, its shop, and the mends.

Each mend is one transaction, and happens only if the rows still are what they were when it was
decided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.changes import Item, Kind, Outcome
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.text import storable
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
from ecauto_pipeline.storage.tables import (
    account_checks,
    decisions,
    listings,
    shop_items,
    upload_queue,
)
from ecauto_pipeline.storage.uploads.queue import of_account

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

    def __init__(self, engine: sa.Engine, clock: Clock, platform: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._platform = platform

    def states(self, account_id: str) -> tuple[list[ListingState], list[QueueState]]:
        """All listings and all queue rows of the account, in order of id."""
        ours = sa.and_(listings.c.platform == self._platform, listings.c.account_id == account_id)
        query = sa.select(*_LISTING).where(ours).order_by(listings.c.id)
        queue = (
            sa.select(*_ROW)
            .where(of_account(self._platform, account_id))
            .order_by(upload_queue.c.id)
        )
        with self._reading.connect() as connection:
            return (
                [ListingState(*row) for row in connection.execute(query)],
                [QueueState(*row) for row in connection.execute(queue)],
            )

    def replace_items(self, account_id: str, items: Iterable[Item]) -> None:
        """Make the mirror of a shop what it just showed, all pages of it."""
        now = self._clock.now()
        rows = [
            {
                **asdict(item),
                "platform": self._platform,
                "account_id": account_id,
                "identifier": storable(item.identifier or "") or None,
                "title": storable(item.title),
                "seen_at": now,
            }
            for item in items
        ]
        of_shop = sa.and_(
            shop_items.c.platform == self._platform, shop_items.c.account_id == account_id
        )
        with self._engine.begin() as connection:
            connection.execute(sa.delete(shop_items).where(of_shop))
            if rows:
                connection.execute(sa.insert(shop_items), rows)

    def checked(self, account_id: str) -> bool:
        """Whether the account's shop was ever read whole and compared."""
        query = sa.select(account_checks.c.checked_at).where(
            account_checks.c.platform == self._platform,
            account_checks.c.account_id == account_id,
        )
        with self._reading.connect() as connection:
            return connection.execute(query).scalar() is not None

    def note_check(self, account_id: str) -> None:
        """The account's shop was read whole, and what is safe was mended."""
        now = self._clock.now()
        row = {"platform": self._platform, "account_id": account_id, "checked_at": now}
        with self._engine.begin() as connection:
            upsert(connection, account_checks, [row])

    def apply(self, mend: Adopt | FailRows | Follow) -> bool:
        """Change our rows; False: they are not what they were, and stay as they are."""
        if isinstance(mend, Adopt):
            return self._adopt(mend)
        if isinstance(mend, FailRows):
            return self._fail(mend)
        with self._engine.begin() as connection:
            return _change(
                connection,
                mend.listing,
                selling_price=mend.item.price_jpy,
                visibility=Visibility.of(visible=mend.item.visible),
                updated_at=self._clock.now(),
            )

    def delist(self, mend: Delist, run_id: str, reason: str) -> bool:
        """The item was proven to be gone: the listing and a decision say so at once."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            done = self._uploads_are(connection, mend.listing, ()) and _change(
                connection, mend.listing, status="delisted", updated_at=now
            )
            if done:
                connection.execute(
                    sa.insert(decisions).values(
                        run_id=run_id,
                        platform=self._platform,
                        account_id=mend.listing.account_id,
                        listing_id=mend.listing.id,
                        asin=mend.listing.asin,
                        kind=Kind.DELIST,
                        old="listed",
                        new="delisted",
                        rule="item_gone",
                        reason=reason,
                        dry_run=False,
                        outcome=Outcome.WRITTEN,
                        decided_at=now,
                        written_at=now,
                    )
                )
        return done

    def _adopt(self, mend: Adopt) -> bool:
        now, item = self._clock.now(), mend.item
        # All of the listing's rows know the item then, so that none of them makes it again.
        waiting: dict[str, Any] = {"item_id": item.item_id, "error_message": FOUND_ON_SHOP}
        # A hidden item may lack its pictures: its upload goes on from there.
        if item.visible:
            waiting |= {"status": QueueStatus.SUCCESS, "processed_at": now}
        failed = sa.and_(self._rows_of(mend.listing), upload_queue.c.status == QueueStatus.FAILED)
        with self._engine.begin() as connection:
            done = self._uploads_are(connection, mend.listing, mend.waiting) and _change(
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
                change = sa.update(upload_queue)
                connection.execute(change.where(_among(mend.waiting)).values(waiting))
                connection.execute(change.where(failed).values(item_id=item.item_id))
        return done

    def _fail(self, mend: FailRows) -> bool:
        still = sa.select(listings.c.id).where(_as_seen(mend.listing)).exists()
        change = (
            sa.update(upload_queue)
            .where(_among(mend.rows), upload_queue.c.status == QueueStatus.SUCCESS, still)
            .values(
                status=QueueStatus.FAILED,
                processed_at=self._clock.now(),
                error_message=NOT_ON_SHOP,
            )
        )
        with self._engine.begin() as connection:
            if not self._uploads_are(connection, mend.listing, mend.waiting):
                return False
            return connection.execute(change).rowcount > 0

    def _uploads_are(
        self, connection: sa.Connection, listing: ListingState, seen: Sequence[QueueState]
    ) -> bool:
        """Whether an upload waits for the listing, or is at it, as was seen.

        It stays so until the end of the transaction: nobody queues or claims meanwhile.
        """
        if connection.dialect.name == "postgresql":  # on SQLite nobody could anyway
            connection.execute(sa.text("LOCK TABLE upload_queue IN SHARE ROW EXCLUSIVE MODE"))
        columns = (upload_queue.c.id, upload_queue.c.status, upload_queue.c.attempt_no)
        live = sa.select(*columns).where(self._rows_of(listing), upload_queue.c.status.in_(LIVE))
        now = {(row[0], row[1], row[2]) for row in connection.execute(live)}
        return now == {(row.id, row.status, row.attempt_no) for row in seen}

    def _rows_of(self, listing: ListingState) -> sa.ColumnElement[bool]:
        account = of_account(self._platform, listing.account_id)
        return sa.and_(account, upload_queue.c.asin == listing.asin)


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
