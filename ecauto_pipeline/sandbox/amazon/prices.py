"""Products as Amazon's Product Pricing API v0 tells them."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Literal

from ecauto_pipeline.sandbox.amazon.catalog import MARKETPLACE, Json
from ecauto_pipeline.sandbox.amazon.products import Kind, Offer, Product
from ecauto_pipeline.sandbox.draw import draw

ItemCondition = Literal["New", "Used"]

OFFERS_SHOWN = 20
TOO_SOON_HOURS = 4
AVAILABLE_AFTER = timedelta(days=12)


def money(amount: int) -> Json:
    """A MoneyType in yen."""
    return {"CurrencyCode": "JPY", "Amount": amount}


def competitive_price(product: Product | None, asin: str) -> Json:
    """A Price of getCompetitivePricing."""
    if product is None:
        return {"status": "ClientError", "ASIN": asin}
    return {
        "status": "Success",
        "ASIN": asin,
        "Product": {
            "Identifiers": {
                "MarketplaceASIN": {"MarketplaceId": MARKETPLACE, "ASIN": asin},
                "SKUIdentifier": {"MarketplaceId": "", "SellerId": "", "SellerSKU": ""},
            },
            "CompetitivePricing": {
                "CompetitivePrices": _competitive_prices(product),
                "NumberOfOfferListings": _offer_listings(product),
            },
            "SalesRankings": _sales_rankings(product),
        },
    }


def _competitive_prices(product: Product) -> list[Json]:
    """The New buy box is "1", the Used one "2"; a sole seller and a product too new have none."""
    if product.kind in {Kind.SOLE_SELLER, Kind.TOO_SOON}:
        return []
    boxes = [offer for offer in product.offers_of("new") if offer.buy_box]
    if product.kind is Kind.USED_ONLY:
        boxes = list(product.offers_of("used"))
    return [
        {
            "CompetitivePriceId": "1" if offer.condition == "new" else "2",
            "Price": _price(offer),
            "condition": offer.condition.title(),
            "subcondition": "New" if offer.condition == "new" else "Good",
            "belongsToRequester": False,
        }
        for offer in boxes
    ]


def _offer_listings(product: Product) -> list[Json]:
    if product.kind is Kind.VARIATION_PARENT:
        return []
    counts = Counter(offer.condition.title() for offer in product.offers)
    new = {} if product.kind is Kind.USED_ONLY else {"New": counts["New"]}
    listed = {**new, **counts}
    return [
        {"condition": condition, "Count": count}
        for condition, count in (*listed.items(), ("Any", counts.total()))
    ]


def _price(offer: Offer) -> Json:
    """In Japan the landed price is less by what the points are worth."""
    return {
        "LandedPrice": money(offer.outlay - offer.points),
        "ListingPrice": money(offer.listing_price),
        "Shipping": money(offer.shipping),
        **_points(offer),
    }


def _points(offer: Offer) -> Json:
    if not offer.points:
        return {}
    return {"Points": {"PointsNumber": offer.points, "PointsMonetaryValue": money(offer.points)}}


def _sales_rankings(product: Product) -> list[Json]:
    return [
        {"ProductCategoryId": product.category.display_group, "Rank": product.sales_rank},
        {
            "ProductCategoryId": product.category.path[-1][1],
            "Rank": 1 + product.sales_rank // 40,
        },
    ]


def item_offers(product: Product, condition: ItemCondition, now: datetime) -> Json:
    """The payload of getItemOffers, alone or in a batch."""
    wanted = "new" if condition == "New" else "used"
    hidden = product.kind is Kind.TOO_SOON
    shown = () if hidden else product.offers_of(wanted)
    return {
        "ASIN": product.asin,
        "status": _status(product),
        "ItemCondition": condition,
        "Identifier": {
            "MarketplaceId": MARKETPLACE,
            "ItemCondition": condition,
            "ASIN": product.asin,
        },
        "Summary": _summary(product, now),
        "Offers": [_offer_detail(offer, product.asin, now) for offer in shown[:OFFERS_SHOWN]],
        "marketplaceId": MARKETPLACE,
    }


def _status(product: Product) -> str:
    if product.kind is Kind.TOO_SOON:
        return "ActiveButTooSoonForProcessing"
    return "Success" if product.offers else "NoBuyableOffers"


def _summary(product: Product, now: datetime) -> Json:
    if product.kind is Kind.TOO_SOON:
        shown_at = now + timedelta(hours=TOO_SOON_HOURS)
        return {
            "TotalOfferCount": 0,
            "OffersAvailableTime": f"{shown_at:%Y-%m-%dT%H:%M:%SZ}",
        }
    if not product.offers:
        return {"TotalOfferCount": 0}
    return {
        "LowestPrices": _lowest_prices(product),
        "BuyBoxPrices": [
            {"condition": "New", **_price(offer), "sellerId": offer.seller_id}
            for offer in product.offers
            if offer.buy_box
        ],
        "NumberOfOffers": _numbers_of_offers(product),
        "BuyBoxEligibleOffers": _numbers_of_offers(product),
        "SalesRankings": _sales_rankings(product),
        "ListPrice": money(product.price_jpy * 11 // 10),
        "TotalOfferCount": len(product.offers),
    }


def _channel(offer: Offer) -> str:
    return "Amazon" if offer.fulfilled_by_amazon else "Merchant"


def _lowest_prices(product: Product) -> list[Json]:
    """The cheapest of each condition and channel; offers are by value, the first wins a tie."""
    lowest: dict[tuple[str, str], Offer] = {}
    for offer in product.offers:
        key = (offer.condition, _channel(offer))
        if key not in lowest or offer.outlay < lowest[key].outlay:
            lowest[key] = offer
    return [
        {"condition": condition, "fulfillmentChannel": channel, **_price(offer)}
        for (condition, channel), offer in lowest.items()
    ]


def _numbers_of_offers(product: Product) -> list[Json]:
    counts = Counter((offer.condition, _channel(offer)) for offer in product.offers)
    return [
        {"condition": condition, "fulfillmentChannel": channel, "OfferCount": count}
        for (condition, channel), count in counts.items()
    ]


def _offer_detail(offer: Offer, asin: str, now: datetime) -> Json:
    prime: Json = {}
    if offer.fulfilled_by_amazon:
        prime = {"PrimeInformation": {"IsPrime": True, "IsNationalPrime": True}}
    return {
        "Shipping": money(offer.shipping),
        "ListingPrice": money(offer.listing_price),
        **_points(offer),
        "ShippingTime": _shipping_time(offer, now),
        "SellerFeedbackRating": {
            "FeedbackCount": draw(5000, asin, offer.seller_id),
            "SellerPositiveFeedbackRating": 85.0 + draw(15, asin, offer.seller_id, "good"),
        },
        "ShipsFrom": {"Country": "JP"},
        **prime,
        "SubCondition": "new" if offer.condition == "new" else "good",
        "SellerId": offer.seller_id,
        "IsFeaturedMerchant": offer.buy_box or offer.fulfilled_by_amazon,
        "IsBuyBoxWinner": offer.buy_box,
        "IsFulfilledByAmazon": offer.fulfilled_by_amazon,
    }


def _shipping_time(offer: Offer, now: datetime) -> Json:
    shipping: Json = {
        "maximumHours": 0 if offer.fulfilled_by_amazon else 48,
        "minimumHours": 0 if offer.fulfilled_by_amazon else 24,
        "availabilityType": offer.availability,
    }
    if offer.availability == "FUTURE_WITH_DATE":
        shipping["availableDate"] = f"{now + AVAILABLE_AFTER:%Y-%m-%dT00:00:00Z}"
    return shipping
