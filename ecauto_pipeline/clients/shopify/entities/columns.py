"""What an entity's layout is made of: our columns, and where either shape of a record has them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ecauto_pipeline.clients.shopify.values import id_from_gid, text, whole_id
from ecauto_pipeline.domain.shopify.mirror import Shape

Row = dict[str, Any]
Reader = Callable[[Any, str], Any]

LEFT_OUT: Any = object()
"""The value of a column that is not to be written."""


class At(NamedTuple):
    """Where one shape of a record has a column, and how it is read there.

    `path` leads through objects, such as `defaultAddress.city`; in a node a step may have
    arguments. `when_null` is the value when that, or an object on the way there, is null. `then`
    gives the value from all columns as they were read, this one included; a column that has no path
    has nothing else.
    """

    path: str = ""
    read: Reader = text
    when_null: Any = None
    then: Callable[[Row], Any] | None = None

    @property
    def keys(self) -> list[str]:
        """The keys that lead to it, without arguments."""
        return [step.partition("(")[0] for step in self.path.split(".") if step]


class Column(NamedTuple):
    """A column of ours, and where it is in a node of GraphQL and in a body of REST.

    Both are read alike, unless one is an `At` of its own. A record without a `required` column is
    unreadable; any other column that did not come is left alone.
    """

    name: str
    node: str | At
    body: str | At
    read: Reader = text
    when_null: Any = None
    required: bool = False

    def at(self, shape: Shape) -> At:
        """Where it is in that shape, and how it is read."""
        place = self.node if shape is Shape.NODE else self.body
        return place if isinstance(place, At) else At(place, self.read, self.when_null)


def id_column(name: str, node: str, body: str, *, required: bool = False) -> Column:
    """An id, which a node has within a global id and a body as a number."""
    return Column(name, At(node, id_from_gid), At(body, whole_id), required=required)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Where Shopify has the columns of one of our tables.

    `payload_only` are fields of a node that are asked for because the payload is to hold them.
    `mended` is a body as it would be if REST said there what GraphQL says.
    """

    columns: tuple[Column, ...]
    payload_only: tuple[str, ...] = ()
    mended: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def selection(self) -> str:
        """What is asked for of a node, as the text of a GraphQL query."""
        places = (column.at(Shape.NODE).path for column in self.columns)
        return _selection([*filter(None, places), *self.payload_only])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChildLayout(Layout):
    """The children of an entity, which come within it.

    `page` of them are asked for beside each of many records. A body that holds `most_in_body` of
    them may lack others.
    """

    connection: str
    body_key: str
    page: int
    most_in_body: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EntityLayout(Layout):
    """An entity; `type_name` is what GraphQL calls it.

    `body_filters` are what REST must be asked for to list all of them. Where `searches_until` is
    not, the search has no upper bound for `updated_at`.
    """

    type_name: str
    body_filters: Mapping[str, str] = field(default_factory=dict[str, str])
    searches_until: bool = True
    children: ChildLayout | None = None


def _selection(paths: Iterable[str]) -> str:
    """The fields at the paths, each once: `id lastOrder { id name }`."""
    below: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        below.setdefault(name, []).extend(filter(None, [rest]))
    return " ".join(
        f"{name} {{ {_selection(rest)} }}" if rest else name for name, rest in below.items()
    )
