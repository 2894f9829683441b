"""What a product of the sandbox is: its kinds, its offers, and what is true about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ecauto_pipeline.sandbox.amazon.vocabulary import Category

# In wide use, though Amazon documents it nowhere.
AMAZON_JP_SELLER = "AN1VRQENFRJN5"

BuyFrom = Literal["any", "fba", "amazon"]
Availability = Literal["NOW", "FUTURE_WITH_DATE", "FUTURE_WITHOUT_DATE"]


class Kind(StrEnum):
    """The ways in which Amazon's answers about products differ."""

    NORMAL = "normal"
    # One offer and no competitive price, which does not mean sold out.
    SOLE_SELLER = "sole_seller"
    # Stands for its colours and sizes; it cannot be bought itself.
    VARIATION_PARENT = "variation_parent"
    # There are offers, but Amazon does not show them yet, and may never do.
    TOO_SOON = "too_soon"
    USED_ONLY = "used_only"
    # No offer ships now.
    FUTURE = "future"
    # The buy box ships later; a dearer offer ships now.
    FUTURE_BUY_BOX = "future_buy_box"
    OUT = "out"
    # The buy box is not all: its seller takes a fee for shipping.
    SHIPPING = "shipping"
    NOT_FOUND = "not_found"


UNPROVEN = frozenset({Kind.TOO_SOON, Kind.NOT_FOUND})
"""Kinds about whose price and stock Amazon says nothing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one seller asks, in yen."""

    seller_id: str
    condition: Literal["new", "used"]
    listing_price: int
    shipping: int = 0
    points: int = 0
    availability: Availability = "NOW"
    fulfilled_by_amazon: bool = False
    buy_box: bool = False

    @property
    def outlay(self) -> int:
        """What a buyer pays; points come back later and are kept apart."""
        return self.listing_price + self.shipping

    def counts(self, buy_from: BuyFrom) -> bool:
        """Whether it proves that a new one can be bought now from such a seller."""
        if self.condition != "new" or self.availability != "NOW":
            return False
        if buy_from == "fba":
            return self.fulfilled_by_amazon
        return buy_from == "any" or self.seller_id == AMAZON_JP_SELLER


@dataclass(frozen=True, slots=True)
class Truth:
    """The right answer about a product; None where Amazon gives no proof."""

    price_jpy: int | None
    in_stock: bool | None


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is at one step of the world."""

    asin: str
    kind: Kind
    title: str
    brand: str
    category: Category
    images: tuple[str, ...]
    bullet_points: tuple[str, ...]
    description: str
    price_jpy: int
    """The usual price, from which those of the offers derive; known even when sold out."""
    sold_out: bool
    offers: tuple[Offer, ...]
    sales_rank: int
    child_asins: tuple[str, ...] = ()

    def offers_of(self, condition: Literal["new", "used"]) -> tuple[Offer, ...]:
        """The offers in that condition, the buy box first."""
        return tuple(offer for offer in self.offers if offer.condition == condition)

    def truth(self, buy_from: BuyFrom = "any") -> Truth:
        """What a correct reader of Amazon's answers must conclude."""
        if self.kind in UNPROVEN:
            return Truth(None, None)
        # The buy box if it counts, else the cheapest that does.
        best = min(
            (offer for offer in self.offers if offer.counts(buy_from)),
            key=lambda offer: (not offer.buy_box, offer.outlay),
            default=None,
        )
        return Truth(best.outlay if best else None, in_stock=best is not None)
