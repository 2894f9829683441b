"""Amazon's JSON as records; what is malformed becomes an answer that proves nothing."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, cast

from ecauto_pipeline.clients.json_body import mapping, objects, text
from ecauto_pipeline.domain.amazon.facts import CatalogItem, CompetitivePrice, ItemOffers, Offer
from ecauto_pipeline.errors import NoProof

Json = Mapping[str, Any]

MALFORMED = "Malformed"
"""The status of an answer that could not be understood; no status of Amazon's reads so."""

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""What reading an entry of an unexpected shape ends with."""

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
    found: dict[str, CatalogItem] = {}
    for entry in _entries(body, "items"):
        if (asin := text(entry.get("asin"))) is None:
            continue
        summary = _first(entry.get("summaries"))
        attributes = mapping(entry.get("attributes"))
        description = (
            text(value.get("value"))
            for name in ("product_description", "bullet_point")
            for value in objects(attributes.get(name))
        )
        found[asin] = CatalogItem(
            asin=asin,
            title=text(summary.get("itemName")),
            description="\n".join(filter(None, description)) or None,
            brand=text(summary.get("brand")),
            classification=_classification(entry),
            images=tuple(_images(entry)),
        )
    return found


def competitive_prices_from(body: Json) -> dict[str, CompetitivePrice]:
    """The answers of getCompetitivePricing by ASIN.

    Raises:
        NoProof: the body is not such an answer.
    """
    found: dict[str, CompetitivePrice] = {}
    for entry in _entries(body, "payload"):
        try:
            answer = _competitive_price(entry)
        except _UNREADABLE:
            answer = CompetitivePrice(_asin_of(entry), MALFORMED)
        if answer.asin:
            found[answer.asin] = answer
    return found


def item_offers_batch_from(body: Json) -> dict[str, ItemOffers]:
    """The answers of getItemOffersBatch by ASIN, those that failed inside the batch included.

    Raises:
        NoProof: the body is not such an answer.
    """
    found: dict[str, ItemOffers] = {}
    for entry in _entries(body, "responses"):
        inner = mapping(entry.get("body"))
        payload = mapping(inner.get("payload"))
        try:
            code = _count(entry["status"]["statusCode"])
            if code == HTTPStatus.OK and payload:
                answer = _item_offers(payload)
            else:
                said = text(_first(inner.get("errors")).get("code"))
                answer = ItemOffers(_asin_of(entry), said or f"HTTP {code}")
        except _UNREADABLE:
            answer = ItemOffers(_asin_of(entry), MALFORMED)
        if answer.asin:
            found[answer.asin] = answer
    return found


def item_offers_from(body: Json) -> ItemOffers:
    """The answer of getItemOffers.

    Raises:
        NoProof: the body is not such an answer.
    """
    payload = mapping(body.get("payload"))
    if not payload:
        raise NoProof("an answer without payload")
    try:
        return _item_offers(payload)
    except _UNREADABLE:
        return ItemOffers(_asin_of(payload), MALFORMED)


def _asin_of(entry: Json) -> str:
    return text(entry.get("ASIN")) or text(mapping(entry.get("request")).get("Asin")) or ""


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
    pricing = mapping(mapping(entry.get("Product")).get("CompetitivePricing"))
    counts = _all_objects(pricing.get("NumberOfOfferListings"))
    prices = _all_objects(pricing.get("CompetitivePrices"))
    new = next((each for each in prices if _is_new(each)), None)
    paid, points = None, 0
    if new is not None:
        price = new["Price"]
        paid, points = _price(price["ListingPrice"]), _points(price)
        if (shipping := price.get("Shipping")) is not None:
            paid += _yen(shipping)
        elif (landed := price.get("LandedPrice")) is not None and _yen(landed) + points > paid:
            # In Japan LandedPrice = ListingPrice + Shipping - Points.
            raise ValueError("a landed price with shipping that is not told")
    return CompetitivePrice(
        asin=_said(entry["ASIN"]),
        status=_said(entry["status"]),
        price_jpy=paid,
        points=points,
        new_offers=sum(_count(each["Count"]) for each in counts if _is_new(each))
        if counts
        else None,
    )


def _item_offers(payload: Json) -> ItemOffers:
    summary = mapping(payload.get("Summary"))
    total = summary.get("TotalOfferCount")
    counts = _all_objects(summary.get("NumberOfOffers"))
    new = [each.get("OfferCount") for each in counts if _is_new(each)]
    offers: list[Offer] = []
    for offer in _all_objects(payload.get("Offers")):
        if _said(offer["SubCondition"]).lower() != "new":
            continue
        shipping_time = mapping(offer.get("ShippingTime"))
        offers.append(
            Offer(
                listing_price_jpy=_price(offer["ListingPrice"]),
                shipping_jpy=_yen(offer["Shipping"]),
                points=_points(offer),
                seller_id=text(offer.get("SellerId")) or "",
                availability=text(shipping_time.get("availabilityType")),
                fulfilled_by_amazon=_flag(offer.get("IsFulfilledByAmazon")),
                buy_box_winner=_flag(offer.get("IsBuyBoxWinner")),
            )
        )
    return ItemOffers(
        asin=_said(payload["ASIN"]),
        status=_said(payload["status"]),
        offers=tuple(offers),
        total_offers=None if total is None else _count(total),
        # How many is not known when nothing is counted, or an entry does not say how many.
        new_offers=sum(map(_count, new)) if counts and None not in new else None,
    )


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
