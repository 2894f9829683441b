"""What Amazon answers about a product, and what may be concluded from it.

The rule of the house: an answer that is not proof is `unknown`, keeps the old value, and is never
read as "out of stock".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

NOW = "NOW"
"""The `availabilityType` of an offer that ships at once."""

_AVAILABILITIES = frozenset({NOW, "FUTURE_WITH_DATE", "FUTURE_WITHOUT_DATE"})
"""Those that Amazon documents; of any other it is not known what it means."""


class Fact(StrEnum):
    """A kind of fact about a product, with a TTL of its own."""

    CATALOG = "catalog"
    CLASSIFICATION = "classification"
    PRICE = "price"
    STOCK = "stock"


CATALOG_FACTS = frozenset({Fact.CATALOG, Fact.CLASSIFICATION})
"""What the catalog tells."""

OFFER_FACTS = frozenset({Fact.PRICE, Fact.STOCK})
"""What prices and offers tell, both in one answer."""


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """What the catalog says of an ASIN; None where it says nothing."""

    asin: str
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    classification: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompetitivePrice:
    """One ASIN of getCompetitivePricing: the new buy-box price and how many offer it new.

    `price_jpy` is ListingPrice + Shipping. None means that the answer does not say: sole sellers
    have no competitive price, and some answers hold nothing but identifiers.
    """

    asin: str
    status: str
    price_jpy: int | None = None
    points: int = 0
    new_offers: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One new offer of getItemOffers(Batch), in whole yen."""

    listing_price_jpy: int
    shipping_jpy: int
    points: int
    seller_id: str
    availability: str | None
    fulfilled_by_amazon: bool
    buy_box_winner: bool

    @property
    def price_jpy(self) -> int:
        """What is paid: points are kept apart."""
        return self.listing_price_jpy + self.shipping_jpy


@dataclass(frozen=True, slots=True)
class ItemOffers:
    """One ASIN of getItemOffers(Batch): its status and its new offers, at most the 20 lowest.

    The counts are of all there are: `total_offers` of every condition, `new_offers` of new ones;
    None when the answer does not say.
    """

    asin: str
    status: str
    offers: tuple[Offer, ...] = ()
    total_offers: int | None = None
    new_offers: int | None = None


Sellers = Literal["any", "fba", "amazon"]


@dataclass(frozen=True, slots=True)
class BuyFrom:
    """Whose offers count: `any`, `fba` (fulfilled by Amazon) or `amazon` (sold by Amazon)."""

    who: Sellers = "any"
    amazon_seller_ids: tuple[str, ...] = ()

    def counts(self, offer: Offer) -> bool:
        """Whether the offer ships now and comes from where we buy."""
        return offer.availability == NOW and self.comes_from(offer)

    def comes_from(self, offer: Offer) -> bool:
        """Whether the offer comes from where we buy, whenever it ships."""
        if self.who == "amazon":
            return offer.seller_id in self.amazon_seller_ids
        return self.who == "any" or offer.fulfilled_by_amazon


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer proves: in stock at a price, out of stock, or (None) nothing."""

    in_stock: bool | None
    reason: str
    price_jpy: int | None = None
    points: int = 0

    @property
    def is_proof(self) -> bool:
        """Whether anything was proven."""
        return self.in_stock is not None


def unknown(reason: str) -> Verdict:
    """Nothing was proven."""
    return Verdict(None, reason)


def judge_offers(answer: ItemOffers, buy_from: BuyFrom) -> Verdict:
    """What the offers of an ASIN prove."""
    if answer.status == "NoBuyableOffers":
        return Verdict(in_stock=False, reason="NoBuyableOffers: not offered for sale")
    if answer.status != "Success":
        return unknown(answer.status or "no status")
    ours = [offer for offer in answer.offers if buy_from.comes_from(offer)]
    if any(offer.availability not in _AVAILABILITIES for offer in ours):
        return unknown("an offer does not say when it ships")
    counting = [offer for offer in ours if buy_from.counts(offer)]
    if not counting:
        return _judge_without_counting(answer)
    winner = next((offer for offer in counting if offer.buy_box_winner), None)
    best = winner or min(counting, key=lambda offer: offer.price_jpy)
    reason = "buy-box offer" if winner else "cheapest offer that counts"
    return Verdict(in_stock=True, reason=reason, price_jpy=best.price_jpy, points=best.points)


def _judge_without_counting(answer: ItemOffers) -> Verdict:
    """Out of stock, if all the new offers there are were shown."""
    shown = len(answer.offers)
    counted = answer.total_offers if answer.new_offers is None else answer.new_offers
    if counted is None or (answer.total_offers is None and not shown):
        return unknown("offers without their number: there may be more than were shown")
    if counted > shown:
        return unknown(f"only {shown} of {counted} offers were shown")
    return Verdict(
        in_stock=False, reason="no new offer that ships now" if shown else "no new offer"
    )


def judge_competitive_price(answer: CompetitivePrice) -> Verdict:
    """What a sweep suggests: a new buy-box price and someone who offers it, or nothing.

    It never proves "out of stock": a sole seller has no competitive price, and a count of new
    offers says neither who sells nor when it ships.
    """
    if answer.status != "Success":
        return unknown(answer.status or "no status")
    if answer.price_jpy is None:
        return unknown("no competitive price")
    if not answer.new_offers:
        return unknown("a price, but no new offer counted")
    return Verdict(
        in_stock=True, reason="new buy-box price", price_jpy=answer.price_jpy, points=answer.points
    )


class DetailNeed(StrEnum):
    """Why an ASIN's offers are read after the sweep, most urgent first."""

    INCONCLUSIVE = "inconclusive"
    CHANGED = "changed"
    UNCONFIRMED = "unconfirmed"
    RECHECK = "recheck"
    SPARE = "spare"


OPTIONAL_DETAILS = frozenset({DetailNeed.RECHECK, DetailNeed.SPARE})
"""Details without which the sweep's own answer stands."""


DETAIL_ORDER: Sequence[DetailNeed] = tuple(DetailNeed)


@dataclass(frozen=True, slots=True)
class KnownOffers:
    """What is known of an ASIN before a sweep; None: never known."""

    asin: str
    listed: bool
    in_stock: bool | None = None
    price_jpy: int | None = None
    swept_price_jpy: int | None = None
    new_offers: int | None = None
    offers_checked: bool = False


def detail_need(known: KnownOffers, swept: CompetitivePrice) -> DetailNeed | None:
    """Whether a sweep's answer is enough, or the offers themselves must be read, and why.

    A product that is on no shop needs no proof beyond the sweep, and gets it only from quota to
    spare. One that is listed does: a price that ships next month looks the same in the sweep as
    one that ships today. None: nothing has changed since the offers were read.
    """
    verdict = judge_competitive_price(swept)
    if not verdict.is_proof:
        return DetailNeed.INCONCLUSIVE
    same = (known.swept_price_jpy, known.new_offers) == (swept.price_jpy, swept.new_offers)
    if not known.listed:
        if known.in_stock is False:
            return DetailNeed.CHANGED
        return None if same and known.offers_checked else DetailNeed.SPARE
    if not known.offers_checked:
        return DetailNeed.UNCONFIRMED
    return DetailNeed.RECHECK if same and known.in_stock else DetailNeed.CHANGED
