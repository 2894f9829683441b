"""Locks between processes: one holder at a time, released by the system when the holder dies."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import sqlalchemy as sa

from ecauto_pipeline.storage.file_lock import locked_file


@contextmanager
def exclusive(engine: sa.Engine, name: str) -> Generator[None]:
    """Hold the lock `name` of this database; wait for it without polling.

    PostgreSQL locks across machines; a SQLite database is used on one machine, so there a locked
    file beside it does, without keeping other writers out of the database meanwhile.
    """
    if engine.dialect.name == "postgresql":
        # The session holds it, which needs no transaction to stay open.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(_key(name))))
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_key(name))))
        return
    database = engine.url.database
    if database and database != ":memory:":
        folder = Path(database).parent / "locks"
    else:
        folder = Path(gettempdir()) / f"ecauto-{id(engine)}"
    with locked_file(folder / f"{_key(name) + 2**63:016x}.lock"):
        yield


def hold_until_commit(connection: sa.Connection, name: str) -> None:
    """Hold the lock `name` until the transaction ends; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(name))))


def _key(name: str) -> int:
    """A key as PostgreSQL takes it: 64 bits with a sign."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest) - 2**63
