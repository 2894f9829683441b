"""Writing many rows of a mirror at once, several times faster than SQLAlchemy binds values.

SQLAlchemy composes the statement, once for each set of columns. Then the databases differ: SQLite
runs it for each of many tuples. PostgreSQL, where each run is a journey and each parameter has to
be quoted, gets all rows as one JSON text and takes it apart itself.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

from ecauto_pipeline.domain.text import is_storable, storable
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.database import insert_into
from ecauto_pipeline.storage.storable import storable_json
from ecauto_pipeline.storage.tables import Money, UtcDateTime

CHUNK_ROWS = 1_000
"""Rows at a time: a few megabytes of JSON."""

Row = Mapping[str, Any]


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
    for names, group in groups.items():
        statement = _statement(connection.dialect, table, names, guarded=guarded)
        for chunk in chunks(group, CHUNK_ROWS):
            connection.exec_driver_sql(statement.text, statement.parameters(chunk))


@dataclass(frozen=True, slots=True)
class _Statement:
    """Inserts or updates rows of these columns."""

    text: str
    columns: Sequence[sa.Column[Any]]
    is_postgres: bool

    def parameters(self, rows: Sequence[Row]) -> Any:
        """The rows as the driver takes them; converted by column, which is faster than by row."""
        # orjson takes no subclass of str as a key, which SQLAlchemy's names are.
        names = [str(column.name) for column in self.columns]
        columns = [
            _converted([row[name] for row in rows], column.type, is_postgres=self.is_postgres)
            for name, column in zip(names, self.columns, strict=True)
        ]
        tuples = list(zip(*columns, strict=True))
        if not self.is_postgres:
            return tuples
        objects = [dict(zip(names, values, strict=True)) for values in tuples]
        return {"rows": orjson.dumps(objects).decode()}


# The sets of columns are few: what a transport supplies, less what a shop withholds.
@functools.lru_cache(maxsize=256)
def _statement(
    dialect: sa.Dialect, table: sa.Table, names: frozenset[str], *, guarded: bool
) -> _Statement:
    columns = [column for column in table.c if column.name in names]
    if unknown := names.difference(table.c.keys()):
        raise ValueError(f"{table.name} has no column {min(unknown)}")
    is_postgres = dialect.name == "postgresql"
    insert = insert_into(dialect, table)
    if is_postgres:
        # The server reads what is in the JSON text as these types.
        in_json = (
            sa.func.json_to_recordset(sa.bindparam("rows", type_=sa.Text))
            .table_valued(*(sa.column(each.name, each.type) for each in columns))
            .render_derived("given", with_types=True)
        )
        insert = insert.from_select([each.name for each in columns], sa.select(*in_json.c))
    else:
        insert = insert.values({each.name: sa.bindparam(each.name) for each in columns})
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
    return _Statement(str(statement.compile(dialect=dialect)), columns, is_postgres)


def _converted(
    values: list[Any], kind: sa.types.TypeEngine[Any], *, is_postgres: bool
) -> Sequence[Any]:
    """The values of a column in the form that SQLAlchemy expects to find in the database."""
    if isinstance(kind, UtcDateTime):
        # When we wrote the rows is the same in all, and moments are slow to write down.
        if values[0] is not None and values.count(values[0]) == len(values):
            return [_moment(values[0], with_zone=is_postgres)] * len(values)
        return [value and _moment(value, with_zone=is_postgres) for value in values]
    if isinstance(kind, Money):
        return [None if value is None else format(Decimal(value), "f") for value in values]
    if isinstance(kind, sa.JSON):
        jsons = [None if value is None else storable_json(value) for value in values]
        return [
            value and (orjson.Fragment(value) if is_postgres else value.decode()) for value in jsons
        ]
    # All texts are looked at together, as it is next to never that one cannot be stored.
    if isinstance(kind, sa.String) and not is_storable("".join(filter(None, values))):
        return [value and storable(value) for value in values]
    return values


def _moment(value: datetime, *, with_zone: bool) -> str:
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}: timestamps are aware")
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[: None if with_zone else -len("+00:00")]
