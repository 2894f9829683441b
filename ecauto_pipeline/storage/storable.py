"""JSON that both databases take, and that every parser reads back.

Neither takes every text, see `domain.text`, and our parser no numbers without an end. Where a
source sends such a thing, all the rest is kept.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import orjson

from ecauto_pipeline.domain.text import storable

_LARGEST = 2**63 - 1
_DEEPEST = 100
"""Levels of nesting that are kept; orjson gives up at 254."""


def storable_json(value: Any) -> bytes:
    """The value as JSON in UTF-8; what JSON cannot hold becomes text."""
    try:
        encoded = orjson.dumps(value)
    except TypeError:
        return orjson.dumps(storable_value(value))
    return orjson.dumps(storable_value(value)) if b"\\u0000" in encoded else encoded


def storable_value(value: Any, depth: int = _DEEPEST) -> Any:
    """The value made of what JSON can hold and both databases can store."""
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return {storable(str(key)): storable_value(member, depth - 1) for key, member in members}
    if isinstance(value, list | tuple):
        return [storable_value(each, depth - 1) for each in cast("list[Any]", value)]
    return value if _is_plain(value) else storable(str(value))


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return value is None
