"""One upload at a time: claimed with a lease, finished behind a fence, rescued, looked up.

Every statement about a claimed row names the attempt and the worker: one that was too slow changes
nothing any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.uploads.rules import (
    Found,
    QueueStatus,
    Unresolved,
    Upload,
    UploadRules,
    first_free_identifier,
)
from ecauto_pipeline.storage.database import reading
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.storage.uploads.queue import lease_over, of_account

Checkpoint = Callable[[str], None]
"""Told the name of each statement's boundary; a test may end the process there."""


class UploadAttempts:
    """What a worker does to the rows of `upload_queue`, and to the listings they make."""

    def __init__(
        self,
        engine: sa.Engine,
        clock: Clock,
        platform: str,
        rules: UploadRules,
        checkpoint: Checkpoint = lambda _: None,
    ) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._platform = platform
        self._rules = rules
        self._at = checkpoint

    def claim(self, account_id: str, worker: str, *, now_due: bool = True) -> Upload | None:
        """Take the most urgent row that is due, for the length of a lease.

        Without `now_due` any pending one, but each only once by the same worker.
        """
        now = self._clock.now()
        terms = [
            of_account(self._platform, account_id),
            upload_queue.c.status == QueueStatus.PENDING,
        ]
        if now_due:
            due = upload_queue.c.scheduled_time
            terms.append(sa.or_(due <= now, due.is_(None)))
        else:
            terms.append(upload_queue.c.worker.is_distinct_from(worker))
        first = (
            sa.select(upload_queue.c.id)
            .where(*terms)
            .order_by(
                upload_queue.c.priority.desc(), upload_queue.c.scheduled_time, upload_queue.c.id
            )
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        claim = (
            sa.update(upload_queue)
            .where(upload_queue.c.id == first.scalar_subquery())
            .values(
                status=QueueStatus.UPLOADING,
                attempt_no=upload_queue.c.attempt_no + 1,
                worker=worker,
                lease_until=now + self._rules.lease,
                sent_at=None,
                error_message=None,
            )
            .returning(upload_queue)
        )
        self._at("before claim")
        with self._engine.begin() as connection:
            row = connection.execute(claim).mappings().one_or_none()
            upload = None if row is None else self._upload_from(connection, row)
        self._at("after claim")
        return upload

    def sending(self, upload: Upload) -> bool:
        """Commit that the item is about to be made; False: the row is another's by now."""
        self._at("before sending")
        done = self._fenced(upload, sent_at=self._clock.now())
        self._at("after sending")
        return done

    def created(self, upload: Upload, item_id: str, price_jpy: int) -> Upload | None:
        """The item is there: the row and its listing say so in one transaction.

        Returns the row with a lease that begins anew; None: it is another's by now.
        """
        renewed = replace(upload, item_id=item_id, lease_until=self._lease_end())
        self._at("before created")
        with self._engine.begin() as connection:
            done = self._set(connection, upload, item_id=item_id, lease_until=renewed.lease_until)
            if done:
                now = self._clock.now()
                connection.execute(
                    self._listing_of(upload).values(
                        platform_item_id=item_id,
                        sku=upload.identifier,
                        selling_price=price_jpy,
                        in_stock_quantity=1,
                        status="listed",
                        visibility=Visibility.HIDDEN,
                        listed_at=now,
                        updated_at=now,
                    )
                )
        self._at("after created")
        return renewed if done else None

    def image_added(self, upload: Upload, number: int) -> Upload | None:
        """So many pictures are there; returns as `created` does."""
        renewed = replace(upload, images_done=number, lease_until=self._lease_end())
        self._at("before image")
        done = self._fenced(upload, images_done=number, lease_until=renewed.lease_until)
        self._at("after image")
        return renewed if done else None

    def finish(self, upload: Upload, *, price_jpy: int | None, public: bool, note: str) -> bool:
        """The upload is complete: shown, or left hidden because nothing proves that it ships."""
        now = self._clock.now()
        self._at("before finish")
        with self._engine.begin() as connection:
            done = self._set(
                connection,
                upload,
                status=QueueStatus.SUCCESS,
                processed_at=now,
                error_message=note or None,
                lease_until=None,
            )
            if done:
                values: dict[str, Any] = {
                    "visibility": Visibility.of(visible=public),
                    "updated_at": now,
                }
                if price_jpy is not None:
                    values["selling_price"] = price_jpy
                connection.execute(self._listing_of(upload).values(values))
        self._at("after finish")
        return done

    def fail(self, upload: Upload, reason: str) -> bool:
        """The shop refuses the item for good, or the rules do; its words are kept."""
        self._at("before fail")
        done = self._fenced(
            upload,
            status=QueueStatus.FAILED,
            processed_at=self._clock.now(),
            error_message=reason,
            lease_until=None,
        )
        self._at("after fail")
        return done

    def put_back(self, upload: Upload, at: datetime, reason: str, *, spend_retry: bool) -> bool:
        """Certainly nothing was made: try again later, or give up after the last retry."""
        retries = upload.retry_count + spend_retry
        if self._rules.gives_up(retries):
            return self.fail(upload, f"given up after {retries - 1} retries: {reason}")
        self._at("before put back")
        done = self._fenced(
            upload,
            status=QueueStatus.PENDING,
            scheduled_time=at,
            retry_count=retries,
            error_message=reason,
            lease_until=None,
        )
        self._at("after put back")
        return done

    def lost(self, upload: Upload, reason: str) -> bool:
        """Nobody knows whether the item was made: look it up once that can prove anything."""
        self._at("before unknown")
        done = self._fenced(
            upload,
            status=QueueStatus.UNKNOWN,
            scheduled_time=upload.lease_until + self._rules.settled_after_lease,
            lookups=0,
            error_message=reason,
        )
        self._at("after unknown")
        return done

    def rescue(self, account_id: str) -> int:
        """Rows whose worker is gone: what had been sent is unknown, the rest is as before."""
        now = self._clock.now()
        over = sa.and_(of_account(self._platform, account_id), lease_over(now))
        made = upload_queue.c.item_id.is_not(None)
        sent = sa.and_(upload_queue.c.sent_at.is_not(None), ~made)
        self._at("before rescue")
        with self._engine.begin() as connection:
            unknown = connection.execute(
                sa.update(upload_queue)
                .where(over, sent)
                .values(
                    status=QueueStatus.UNKNOWN,
                    scheduled_time=now + self._rules.settled_after_lease,
                    lookups=0,
                    error_message="its worker was lost after sending",
                )
            )
            back = connection.execute(
                sa.update(upload_queue)
                .where(over, ~sent)  # what a slow worker commits as sent meanwhile is unknown too
                .values(
                    status=QueueStatus.PENDING,
                    scheduled_time=now,
                    lease_until=None,
                    error_message=sa.case(
                        (made, "its worker was lost after its item was made"),
                        else_="its worker was lost before sending",
                    ),
                )
            )
        self._at("after rescue")
        return unknown.rowcount + back.rowcount

    def unresolved(self, account_id: str) -> list[Unresolved]:
        """Rows to be looked up now."""
        query = (
            sa.select(upload_queue)
            .where(
                of_account(self._platform, account_id),
                upload_queue.c.status == QueueStatus.UNKNOWN,
                sa.or_(
                    upload_queue.c.scheduled_time <= self._clock.now(),
                    upload_queue.c.scheduled_time.is_(None),
                    # Taken over from v1.0: nobody has been sending it for long.
                    sa.and_(upload_queue.c.worker.is_(None), upload_queue.c.lookups == 0),
                ),
            )
            .order_by(upload_queue.c.scheduled_time, upload_queue.c.id)
        )
        with self._reading.connect() as connection:
            return [
                Unresolved(
                    id=row["id"],
                    asin=row["asin"],
                    account_id=row["account_id"],
                    attempt_no=row["attempt_no"],
                    identifier=row["identifier"],
                    lookups=row["lookups"],
                    retry_count=row["retry_count"],
                    imported=row["worker"] is None,
                )
                for row in connection.execute(query).mappings()
            ]

    def adopt(self, row: Unresolved, found: Found) -> bool:
        """The item was made: the row goes on from there, or is done if buyers see it already."""
        now = self._clock.now()
        item_id = found.item_ids[0]
        values: dict[str, Any] = {
            "item_id": item_id,
            "error_message": "found on the shop and adopted",
            "scheduled_time": now,
            "status": QueueStatus.PENDING,
            "lease_until": None,
        }
        if found.visible:
            values |= {"status": QueueStatus.SUCCESS, "processed_at": now}
        self._at("before adopt")
        with self._engine.begin() as connection:
            done = self._resolve(connection, row, values)
            if done:
                visibility = Visibility.of(visible=found.visible)
                connection.execute(
                    self._listing_of(row).values(
                        platform_item_id=item_id,
                        status="listed",
                        visibility=visibility,
                        listed_at=sa.func.coalesce(listings.c.listed_at, now),
                        updated_at=now,
                    )
                )
        self._at("after adopt")
        return done

    def not_found(self, row: Unresolved) -> bool:
        """The shop shows no such item: look again later, and after the last look put it back."""
        now = self._clock.now()
        looks = row.lookups + 1
        values: dict[str, Any] = {"lookups": looks}
        if looks < self._rules.looks:
            values["scheduled_time"] = now + self._rules.look_again_after[looks - 1]
        elif row.retry_count >= self._rules.max_retries:
            values |= {
                "status": QueueStatus.FAILED,
                "processed_at": now,
                "error_message": f"not on the shop, and given up after {row.retry_count} retries",
            }
        else:
            values |= {
                "status": QueueStatus.PENDING,
                "scheduled_time": now,
                "retry_count": row.retry_count + 1,
                "lease_until": None,
                "error_message": f"not on the shop after {looks} looks: to be sent again",
            }
        self._at("before not found")
        with self._engine.begin() as connection:
            done = self._resolve(connection, row, values)
        self._at("after not found")
        return done

    def _upload_from(self, connection: sa.Connection, row: sa.RowMapping) -> Upload:
        """The row with its identifier: its own, its listing's, or the product's first free one."""
        mine = self._is_listing_of(row["asin"], row["account_id"])
        listed = sa.select(listings.c.sku, listings.c.platform_item_id).where(mine)
        sku, item_id = connection.execute(listed).one_or_none() or (None, None)
        identifier = row["identifier"] or sku
        if not identifier:
            # One account after another: both could take the same free one.
            product = sa.select(products.c.asin).where(products.c.asin == row["asin"])
            connection.execute(product.with_for_update(key_share=True))
            taken = connection.execute(
                sa.select(listings.c.sku).where(listings.c.sku.like(f"b-{row['asin']}-%"))
            ).scalars()
            identifier = first_free_identifier(row["asin"], set(taken))
            connection.execute(sa.update(listings).where(mine).values(sku=identifier))
        if not row["identifier"]:
            this = upload_queue.c.id == row["id"]
            values = {"identifier": identifier}
            connection.execute(sa.update(upload_queue).where(this).values(values))
        return Upload(
            id=row["id"],
            asin=row["asin"],
            account_id=row["account_id"],
            attempt_no=row["attempt_no"],
            worker=row["worker"],
            lease_until=row["lease_until"],
            identifier=identifier,
            # A listing that has its item already, as after a take-over, is not made again.
            item_id=row["item_id"] or item_id,
            images_done=row["images_done"],
            retry_count=row["retry_count"],
        )

    def _is_listing_of(self, asin: str, account_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(
            listings.c.asin == asin,
            listings.c.platform == self._platform,
            listings.c.account_id == account_id,
        )

    def _listing_of(self, row: Upload | Unresolved) -> sa.Update:
        return sa.update(listings).where(self._is_listing_of(row.asin, row.account_id))

    def _lease_end(self) -> datetime:
        return self._clock.now() + self._rules.lease

    def _fenced(self, upload: Upload, **values: Any) -> bool:
        with self._engine.begin() as connection:
            return self._set(connection, upload, **values)

    def _set(self, connection: sa.Connection, upload: Upload, **values: Any) -> bool:
        """Change the row if it is still this worker's, in this attempt."""
        changed = connection.execute(
            sa.update(upload_queue)
            .where(
                upload_queue.c.id == upload.id,
                upload_queue.c.attempt_no == upload.attempt_no,
                upload_queue.c.worker == upload.worker,
                upload_queue.c.status == QueueStatus.UPLOADING,
            )
            .values(values)
        )
        return changed.rowcount == 1

    def _resolve(
        self, connection: sa.Connection, row: Unresolved, values: Mapping[str, Any]
    ) -> bool:
        """Change the row if it is still unknown, since the same attempt."""
        changed = connection.execute(
            sa.update(upload_queue)
            .where(
                upload_queue.c.id == row.id,
                upload_queue.c.attempt_no == row.attempt_no,
                upload_queue.c.lookups == row.lookups,
                upload_queue.c.status == QueueStatus.UNKNOWN,
            )
            .values(values)
        )
        return changed.rowcount == 1
