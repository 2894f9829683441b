"""The upload queue of a platform's shops as a whole: filled, looked at, failed rows tried again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.uploads.rules import LIVE, Content, QueueStatus, Slots
from ecauto_pipeline.storage.database import insert_into, reading
from ecauto_pipeline.storage.tables import UtcDateTime, listings, products, upload_queue


class UploadQueue:
    """The rows of `upload_queue`, and the listings that should have one."""

    def __init__(self, engine: sa.Engine, clock: Clock, platform: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._platform = platform

    def last_scheduled(self, account_id: str) -> datetime | None:
        """The latest time that a live row of the account is due."""
        query = sa.select(sa.func.max(upload_queue.c.scheduled_time)).where(
            of_account(self._platform, account_id), upload_queue.c.status == QueueStatus.PENDING
        )
        with self._reading.connect() as connection:
            return connection.execute(query).scalar()

    def fill(
        self, account_id: str, slots: Slots, *, limit: int | None = None, held: bool = False
    ) -> int:
        """Queue the account's pending listings that were never queued; how many.

        Priorities first, one slot each, in one statement: where another process has added a row
        meanwhile, it adds none. `held` takes those that intake was told not to queue.
        """
        number = sa.func.row_number().over(
            order_by=(listings.c.priority.desc(), listings.c.id)
        ) - 1 + slots.first  # fmt: skip
        waiting = (
            sa.select(
                listings.c.asin,
                listings.c.platform,
                listings.c.account_id,
                listings.c.priority,
                listings.c.sku,
                number.label("number"),
            )
            .where(_unqueued(self._platform, account_id, held=held))
            .order_by(listings.c.priority.desc(), listings.c.id)
            .limit(limit)
            .subquery()
        )
        names = ["asin", "platform", "account_id", "priority", "identifier"]
        values = [waiting.c[name] for name in (*names[:-1], "sku")]
        rows = sa.select(
            *values,
            self._slot_time(waiting.c.number, slots),
            sa.literal(QueueStatus.PENDING.value),
            sa.literal(self._clock.now(), UtcDateTime),
        ).where(sa.true())  # SQLite would read ON CONFLICT as a join's condition
        insert = (
            insert_into(self._engine.dialect, upload_queue)
            .from_select([*names, "scheduled_time", "status", "created_at"], rows)
            .on_conflict_do_nothing()
        )
        with self._engine.begin() as connection:
            return connection.execute(insert).rowcount

    def waiting_accounts(self, *, held: bool = False) -> dict[str, int]:
        """How many pending listings of each account were never queued."""
        query = (
            sa.select(listings.c.account_id, sa.func.count())
            .where(_unqueued(self._platform, None, held=held))
            .group_by(listings.c.account_id)
        )
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def has_imported(self, account_id: str) -> bool:
        """Whether uploads wait that v1.0 may have made: without identifier, or with its form."""
        query = (
            sa.select(upload_queue.c.id)
            .where(
                of_account(self._platform, account_id),
                upload_queue.c.status == QueueStatus.PENDING,
                upload_queue.c.attempt_no == 0,
                sa.or_(
                    upload_queue.c.identifier.is_(None),
                    upload_queue.c.identifier.like("%-__________-______________%"),
                ),
            )
            .limit(1)
        )
        with self._reading.connect() as connection:
            return connection.execute(query).first() is not None

    def due_accounts(self) -> list[str]:
        """The accounts with rows to upload, to look up, or left behind by a lost worker."""
        now = self._clock.now()
        due = sa.or_(
            sa.and_(
                upload_queue.c.status.in_([QueueStatus.PENDING, QueueStatus.UNKNOWN]),
                sa.or_(
                    upload_queue.c.scheduled_time <= now, upload_queue.c.scheduled_time.is_(None)
                ),
            ),
            lease_over(now),
        )
        query = (
            sa.select(upload_queue.c.account_id)
            .where(of_account(self._platform), due)
            .distinct()
            .order_by(upload_queue.c.account_id)
        )
        with self._reading.connect() as connection:
            return list(connection.execute(query).scalars())

    def content(self, asin: str) -> Content:
        """What the caches know of the product."""
        query = sa.select(products).where(products.c.asin == asin)
        with self._reading.connect() as connection:
            row = connection.execute(query).mappings().one()
        return Content(
            asin=asin,
            title=row["title_ja"],
            description=row["description_ja"],
            brand=row["brand"],
            category=row["category"],
            images=tuple(row["images"] or ()),
            amazon_price_jpy=row["amazon_price_jpy"],
        )

    def retry(self, ids: Sequence[int]) -> int:
        """Put failed rows back, with all their retries; how many.

        Of a listing's only the newest one, and none when it has a live one or another's item.
        """
        return self._retry(sa.and_(of_account(self._platform), upload_queue.c.id.in_(ids)))

    def retry_asins(self, asins: Sequence[str]) -> int:
        """Put the failed rows of these products back; how many."""
        return self._retry(sa.and_(of_account(self._platform), upload_queue.c.asin.in_(asins)))

    def _retry(self, chosen: sa.ColumnElement[bool]) -> int:
        live = upload_queue.alias()
        taken = (
            sa.select(live.c.id)
            .where(
                live.c.platform == upload_queue.c.platform,
                live.c.account_id == upload_queue.c.account_id,
                live.c.asin == upload_queue.c.asin,
                live.c.status.in_(LIVE),
            )
            .exists()
        )
        newest = (
            sa.select(sa.func.max(upload_queue.c.id))
            .where(chosen, upload_queue.c.status == QueueStatus.FAILED)
            .group_by(upload_queue.c.platform, upload_queue.c.account_id, upload_queue.c.asin)
            .correlate(None)
        )
        # The listing may have an item that the row does not know: it would make a second one.
        made_otherwise = sa.and_(
            upload_queue.c.item_id.is_(None),
            sa.select(listings.c.id)
            .where(
                listings.c.asin == upload_queue.c.asin,
                listings.c.platform == upload_queue.c.platform,
                listings.c.account_id == upload_queue.c.account_id,
                listings.c.platform_item_id.is_not(None),
                listings.c.status != "delisted",
            )
            .exists(),
        )
        with self._engine.begin() as connection:
            return connection.execute(
                sa.update(upload_queue)
                .where(upload_queue.c.id.in_(newest), ~taken, ~made_otherwise)
                .values(
                    status=QueueStatus.PENDING,
                    retry_count=0,
                    scheduled_time=self._clock.now(),
                    processed_at=None,
                )
            ).rowcount

    def rows(self, account_id: str | None, limit: int) -> list[Mapping[str, Any]]:
        """The rows that are not done yet, and the latest that are."""
        query = (
            sa.select(upload_queue)
            .where(of_account(self._platform, account_id))
            .order_by(
                upload_queue.c.status.in_(LIVE).desc(),
                upload_queue.c.processed_at.desc(),
                upload_queue.c.scheduled_time,
                upload_queue.c.id,
            )
            .limit(limit)
        )
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def counts(self, account_id: str | None = None) -> dict[str, int]:
        """How many rows have each status."""
        query = (
            sa.select(upload_queue.c.status, sa.func.count())
            .where(of_account(self._platform, account_id))
            .group_by(upload_queue.c.status)
        )
        with self._reading.connect() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {str(status): found.get(status, 0) for status in QueueStatus}

    def _slot_time(self, number: sa.ColumnElement[int], slots: Slots) -> sa.ColumnElement[Any]:
        """When slot `number`, counted from the first day's opening, begins."""
        opening, spacing = slots.day_opens_at.timestamp(), slots.spacing.total_seconds()
        day = sa.cast(number / slots.per_day, sa.Integer)
        if self._engine.dialect.name == "postgresql":
            day = sa.func.div(number, slots.per_day)
        epoch = opening + day * 86_400 + (number - day * slots.per_day) * spacing
        if self._engine.dialect.name == "postgresql":
            return sa.func.to_timestamp(epoch)
        return sa.func.strftime("%Y-%m-%d %H:%M:%f000", epoch, "unixepoch")


def of_account(platform: str, account_id: str | None = None) -> sa.ColumnElement[bool]:
    """The account's rows; None: those of all accounts of the platform."""
    on_platform = upload_queue.c.platform == platform
    if account_id is None:
        return on_platform
    return sa.and_(on_platform, upload_queue.c.account_id == account_id)


def lease_over(now: datetime) -> sa.ColumnElement[bool]:
    """Rows whose worker must not send any more."""
    return sa.and_(upload_queue.c.status == QueueStatus.UPLOADING, upload_queue.c.lease_until < now)


def _unqueued(platform: str, account_id: str | None, *, held: bool) -> sa.ColumnElement[bool]:
    """Pending listings without item and without any row of the queue.

    A row that failed, or that succeeded while the listing is still pending, is for a person or for
    the consistency check: queueing the listing again would list the product twice.
    """
    queued = (
        sa.select(upload_queue.c.id)
        .where(
            upload_queue.c.asin == listings.c.asin,
            upload_queue.c.platform == listings.c.platform,
            upload_queue.c.account_id == listings.c.account_id,
        )
        .exists()
    )
    terms = [
        listings.c.platform == platform,
        listings.c.status == "pending",
        listings.c.platform_item_id.is_(None),
        ~queued,
    ]
    if not held:
        terms.append(~listings.c.held)
    if account_id is not None:
        terms.append(listings.c.account_id == account_id)
    return sa.and_(*terms)
