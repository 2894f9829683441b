"""Text and JSON that both databases take, and that every parser reads back.

PostgreSQL takes no NUL in text, no database a lone half of a surrogate pair, and our parser neither
those nor numbers without an end. Where a source sends such a thing, all the rest is kept.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import orjson

REPLACEMENT = "\ufffd"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LARGEST = 2**63 - 1
_DEEPEST = 100
"""Levels of nesting that are kept; orjson gives up at 254."""


def storable_text(value: str) -> str:
    """The text, with a replacement character for each one that cannot be stored."""
    return value if is_storable(value) else _UNSTORABLE.sub(REPLACEMENT, value)


def is_storable(value: str) -> bool:
    """Whether the text can be stored as it is."""
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable_json(value: Any) -> bytes:
    """The value as JSON in UTF-8; what JSON cannot hold becomes text."""
    try:
        encoded = orjson.dumps(value)
    except TypeError:
        return orjson.dumps(storable(value))
    return orjson.dumps(storable(value)) if b"\\u0000" in encoded else encoded


def storable(value: Any, depth: int = _DEEPEST) -> Any:
    """The value made of what JSON can hold and both databases can store."""
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return {storable_text(str(key)): storable(member, depth - 1) for key, member in members}
    if isinstance(value, list | tuple):
        return [storable(each, depth - 1) for each in cast("list[Any]", value)]
    return value if _is_plain(value) else storable_text(str(value))


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return value is None
