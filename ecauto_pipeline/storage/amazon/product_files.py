"""v1.0's file cache, `{ASIN}.json`, as a second layer behind the database.

A file carries a checksum over what this program wrote: torn, hand-edited and v1.0's own files fail
it, are ignored (v1.0 wrote API errors down as "out of stock") and are rewritten.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson

FOLDER = Path("cache") / "amazon_products"
"""Below the data folder."""

_KEYS: Mapping[str, str] = {
    "asin": "asin",
    "title_ja": "title_ja",
    "title_en": "title_en",
    "description_ja": "description_ja",
    "description_en": "description_en",
    "category": "category",
    "brand": "brand",
    "images": "images",
    "price_jpy": "amazon_price_jpy",
    "price": "amazon_price_jpy",
    "points": "amazon_points",
    "in_stock": "amazon_in_stock",
    "basic_info_updated_at": "catalog_updated_at",
    "classification_updated_at": "classification_updated_at",
    "price_updated_at": "price_updated_at",
    "stock_updated_at": "stock_updated_at",
    "cached_at": "last_fetched_at",
}
"""v1.0's keys, and the columns they hold."""

_TIMES = tuple(key for key in _KEYS if key.endswith("_at"))
_CHECKSUM = "checksum"


class ProductFiles:
    """The folder of `{ASIN}.json` files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = False

    def read(self, asin: str) -> dict[str, Any] | None:
        """The columns of a product as last written; None when there is no file to be trusted."""
        try:
            stored: object = orjson.loads((self._folder / f"{asin}.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        if not isinstance(stored, dict):
            return None
        values = cast("dict[str, Any]", stored)
        checksum = values.pop(_CHECKSUM, None)
        if values.keys() != _KEYS.keys() or values["asin"] != asin:
            return None
        if checksum != _checksum(values):
            return None
        for key in _TIMES:
            if values[key] is not None:
                values[key] = datetime.fromisoformat(values[key])
        return {column: values[key] for key, column in _KEYS.items()}

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the files of these products, each at once; a full disk costs only the cache."""
        with contextlib.suppress(OSError):
            if not self._made:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._made = True
            for row in rows:
                stored = {key: row[column] for key, column in _KEYS.items()}
                stored[_CHECKSUM] = _checksum(stored)
                path = self._folder / f"{row['asin']}.json"
                # Several lanes, and several processes, may write the same product.
                temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
                temporary.write_bytes(orjson.dumps(stored, option=orjson.OPT_INDENT_2))
                temporary.replace(path)


def _checksum(stored: Mapping[str, Any]) -> str:
    content = orjson.dumps(stored, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=8).hexdigest()
