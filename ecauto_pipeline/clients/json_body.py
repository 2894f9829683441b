"""Walking through JSON that somebody else wrote: what is not there, or not so, reads as empty."""

from typing import Any, cast

import orjson

from ecauto_pipeline.domain.text import storable


def parsed(content: bytes) -> Any:
    """The JSON in a body; None when it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in the value if it is an array, else none."""
    if not isinstance(value, list):
        return []
    return [mapping(entry) for entry in cast("list[Any]", value) if isinstance(entry, dict)]


def text(value: Any) -> str | None:
    """The value if it is text with something in it, as it can be stored."""
    if not isinstance(value, str):
        return None
    kept = storable(value)
    return kept if kept.strip() else None
