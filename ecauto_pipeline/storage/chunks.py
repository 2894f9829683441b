"""Lists of values, cut into pieces that a statement takes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

BATCH_ROWS = 500
"""Rows a statement: SQLite allows 32,766 variables."""


def chunks(values: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """The values in lists of at most that size."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
