"""Products as Amazon's Product Pricing API v0 tells them."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Literal

from ecauto_pipeline.sandbox.amazon.catalog import MARKETPLACE
from ecauto_pipeline.sandbox.amazon.products import Kind, Offer, Product
from ecauto_pipeline.sandbox.draw import draw
from ecauto_pipeline.sandbox.wire import JsonObject

ItemCondition = Literal["New", "Used"]

OFFERS_SHOWN = 20
# As sellers report it: 4 hours from now in each answer, so the time never comes.
TOO_SOON_HOURS = 4
AVAILABLE_AFTER = timedelta(days=12)


def money(amount: int) -> JsonObject:
    """A MoneyType in yen."""
    return {"CurrencyCode": "JPY", "Amount": amount}


def competitive_price(product: Product | None, asin: str) -> JsonObject:
    """A Price of getCompetitivePricing."""
    if product is None:
        return {"status": "ClientError", "ASIN": asin}
    used_only = product.kind is Kind.USED_ONLY
    boxes = list(product.offers_of("used")) if used_only else []
    # A sole seller and a product that is too new have offers, but no competitive price.
    if product.kind not in {Kind.SOLE_SELLER, Kind.TOO_SOON, Kind.USED_ONLY}:
        boxes = [offer for offer in product.offers_of("new") if offer.buy_box]
    counts = Counter(offer.condition.title() for offer in product.offers)
    listed = {**({} if used_only else {"New": counts["New"]}), **counts, "Any": counts.total()}
    return {
        "status": "Success",
        "ASIN": asin,
        "Product": {
            "Identifiers": {
                "MarketplaceASIN": {"MarketplaceId": MARKETPLACE, "ASIN": asin},
                "SKUIdentifier": {"MarketplaceId": "", "SellerId": "", "SellerSKU": ""},
            },
            "CompetitivePricing": {
                "CompetitivePrices": [
                    {
                        "CompetitivePriceId": "1" if offer.condition == "new" else "2",
                        "Price": _price(offer),
                        "condition": offer.condition.title(),
                        "subcondition": "New" if offer.condition == "new" else "Good",
                        "belongsToRequester": False,
                    }
                    for offer in boxes
                ],
                "NumberOfOfferListings": [
                    {"condition": condition, "Count": count}
                    for condition, count in listed.items()
                    if product.kind is not Kind.VARIATION_PARENT
                ],
            },
            "SalesRankings": _sales_rankings(product),
        },
    }


def _price(offer: Offer) -> JsonObject:
    """In Japan the landed price is less by what the points are worth."""
    return {
        "LandedPrice": money(offer.outlay - offer.points),
        "ListingPrice": money(offer.listing_price),
        "Shipping": money(offer.shipping),
        **_points(offer),
    }


def _points(offer: Offer) -> JsonObject:
    if not offer.points:
        return {}
    return {"Points": {"PointsNumber": offer.points, "PointsMonetaryValue": money(offer.points)}}


def _sales_rankings(product: Product) -> list[JsonObject]:
    return [
        {"ProductCategoryId": product.category.display_group, "Rank": product.sales_rank},
        {
            "ProductCategoryId": product.category.path[-1][1],
            "Rank": 1 + product.sales_rank // 40,
        },
    ]


def item_offers(product: Product, condition: ItemCondition, now: datetime) -> JsonObject:
    """The payload of getItemOffers, alone or in a batch."""
    too_soon = product.kind is Kind.TOO_SOON
    status = "Success" if product.offers else "NoBuyableOffers"
    shown = () if too_soon else product.offers_of("new" if condition == "New" else "used")
    return {
        "ASIN": product.asin,
        "status": "ActiveButTooSoonForProcessing" if too_soon else status,
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


def _summary(product: Product, now: datetime) -> JsonObject:
    """What there is in both conditions, whichever was asked for."""
    if product.kind is Kind.TOO_SOON:
        shown_at = now + timedelta(hours=TOO_SOON_HOURS)
        return {
            "TotalOfferCount": 0,
            "OffersAvailableTime": f"{shown_at:%Y-%m-%dT%H:%M:%SZ}",
        }
    if not product.offers:
        return {"TotalOfferCount": 0}
    grouped: dict[tuple[str, str], list[Offer]] = {}
    for offer in product.offers:
        channel = "Amazon" if offer.fulfilled_by_amazon else "Merchant"
        grouped.setdefault((offer.condition, channel), []).append(offer)
    numbers = [
        {"condition": condition, "fulfillmentChannel": channel, "OfferCount": len(offers)}
        for (condition, channel), offers in grouped.items()
    ]
    return {
        # The condition is "new" here, but "New" among the buy boxes: a live answer had it so.
        "LowestPrices": [
            {
                "condition": condition,
                "fulfillmentChannel": channel,
                **_price(min(offers, key=lambda offer: offer.outlay)),
            }
            for (condition, channel), offers in grouped.items()
        ],
        "BuyBoxPrices": [
            {"condition": "New", **_price(offer), "sellerId": offer.seller_id}
            for offer in product.offers
            if offer.buy_box
        ],
        "NumberOfOffers": numbers,
        "BuyBoxEligibleOffers": numbers,
        "SalesRankings": _sales_rankings(product),
        "ListPrice": money(product.price_jpy * 11 // 10),
        "TotalOfferCount": len(product.offers),
    }


def _offer_detail(offer: Offer, asin: str, now: datetime) -> JsonObject:
    # Live answers leave PrimeInformation out for many offers.
    prime = {"PrimeInformation": {"IsPrime": True, "IsNationalPrime": True}}
    shipping: JsonObject = {
        "maximumHours": 0 if offer.fulfilled_by_amazon else 48,
        "minimumHours": 0 if offer.fulfilled_by_amazon else 24,
        "availabilityType": offer.availability,
    }
    if offer.availability == "FUTURE_WITH_DATE":
        shipping["availableDate"] = f"{now + AVAILABLE_AFTER:%Y-%m-%dT00:00:00Z}"
    return {
        "Shipping": money(offer.shipping),
        "ListingPrice": money(offer.listing_price),
        **_points(offer),
        "ShippingTime": shipping,
        "SellerFeedbackRating": {
            "FeedbackCount": draw(5000, asin, offer.seller_id),
            "SellerPositiveFeedbackRating": 85.0 + draw(15, asin, offer.seller_id, "good"),
        },
        "ShipsFrom": {"Country": "JP"},
        **(prime if offer.fulfilled_by_amazon else {}),
        "SubCondition": "new" if offer.condition == "new" else "good",
        "SellerId": offer.seller_id,
        "IsFeaturedMerchant": offer.buy_box or offer.fulfilled_by_amazon,
        "IsBuyBoxWinner": offer.buy_box,
        "IsFulfilledByAmazon": offer.fulfilled_by_amazon,
    }
