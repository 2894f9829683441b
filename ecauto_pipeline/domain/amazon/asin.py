"""ASINs: what one is, and which shard it belongs to."""

import re
import zlib

from ecauto_pipeline.errors import Misconfigured

_ASIN = re.compile(r"[0-9]{9}[0-9X]|[A-Z][A-Z0-9]{9}")
"""Amazon's own pattern: an ISBN-10, or a letter and nine more characters."""

SHARDS = tuple(f"{number:02d}" for number in range(24))
"""The partitions of the Amazon assets; one an hour covers all in a day."""


def is_asin(text: str) -> bool:
    """Whether the text is an ASIN as Amazon writes it."""
    return _ASIN.fullmatch(text) is not None


def asin_from(text: str) -> str:
    """The ASIN in the text, whatever its case and the space around it.

    Raises:
        Misconfigured: it is not one.
    """
    asin = text.strip().upper()
    if not is_asin(asin):
        raise Misconfigured(f"{text.strip()!r} is not an ASIN")
    return asin


def shard_of(asin: str) -> str:
    """The shard of the ASIN; the same on every machine and for ever."""
    return SHARDS[zlib.crc32(asin.encode()) % len(SHARDS)]
