"""Writing many rows of a mirror at once, several times faster than SQLAlchemy binds values.

SQLAlchemy composes the statement, once for each set of columns. Then the databases differ: SQLite
runs it for each of many tuples. PostgreSQL, where each run is a journey and each parameter has to
be quoted, gets all rows as one JSON text and takes it apart itself.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from ecauto_pipeline.domain.text import is_storable, storable
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.database import insert_into
from ecauto_pipeline.storage.storable import storable_json
from ecauto_pipeline.storage.tables import Money, UtcDateTime

CHUNK_ROWS = 1_000
"""Rows at a time: a few megabytes of JSON."""

Row = Mapping[str, Any]
ConvertColumn = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class _Statement:
    """Inserts or updates rows of these columns; the converters give what the driver takes."""

    text: str
    names: tuple[str, ...]
    converters: tuple[ConvertColumn | None, ...]

    def tuples(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """The values of the rows; converted by column, which is faster than by row."""
        columns: list[list[Any]] = []
        for name, convert in zip(self.names, self.converters, strict=True):
            values = [row[name] for row in rows]
            columns.append(values if convert is None else convert(values))
        return list(zip(*columns, strict=True))

    def json(self, rows: Sequence[Row]) -> str:
        """The rows as one JSON text."""
        objects = [dict(zip(self.names, values, strict=True)) for values in self.tuples(rows)]
        return orjson.dumps(objects).decode()


def bulk_upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, guarded: bool
) -> None:
    """Insert the rows; where the primary key is there, overwrite the columns that a row has.

    `guarded` leaves rows alone that have a newer `updated_at`, and clears `deleted_at` of those
    that were updated after it. No two rows may have the same key.
    """
    groups: dict[frozenset[str], list[Row]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    is_postgres = connection.dialect.name == "postgresql"
    for names, group in groups.items():
        statement = _statement(table, names, is_postgres=is_postgres, guarded=guarded)
        for chunk in chunks(group, CHUNK_ROWS):
            if is_postgres:
                connection.exec_driver_sql(statement.text, {"rows": statement.json(chunk)})
            else:
                connection.exec_driver_sql(statement.text, statement.tuples(chunk))


@functools.lru_cache(maxsize=256)
def _statement(
    table: sa.Table, names: frozenset[str], *, is_postgres: bool, guarded: bool
) -> _Statement:
    columns = [column for column in table.c if column.name in names]
    if unknown := names.difference(table.c.keys()):
        raise ValueError(f"{table.name} has no column {min(unknown)}")
    dialect = _postgres_dialect() if is_postgres else sqlite.dialect()
    insert = insert_into(dialect, table)
    insert = (_from_json if is_postgres else _from_tuples)(insert, columns)
    given = insert.excluded
    changes: dict[str, sa.ColumnElement[Any]] = {
        column.name: given[column.name] for column in columns if not column.primary_key
    }
    if guarded:
        was = table.c.deleted_at
        changes["deleted_at"] = sa.case((given["updated_at"] > was, sa.null()), else_=was)
    statement = insert.on_conflict_do_update(
        index_elements=table.primary_key.columns,
        set_=changes,
        where=given["updated_at"] >= table.c.updated_at if guarded else None,
    )
    return _Statement(
        text=str(statement.compile(dialect=dialect)),
        names=tuple(str(column.name) for column in columns),  # orjson wants no subclass
        converters=tuple(_converter(column.type, is_postgres=is_postgres) for column in columns),
    )


def _postgres_dialect() -> sa.Dialect:
    from sqlalchemy.dialects.postgresql import psycopg2  # noqa: PLC0415 - not loaded for SQLite

    return psycopg2.dialect()


def _from_tuples(insert: Any, columns: Sequence[sa.Column[Any]]) -> Any:
    """With a placeholder a column, in the order of the table."""
    return insert.values({each.name: sa.bindparam(each.name) for each in columns})


def _from_json(insert: Any, columns: Sequence[sa.Column[Any]]) -> Any:
    """Of what is in the JSON text, which the server reads as these types."""
    given = (
        sa.func.json_to_recordset(sa.bindparam("rows", type_=sa.Text))
        .table_valued(*(sa.column(each.name, each.type) for each in columns))
        .render_derived("given", with_types=True)
    )
    return insert.from_select([each.name for each in columns], sa.select(*given.c))


def _converter(kind: sa.types.TypeEngine[Any], *, is_postgres: bool) -> ConvertColumn | None:
    """What gives values the form that SQLAlchemy expects to find; None: they have it."""
    if isinstance(kind, UtcDateTime):
        return functools.partial(_moments, _utc_text if is_postgres else _naive_utc_text)
    if isinstance(kind, Money):
        return functools.partial(_each, _digits)
    if isinstance(kind, sa.JSON):
        return functools.partial(_each, _json_within_json if is_postgres else _json_text)
    return _texts if isinstance(kind, sa.String) else None


def _each(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _texts(values: list[Any]) -> list[Any]:
    """Looked at all together, as it is next to never that one cannot be stored."""
    return values if is_storable("".join(filter(None, values))) else _each(storable, values)


def _moments(convert: Callable[[datetime], str], values: list[Any]) -> list[Any]:
    """When we wrote the rows is the same in all, and moments are slow to write down."""
    first = values[0]
    if first is not None and values.count(first) == len(values):
        return [convert(first)] * len(values)
    return _each(convert, values)


def _utc_text(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}: timestamps are aware")
    return value.astimezone(UTC).isoformat(" ", "microseconds")


def _naive_utc_text(value: datetime) -> str:
    if value.tzinfo is UTC:
        return value.isoformat(" ", "microseconds")[:-6]
    return _utc_text(value)[:-6]


def _digits(value: Decimal) -> str:
    return format(Decimal(value), "f")


def _json_text(value: Any) -> str:
    return storable_json(value).decode()


def _json_within_json(value: Any) -> orjson.Fragment:
    return orjson.Fragment(storable_json(value))
