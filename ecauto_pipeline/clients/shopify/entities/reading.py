"""Reading rows by their layout, each object of a record looked at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from ecauto_pipeline.clients.shopify.entities.columns import LEFT_OUT, At, Layout, Reader, Row
from ecauto_pipeline.clients.shopify.values import Unreadable, text
from ecauto_pipeline.domain.shopify.mirror import Shape

_MISSING: Any = object()


class _Branch(NamedTuple):
    """What is read from one key of an object: a column, or all that lies `below` it."""

    key: str
    path: str
    nulls: Row
    below: tuple["_Branch", ...] = ()
    name: str = ""
    read: Reader = text


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the rows of a layout from one shape of records."""

    required: tuple[tuple[str, str, Reader], ...]
    branches: tuple[_Branch, ...]
    computed: tuple[tuple[str, Callable[[Row], Any]], ...]
    mended: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None

    def read(self, source: Mapping[str, Any]) -> Row:
        """The columns that are in the record; the others are left out.

        Raises:
            Unreadable: one of them is not what it should be.
        """
        row: Row = {}
        for name, key, read in self.required:
            row[name] = read(source.get(key), key)
        _read_branches(self.branches, self.mended(source) if self.mended else source, row)
        for name, then in self.computed:
            value = then(row)
            if value is LEFT_OUT:
                row.pop(name, None)
            else:
                row[name] = value
        return row


@lru_cache(maxsize=256)
def row_reader(layout: Layout, shape: Shape, withheld: frozenset[str]) -> RowReader:
    """The reader of the layout's rows; what comes from fields that are `withheld` is left out."""
    required = [column for column in layout.columns if column.required]
    places = {column.name: column.at(shape) for column in layout.columns if not column.required}
    seen = {name: at for name, at in places.items() if withheld.isdisjoint(at.keys)}
    return RowReader(
        required=tuple((column.name, *column.at(shape)[:2]) for column in required),
        branches=_branches({name: at for name, at in seen.items() if at.path}),
        computed=tuple((name, at.then) for name, at in seen.items() if at.then is not None),
        mended=layout.mended if shape is Shape.BODY else None,
    )


def _branches(places: Mapping[str, At], depth: int = 0) -> tuple[_Branch, ...]:
    """The places of columns by the key that they have at that depth."""
    branches: list[_Branch] = []
    below: dict[str, dict[str, At]] = {}
    for name, at in places.items():
        if len(at.keys) == depth + 1:
            nulls = {name: at.when_null}
            path = ".".join(at.keys)
            branches.append(_Branch(at.keys[depth], path, nulls, name=name, read=at.read))
        else:
            below.setdefault(at.keys[depth], {})[name] = at
    for key, found in below.items():
        path = ".".join(next(iter(found.values())).keys[: depth + 1])
        nulls = {name: at.when_null for name, at in found.items()}
        branches.append(_Branch(key, path, nulls, _branches(found, depth + 1)))
    return tuple(branches)


def _read_branches(branches: Iterable[_Branch], source: Mapping[str, Any], into: Row) -> None:
    # The innermost loop of every sync: bound names, and no call where a test does.
    get = source.get
    for key, path, nulls, below, name, read in branches:
        value = get(key, _MISSING)
        if value is None:
            into.update(nulls)
        elif value is _MISSING:
            continue
        elif not below:
            into[name] = read(value, path)
        elif isinstance(value, dict):
            _read_branches(below, cast("dict[str, Any]", value), into)
        else:
            raise Unreadable(f"{path} is no object")
