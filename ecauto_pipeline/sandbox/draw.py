"""Chance that repeats: the same key always draws the same, on every machine and Python."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Option = TypeVar("Option")


def draw(limit: int, *key: object) -> int:
    """A whole number below `limit`, evenly spread over the keys."""
    # Not hash(), which is salted anew in every process.
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest()) % limit


def pick(options: Sequence[Option], *key: object) -> Option:
    """One of the options."""
    return options[draw(len(options), *key)]


def token(length: int, *key: object) -> str:
    """That many hexadecimal digits, as unpredictable to a client as it needs them."""
    digits = ""
    while len(digits) < length:
        digits += blake2b(repr((*key, len(digits))).encode()).hexdigest()
    return digits[:length]
