"""The selling price."""

import doctest
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.shops import pricing
from ecauto_pipeline.domain.shops.pricing import PriceBand, PriceRule

BANDS = (
    PriceBand(1000, Decimal("1.5")),
    PriceBand(5000, Decimal("1.4")),
    PriceBand(None, Decimal("1.2")),
)

PRICES = st.integers(1, 100_000_000)


def rules() -> st.SearchStrategy[PriceRule]:
    """All that the settings allow."""
    return st.builds(
        PriceRule,
        markup=st.decimals("0.1", "10", places=2),
        min_difference_jpy=st.integers(0, 1000),
        round_to=st.sampled_from([1, 10, 50, 100, 1000]),
        floor_jpy=st.integers(1, 500),
        ceiling_jpy=st.integers(500, 1_000_000),
    )


def test_the_examples_hold() -> None:
    results = doctest.testmod(pricing)
    assert (results.failed, results.attempted) == (0, 1)


@pytest.mark.parametrize(
    ("amazon", "selling"), [(1000, 1300), (1234, 1604), (1235, 1606), (1005, 1307), (1, 50)]
)
def test_the_markup_is_added_and_halves_are_rounded_up(amazon: int, selling: int) -> None:
    assert PriceRule().selling_price(amazon) == selling


@pytest.mark.parametrize(
    ("round_to", "selling"), [(1, 1604), (10, 1600), (50, 1600), (100, 1600), (1000, 2000)]
)
def test_prices_are_rounded_to_the_nearest_step(round_to: int, selling: int) -> None:
    assert PriceRule(round_to=round_to).selling_price(1234) == selling


def test_half_a_step_is_rounded_up() -> None:
    assert PriceRule(markup=Decimal(1), round_to=100).selling_price(1250) == 1300


@pytest.mark.parametrize(
    ("amazon", "markup"),
    [(1, "1.5"), (1000, "1.5"), (1001, "1.4"), (5000, "1.4"), (5001, "1.2"), (10**8, "1.2")],
)
def test_the_first_band_that_reaches_the_price_counts(amazon: int, markup: str) -> None:
    assert PriceRule(bands=BANDS).markup_for(amazon) == Decimal(markup)


def test_above_all_bands_the_general_markup_counts() -> None:
    rule = PriceRule(bands=BANDS[:2])
    assert rule.markup_for(5001) == Decimal("1.3")
    assert rule.selling_price(10_000) == 13_000


def test_floor_and_ceiling_hold() -> None:
    rule = PriceRule(floor_jpy=500, ceiling_jpy=2000)
    assert [rule.selling_price(price) for price in (1, 385, 1000, 9999)] == [500, 501, 1300, 2000]


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        (None, 1, True),
        (1000, 1099, False),
        (1000, 1100, True),
        (1000, 901, False),
        (1000, 900, True),
        (Decimal("1000.50"), 1100, False),
        (Decimal("1000.50"), 1101, True),
    ],
)
def test_a_price_differs_from_the_least_difference_on(
    old: Decimal | int | None, new: int, *, differs: bool
) -> None:
    assert PriceRule().differs(old, new) is differs


@pytest.mark.parametrize("least", [0, 1])
def test_the_same_price_never_differs(least: int) -> None:
    rule = PriceRule(min_difference_jpy=least)
    assert not rule.differs(1000, 1000)
    assert rule.differs(1000, 1001)


@given(rules(), PRICES)
def test_a_price_is_whole_yen_within_the_limits(rule: PriceRule, amazon: int) -> None:
    price = rule.selling_price(amazon)
    assert rule.floor_jpy <= price <= rule.ceiling_jpy
    assert price % rule.round_to == 0 or price in {rule.floor_jpy, rule.ceiling_jpy}
    exact = rule.markup * amazon
    assert abs(price - exact) * 2 <= rule.round_to or price in {rule.floor_jpy, rule.ceiling_jpy}


@given(rules(), PRICES, PRICES)
def test_what_is_dearer_on_amazon_is_not_cheaper_here(rule: PriceRule, one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert rule.selling_price(low) <= rule.selling_price(high)
