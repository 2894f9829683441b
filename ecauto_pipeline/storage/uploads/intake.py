"""New products: which are listed already, what is known of the others, and listing them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.uploads.intake import Candidate, IntakeRow, Outcome
from ecauto_pipeline.storage.database import reading, upsert
from ecauto_pipeline.storage.tables import listings, products, upload_queue


class Place(NamedTuple):
    """Where an ASIN is listed already."""

    account_id: str
    status: str


class IntakeStore:
    """The products and listings of an intake; any number of intakes may run at once.

    What is asked about at a time must fit into one statement: at most some thousands of ASINs.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, platform: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._platform = platform

    def placed(self, asins: Collection[str]) -> dict[str, Place]:
        """Those that the platform has a listing of, on whatever account and of whatever status."""
        with self._reading.connect() as connection:
            return self._placed(connection, asins)

    def loads(self) -> dict[str, int]:
        """How many listings each account has, or will have."""
        query = (
            sa.select(listings.c.account_id, sa.func.count())
            .where(
                listings.c.platform == self._platform, listings.c.status.in_(["pending", "listed"])
            )
            .group_by(listings.c.account_id)
        )
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def prepare(self, asins: Iterable[str]) -> None:
        """Make the products that are missing, so that a refresh can fill them."""
        now = self._clock.now()
        # In one order, so that two intakes cannot wait for each other.
        rows = [
            {"asin": asin, "shard": shard_of(asin), "created_at": now, "updated_at": now}
            for asin in sorted(asins)
        ]
        with self._engine.begin() as connection:
            upsert(connection, products, rows, update=())

    def candidates(self, asins: Collection[str]) -> dict[str, Candidate]:
        """What is known of these products; those that are gone are left out."""
        query = sa.select(
            products.c.asin,
            products.c.title_ja,
            products.c.description_ja,
            products.c.brand,
            products.c.category,
            products.c.amazon_price_jpy,
            products.c.amazon_in_stock,
            products.c.catalog_asked_at,
            products.c.catalog_updated_at,
            products.c.price_updated_at,
            products.c.amazon_status,
        ).where(products.c.asin.in_(asins))
        with self._reading.connect() as connection:
            return {row[0]: Candidate(*row) for row in connection.execute(query)}

    def commit(self, rows: Sequence[IntakeRow], *, priority: int, held: bool) -> list[IntakeRow]:
        """List those that are to be added, forget those that Amazon does not have; all or nothing.

        Returns the rows as they turned out: another intake may have been quicker.
        """
        adding = {row.asin: row for row in rows if row.outcome == Outcome.ADDED}
        missing = [row.asin for row in rows if row.outcome == Outcome.NOT_FOUND]
        now = self._clock.now()
        with self._engine.begin() as connection:
            here = _hold(connection, [*adding, *missing])
            placed = self._placed(connection, adding)
            new = [
                {
                    "asin": asin,
                    "platform": self._platform,
                    "account_id": row.account_id,
                    "status": "pending",
                    "visibility": Visibility.PUBLIC,
                    "priority": priority,
                    "held": held,
                    "created_at": now,
                    "updated_at": now,
                }
                for asin, row in adding.items()
                if asin in here and asin not in placed
            ]
            if new:
                connection.execute(sa.insert(listings), new)
            connection.execute(sa.delete(products).where(_is_shell(missing)))
        turned_out: list[IntakeRow] = []
        for row in rows:
            if row.asin in placed:
                turned_out.append(already_there(row.asin, placed[row.asin]))
            elif row.asin in adding and row.asin not in here:
                detail = "Amazon's catalog did not have it when another intake asked"
                gone = replace(row, outcome=Outcome.NOT_FOUND, detail=detail, account_id="")
                turned_out.append(gone)
            else:
                turned_out.append(row)
        return turned_out

    def _placed(self, connection: sa.Connection, asins: Collection[str]) -> dict[str, Place]:
        query = (
            sa.select(listings.c.asin, listings.c.account_id, listings.c.status)
            .where(listings.c.platform == self._platform, listings.c.asin.in_(asins))
            .order_by(listings.c.status == "delisted", listings.c.id)
        )
        found: dict[str, Place] = {}
        for asin, *place in connection.execute(query):
            found.setdefault(asin, Place(*place))
        return found


def already_there(asin: str, place: Place) -> IntakeRow:
    """The row of an ASIN that needs no intake."""
    detail = f"{place.status} on account {place.account_id}"
    return IntakeRow(asin, Outcome.ALREADY_THERE, detail, place.account_id)


def _hold(connection: sa.Connection, asins: Collection[str]) -> set[str]:
    """Keep other intakes from these products until the end; returns those that are there.

    The unique key of listings would not do: two intakes may choose different accounts.
    """
    if connection.dialect.name == "postgresql":
        # A take-over of v1.0 locks the same tables, in the same order, to write listings.
        names = f"{products.name}, {listings.name}"
        connection.execute(sa.text(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE"))
    query = (
        sa.select(products.c.asin)
        .where(products.c.asin.in_(asins))
        .order_by(products.c.asin)
        .with_for_update(key_share=True)
    )
    return set(connection.execute(query).scalars())


def _is_shell(asins: Collection[str]) -> sa.ColumnElement[bool]:
    """Products that an intake made and of which nothing was ever known."""
    facts = (
        products.c.title_ja,
        products.c.amazon_price_jpy,
        products.c.catalog_updated_at,
        products.c.price_updated_at,
    )
    used = (
        sa.select(table.c.id).where(table.c.asin == products.c.asin).exists()
        for table in (listings, upload_queue)
    )
    return sa.and_(
        products.c.asin.in_(asins),
        *(column.is_(None) for column in facts),
        *(~each for each in used),
    )
