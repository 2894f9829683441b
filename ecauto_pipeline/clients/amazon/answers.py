"""Amazon's JSON as records; what is malformed becomes an answer that proves nothing."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

from ecauto_pipeline.clients.json_body import mapping, objects, text
from ecauto_pipeline.domain.amazon.facts import CatalogItem, CompetitivePrice, ItemOffers, Offer
from ecauto_pipeline.errors import NoProof

Json = Mapping[str, Any]
Answer = TypeVar("Answer")

MALFORMED = "Malformed"
"""The status of an answer that could not be understood; no status of Amazon's reads so."""

CURRENCY = "JPY"
HIGHEST_PRICE_JPY = 100_000_000
"""Beyond this a price is taken for a fault of the answer."""

HIGHEST_COUNT = 1_000_000
"""Likewise for a number of offers."""


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
    asin, status = _said(entry["ASIN"]), _said(entry["status"])
    pricing = mapping(mapping(entry.get("Product")).get("CompetitivePricing"))
    counts = _all_objects(pricing.get("NumberOfOfferListings"))
    new = next((p for p in _all_objects(pricing.get("CompetitivePrices")) if _is_new(p)), None)
    return CompetitivePrice(
        asin=asin,
        status=status,
        price_jpy=None if new is None else _paid(new["Price"]),
        points=0 if new is None else _points(new["Price"]),
        new_offers=sum(_count(c["Count"]) for c in counts if _is_new(c)) if counts else None,
    )


def _inner_answer(entry: Json) -> ItemOffers:
    code = _count(entry["status"]["statusCode"])
    body = mapping(entry.get("body"))
    payload = mapping(body.get("payload"))
    if code == HTTPStatus.OK and payload:
        return _item_offers(payload)
    problem = _first(body.get("errors"))
    return ItemOffers(_asin_of(entry), text(problem.get("code")) or f"HTTP {code}")


def _item_offers(payload: Json) -> ItemOffers:
    summary = mapping(payload.get("Summary"))
    total = summary.get("TotalOfferCount")
    return ItemOffers(
        asin=_said(payload["ASIN"]),
        status=_said(payload["status"]),
        offers=tuple(
            _offer(offer)
            for offer in _all_objects(payload.get("Offers"))
            if _said(offer["SubCondition"]).lower() == "new"
        ),
        total_offers=None if total is None else _count(total),
        new_offers=_new_offers(_all_objects(summary.get("NumberOfOffers"))),
    )


def _new_offers(counts: list[dict[str, Any]]) -> int | None:
    """How many there are; None when nothing is counted, or an entry does not say how many."""
    numbers = [count.get("OfferCount") for count in counts if _is_new(count)]
    if not counts or None in numbers:
        return None
    return sum(map(_count, numbers))


def _offer(offer: Json) -> Offer:
    shipping_time = mapping(offer.get("ShippingTime"))
    return Offer(
        listing_price_jpy=_price(offer["ListingPrice"]),
        shipping_jpy=_yen(offer["Shipping"]),
        points=_points(offer),
        seller_id=text(offer.get("SellerId")) or "",
        availability=text(shipping_time.get("availabilityType")),
        fulfilled_by_amazon=_flag(offer.get("IsFulfilledByAmazon")),
        buy_box_winner=_flag(offer.get("IsBuyBoxWinner")),
    )


def _paid(price: Json) -> int:
    """ListingPrice + Shipping; without the latter, the landed price must not speak of any."""
    listing = _price(price["ListingPrice"])
    if (shipping := price.get("Shipping")) is not None:
        return listing + _yen(shipping)
    landed = price.get("LandedPrice")
    if landed is not None and _yen(landed) + _points(price) > listing:
        raise ValueError("a landed price with shipping that is not told")
    return listing


def _points(price: Json) -> int:
    points = mapping(price.get("Points")).get("PointsNumber")
    return 0 if points is None else _count(points, HIGHEST_PRICE_JPY)


def _price(money: Json) -> int:
    """Nothing is sold for nothing: such a price is a fault of the answer."""
    if (price := _yen(money)) == 0:
        raise ValueError("a price of nothing")
    return price


def _yen(money: Json) -> int:
    amount = money["Amount"]
    if isinstance(amount, bool) or money.get("CurrencyCode", CURRENCY) != CURRENCY:
        raise ValueError("not an amount in yen")
    if not 0 <= amount <= HIGHEST_PRICE_JPY or amount != int(amount):
        raise ValueError("not a number of whole yen")
    return int(amount)


def _count(number: Any, most: int = HIGHEST_COUNT) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise ValueError("not a count")
    return number


def _flag(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value is True


def _said(value: Any) -> str:
    found = text(value)
    if found is None:
        raise ValueError("not a text")
    return found


def _is_new(entry: Json) -> bool:
    return _said(entry["condition"]).lower() == "new"


def _all_objects(value: Any) -> list[dict[str, Any]]:
    """Like `objects`, but an entry that is none spoils the answer: the others are not all."""
    found = objects(value)
    if value is None:
        return found
    if not isinstance(value, list) or len(found) < len(cast("list[Any]", value)):
        raise ValueError("not a list of objects")
    return found


def _first(value: Any) -> Json:
    found = objects(value)
    return found[0] if found else {}


def _entries(body: Json, name: str) -> list[dict[str, Any]]:
    if not isinstance(body.get(name), list):
        raise NoProof(f"an answer without {name}")
    return objects(body[name])
