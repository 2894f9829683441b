"""Reading what Shopify wrote, strictly: single values, and columns by a table of where they are."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple, cast

LARGEST_ID = 2**63 - 1
LARGEST_POSITION = 2**31 - 1
CURRENCY_LETTERS = 4

_GID = re.compile(r"gid://shopify/[A-Za-z]+/([0-9]{1,19})(?:\?.*)?", re.DOTALL)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_AMOUNT = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,4})?")

_TOO_LARGE = Decimal(10) ** 16
"""What NUMERIC(20,4) cannot hold."""

_HEAVIEST = 1e12
"""No weight is as large; its grams must fit a column."""

_UNITS = {
    "g": "g",
    "kg": "kg",
    "oz": "oz",
    "lb": "lb",
    "GRAMS": "g",
    "KILOGRAMS": "kg",
    "OUNCES": "oz",
    "POUNDS": "lb",
}
_GRAMS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "oz": Decimal("28.349523125"),
    "lb": Decimal("453.59237"),
}


class Unreadable(ValueError):
    """A record that is not as Shopify describes it; says which field, and never its value."""


def id_from_gid(value: object, field: str = "id") -> int:
    """The number in `gid://shopify/Product/632910392`; addresses have a query behind it.

    Raises:
        Unreadable: there is no number that is an id.
    """
    match = _GID.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unreadable(f"{field} is no global id")
    return whole_id(int(match[1]), field)


def whole_id(value: object, field: str = "id") -> int:
    """An id, as a number or its digits.

    Raises:
        Unreadable: it is none, or larger than 64 bits.
    """
    number = whole(value, field)
    if number < 1:
        raise Unreadable(f"{field} is no id")
    return number


def whole(value: object, field: str) -> int:
    """A whole number of 64 bits, as a number or its digits; Shopify writes large ones as text."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{field} is no whole number")
    if not -LARGEST_ID <= value <= LARGEST_ID:
        raise Unreadable(f"{field} is too large")
    return value


def position(value: object, field: str) -> int:
    """A place in a list."""
    number = whole(value, field)
    if not 0 <= number <= LARGEST_POSITION:
        raise Unreadable(f"{field} is no position")
    return number


def boolean(value: object, field: str) -> bool:
    """True or False, and nothing that is like them."""
    if not isinstance(value, bool):
        raise Unreadable(f"{field} is neither true nor false")
    return value


def text(value: object, field: str) -> str | None:
    """The text; None when it is blank.

    PostgreSQL keeps no NUL, and halves of a surrogate pair cannot be encoded.
    """
    if not isinstance(value, str):
        raise Unreadable(f"{field} is no text")
    if not value.isprintable():
        value = _storable(value)
    return None if not value or value.isspace() else value


def _storable(value: str) -> str:
    value = value.replace("\0", "")
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def word(value: object, field: str) -> str | None:
    """A member of an enumeration, in lower case; GraphQL shouts."""
    if not isinstance(value, str):
        raise Unreadable(f"{field} is no text")
    return _lower(value, field)


@functools.lru_cache(maxsize=1024)
def _lower(value: str, field: str) -> str | None:
    """Looked up, as the same few come again and again."""
    found = text(value, field)
    return found and found.lower()


def currency(value: object, field: str) -> str | None:
    """A code such as JPY."""
    code = text(value, field)
    if code is not None and len(code) > CURRENCY_LETTERS:
        raise Unreadable(f"{field} is no currency's code")
    return code


def tags(value: object, field: str) -> str | None:
    """Tags from a list or from "a, b", sorted and joined by ", ": Shopify's order may differ."""
    if isinstance(value, list):
        value = ",".join(_texts(cast("list[object]", value), field))
    joined = text(value, field) or ""
    return ", ".join(sorted(tag for part in joined.split(",") if (tag := part.strip()))) or None


def _texts(values: Iterable[object], field: str) -> Iterable[str]:
    for value in values:
        if not isinstance(value, str):
            raise Unreadable(f"{field} holds something that is no text")
        yield value


def timestamp(value: object, field: str) -> datetime:
    """A moment in UTC, from `2026-11-20T10:00:00Z` or with the offset of the shop."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unreadable(f"{field} is no time with an offset")


def amount(value: object, field: str) -> Decimal:
    """An amount of money, which Shopify writes as text; exact, with up to four decimals."""
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise Unreadable(f"{field} is no amount with up to four decimals")
    return Decimal(value)


def keepable(total: Decimal, field: str) -> Decimal:
    """An amount that we computed, when it fits its column."""
    if abs(total) >= _TOO_LARGE:
        raise Unreadable(f"{field} is too large")
    return total


def weight(value: object, field: str) -> float:
    """A weight, in whatever unit."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unreadable(f"{field} is no number")
    if not 0 <= value <= _HEAVIEST:
        raise Unreadable(f"{field} is no weight")
    return float(value)


def weight_unit(value: object, field: str) -> str | None:
    """g, kg, oz or lb, from either spelling."""
    name = text(value, field)
    if name is not None and name not in _UNITS:
        raise Unreadable(f"{field} is no unit of weight")
    return name and _UNITS[name]


def add_grams(columns: dict[str, Any]) -> None:
    """Add the weight in whole grams, halves rounded up, where weight and unit were supplied."""
    if "weight" not in columns or "weight_unit" not in columns:
        return
    number, unit = columns["weight"], columns["weight_unit"]
    columns["grams"] = None
    if number is not None and unit is not None:
        exact = Decimal(str(number)) * _GRAMS[unit]
        columns["grams"] = int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def marketing_level(value: object, field: str) -> str | None:
    """How a customer opted in; Shopify says that it does not know in two ways."""
    level = word(value, field)
    return None if level == "unknown" else level


def is_subscribed(value: object, field: str) -> bool:
    """Whether the state of a consent is that marketing is accepted."""
    return word(value, field) == "subscribed"


def json_object(value: object, field: str) -> dict[str, Any]:
    """The value, when it is an object."""
    if not isinstance(value, dict):
        raise Unreadable(f"{field} is no object")
    return cast("dict[str, Any]", value)


def json_objects(value: object, field: str) -> list[dict[str, Any]]:
    """The value, when it is a list of objects."""
    if not isinstance(value, list):
        raise Unreadable(f"{field} is no list")
    return [json_object(each, f"an entry of {field}") for each in cast("list[object]", value)]


class Column(NamedTuple):
    """Where a column is in an object (`defaultAddress.city`) and how it is read.

    `when_null` is its value when that, or an object on the way there, is null.
    """

    name: str
    path: str
    read: Callable[[Any, str], Any]
    when_null: Any = None


_MISSING: Any = object()


class Branch(NamedTuple):
    """What is read from one key of an object: a column, or all that lies `below` it."""

    key: str
    path: str
    name: str
    read: Callable[[Any, str], Any]
    nulls: Mapping[str, Any]
    below: tuple["Branch", ...] = ()


def tree(
    columns: Iterable[Column], withheld: frozenset[str] = frozenset(), depth: int = 0
) -> tuple[Branch, ...]:
    """The columns by key, so that each object is looked at once; without what is withheld."""
    branches: list[Branch] = []
    below: dict[str, list[Column]] = {}
    for column in columns:
        keys = column.path.split(".")
        if not withheld.isdisjoint(keys):
            continue
        if len(keys) > depth + 1:
            below.setdefault(keys[depth], []).append(column)
        else:
            nulls = {column.name: column.when_null}
            branches.append(Branch(keys[depth], column.path, column.name, column.read, nulls))
    for key, found in below.items():
        path = ".".join(found[0].path.split(".")[: depth + 1])
        nulls = {column.name: column.when_null for column in found}
        branches.append(Branch(key, path, "", json_object, nulls, tree(found, depth=depth + 1)))
    return tuple(branches)


def read_columns(
    branches: Iterable[Branch], source: Mapping[str, Any], into: dict[str, Any]
) -> None:
    """Read the columns; those whose key is not there are left out.

    Raises:
        Unreadable: one of them is not what it should be.
    """
    get = source.get
    for key, path, name, read, nulls, below in branches:
        value = get(key, _MISSING)
        if value is None:
            into.update(nulls)
        elif value is _MISSING:
            continue
        elif below:
            read_columns(below, read(value, path), into)
        else:
            into[name] = read(value, path)
