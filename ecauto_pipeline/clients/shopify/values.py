"""Single values as Shopify writes them, read strictly."""

import functools
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from ecauto_pipeline.domain.text import storable

# What BIGINT and INTEGER hold. Ids have been beyond INTEGER since 2015; USDC has four letters.
LARGEST_ID = 2**63 - 1
LARGEST_POSITION = 2**31 - 1
CURRENCY_LETTERS = 4

_GID = re.compile(r"gid://shopify/[A-Za-z]+/([0-9]{1,19})(?:\?.*)?", re.DOTALL)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
# No exponent, no "NaN", no digits of other scripts: all of these Decimal would take.
_AMOUNT = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,4})?")

_TOO_LARGE = Decimal(10) ** 16
"""What NUMERIC(20,4) cannot hold."""

_HEAVIEST = 1e12
"""No weight is as large; its grams must fit a column."""

# REST writes the short ones, GraphQL the long ones.
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

# GraphQL has many more, such as ON_HOLD, for what REST says nothing about.
_FULFILLMENTS = {
    "fulfilled": "fulfilled",
    "partially_fulfilled": "partial",
    "partial": "partial",
    "restocked": "restocked",
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
    """The text; None when it is blank."""
    if not isinstance(value, str):
        raise Unreadable(f"{field} is no text")
    # Most texts are short and printable, which is the quicker look.
    if not value.isprintable():
        value = storable(value)
    return None if not value or value.isspace() else value


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
        listed = cast("list[object]", value)
        texts = [each for each in listed if isinstance(each, str)]
        if len(texts) < len(listed):
            raise Unreadable(f"{field} holds something that is no text")
        value = ",".join(texts)
    joined = text(value, field) or ""
    return ", ".join(sorted(tag for part in joined.split(",") if (tag := part.strip()))) or None


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


def sum_of_amounts(value: object, field: str) -> Decimal:
    """The amounts of all objects in a list together."""
    amounts = [amount(each.get("amount"), f"{field}.amount") for each in json_objects(value, field)]
    return keepable(sum(amounts, Decimal(0)), field)


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


def marketing_level(value: object, field: str) -> str | None:
    """How a customer opted in; Shopify says that it does not know in two ways."""
    level = word(value, field)
    return None if level == "unknown" else level


def is_subscribed(value: object, field: str) -> bool:
    """Whether the state of a consent is that marketing is accepted."""
    return word(value, field) == "subscribed"


def is_managed(value: object, field: str) -> bool:
    """Whether somebody, `shopify` or an app, keeps count of the stock."""
    return text(value, field) is not None


def fulfillment(value: object, field: str) -> str | None:
    """How much of an order was sent, in REST's words; there is none for nothing."""
    return _FULFILLMENTS.get(word(value, field) or "")


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
