"""Which of v1.0's rows are added, decided without I/O; the report is filled on the way.

What is here already stays as it is, so that importing twice changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ecauto_pipeline.domain.uploads.rules import LIVE
from ecauto_pipeline.domain.v1.report import Remark, TableReport
from ecauto_pipeline.domain.v1.rows import (
    Converted,
    Row,
    ebay_metadata_from,
    empty_product,
    listing_from,
    obstacle,
    product_from,
    queued_from,
    text_from,
)

Key = tuple[str, ...]

_PLACE = ("asin", "platform", "account_id")

_ON_SHOP = ("platform_item_id", "status", "visibility", "selling_price", "listed_at")
"""What a listing says about the shop's item, as opposed to itself."""


@dataclass(frozen=True, slots=True)
class Here:
    """The keys that our database holds before the import."""

    asins: set[str] = field(default_factory=set[str])
    listings: dict[int, Key] = field(default_factory=dict[int, Key])
    skus: set[str] = field(default_factory=set[str])
    queued: dict[int, Key] = field(default_factory=dict[int, Key])
    queued_at: set[tuple[Key, datetime]] = field(default_factory=set[tuple[Key, datetime]])
    live: dict[Key, int] = field(default_factory=dict[Key, int])
    ebay_skus: set[str] = field(default_factory=set[str])
    accounts: set[str] = field(default_factory=set[str])


def products_to_add(
    rows: Iterable[Row], here: set[str], now: datetime, report: TableReport
) -> Iterator[dict[str, Any]]:
    """The products that are not here yet, one by one; there may be very many."""
    return _by_key("asin", rows, here, report, lambda row: product_from(row, now))


def ebay_metadata_to_add(
    rows: Iterable[Row], here: set[str], report: TableReport
) -> Iterator[dict[str, Any]]:
    """The eBay rows that are not here yet."""
    return _by_key("sku", rows, here, report, ebay_metadata_from)


def _by_key(
    name: str,
    rows: Iterable[Row],
    here: set[str],
    report: TableReport,
    convert: Callable[[Row], Converted],
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        report.found += 1
        key = text_from(row.get(name)) or ""
        if problem := obstacle(row, name):
            report.leave_out(key or f"row {number}", problem)
        elif key in seen:
            report.leave_out(key, f"has the {name} of an earlier row")
        elif key in here:
            report.already_here += 1
        else:
            converted = convert(row)
            report.add(key, converted.changes)
            yield converted.values
        seen.add(key)


def listings_to_add(
    rows: Sequence[Row], here: Here, now: datetime, report: TableReport
) -> list[dict[str, Any]]:
    """The listings that are not here yet; of several for one place the first is kept."""
    report.found += len(rows)
    ids = _FreeIds(rows, here.listings)
    places = set(here.listings.values())
    added: list[dict[str, Any]] = []
    for row, notes in _distinct_listings(rows, report):
        converted = listing_from(row, now)
        values = converted.values
        if _key(row) in places:
            report.already_here += 1
        elif values["sku"] in here.skus:
            report.leave_out(row["id"], "its SKU belongs to another listing here", values["sku"])
        else:
            changes = [*notes, *converted.changes, *ids.settle(values)]
            report.add(row["id"], changes)
            added.append(values)
    return added


def _distinct_listings(
    rows: Sequence[Row], report: TableReport
) -> Iterator[tuple[Row, Sequence[str]]]:
    """Those without a double, and what was added to them."""
    kept: dict[Key, Row] = {}
    skus: dict[str, object] = {}
    notes: dict[Key, list[str]] = {}
    for row in rows:
        key, sku = _key(row), text_from(row.get("sku"))
        if problem := obstacle(row, *_PLACE):
            report.leave_out(row["id"], problem)
        elif key in kept:
            first = kept[key]
            report.leave_out(
                row["id"],
                "same ASIN, platform and account as an earlier listing",
                f"{first['id']} is kept",
            )
            if row.get("platform_item_id") and not first.get("platform_item_id"):
                # The first alone would be uploaded a second time.
                kept[key] = {**first, **{name: row.get(name) for name in _ON_SHOP}}
                notes[key] = [f"stands for the item on the shop that listing {row['id']} named"]
        elif sku and sku in skus:
            report.leave_out(row["id"], "same SKU as an earlier listing", f"{skus[sku]} is kept")
        else:
            kept[key] = row
            if sku:
                skus[sku] = row["id"]
    return ((row, notes.get(key, ())) for key, row in kept.items())


def queue_to_add(
    rows: Sequence[Row], here: Here, now: datetime, report: TableReport
) -> list[dict[str, Any]]:
    """The queue rows that are not here yet; at most one of a place still wants an upload."""
    report.found += len(rows)
    ids = _FreeIds(rows, here.queued)
    added: dict[int, dict[str, Any]] = {}
    live = dict(here.live)
    for row in rows:
        if problem := obstacle(row, *_PLACE):
            report.leave_out(row["id"], problem)
            continue
        converted = queued_from(row, now)
        if _is_queued_here(converted.values, here):
            report.already_here += 1
            continue
        changes = [*converted.changes, *ids.settle(converted.values)]
        changes += _settle_live(converted.values, live, added)
        report.add(row["id"], changes)
        added[converted.values["id"]] = converted.values
    return list(added.values())


def _is_queued_here(values: Row, here: Here) -> bool:
    key = _key(values)
    if values["id"] not in here.queued:
        return False
    return here.queued[values["id"]] == key or (key, values["created_at"]) in here.queued_at


def _settle_live(
    values: dict[str, Any], live: dict[Key, int], added: dict[int, dict[str, Any]]
) -> list[str]:
    """Fail the row if its place has a live one already."""
    if values["status"] not in LIVE:
        return []
    first = live.setdefault(_key(values), values["id"])
    if first == values["id"]:
        return []
    if values["status"] == "unknown" and first in added:
        # Something may be on the shop, so the live one must be looked up there first.
        added[first]["status"] = "unknown"
    reason = f"duplicate of queue row {first} (import)"
    earlier = values["error_message"]
    values |= {
        "status": "failed",
        "error_message": f"{reason}; before: {earlier}" if earlier else reason,
    }
    return ["failed, as another row of the same ASIN, platform and account waits already"]


class _FreeIds:
    """v1.0's ids, and new ones behind all others for rows whose own is taken here."""

    def __init__(self, rows: Iterable[Row], taken: Iterable[int]) -> None:
        self._taken = set(taken)
        ids = self._taken.union(row["id"] for row in rows)
        self._last = max(ids, default=0)

    def settle(self, values: dict[str, Any]) -> list[str]:
        """Give the row an id, and say so if it is another one."""
        if values["id"] not in self._taken:
            return []
        self._last += 1
        values["id"] = self._last
        return ["has a new id, as its own is taken here"]


def missing_products(
    rows: Iterable[Row], known: set[str], now: datetime, report: TableReport
) -> list[dict[str, Any]]:
    """Empty products for the rows that have none; they are `known` from then on."""
    missing = list(dict.fromkeys(row["asin"] for row in rows if row["asin"] not in known))
    known.update(missing)
    report.made += len(missing)
    report.changed += [
        Remark(asin, "made, as a listing or queue row refers to it") for asin in missing
    ]
    return [empty_product(asin, now) for asin in missing]


def _key(row: Row) -> Key:
    return tuple(text_from(row.get(name)) or "" for name in _PLACE)
