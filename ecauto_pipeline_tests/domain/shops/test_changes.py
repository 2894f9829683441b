"""What should change on a BASE shop."""

import doctest
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.shops import changes
from ecauto_pipeline.domain.shops.changes import (
    Breaker,
    Change,
    Kind,
    Listing,
    Plan,
    decide_price,
    decide_visibility,
    delist,
    plan_changes,
)
from ecauto_pipeline.domain.shops.pricing import PriceRule

RULE = PriceRule()

LISTING = Listing(
    id=1,
    asin="B0FGQJ45HW",
    account_id="one",
    item_id="126000001",
    selling_price=Decimal(1300),
    public=True,
    amazon_price_jpy=1000,
    in_stock=True,
)
HIDDEN = replace(LISTING, public=False)
SOLD_OUT = replace(LISTING, in_stock=False)


def numbered(listing: Listing, count: int, start: int = 1) -> list[Listing]:
    return [replace(listing, id=number) for number in range(start, start + count)]


def test_the_examples_hold() -> None:
    assert doctest.testmod(changes).failed == 0


def test_what_is_sold_out_is_hidden() -> None:
    change = decide_visibility(SOLD_OUT, RULE)
    assert change is not None
    assert (change.visible, change.price_jpy) == (False, None)
    assert (change.old, change.new, change.rule) == ("public", "hidden", "hide_when_sold_out")


@pytest.mark.parametrize(
    "listing",
    [
        LISTING,
        replace(SOLD_OUT, public=False),
        replace(LISTING, in_stock=None),
        replace(HIDDEN, in_stock=None),
        replace(HIDDEN, amazon_price_jpy=None),
    ],
)
def test_all_else_stays_as_visible_as_it_is(listing: Listing) -> None:
    assert decide_visibility(listing, RULE) is None


@pytest.mark.parametrize(
    ("amazon", "price", "reason"),
    [
        (1000, None, "in stock on Amazon at 1000 yen"),
        (1050, None, "in stock on Amazon at 1050 yen"),
        (2000, 2600, "in stock on Amazon at 2000 yen; price 1300 -> 2600"),
    ],
)
def test_what_is_back_is_shown_at_its_present_price(
    amazon: int, price: int | None, reason: str
) -> None:
    change = decide_visibility(replace(HIDDEN, amazon_price_jpy=amazon), RULE)
    assert change is not None
    assert (change.visible, change.price_jpy, change.reason) == (True, price, reason)


def test_what_never_had_a_price_is_given_one() -> None:
    listing = replace(HIDDEN, selling_price=None)
    shown, priced = decide_visibility(listing, RULE), decide_price(listing, RULE)
    assert shown is not None
    assert priced is not None
    assert (shown.price_jpy, priced.price_jpy, priced.old) == (1300, 1300, "")


def test_a_price_that_moved_is_followed() -> None:
    change = decide_price(replace(LISTING, amazon_price_jpy=1100), RULE)
    assert change is not None
    assert (change.kind, change.price_jpy, change.visible) == (Kind.PRICE, 1430, None)
    assert (change.old, change.new) == ("1300", "1430")
    assert change.reason == "Amazon 1100 yen x 1.3"


@pytest.mark.parametrize(
    "listing",
    [
        LISTING,
        replace(LISTING, amazon_price_jpy=1076),
        replace(LISTING, amazon_price_jpy=None),
        replace(LISTING, amazon_price_jpy=5000, in_stock=False),
        replace(LISTING, amazon_price_jpy=5000, in_stock=None),
    ],
)
def test_no_other_price_is_changed(listing: Listing) -> None:
    assert decide_price(listing, RULE) is None


def test_a_plan_hides_before_it_shows() -> None:
    listings = [HIDDEN, replace(SOLD_OUT, id=3), replace(SOLD_OUT, id=2)]
    plan = plan_changes(listings, RULE)
    assert [change.listing.id for change in plan.visibility] == [2, 3, 1]
    assert plan.hides == 2


def test_a_plan_counts_what_is_known() -> None:
    listings = [LISTING, HIDDEN, SOLD_OUT, replace(LISTING, in_stock=None)]
    plan = plan_changes(listings, RULE)
    assert (plan.listings, plan.in_stock, plan.out_of_stock, plan.unknown) == (4, 2, 1, 1)


def test_a_returning_listing_is_priced_in_the_call_that_shows_it() -> None:
    dearer = replace(LISTING, amazon_price_jpy=2000)
    plan = plan_changes([dearer, replace(dearer, id=2, public=False)], RULE)
    assert [change.listing.id for change in plan.prices] == [1, 2]
    assert [change.listing.id for change in plan.changes(Kind.PRICE, prices_alone=False)] == [1]


def test_nothing_listed_is_nothing_to_do() -> None:
    assert plan_changes([], RULE) == Plan((), (), 0, 0, 0, 0)


def test_a_delisting_changes_neither_price_nor_visibility() -> None:
    change = delist(LISTING, "BASE")
    assert (change.kind, change.price_jpy, change.visible) == (Kind.DELIST, None, None)


@pytest.mark.parametrize(
    ("hidden", "of", "held"),
    [
        (4, 4, False),
        (5, 25, False),
        (5, 24, True),
        (6, 25, True),
        (20, 100, False),
        (21, 100, True),
    ],
)
def test_too_many_hidden_at_once_are_held(hidden: int, of: int, *, held: bool) -> None:
    listings = numbered(SOLD_OUT, hidden) + numbered(LISTING, of - hidden, start=1000)
    objection = Breaker().objection(plan_changes(listings, RULE))
    assert (objection is not None) is held
    if objection:
        assert f"hide {hidden} of {of} listings, more than 20%" in objection


@pytest.mark.parametrize(
    ("moved", "of", "held"), [(4, 4, False), (5, 10, False), (6, 11, True), (50, 100, False)]
)
def test_too_many_repriced_at_once_are_held(moved: int, of: int, *, held: bool) -> None:
    dearer = replace(LISTING, amazon_price_jpy=2000)
    listings = numbered(dearer, moved) + numbered(LISTING, of - moved, start=1000)
    objection = Breaker().objection(plan_changes(listings, RULE))
    assert (objection is not None) is held
    if objection:
        assert f"reprice {moved} of {of}" in objection


def test_a_price_that_comes_back_is_a_reprice_too() -> None:
    dearer = replace(HIDDEN, amazon_price_jpy=2000)
    assert Breaker().objection(plan_changes(numbered(dearer, 6), RULE)) is not None


def test_shows_alone_are_never_held() -> None:
    assert Breaker().objection(plan_changes(numbered(HIDDEN, 50), RULE)) is None


@pytest.mark.parametrize("listing", [SOLD_OUT, replace(LISTING, amazon_price_jpy=9000)])
def test_a_share_of_one_switches_the_breaker_off(listing: Listing) -> None:
    plan = plan_changes(numbered(listing, 50), RULE)
    assert Breaker().objection(plan) is not None
    assert Breaker(1, 1).objection(plan) is None


AMAZON_PRICES = st.none() | st.integers(1, 1_000_000)
LISTINGS = st.lists(
    st.builds(
        Listing,
        id=st.integers(1, 10**9),
        asin=st.just("B0FGQJ45HW"),
        account_id=st.just("one"),
        item_id=st.just("126000001"),
        selling_price=st.none() | st.decimals(1, 1_000_000, places=2),
        public=st.booleans(),
        amazon_price_jpy=AMAZON_PRICES,
        in_stock=st.sampled_from([True, False, None]),
    ),
    unique_by=lambda listing: listing.id,
    max_size=12,
)
RULES = st.builds(
    PriceRule,
    min_difference_jpy=st.integers(0, 500),
    round_to=st.sampled_from([1, 10, 100]),
    floor_jpy=st.integers(1, 500),
    ceiling_jpy=st.integers(500, 500_000),
)


def applied(listings: Sequence[Listing], changes: Sequence[Change]) -> list[Listing]:
    """The listings after a shop has taken the changes."""
    after = {listing.id: listing for listing in listings}
    for change in changes:
        listing = after[change.listing.id]
        if change.price_jpy is not None:
            listing = replace(listing, selling_price=Decimal(change.price_jpy))
        if change.visible is not None:
            listing = replace(listing, public=change.visible)
        after[listing.id] = listing
    return list(after.values())


@given(LISTINGS, RULES)
def test_a_plan_carried_out_leaves_nothing_to_do(listings: list[Listing], rule: PriceRule) -> None:
    plan = plan_changes(listings, rule)
    after = plan_changes(
        applied(listings, [*plan.visibility, *plan.changes(Kind.PRICE, prices_alone=False)]), rule
    )
    assert (after.visibility, after.prices) == ((), ())


@given(LISTINGS, RULES)
def test_what_is_unknown_is_never_touched(listings: list[Listing], rule: PriceRule) -> None:
    plan = plan_changes([replace(listing, in_stock=None) for listing in listings], rule)
    assert (plan.visibility, plan.prices) == ((), ())
    known = plan_changes(listings, rule)
    assert all(c.listing.in_stock is not None for c in (*known.visibility, *known.prices))


@given(LISTINGS, RULES)
def test_nothing_is_shown_at_an_old_price(listings: list[Listing], rule: PriceRule) -> None:
    plan = plan_changes(listings, rule)
    shown = {change.listing.id for change in plan.visibility if change.visible}
    for listing in applied(listings, plan.visibility):
        if listing.id in shown:
            assert listing.amazon_price_jpy is not None
            assert not rule.differs(
                listing.selling_price, rule.selling_price(listing.amazon_price_jpy)
            )


@given(LISTINGS, RULES)
def test_nothing_sold_out_stays_public(listings: list[Listing], rule: PriceRule) -> None:
    after = applied(listings, plan_changes(listings, rule).visibility)
    assert not any(listing.public and listing.in_stock is False for listing in after)
