"""Listings beside what is known of their products, and the decisions made about them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.changes import Change, Item, Kind, Listing, Outcome
from ecauto_pipeline.domain.base_shop.visibility import Visibility
from ecauto_pipeline.storage.database import reading
from ecauto_pipeline.storage.tables import (
    LIVE_UPLOAD,
    base_items,
    decisions,
    listings,
    products,
    upload_queue,
)

PLATFORM = "base"


class ListingStore:
    """The `listings`, `decisions` and `base_items` of BASE shops."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def accounts(self) -> list[str]:
        """The accounts that have listings."""
        query = (
            sa.select(listings.c.account_id)
            .where(listings.c.platform == PLATFORM)
            .distinct()
            .order_by(listings.c.account_id)
        )
        with self._reading.connect() as connection:
            return list(connection.execute(query).scalars())

    def counts(self) -> dict[str, int]:
        """How many listings of BASE shops have each status."""
        return self._count_by_status(listings)

    def queue_counts(self) -> dict[str, int]:
        """How many rows of the upload queue have each status."""
        return self._count_by_status(upload_queue)

    def _count_by_status(self, table: sa.Table) -> dict[str, int]:
        query = (
            sa.select(table.c.status, sa.func.count())
            .where(table.c.platform == PLATFORM)
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
                listings.c.platform == PLATFORM,
                listings.c.account_id == account_id,
                listings.c.status == "listed",
                listings.c.platform_item_id.is_not(None),
                ~_being_uploaded(),
            )
            .order_by(listings.c.id)
        )
        with self._reading.connect() as connection:
            return [_listing_from(row) for row in connection.execute(query).mappings()]

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

    def replace_items(self, account_id: str, items: Sequence[Item]) -> None:
        """Make the mirror of a shop what it just showed, all pages of it."""
        now = self._clock.now()
        rows = [_item_row(account_id, item) | {"seen_at": now} for item in items]
        with self._engine.begin() as connection:
            connection.execute(sa.delete(base_items).where(base_items.c.account_id == account_id))
            if rows:
                connection.execute(sa.insert(base_items), rows)

    def drift(self, account_id: str) -> list[Mapping[str, Any]]:
        """Where a shop and our listings disagree, and in `what`: price, visibility or deleted."""
        listed = sa.and_(
            listings.c.platform == PLATFORM,
            listings.c.account_id == account_id,
            listings.c.status == "listed",
        )
        on_shop = sa.and_(
            base_items.c.account_id == listings.c.account_id,
            base_items.c.item_id == listings.c.platform_item_id,
        )
        deleted = base_items.c.item_id.is_(None)
        repriced = base_items.c.price_jpy.is_distinct_from(listings.c.selling_price)
        switched = base_items.c.visible != (listings.c.visibility == Visibility.PUBLIC)
        query = (
            sa.select(
                listings.c.asin,
                listings.c.platform_item_id.label("item_id"),
                listings.c.selling_price,
                base_items.c.price_jpy.label("shop_price"),
                listings.c.visibility,
                base_items.c.visible.label("shop_visible"),
                sa.case(
                    (deleted, "deleted"),
                    (sa.and_(repriced, switched), "price, visibility"),
                    (repriced, "price"),
                    else_="visibility",
                ).label("what"),
            )
            .select_from(listings.outerjoin(base_items, on_shop))
            .where(listed, sa.or_(deleted, repriced, switched))
            .order_by(listings.c.id)
        )
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def unknown_items(self, account_id: str) -> list[Mapping[str, Any]]:
        """The items that a shop showed last and that no listing of the account names."""
        named = (
            sa.select(listings.c.platform_item_id)
            .where(
                listings.c.platform == PLATFORM,
                listings.c.account_id == account_id,
                listings.c.platform_item_id.is_not(None),
            )
            .scalar_subquery()
        )
        columns = [
            base_items.c[name]
            for name in ("item_id", "identifier", "title", "price_jpy", "visible")
        ]
        query = (
            sa.select(*columns)
            .where(base_items.c.account_id == account_id, base_items.c.item_id.not_in(named))
            .order_by(base_items.c.item_id)
        )
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


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


def _listing_from(row: Mapping[Any, Any]) -> Listing:
    return Listing(
        id=row["id"],
        asin=row["asin"],
        account_id=row["account_id"],
        item_id=row["platform_item_id"],
        selling_price=row["selling_price"],
        public=row["visibility"] == Visibility.PUBLIC,
        amazon_price_jpy=row["price"],
        in_stock=row["in_stock"],
    )


def _item_row(account_id: str, item: Item) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "item_id": item.item_id,
        "identifier": item.identifier,
        "title": item.title,
        "price_jpy": item.price_jpy,
        "stock": item.stock,
        "visible": item.visible,
        "modified_at": item.modified_at,
    }
