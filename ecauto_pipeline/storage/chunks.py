"""Lists of values, cut into pieces that a statement takes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from ecauto_pipeline.storage.database import BATCH_ROWS

T = TypeVar("T")


def chunks(values: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """The values in lists of at most that size."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
