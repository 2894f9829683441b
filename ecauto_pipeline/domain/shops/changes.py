"""Listings on shops, and the decisions about their price and visibility.

First everything is decided, without I/O; then the decisions are carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ecauto_pipeline.domain.shops.pricing import PriceRule
from ecauto_pipeline.domain.shops.visibility import Visibility

BREAKER_MIN_LISTINGS = 5
"""Fewer changes than this never trip the breaker, so that small shops can work."""


class Kind(StrEnum):
    """What a decision changes."""

    PRICE = "price"
    VISIBILITY = "visibility"
    DELIST = "delist"


class Outcome(StrEnum):
    """What became of a decision."""

    PLANNED = "planned"
    WRITTEN = "written"
    FAILED = "failed"
    HELD = "held"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing on a shop, beside what is known of its product on Amazon.

    `amazon_price_jpy` and `in_stock` are None where nothing is proven.
    """

    id: int
    asin: str
    account_id: str
    item_id: str
    selling_price: Decimal | None
    public: bool
    amazon_price_jpy: int | None
    in_stock: bool | None


@dataclass(frozen=True, slots=True)
class Item:
    """An item as a shop has it."""

    item_id: str
    identifier: str | None
    title: str
    price_jpy: int
    stock: int
    visible: bool
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be made on a shop."""

    identifier: str
    title: str
    detail: str
    price_jpy: int
    stock: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One call to make: new values for an item, and why.

    A listing that comes back is given its price in the same call, so that it is never shown at an
    old one.
    """

    listing: Listing
    kind: Kind
    old: str
    new: str
    rule: str
    reason: str
    price_jpy: int | None = None
    visible: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes that one account needs, most urgent first.

    `prices` also holds those that a returning listing is given in the call that shows it.
    """

    visibility: tuple[Change, ...]
    prices: tuple[Change, ...]
    listings: int
    in_stock: int
    out_of_stock: int
    unknown: int

    @property
    def hides(self) -> int:
        """How many listings would be hidden."""
        return sum(change.visible is False for change in self.visibility)

    def changes(self, kind: Kind, *, prices_alone: bool) -> tuple[Change, ...]:
        """Those of one kind.

        A listing that is about to come back is given its price in the call that shows it, unless
        prices are written alone.
        """
        if kind == Kind.VISIBILITY:
            return self.visibility
        returning = {change.listing.id for change in self.visibility if change.visible}
        return tuple(
            change for change in self.prices if prices_alone or change.listing.id not in returning
        )


@dataclass(frozen=True, slots=True)
class Breaker:
    """The largest shares of an account's listings that one run may hide, or reprice."""

    max_hidden_share: float = 0.2
    max_repriced_share: float = 0.5

    def objection(self, plan: Plan) -> str | None:
        """Why the plan should not be carried out unseen; None when it may."""
        for count, share, verb in (
            (plan.hides, self.max_hidden_share, "hide"),
            (len(plan.prices), self.max_repriced_share, "reprice"),
        ):
            if share < 1 and count >= BREAKER_MIN_LISTINGS and count > share * plan.listings:
                return (
                    f"this run would {verb} {count} of {plan.listings} listings,"
                    f" more than {share:.0%}"
                )
        return None


def plan_changes(listings: Sequence[Listing], rule: PriceRule) -> Plan:
    """What should change on the shop; where Amazon proved nothing, nothing does."""
    visibility = [change for each in listings if (change := decide_visibility(each, rule))]
    prices = [change for each in listings if (change := decide_price(each, rule))]
    visibility.sort(key=lambda change: (change.visible, change.listing.id))
    return Plan(
        visibility=tuple(visibility),
        prices=tuple(prices),
        listings=len(listings),
        in_stock=sum(each.in_stock is True for each in listings),
        out_of_stock=sum(each.in_stock is False for each in listings),
        unknown=sum(each.in_stock is None for each in listings),
    )


def decide_visibility(listing: Listing, rule: PriceRule) -> Change | None:
    """Hide what is sold out, show what is back at its present price; unknown changes nothing."""
    if listing.in_stock is False and listing.public:
        return Change(
            listing,
            Kind.VISIBILITY,
            old=Visibility.PUBLIC,
            new=Visibility.HIDDEN,
            rule="hide_when_sold_out",
            reason="out of stock on Amazon",
            visible=False,
        )
    if not listing.in_stock or listing.public or listing.amazon_price_jpy is None:
        return None
    price = rule.selling_price(listing.amazon_price_jpy)
    differs = rule.differs(listing.selling_price, price)
    reason = f"in stock on Amazon at {listing.amazon_price_jpy} yen"
    return Change(
        listing,
        Kind.VISIBILITY,
        old=Visibility.HIDDEN,
        new=Visibility.PUBLIC,
        rule="show_when_back",
        reason=f"{reason}; price {listing.selling_price} -> {price}" if differs else reason,
        price_jpy=price if differs else None,
        visible=True,
    )


def delist(listing: Listing, label: str) -> Change:
    """The shop does not have the item any more; `label` is what people call the marketplace."""
    return Change(
        listing,
        Kind.DELIST,
        old="listed",
        new="delisted",
        rule="item_gone",
        reason=no_such_item(label),
    )


def no_such_item(label: str) -> str:
    """Why a listing is delisted."""
    return f"{label} has no such item any more"


def decide_price(listing: Listing, rule: PriceRule) -> Change | None:
    """Another price when it differs enough; a sold-out product has none worth following."""
    if not listing.in_stock or listing.amazon_price_jpy is None:
        return None
    price = rule.selling_price(listing.amazon_price_jpy)
    if not rule.differs(listing.selling_price, price):
        return None
    old = "" if listing.selling_price is None else str(listing.selling_price)
    markup = rule.markup_for(listing.amazon_price_jpy)
    return Change(
        listing,
        Kind.PRICE,
        old=old,
        new=str(price),
        rule="markup",
        reason=f"Amazon {listing.amazon_price_jpy} yen x {markup}",
        price_jpy=price,
    )
