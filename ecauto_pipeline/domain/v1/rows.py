"""v1.0's rows in our terms: every conversion and what is to be said about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, cast

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.amazon.asin import is_asin, shard_of
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.text import storable

Row = Mapping[str, Any]

LONGEST = {
    "asin": 10,
    "platform": 20,
    "account_id": 100,
    "sku": 100,
    "platform_item_id": 64,
    "currency": 3,
    "status": 20,
    "visibility": 10,
}
"""Characters that our columns hold."""

_TEXTS = ("title_ja", "title_en", "description_ja", "description_en", "category", "brand")

_INTEGER_LIMIT = 2**31
_BIGINT_LIMIT = 2**63
_MONEY_LIMIT = Decimal(10) ** 12

_LISTING_STATUS = {"pending", "listed", "sold", "delisted"}

_QUEUE_STATUS = {
    "pending": "pending",
    "success": "success",
    "completed": "success",
    "failed": "failed",
}

_TRUTH = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Converted:
    """A row as we keep it, and what differs from v1.0's."""

    values: dict[str, Any]
    changes: list[str]


@dataclass(slots=True)
class _Fields:
    row: Row
    changes: list[str] = field(default_factory=list[str])

    def text(self, name: str) -> str | None:
        """The text; None when it does not fit our column."""
        raw = self.row.get(name)
        text = text_from(raw)
        if text is None:
            return None
        if text is not raw and (isinstance(raw, bytes) or str(raw) != text):
            self.changes.append(f"{name} cleaned of what is no text")
        if len(text) > LONGEST.get(name, len(text)):
            self.changes.append(f"{name} dropped, longer than {LONGEST[name]} characters")
            return None
        return text

    def moment(self, name: str) -> datetime | None:
        """The time in UTC; None when it is none."""
        raw = self.row.get(name)
        moment = moment_from(raw)
        if moment is None and raw not in (None, ""):
            self.changes.append(f"{name} dropped, not a time")
        return moment

    def amount(self, name: str, step: str, limit: Decimal | int) -> Decimal | None:
        """The number, rounded to the step; None when it is none or beyond the limit."""
        raw = self.row.get(name)
        if raw in (None, ""):
            return None
        try:
            exact = Decimal(str(raw))
            amount = exact.quantize(Decimal(step), ROUND_HALF_UP)
        except InvalidOperation:
            amount = exact = Decimal("NaN")
        if not amount.is_finite() or abs(amount) >= limit:
            self.changes.append(f"{name} dropped, not an amount")
            return None
        if amount != exact:
            self.changes.append(f"{name} rounded to {step}")
        return amount

    def whole(self, name: str) -> int:
        """The number, 0 when there is none."""
        return int(self.amount(name, "1", _INTEGER_LIMIT) or 0)

    def truth(self, name: str) -> bool | None:
        """True, false or not known."""
        raw = self.row.get(name)
        truth = truth_from(raw)
        if truth is None and raw not in (None, ""):
            self.changes.append(f"{name} dropped, neither true nor false")
        return truth


def text_from(raw: object) -> str | None:
    """The text, as it can be stored; None when there is none."""
    if raw is None:
        return None
    return storable(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw))


def moment_from(raw: object) -> datetime | None:
    """The time in UTC; one without a zone is Japan's.

    >>> moment_from("2025-12-01 21:44:53.264999")
    datetime.datetime(2025, 12, 1, 12, 44, 53, 264999, tzinfo=datetime.timezone.utc)
    """
    return None if raw is None else _moment_from(str(raw).strip())


@lru_cache(maxsize=10_000)
def _moment_from(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        # v1.0 ran on a machine in Japan.
        aware = moment if moment.tzinfo else moment.replace(tzinfo=JAPAN)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def truth_from(raw: object) -> bool | None:
    """True, false, or None when it is neither.

    >>> truth_from(1), truth_from("False"), truth_from(None)
    (True, False, None)
    """
    return _TRUTH.get(str(raw).strip().lower())


def obstacle(row: Row, *names: str) -> str | None:
    """Why the row cannot be kept: a part of its key is missing or too long."""
    for name in names:
        text = text_from(row.get(name))
        if not text:
            return f"has no {name}"
        if len(text) > LONGEST[name]:
            return f"{name} is longer than {LONGEST[name]} characters"
    return None


def product_from(row: Row, now: datetime) -> Converted:
    """A product; what v1.0 knew of Amazon stays as last known, without a time of proof.

    v1.0 took errors of the API for "out of stock", so everything is to be fetched again.
    """
    fields = _Fields(row)
    asin = text_from(row["asin"]) or ""
    if not is_asin(asin):
        fields.changes.append("kept, though it is not an ASIN as Amazon writes them")
    fetched = fields.moment("last_fetched_at")
    updated = fields.moment("updated_at") or fetched or now
    values = {name: fields.text(name) for name in _TEXTS}
    values |= {
        "asin": asin,
        "shard": shard_of(asin),
        "images": _images(fields),
        "amazon_price_jpy": _amazon_price(fields),
        "amazon_in_stock": fields.truth("amazon_in_stock"),
        "last_fetched_at": fetched,
        "created_at": fields.moment("created_at") or updated,
        "updated_at": updated,
    }
    return Converted(values, fields.changes)


def empty_product(asin: str, now: datetime) -> dict[str, Any]:
    """A product of which only the ASIN is known."""
    return product_from({"asin": asin}, now).values


def listing_from(row: Row, now: datetime) -> Converted:
    """A listing under its own id."""
    fields = _Fields(row)
    listed = fields.moment("listed_at")
    updated = fields.moment("updated_at")
    earliest = min((moment for moment in (updated, listed) if moment), default=now)
    values = {
        "id": row["id"],
        "asin": fields.text("asin"),
        "platform": fields.text("platform"),
        "account_id": fields.text("account_id"),
        "platform_item_id": fields.text("platform_item_id") or None,
        "sku": fields.text("sku") or None,
        "selling_price": fields.amount("selling_price", "0.01", _MONEY_LIMIT),
        "currency": fields.text("currency") or "JPY",
        "in_stock_quantity": fields.whole("in_stock_quantity"),
        "status": _listing_status(fields),
        "visibility": _visibility(fields),
        "listed_at": listed,
        "created_at": fields.moment("created_at") or earliest,
        "updated_at": updated or listed or now,
    }
    return Converted(values, fields.changes)


def queued_from(row: Row, now: datetime) -> Converted:
    """A queue row under its own id; an upload whose end v1.0 did not see is `unknown`."""
    fields = _Fields(row)
    scheduled = fields.moment("scheduled_time")
    processed = fields.moment("processed_at")
    values = {
        "id": row["id"],
        "asin": fields.text("asin"),
        "platform": fields.text("platform"),
        "account_id": fields.text("account_id"),
        "scheduled_time": scheduled,
        "priority": fields.whole("priority"),
        "status": _queue_status(fields),
        "retry_count": fields.whole("retry_count"),
        "error_message": fields.text("error_message"),
        "created_at": fields.moment("created_at") or scheduled or processed or now,
        "processed_at": processed,
    }
    return Converted(values, fields.changes)


def ebay_metadata_from(row: Row) -> Converted:
    """What v1.0 kept about a listing on eBay."""
    fields = _Fields(row)
    texts = (
        "sku listing_id offer_id category_id policy_payment_id policy_return_id"
        " policy_fulfillment_id item_specifics merchant_location_key"
    )
    values: dict[str, Any] = {name: fields.text(name) for name in texts.split(" ")}
    values |= {name: fields.moment(name) for name in ("created_at", "updated_at")}
    return Converted(values, fields.changes)


def _images(fields: _Fields) -> list[str] | None:
    raw = fields.text("images")
    if not raw:
        return None
    try:
        images = json.loads(raw)
    except ValueError:
        images = None
    if not isinstance(images, list):
        fields.changes.append("images dropped, not a JSON list")
        return None
    addresses = [each for each in cast("list[object]", images) if isinstance(each, str)]
    if len(addresses) < len(cast("list[object]", images)):
        fields.changes.append("images that are no addresses dropped")
    return [storable(address) for address in addresses]


def _amazon_price(fields: _Fields) -> int | None:
    price = fields.amount("amazon_price_jpy", "1", _BIGINT_LIMIT)
    if price is not None and price <= 0:
        fields.changes.append("amazon_price_jpy dropped, not above 0")
        return None
    return None if price is None else int(price)


def _listing_status(fields: _Fields) -> str:
    status = (text_from(fields.row.get("status")) or "pending").lower()
    if status in _LISTING_STATUS:
        return status
    if status == "queued":
        fields.changes.append("status queued is now pending")
        return "pending"
    # Anything but pending, so that nothing is listed twice.
    ours = "listed" if fields.row.get("platform_item_id") else "delisted"
    fields.changes.append(f"status {status[:20]!r} is not known, and is now {ours}")
    return ours


def _visibility(fields: _Fields) -> str:
    visibility = (text_from(fields.row.get("visibility")) or Visibility.PUBLIC).lower()
    if visibility not in list(Visibility):
        fields.changes.append(f"visibility {visibility[:20]!r} is not known, and is now public")
        return Visibility.PUBLIC
    return visibility


def _queue_status(fields: _Fields) -> str:
    status = (text_from(fields.row.get("status")) or "").lower()
    ours = _QUEUE_STATUS.get(status, "unknown")
    if ours != status:
        fields.changes.append(f"status {status[:20]!r} is now {ours}")
    return ours
