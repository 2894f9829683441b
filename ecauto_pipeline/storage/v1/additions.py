"""Writing what is taken over from v1.0: all of it in one transaction, or nothing."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.domain.uploads.rules import LIVE
from ecauto_pipeline.domain.v1.additions import Here
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.tables import (
    account_configs,
    ebay_listing_metadata,
    listings,
    products,
    upload_queue,
)

_BATCH_ROWS = 5_000
"""Rows in memory at a time; the drivers cut them into statements."""

_TABLES = (products, listings, upload_queue, ebay_listing_metadata)

Rows = Iterable[Mapping[str, Any]]


class ImportTransaction:
    """The four tables, while nobody else writes to them; a dry run only counts."""

    def __init__(self, connection: sa.Connection, *, dry_run: bool) -> None:
        self._connection = connection
        self._dry_run = dry_run

    def here(self) -> Here:
        """The keys of what the database holds now."""
        here = Here(
            asins=self._all(products.c.asin),
            skus=self._all(listings.c.sku),
            ebay_skus=self._all(ebay_listing_metadata.c.sku),
            accounts=self._all(account_configs.c.id),
        )
        place = (listings.c.asin, listings.c.platform, listings.c.account_id)
        for id_, *key in self._connection.execute(sa.select(listings.c.id, *place)):
            here.listings[id_] = tuple(key)
        for row in self._connection.execute(sa.select(upload_queue)).mappings():
            key = (row["asin"], row["platform"], row["account_id"])
            here.queued[row["id"]] = key
            here.queued_at.add((key, row["created_at"]))
            if row["status"] in LIVE:
                here.live[key] = row["id"]
        return here

    def add_products(self, rows: Rows) -> None:
        """Add the products; they are taken one by one."""
        self._insert(products, rows)

    def add_listings(self, rows: Rows) -> None:
        """Add the listings under their ids; later ones are numbered after them."""
        self._insert(listings, rows)
        self._number_after(listings)

    def add_queue(self, rows: Rows) -> None:
        """Add the queue rows under their ids; later ones are numbered after them."""
        self._insert(upload_queue, rows)
        self._number_after(upload_queue)

    def add_ebay_metadata(self, rows: Rows) -> None:
        """Add what is known of listings on eBay."""
        self._insert(ebay_listing_metadata, rows)

    def _all(self, column: sa.Column[str]) -> set[str]:
        return set(self._connection.scalars(sa.select(column).where(column.is_not(None))))

    def _insert(self, table: sa.Table, rows: Rows) -> None:
        for chunk in chunks(rows, _BATCH_ROWS):
            if not self._dry_run:
                self._connection.execute(sa.insert(table), [dict(row) for row in chunk])

    def _number_after(self, table: sa.Table) -> None:
        """SQLite numbers after the highest id by itself; PostgreSQL must be told."""
        if self._dry_run or self._connection.dialect.name != "postgresql":
            return
        sequence = self._connection.scalar(
            sa.select(sa.func.pg_get_serial_sequence(table.name, "id"))
        )
        last = self._connection.scalar(sa.select(sa.func.max(table.c.id)))
        if last is not None:
            following = sa.func.nextval(sequence)
            self._connection.execute(
                sa.select(sa.func.setval(sequence, sa.func.greatest(last, following)))
            )


class ImportStore:
    """Our database, as the place that v1.0 is taken over into."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self, *, dry_run: bool) -> Generator[ImportTransaction]:
        """Everything written in it is kept at its end, and nothing if it fails."""
        engine = database.reading(self._engine) if dry_run else self._engine
        with engine.begin() as connection:
            if not dry_run and connection.dialect.name == "postgresql":
                names = ", ".join(table.name for table in _TABLES)
                connection.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
            yield ImportTransaction(connection, dry_run=dry_run)
