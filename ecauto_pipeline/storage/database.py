"""Opening the database, and the few places where SQLite and PostgreSQL differ."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError

from ecauto_pipeline.errors import DatabaseUnusable
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.file_lock import locked_file

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

BUSY_TIMEOUT_SECONDS = 30
"""How long a SQLite writer waits for its turn before it fails."""


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


_OPTIONS: dict[str, Any] = {
    "json_serializer": _dumps,
    "json_deserializer": orjson.loads,
    # The values of a row may be secret or personal, and errors are logged.
    "hide_parameters": True,
}


def open_engine(url: str) -> sa.Engine:
    """An engine for `sqlite:///…` or `postgresql…`; the folder of a SQLite file is made.

    Raises:
        DatabaseUnusable: the address names no database that this program speaks.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise DatabaseUnusable("ECAUTO_DATABASE_URL is not a database address") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg2")
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg2":
        # A server that was restarted has hung up on the connections that wait here.
        return sa.create_engine(parsed, pool_pre_ping=True, **_OPTIONS)
    raise DatabaseUnusable(
        f"ECAUTO_DATABASE_URL: {parsed.drivername} is not supported; use sqlite or postgresql"
    )


def _open_sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **_OPTIONS)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        """WAL lets readers go on while one writes; NORMAL is durable against a killed process."""
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, see below
        cursor = connection.cursor()
        path, mode = url.database, "PRAGMA journal_mode"
        if path and path != ":memory:" and cursor.execute(mode).fetchone()[0] != "wal":
            # Once per file; processes that open a new one together would find it locked otherwise.
            with locked_file(Path(path).parent / "locks" / "wal.lock"):
                cursor.execute(f"{mode} = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        """A transaction that will write takes the lock at once, so that it cannot deadlock."""
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def reading(engine: sa.Engine) -> sa.Engine:
    """The same engine for transactions that only read: they never wait for a writer."""
    return engine.execution_options(writes=False)


@contextmanager
def usable(what: str) -> Generator[None]:
    """Say in one line that the database which is `what` cannot be used, where that turns out.

    Raises:
        DatabaseUnusable: it refused, or could not be reached.
    """
    try:
        yield
    except DBAPIError as error:
        # Without the advice and the addresses in the lines that follow.
        line = str(error.orig).strip().partition("\n")[0]
        raise DatabaseUnusable(f"{what}: {line}") from None


def check_reachable(url: str, setting: str) -> None:
    """Open the database at the address that is in this setting, and close it again.

    Raises:
        DatabaseUnusable: it cannot be opened.
    """
    engine = open_engine(url)
    try:
        with usable(setting):
            engine.connect().close()
    finally:
        engine.dispose()


def insert_into(dialect: sa.Dialect, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT that can tell what to do on a conflict; the databases' own ones are alike in it.

    Only the one that is used is imported: PostgreSQL's takes as long as all of SQLite's.
    """
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415
    else:
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415
    return insert(table)


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    update: Iterable[str] | None = None,
) -> None:
    """Insert the rows; where the primary key is there, overwrite `update` (default: all given)."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    changed = list(update) if update is not None else [name for name in rows[0] if name not in keys]
    statement = insert_into(connection.dialect, table)
    statement = (
        statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in changed}
        )
        if changed
        else statement.on_conflict_do_nothing(index_elements=keys)
    )
    for chunk in chunks(rows):
        connection.execute(statement, [dict(row) for row in chunk])
