"""What Amazon's answers prove."""

import doctest
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.amazon import facts as amazon
from ecauto_pipeline.domain.amazon.facts import (
    DETAIL_ORDER,
    OPTIONAL_DETAILS,
    BuyFrom,
    CompetitivePrice,
    DetailNeed,
    ItemOffers,
    KnownOffers,
    Offer,
    Verdict,
    detail_need,
    judge_competitive_price,
    judge_offers,
    unknown,
)

ASIN = "B0FGQJ45HW"
AMAZON_JP = "AN1VRQENFRJN5"
ANY, FBA, AMAZON = BuyFrom(), BuyFrom("fba"), BuyFrom("amazon", (AMAZON_JP,))

OFFER = Offer(
    listing_price_jpy=1000,
    shipping_jpy=0,
    points=10,
    seller_id="A2SELLER",
    availability="NOW",
    fulfilled_by_amazon=False,
    buy_box_winner=False,
)
LATER = replace(OFFER, availability="FUTURE_WITH_DATE")
BY_AMAZON = replace(OFFER, seller_id=AMAZON_JP, fulfilled_by_amazon=True, listing_price_jpy=1200)
BY_FBA = replace(OFFER, fulfilled_by_amazon=True, listing_price_jpy=1100)


def answer(*offers: Offer, status: str = "Success", new: int | None = None) -> ItemOffers:
    """An answer that shows all the new offers there are."""
    count = len(offers) if new is None else new
    return ItemOffers(ASIN, status, offers, total_offers=count, new_offers=count)


def test_the_examples_hold() -> None:
    assert doctest.testmod(amazon).failed == 0


def test_points_are_no_discount() -> None:
    assert replace(OFFER, shipping_jpy=350).price_jpy == 1350


@pytest.mark.parametrize(
    ("buy_from", "offer", "counts"),
    [
        (ANY, OFFER, True),
        (ANY, LATER, False),
        (FBA, OFFER, False),
        (FBA, BY_FBA, True),
        (FBA, replace(BY_FBA, availability="FUTURE_WITHOUT_DATE"), False),
        (AMAZON, BY_FBA, False),
        (AMAZON, BY_AMAZON, True),
        (AMAZON, replace(BY_AMAZON, availability=None), False),
    ],
)
def test_an_offer_counts_from_where_we_buy(
    buy_from: BuyFrom, offer: Offer, *, counts: bool
) -> None:
    assert buy_from.counts(offer) is counts


def test_no_buyable_offers_is_proof_of_being_out() -> None:
    assert judge_offers(answer(status="NoBuyableOffers"), ANY).in_stock is False


@pytest.mark.parametrize(
    "status",
    [
        "ActiveButTooSoonForProcessing",
        "NoOfferDueToMissingShippingCharge",
        "Malformed",
        "HTTP 429",
        "InvalidInput",
        "",
    ],
)
def test_any_other_status_proves_nothing(status: str) -> None:
    verdict = judge_offers(answer(OFFER, status=status), ANY)
    assert verdict == unknown(status or "no status")
    assert not verdict.is_proof


def test_the_buy_box_offer_gives_the_price() -> None:
    winner = replace(OFFER, listing_price_jpy=1500, buy_box_winner=True, points=15)
    verdict = judge_offers(answer(OFFER, winner), ANY)
    assert (verdict.in_stock, verdict.price_jpy, verdict.points) == (True, 1500, 15)
    assert verdict.reason == "buy-box offer"


def test_without_it_the_cheapest_that_counts_does() -> None:
    cheaper = replace(OFFER, listing_price_jpy=900, shipping_jpy=200)
    box_later = replace(LATER, listing_price_jpy=500, buy_box_winner=True)
    verdict = judge_offers(answer(box_later, cheaper, OFFER), ANY)
    assert (verdict.price_jpy, verdict.reason) == (1000, "cheapest offer that counts")


@pytest.mark.parametrize(("buy_from", "price"), [(ANY, 1000), (FBA, 1100), (AMAZON, 1200)])
def test_the_price_is_of_where_we_buy(buy_from: BuyFrom, price: int) -> None:
    assert judge_offers(answer(OFFER, BY_FBA, BY_AMAZON), buy_from).price_jpy == price


def test_offers_that_ship_later_are_out_of_stock() -> None:
    verdict = judge_offers(answer(LATER, replace(LATER, availability="FUTURE_WITHOUT_DATE")), ANY)
    assert (verdict.in_stock, verdict.price_jpy) == (False, None)


@pytest.mark.parametrize("buy_from", [FBA, AMAZON])
def test_offers_of_others_are_out_of_stock(buy_from: BuyFrom) -> None:
    assert judge_offers(answer(OFFER), buy_from).in_stock is False


@pytest.mark.parametrize("buy_from", [ANY, FBA, AMAZON])
def test_more_offers_than_were_shown_prove_no_absence(buy_from: BuyFrom) -> None:
    verdict = judge_offers(answer(LATER, new=2), buy_from)
    assert verdict.in_stock is None
    assert "only 1 of 2" in verdict.reason


def test_offers_without_their_number_prove_no_absence() -> None:
    assert judge_offers(ItemOffers(ASIN, "Success", (LATER,)), ANY).in_stock is None
    assert judge_offers(ItemOffers(ASIN, "Success", (OFFER,)), ANY).price_jpy == 1000


def test_without_the_number_of_new_offers_that_of_all_is_the_most() -> None:
    shown = ItemOffers(ASIN, "Success", (LATER,), total_offers=1)
    assert judge_offers(shown, ANY).in_stock is False
    assert judge_offers(replace(shown, total_offers=2), ANY).in_stock is None


@pytest.mark.parametrize("availability", [None, "SOMEDAY", "now"])
@pytest.mark.parametrize(
    ("buy_from", "offer", "matters"),
    [
        (ANY, OFFER, True),
        (FBA, OFFER, False),
        (FBA, BY_FBA, True),
        (AMAZON, BY_FBA, False),
        (AMAZON, BY_AMAZON, True),
    ],
)
def test_an_offer_that_does_not_say_when_it_ships_may_be_the_one(
    buy_from: BuyFrom, offer: Offer, availability: str | None, *, matters: bool
) -> None:
    verdict = judge_offers(answer(replace(offer, availability=availability)), buy_from)
    assert verdict.in_stock is (None if matters else False)


@pytest.mark.parametrize(
    ("total", "new", "in_stock"),
    [
        (0, None, False),
        (0, 0, False),
        (3, 0, False),
        (3, 3, None),
        (3, None, None),
        (None, 0, None),
        (None, None, None),
    ],
)
def test_no_offers_prove_absence_only_when_none_are_counted(
    total: int | None, new: int | None, *, in_stock: bool | None
) -> None:
    empty = ItemOffers(ASIN, "Success", (), total_offers=total, new_offers=new)
    assert judge_offers(empty, ANY).in_stock is in_stock


OFFERS = st.builds(
    Offer,
    listing_price_jpy=st.integers(1, 10**6),
    shipping_jpy=st.integers(0, 1000),
    points=st.integers(0, 100),
    seller_id=st.sampled_from([AMAZON_JP, "A2SELLER", ""]),
    availability=st.sampled_from(["NOW", "FUTURE_WITH_DATE", "FUTURE_WITHOUT_DATE", "?", None]),
    fulfilled_by_amazon=st.booleans(),
    buy_box_winner=st.booleans(),
)
COUNTS = st.none() | st.integers(0, 25)
ANSWERS = st.builds(
    ItemOffers,
    st.just(ASIN),
    st.sampled_from(["Success", "Success", "NoBuyableOffers", "Malformed"]),
    st.lists(OFFERS, max_size=5).map(tuple),
    COUNTS,
    COUNTS,
)


@given(ANSWERS, st.sampled_from([ANY, FBA, AMAZON]))
def test_a_price_is_always_that_of_an_offer_that_counts(
    given_answer: ItemOffers, buy_from: BuyFrom
) -> None:
    verdict = judge_offers(given_answer, buy_from)
    counting = {each.price_jpy for each in given_answer.offers if buy_from.counts(each)}
    assert (verdict.price_jpy in counting) is (verdict.in_stock is True)
    assert verdict.in_stock is not False or verdict.price_jpy is None
    if verdict.in_stock is False and given_answer.status == "Success":
        assert not counting


SWEPT = CompetitivePrice(ASIN, "Success", price_jpy=1000, points=10, new_offers=3)


def test_a_sweep_proves_a_price_with_somebody_who_asks_it() -> None:
    verdict = judge_competitive_price(SWEPT)
    assert verdict == Verdict(in_stock=True, reason="new buy-box price", price_jpy=1000, points=10)


@pytest.mark.parametrize(
    "swept",
    [
        replace(SWEPT, status="ClientError"),
        replace(SWEPT, status=""),
        replace(SWEPT, price_jpy=None),
        replace(SWEPT, new_offers=0),
        replace(SWEPT, new_offers=None),
        CompetitivePrice(ASIN, "Success"),
    ],
)
def test_a_sweep_never_proves_absence(swept: CompetitivePrice) -> None:
    verdict = judge_competitive_price(swept)
    assert (verdict.in_stock, verdict.price_jpy) == (None, None)
    assert verdict.reason


CHECKED = KnownOffers(
    ASIN,
    listed=True,
    in_stock=True,
    price_jpy=1000,
    swept_price_jpy=1000,
    new_offers=3,
    offers_checked=True,
)
UNLISTED = replace(CHECKED, listed=False, offers_checked=False)


@pytest.mark.parametrize(
    ("known", "swept", "need"),
    [
        (CHECKED, SWEPT, DetailNeed.RECHECK),
        (CHECKED, replace(SWEPT, price_jpy=1001), DetailNeed.CHANGED),
        (CHECKED, replace(SWEPT, new_offers=2), DetailNeed.CHANGED),
        (replace(CHECKED, in_stock=False), SWEPT, DetailNeed.CHANGED),
        (replace(CHECKED, in_stock=None), SWEPT, DetailNeed.CHANGED),
        (replace(CHECKED, offers_checked=False), SWEPT, DetailNeed.UNCONFIRMED),
        (CHECKED, replace(SWEPT, price_jpy=None), DetailNeed.INCONCLUSIVE),
        (CHECKED, replace(SWEPT, status="Malformed"), DetailNeed.INCONCLUSIVE),
        (UNLISTED, replace(SWEPT, new_offers=0), DetailNeed.INCONCLUSIVE),
        (UNLISTED, SWEPT, DetailNeed.SPARE),
        (replace(UNLISTED, in_stock=None), SWEPT, DetailNeed.SPARE),
        (replace(UNLISTED, in_stock=False), SWEPT, DetailNeed.CHANGED),
        (replace(UNLISTED, offers_checked=True), SWEPT, None),
        (replace(UNLISTED, offers_checked=True), replace(SWEPT, price_jpy=7), DetailNeed.SPARE),
    ],
)
def test_offers_are_read_where_the_sweep_is_not_enough(
    known: KnownOffers, swept: CompetitivePrice, need: DetailNeed | None
) -> None:
    assert detail_need(known, swept) is need


def test_what_can_be_left_out_is_the_least_urgent() -> None:
    optional = [need in OPTIONAL_DETAILS for need in DETAIL_ORDER]
    assert optional == [False, False, False, True, True]
    assert DETAIL_ORDER[0] is DetailNeed.INCONCLUSIVE
    assert set(DETAIL_ORDER) == set(DetailNeed)
