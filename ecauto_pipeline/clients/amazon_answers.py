"""Amazon's JSON as records; what is malformed becomes an answer that proves nothing."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from ecauto_pipeline.clients.json_body import mapping, objects, text
from ecauto_pipeline.domain.amazon import CatalogItem, CompetitivePrice, ItemOffers, Offer
from ecauto_pipeline.errors import NoProof

Json = Mapping[str, Any]
Answer = TypeVar("Answer")

MALFORMED = "Malformed"
"""The status of an answer that could not be understood; no status of Amazon's reads so."""

CURRENCY = "JPY"
HIGHEST_PRICE_JPY = 100_000_000
"""Beyond this a price is taken for a fault of the answer."""


def catalog_items_from(body: Json) -> dict[str, CatalogItem]:
    """The items of searchCatalogItems by ASIN; unknown ASINs are simply not there.

    Raises:
        NoProof: the body is not such an answer.
    """
    items = map(_catalog_item, _entries(body, "items"))
    return {item.asin: item for item in items if item.asin}


def competitive_prices_from(body: Json) -> dict[str, CompetitivePrice]:
    """The answers of getCompetitivePricing by ASIN.

    Raises:
        NoProof: the body is not such an answer.
    """
    found = (
        _understood(_competitive_price, entry, CompetitivePrice)
        for entry in _entries(body, "payload")
    )
    return {price.asin: price for price in found if price.asin}


def item_offers_batch_from(body: Json) -> dict[str, ItemOffers]:
    """The answers of getItemOffersBatch by ASIN, those that failed inside the batch included.

    Raises:
        NoProof: the body is not such an answer.
    """
    found = (_understood(_inner_answer, entry, ItemOffers) for entry in _entries(body, "responses"))
    return {offers.asin: offers for offers in found if offers.asin}


def item_offers_from(body: Json) -> ItemOffers:
    """The answer of getItemOffers.

    Raises:
        NoProof: the body is not such an answer.
    """
    payload = mapping(body.get("payload"))
    if not payload:
        raise NoProof("an answer without payload")
    return _understood(_item_offers, payload, ItemOffers)


def _understood(
    read: Callable[[Json], Answer], entry: Json, record: Callable[[str, str], Answer]
) -> Answer:
    try:
        return read(entry)
    except (KeyError, TypeError, ValueError, AttributeError):
        return record(_asin_of(entry), MALFORMED)


def _asin_of(entry: Json) -> str:
    return text(entry.get("ASIN")) or text(mapping(entry.get("request")).get("Asin")) or ""


def _catalog_item(entry: Json) -> CatalogItem:
    summary = _first(entry.get("summaries"))
    return CatalogItem(
        asin=text(entry.get("asin")) or "",
        title=text(summary.get("itemName")),
        description=_description(entry),
        brand=text(summary.get("brand")),
        classification=_classification(entry),
        images=tuple(_images(entry)),
    )


def _description(entry: Json) -> str | None:
    attributes = mapping(entry.get("attributes"))
    values = (
        text(value.get("value"))
        for name in ("product_description", "bullet_point")
        for value in objects(attributes.get(name))
    )
    return "\n".join(value for value in values if value) or None


def _classification(entry: Json) -> str | None:
    """The path from the root down, as `Kitchen > Pots`."""
    for per_marketplace in objects(entry.get("classifications")):
        for leaf in objects(per_marketplace.get("classifications")):
            names: list[str] = []
            node = leaf
            while name := text(node.get("displayName")):
                names.append(name)
                node = mapping(node.get("parent"))
            if names:
                return " > ".join(reversed(names))
    return None


def _images(entry: Json) -> Iterator[str]:
    """The largest picture of each variant, the main one first."""
    largest: dict[str, tuple[int, str]] = {}
    for per_marketplace in objects(entry.get("images")):
        for image in objects(per_marketplace.get("images")):
            link, variant = text(image.get("link")), text(image.get("variant"))
            width = image.get("width")
            size = width if isinstance(width, int) else 0
            if link and variant:
                largest[variant] = max(largest.get(variant, (-1, "")), (size, link))
    for variant in sorted(largest, key=lambda name: (name != "MAIN", name)):
        yield largest[variant][1]


def _competitive_price(entry: Json) -> CompetitivePrice:
    asin, status = entry["ASIN"], entry["status"]
    pricing = mapping(mapping(entry.get("Product")).get("CompetitivePricing"))
    counts = objects(pricing.get("NumberOfOfferListings"))
    new = next((p for p in objects(pricing.get("CompetitivePrices")) if _is_new(p)), None)
    return CompetitivePrice(
        asin=asin,
        status=status,
        price_jpy=None if new is None else _paid(new["Price"]),
        points=0 if new is None else _points(new["Price"]),
        new_offers=sum(_count(c["Count"]) for c in counts if _is_new(c)) if counts else None,
    )


def _inner_answer(entry: Json) -> ItemOffers:
    code = entry["status"]["statusCode"]
    body = mapping(entry.get("body"))
    payload = mapping(body.get("payload"))
    if code == HTTPStatus.OK and payload:
        return _item_offers(payload)
    problem = _first(body.get("errors"))
    return ItemOffers(_asin_of(entry), str(problem.get("code") or f"HTTP {code}"))


def _item_offers(payload: Json) -> ItemOffers:
    summary = mapping(payload.get("Summary"))
    total = summary.get("TotalOfferCount")
    counts = summary.get("NumberOfOffers")
    return ItemOffers(
        asin=payload["ASIN"],
        status=payload["status"],
        offers=tuple(
            _offer(offer)
            for offer in objects(payload.get("Offers"))
            if str(offer["SubCondition"]).lower() == "new"
        ),
        total_offers=None if total is None else _count(total),
        new_offers=None
        if counts is None
        else sum(_count(c.get("OfferCount", 0)) for c in objects(counts) if _is_new(c)),
    )


def _offer(offer: Json) -> Offer:
    shipping_time = mapping(offer.get("ShippingTime"))
    return Offer(
        listing_price_jpy=_yen(offer["ListingPrice"]),
        shipping_jpy=_yen(offer["Shipping"]),
        points=_points(offer),
        seller_id=str(offer.get("SellerId") or ""),
        availability=text(shipping_time.get("availabilityType")),
        fulfilled_by_amazon=offer.get("IsFulfilledByAmazon") is True,
        buy_box_winner=offer.get("IsBuyBoxWinner") is True,
    )


def _paid(price: Json) -> int:
    shipping = price.get("Shipping")
    return _yen(price["ListingPrice"]) + (0 if shipping is None else _yen(shipping))


def _points(price: Json) -> int:
    return _count(mapping(price.get("Points")).get("PointsNumber") or 0)


def _yen(money: Json) -> int:
    amount = money["Amount"]
    if isinstance(amount, bool) or money.get("CurrencyCode", CURRENCY) != CURRENCY:
        raise ValueError("not an amount in yen")
    if not 0 <= amount <= HIGHEST_PRICE_JPY or amount != int(amount):
        raise ValueError("not a number of whole yen")
    return int(amount)


def _count(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError("not a count")
    return number


def _is_new(entry: Json) -> bool:
    return str(entry.get("condition", "")).lower() == "new"


def _first(value: Any) -> Json:
    found = objects(value)
    return found[0] if found else {}


def _entries(body: Json, name: str) -> list[dict[str, Any]]:
    if not isinstance(body.get(name), list):
        raise NoProof(f"an answer without {name}")
    return objects(body[name])
