"""Reading a v1.0 `master.db` without leaving a trace on it."""

import shutil
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecauto_pipeline.errors import DatabaseUnusable, Misconfigured

Row = dict[str, Any]
"""Values by column, in lower case; columns that an older database lacks are not in it."""

_SELECT = {
    "products": "SELECT * FROM products ORDER BY rowid",
    "listings": "SELECT * FROM listings ORDER BY id",
    "upload_queue": "SELECT * FROM upload_queue ORDER BY id",
    "account_configs": "SELECT * FROM account_configs ORDER BY rowid",
    "ebay_listing_metadata": "SELECT * FROM ebay_listing_metadata ORDER BY rowid",
}

_INDISPENSABLE = {
    "products": {"asin"},
    "listings": {"id", "asin", "platform", "account_id"},
    "upload_queue": {"id", "asin", "platform", "account_id", "status"},
}

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"

_HEADER = b"SQLite format 3\x00"
_READ_VERSION_AT = 19
_WAL_VERSION = 2

_COPY_ATTEMPTS = 3

_BUSY_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class V1Database:
    """A v1.0 database at one moment, as plain rows."""

    path: Path
    tables: frozenset[str]
    connection: sqlite3.Connection

    def rows(self, table: str) -> Iterator[Row]:
        """The rows in the order they were made; a table that is not there has none.

        Raises:
            DatabaseUnusable: the file is damaged.
        """
        if table not in self.tables:
            return
        try:
            cursor = self.connection.execute(_SELECT[table])
            names = [column[0].lower() for column in cursor.description]
            for values in cursor:
                yield dict(zip(names, values, strict=True))
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from None


@contextmanager
def open_v1_database(path: Path) -> Generator[V1Database]:
    """The database, opened so that neither it nor its folder changes.

    Raises:
        DatabaseUnusable: it is missing, unreadable, damaged, or not a v1.0 database.
        Misconfigured: it is a database of this program.
    """
    path = path.resolve()
    _check_header(path)
    with _readable(path) as (file, query):
        try:
            connection = _connect(file, query)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None
        try:
            yield V1Database(path, _v1_tables(path, connection), connection)
        finally:
            connection.close()


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise DatabaseUnusable(f"{path} cannot be read: {error.strerror}") from None
    if header != _HEADER:
        problem = "is empty" if not header else "is not a SQLite database"
        raise DatabaseUnusable(f"{path} {problem}; a v1.0 master.db is wanted")


@contextmanager
def _readable(path: Path) -> Generator[tuple[Path, str]]:
    """The file to open, and how.

    SQLite makes -wal and -shm files even for a reader, and rolls an open journal back into the
    database: where it would, a copy is read instead.
    """
    if any(_beside(path, suffix).exists() for suffix in ("-wal", "-journal")):
        with TemporaryDirectory(prefix="ecauto-v1-") as folder:
            yield _stable_copy(path, Path(folder)), "mode=rw"
    elif _is_wal(path):
        yield path, "mode=ro&immutable=1"
    else:
        yield path, "mode=ro"


def _stable_copy(path: Path, folder: Path) -> Path:
    sources = [path, _beside(path, "-wal"), _beside(path, "-journal")]
    try:
        for _ in range(_COPY_ATTEMPTS):
            before = _stamps(sources)
            for source in sources:
                _copy(source, folder)
            if _stamps(sources) == before:
                return folder / path.name
    except OSError as error:
        raise DatabaseUnusable(f"{path} cannot be copied: {error.strerror}") from None
    raise DatabaseUnusable(f"{path} is being written to: stop v1.0 first")


def _copy(source: Path, folder: Path) -> None:
    target = folder / source.name
    if source.exists():
        shutil.copyfile(source, target)
    else:
        target.unlink(missing_ok=True)


def _stamps(paths: list[Path]) -> list[tuple[int, int] | None]:
    stats = [path.stat() if path.exists() else None for path in paths]
    return [stat and (stat.st_size, stat.st_mtime_ns) for stat in stats]


def _is_wal(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_READ_VERSION_AT + 1)[_READ_VERSION_AT:] == bytes([_WAL_VERSION])


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect(file: Path, query: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.as_uri()}?{query}",
        uri=True,
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _text
    return connection


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _v1_tables(path: Path, connection: sqlite3.Connection) -> frozenset[str]:
    try:
        connection.execute("BEGIN")
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        tables = frozenset(row[0].lower() for row in connection.execute(_TABLES))
        columns = {table: _columns(connection, table) for table in _SELECT if table in tables}
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    if problem != "ok":
        raise DatabaseUnusable(f"{path} is damaged: {' '.join(problem.split())}")
    if "alembic_version" in tables:
        raise Misconfigured(f"{path} is a database of this program, not of v1.0")
    _check_shape(path, columns)
    return tables


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {row[0].lower() for row in names}


def _check_shape(path: Path, columns: dict[str, set[str]]) -> None:
    missing = [table for table in ("products", "listings") if table not in columns]
    missing += [
        f"{table}.{column}"
        for table, wanted in _INDISPENSABLE.items()
        for column in sorted(wanted - columns.get(table, wanted))
    ]
    if missing:
        raise DatabaseUnusable(f"{path} is not a v1.0 database: it lacks {', '.join(missing)}")


def _unusable(path: Path, error: sqlite3.Error) -> DatabaseUnusable:
    return DatabaseUnusable(f"{path} cannot be read: {error}")
