"""Listings beside what is known of their products, and the decisions made about them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.changes import Change, Kind, Listing, Outcome
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.storage.database import reading
from ecauto_pipeline.storage.tables import (
    LIVE_UPLOAD,
    decisions,
    listings,
    products,
    upload_queue,
)


class ListingStore:
    """The `listings` and `decisions` of a platform's shops."""

    def __init__(self, engine: sa.Engine, clock: Clock, platform: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._platform = platform

    def accounts(self) -> list[str]:
        """The accounts that have listings."""
        query = (
            sa.select(listings.c.account_id)
            .where(listings.c.platform == self._platform)
            .distinct()
            .order_by(listings.c.account_id)
        )
        with self._reading.connect() as connection:
            return list(connection.execute(query).scalars())

    def counts(self) -> dict[str, int]:
        """How many listings have each status."""
        return self._count_by_status(listings)

    def queue_counts(self) -> dict[str, int]:
        """How many rows of the upload queue have each status."""
        return self._count_by_status(upload_queue)

    def _count_by_status(self, table: sa.Table) -> dict[str, int]:
        query = (
            sa.select(table.c.status, sa.func.count())
            .where(table.c.platform == self._platform)
            .group_by(table.c.status)
            .order_by(table.c.status)
        )
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def listed(self, account_id: str, proof_since: datetime) -> list[Listing]:
        """What the account has listed, in order of id, beside what is proven of its products.

        What v1.0 believed has no time, so it proves nothing; what was in stock before `proof_since`
        need not be any more, and a price from before then is an old one.
        """
        stock, price = products.c.stock_updated_at, products.c.price_updated_at
        sold_out = sa.and_(stock.is_not(None), ~products.c.amazon_in_stock)
        in_stock = sa.and_(stock >= proof_since, products.c.amazon_in_stock)
        query = (
            sa.select(
                listings.c.id,
                listings.c.asin,
                listings.c.account_id,
                listings.c.platform_item_id,
                listings.c.selling_price,
                listings.c.visibility,
                sa.case((price >= proof_since, products.c.amazon_price_jpy)).label("price"),
                sa.case((in_stock, sa.true()), (sold_out, sa.false())).label("in_stock"),
            )
            .join(products, products.c.asin == listings.c.asin)
            .where(
                listings.c.platform == self._platform,
                listings.c.account_id == account_id,
                listings.c.status == "listed",
                listings.c.platform_item_id.is_not(None),
                ~_being_uploaded(),
            )
            .order_by(listings.c.id)
        )
        with self._reading.connect() as connection:
            return [
                Listing(
                    id=row["id"],
                    asin=row["asin"],
                    account_id=row["account_id"],
                    item_id=row["platform_item_id"],
                    selling_price=row["selling_price"],
                    public=row["visibility"] == Visibility.PUBLIC,
                    amazon_price_jpy=row["price"],
                    in_stock=row["in_stock"],
                )
                for row in connection.execute(query).mappings()
            ]

    def record(
        self, run_id: str, changes: Sequence[Change], outcome: Outcome, *, dry_run: bool
    ) -> dict[int, int]:
        """Write the decisions down before they are carried out; their ids by listing id."""
        now = self._clock.now()
        ids: dict[int, int] = {}
        with self._engine.begin() as connection:
            for change in changes:
                row = sa.insert(decisions).values(
                    run_id=run_id,
                    platform=self._platform,
                    account_id=change.listing.account_id,
                    listing_id=change.listing.id,
                    asin=change.listing.asin,
                    kind=change.kind,
                    old=change.old,
                    new=change.new,
                    rule=change.rule,
                    reason=change.reason,
                    dry_run=dry_run,
                    outcome=outcome,
                    decided_at=now,
                )
                ids[change.listing.id] = connection.execute(
                    row.returning(decisions.c.id)
                ).scalar_one()
        return ids

    def written(self, decision_id: int, change: Change) -> None:
        """The shop has taken the change: the listing and its decision say so at once."""
        now = self._clock.now()
        values: dict[str, Any] = {"updated_at": now}
        if change.price_jpy is not None:
            values["selling_price"] = change.price_jpy
        if change.visible is not None:
            values["visibility"] = Visibility.of(visible=change.visible)
        if change.kind == Kind.DELIST:
            values["status"] = "delisted"
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(listings).where(listings.c.id == change.listing.id).values(values)
            )
            connection.execute(
                sa.update(decisions)
                .where(decisions.c.id == decision_id)
                .values(outcome=Outcome.WRITTEN, written_at=now)
            )

    def not_written(self, decision_ids: Iterable[int], outcome: Outcome, reason: str) -> None:
        """The changes were not made, and why."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(decisions)
                .where(decisions.c.id.in_(list(decision_ids)))
                .values(outcome=outcome, error_message=reason)
            )


def _being_uploaded() -> sa.ColumnElement[bool]:
    """Its pictures may be missing yet: the upload shows it when it is complete."""
    return (
        sa.select(upload_queue.c.id)
        .where(
            upload_queue.c.asin == listings.c.asin,
            upload_queue.c.platform == listings.c.platform,
            upload_queue.c.account_id == listings.c.account_id,
            LIVE_UPLOAD,
        )
        .exists()
    )
