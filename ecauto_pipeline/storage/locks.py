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
        with _advisory_lock(engine, name):
            yield
    else:
        with locked_file(_lock_folder(engine) / f"{_digest(name):016x}.lock"):
            yield


@contextmanager
def _advisory_lock(engine: sa.Engine, name: str) -> Generator[None]:
    key = _digest(name) - 2**63
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))


def _lock_folder(engine: sa.Engine) -> Path:
    database = engine.url.database
    if not database or database == ":memory:":
        return Path(gettempdir()) / f"ecauto-{id(engine)}"
    return Path(database).parent / "locks"


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
