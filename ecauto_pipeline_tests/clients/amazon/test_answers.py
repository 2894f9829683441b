"""Amazon's JSON as records: the published examples, excerpts, and everything that is malformed."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.clients.amazon.answers import (
    MALFORMED,
    catalog_items_from,
    competitive_prices_from,
    item_offers_batch_from,
    item_offers_from,
)
from ecauto_pipeline.domain.amazon.facts import (
    BuyFrom,
    CatalogItem,
    CompetitivePrice,
    ItemOffers,
    Offer,
    Verdict,
    judge_competitive_price,
    judge_offers,
)
from ecauto_pipeline.errors import NoProof
from ecauto_pipeline.sandbox.amazon.catalog import PARTS, catalog_item
from ecauto_pipeline.sandbox.amazon.prices import competitive_price, item_offers
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline_tests.fakes import MIDDAY
from ecauto_pipeline_tests.places import CONTRACTS

EXAMPLES = CONTRACTS / "amazon/examples"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples beside the project")

WORLD = World(count=40)
ASIN = "B0FGQJ45HW"

Json = dict[str, Any]


def example(name: str) -> Json:
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))["response"]


def yen(amount: float) -> Json:
    return {"CurrencyCode": "JPY", "Amount": amount}


def offer_node(**members: Any) -> Json:
    return {
        "SubCondition": "new",
        "SellerId": "AN1VRQENFRJN5",
        "ListingPrice": yen(1980),
        "Shipping": yen(0),
        "ShippingTime": {"minimumHours": 0, "maximumHours": 0, "availabilityType": "NOW"},
        "IsFulfilledByAmazon": True,
        "IsBuyBoxWinner": True,
        **members,
    }


def offers_body(*offers: Any, counts: Any = None, total: Any = None, **members: Any) -> Json:
    """An answer of getItemOffers that counts what it shows, unless told."""
    counted = [{"condition": "new", "fulfillmentChannel": "Amazon", "OfferCount": len(offers)}]
    summary = {
        "NumberOfOffers": counted if counts is None else counts,
        "TotalOfferCount": len(offers) if total is None else total,
    }
    payload = {"ASIN": ASIN, "status": "Success", "Summary": summary, "Offers": list(offers)}
    return {"payload": {**payload, **members}}


def price_node(price: Any, *, count: Any = 3, condition: str = "New") -> Json:
    return {
        "status": "Success",
        "ASIN": ASIN,
        "Product": {
            "CompetitivePricing": {
                "CompetitivePrices": [
                    {"CompetitivePriceId": "1", "condition": condition, "Price": price}
                ],
                "NumberOfOfferListings": [
                    {"condition": "New", "Count": count},
                    {"condition": "Any", "Count": 9},
                ],
            }
        },
    }


def swept(price: Any, **members: Any) -> CompetitivePrice:
    return competitive_prices_from({"payload": [price_node(price, **members)]})[ASIN]


@needs_examples
@pytest.mark.parametrize("number", [0, 1, 2])
def test_prices_of_the_examples_are_dollars_and_prove_nothing(number: int) -> None:
    body = example(f"productPricingV0__getCompetitivePricing__200__sandbox{number}")
    found = competitive_prices_from(body)
    assert all(not judge_competitive_price(price).is_proof for price in found.values())
    assert [price.asin for price in found.values()] == list(found)


@needs_examples
def test_the_same_examples_in_yen_are_understood() -> None:
    text = json.dumps(example("productPricingV0__getCompetitivePricing__200__sandbox0"))
    found = competitive_prices_from(json.loads(text.replace("USD", "JPY")))
    assert found["B00V5DG6IQ"] == CompetitivePrice("B00V5DG6IQ", "Success", 250, 130, 20)
    assert found["B00551Q3CS"].new_offers == 1


@needs_examples
def test_the_example_of_a_batch_in_yen_is_understood() -> None:
    text = json.dumps(example("productPricingV0__getItemOffersBatch__200__sandbox0"))
    found = item_offers_batch_from(json.loads(text.replace("USD", "JPY")))
    statuses = [answer.status for answer in found.values()]
    assert statuses.count("NoBuyableOffers") == 1
    assert found["B000P6Q7MY"].offers[0].price_jpy == 21
    # Prices like 21.5 are none in yen.
    assert set(statuses) == {"Success", "NoBuyableOffers", MALFORMED}


@needs_examples
@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_of_offers_are_understood(number: int) -> None:
    text = json.dumps(example(f"productPricingV0__getItemOffers__200__sandbox{number}"))
    found = item_offers_from(json.loads(text.replace("USD", "JPY")))
    assert found.asin == "B00V5DG6IQ"
    assert found.status in {"Success", "NoBuyableOffers"}


@needs_examples
def test_the_catalogs_example_is_understood() -> None:
    found = catalog_items_from(
        example("catalogItems_2022-04-01__searchCatalogItems__200__sandbox0")
    )
    assert found["B07N4M94X4"].title
    assert found["B07N4M94X4"].brand == "SAMSUNG"


@needs_examples
@pytest.mark.parametrize(
    "read", [catalog_items_from, competitive_prices_from, item_offers_batch_from, item_offers_from]
)
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*__400__*")), ids=lambda path: path.stem)
def test_an_error_is_never_taken_for_an_answer(read: Callable[[Json], object], path: Path) -> None:
    with pytest.raises(NoProof):
        read(example(path.stem))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_product_is_read_as_it_is(kind: Kind) -> None:
    product = WORLD.ensure(WORLD.of_kind(kind)[0])
    answer = item_offers_from({"payload": item_offers(product, "New", MIDDAY)})
    verdict = judge_offers(answer, BuyFrom())
    if kind is not Kind.NOT_FOUND:
        truth = product.truth()
        assert (verdict.in_stock, verdict.price_jpy) == (truth.in_stock, truth.price_jpy)


def test_a_catalog_item_is_read_whole() -> None:
    product = WORLD.ensure(WORLD.asins[0])
    body = {"items": [catalog_item(product, tuple(PARTS))]}
    assert catalog_items_from(body) == {
        product.asin: CatalogItem(
            asin=product.asin,
            title=product.title,
            description="\n".join((product.description, *product.bullet_points)),
            brand=product.brand,
            classification=" > ".join(name for name, _ in product.category.path),
            images=product.images,
        )
    }


def test_a_catalog_item_without_anything_keeps_silent() -> None:
    assert catalog_items_from({"items": [{"asin": ASIN}]}) == {ASIN: CatalogItem(ASIN)}


def test_the_largest_picture_of_each_variant_is_taken_the_main_one_first() -> None:
    pictures = [
        {"variant": "PT01", "link": "https://x/p1.jpg", "width": 500},
        {"variant": "MAIN", "link": "https://x/s.jpg", "width": 75},
        {"variant": "MAIN", "link": "https://x/l.jpg", "width": 1500},
        {"variant": "MAIN", "link": "https://x/?.jpg", "width": None},
        {"variant": None, "link": "https://x/no.jpg", "width": 9},
        {"variant": "PT02", "link": 7},
    ]
    body = {"items": [{"asin": ASIN, "images": [{"images": pictures}]}]}
    assert catalog_items_from(body)[ASIN].images == ("https://x/l.jpg", "https://x/p1.jpg")


def test_texts_come_without_nul() -> None:
    body = {"items": [{"asin": ASIN, "summaries": [{"itemName": "a\0b🎁", "brand": "\0"}]}]}
    assert catalog_items_from(body)[ASIN] == CatalogItem(ASIN, title="ab🎁")


def test_a_price_is_what_is_paid_points_apart() -> None:
    price = {
        "LandedPrice": yen(2310),
        "ListingPrice": yen(1980.0),
        "Shipping": yen(350),
        "Points": {"PointsNumber": 20},
    }
    assert swept(price) == CompetitivePrice(ASIN, "Success", 2330, 20, 3)


def test_a_used_buy_box_is_no_price() -> None:
    found = swept({"ListingPrice": yen(500)}, condition="Used")
    assert (found.price_jpy, found.new_offers) == (None, 3)


@pytest.mark.parametrize(
    ("price", "paid"),
    [
        ({"ListingPrice": yen(1980)}, 1980),
        ({"ListingPrice": yen(1980), "LandedPrice": yen(1980)}, 1980),
        ({"ListingPrice": yen(1980), "LandedPrice": yen(2330)}, None),
        (
            {
                "ListingPrice": yen(1980),
                "LandedPrice": yen(1960),
                "Points": {"PointsNumber": 20},
            },
            1980,
        ),
        ({"ListingPrice": yen(0), "Shipping": yen(350)}, None),
        ({"ListingPrice": yen(-1), "Shipping": yen(350)}, None),
        ({"ListingPrice": yen(19.8), "Shipping": yen(0)}, None),
        ({"ListingPrice": yen(10**18), "Shipping": yen(0)}, None),
        ({"ListingPrice": yen(float("nan")), "Shipping": yen(0)}, None),
        ({"ListingPrice": {"CurrencyCode": "USD", "Amount": 10}}, None),
        ({"ListingPrice": {"CurrencyCode": None, "Amount": 10}}, None),
        ({"ListingPrice": {"Amount": True}}, None),
        ({"ListingPrice": {"Amount": "1980"}}, None),
        ({"ListingPrice": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_only_whole_yen_are_a_price(price: Any, paid: int | None) -> None:
    found = swept(price)
    assert found.price_jpy == paid
    assert found.status == ("Success" if paid else MALFORMED)


@pytest.mark.parametrize("count", [True, -1, 1.5, "3", None, 10**12, [3]])
def test_what_is_no_count_spoils_the_answer(count: Any) -> None:
    assert swept({"ListingPrice": yen(1980)}, count=count).status == MALFORMED


def test_identifiers_alone_say_nothing() -> None:
    body: Json = {"payload": [{"status": "Success", "ASIN": ASIN, "Product": {"Identifiers": {}}}]}
    assert competitive_prices_from(body) == {ASIN: CompetitivePrice(ASIN, "Success")}


def test_an_offer_is_read_whole() -> None:
    answer = item_offers_from(offers_body(offer_node(Points={"PointsNumber": 20})))
    assert answer == ItemOffers(
        ASIN,
        "Success",
        (
            Offer(
                listing_price_jpy=1980,
                shipping_jpy=0,
                points=20,
                seller_id="AN1VRQENFRJN5",
                availability="NOW",
                fulfilled_by_amazon=True,
                buy_box_winner=True,
            ),
        ),
        total_offers=1,
        new_offers=1,
    )


@pytest.mark.parametrize(
    ("counts", "new"),
    [
        ([{"condition": "new", "OfferCount": 2}, {"condition": "New", "OfferCount": 1}], 3),
        ([{"condition": "used", "OfferCount": 2}], 0),
        ([{"condition": "new"}], None),
        ([], None),
    ],
)
def test_new_offers_are_counted_over_all_channels(counts: Any, new: int | None) -> None:
    assert item_offers_from(offers_body(counts=counts, total=9)).new_offers == new


def test_used_offers_are_left_out() -> None:
    assert item_offers_from(offers_body(offer_node(SubCondition="good"))).offers == ()


@pytest.mark.parametrize(
    "body",
    [
        offers_body(None),
        offers_body("offer"),
        offers_body(offer_node(), None),
        offers_body([offer_node()]),
        offers_body(offer_node(SubCondition=None)),
        offers_body(offer_node(IsBuyBoxWinner="true")),
        offers_body(offer_node(IsFulfilledByAmazon=1)),
        offers_body(offer_node(Shipping=None)),
        offers_body(offer_node(), Offers={"0": offer_node()}),
        offers_body(offer_node(), status=None),
        offers_body(offer_node(), status=["Success"]),
        offers_body(offer_node(), counts="many"),
        offers_body(offer_node(), counts=[{"OfferCount": 1}]),
        offers_body(offer_node(), total=True),
    ],
)
def test_a_malformed_answer_proves_nothing(body: Json) -> None:
    answer = item_offers_from(body)
    assert answer == ItemOffers(ASIN, MALFORMED)
    assert not judge_offers(answer, BuyFrom()).is_proof


def test_an_answer_without_a_time_of_shipping_is_read() -> None:
    answer = item_offers_from(offers_body(offer_node(ShippingTime=None)))
    assert answer.offers[0].availability is None


def batched(asin: str, code: object, body: object) -> Json:
    return {
        "status": {"statusCode": code, "reasonPhrase": "?"},
        "body": body,
        "request": {"Asin": asin, "MarketplaceId": "A1VC38T7YXB528"},
    }


def test_what_fails_inside_a_batch_is_told_by_its_code() -> None:
    invalid = {"errors": [{"code": "InvalidInput", "message": "is an invalid ASIN"}]}
    body: Json = {
        "responses": [
            batched("B000000001", 200, offers_body(offer_node(), ASIN="B000000001")),
            batched("B000000002", 400, invalid),
            batched("B000000003", 429, {"errors": []}),
            batched("B000000004", 200, {}),
            batched("B000000005", 503, offers_body(offer_node())),
            batched("B000000006", "200", offers_body(offer_node())),
            batched("", 200, {}),
            "garbage",
            {},
        ]
    }
    found = item_offers_batch_from(body)
    assert {asin: answer.status for asin, answer in found.items()} == {
        "B000000001": "Success",
        "B000000002": "InvalidInput",
        "B000000003": "HTTP 429",
        "B000000004": "HTTP 200",
        "B000000005": "HTTP 503",
        "B000000006": MALFORMED,
    }
    assert [asin for asin, each in found.items() if judge_offers(each, BuyFrom()).is_proof] == [
        "B000000001"
    ]


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"payload": None}, {"responses": "x"}])
@pytest.mark.parametrize(
    "read", [catalog_items_from, competitive_prices_from, item_offers_batch_from, item_offers_from]
)
def test_another_body_is_no_proof(read: Callable[[Json], object], body: Json) -> None:
    with pytest.raises(NoProof, match="without"):
        read(body)


# Mutations: whatever happens to an answer, it proves nothing that it did not prove before.

Path_ = tuple[str | int, ...]

BAD_VALUES: list[Any] = [
    None, True, False, float("nan"), float("inf"), 10**18, 10**30, -1, 0.5, "", "x", "\0",
    [], [[]], [None], {}, {"a": []}, [[["x"]]],
]  # fmt: skip
JUNK = st.sampled_from(BAD_VALUES)


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Every place in a document."""
    if here:
        yield here
    if isinstance(value, dict):
        for key, each in cast("Json", value).items():
            yield from paths(each, (*here, key))
    elif isinstance(value, list):
        for number, each in enumerate(cast("list[Any]", value)):
            yield from paths(each, (*here, number))


def offer_answers() -> list[Json]:
    products = [WORLD.ensure(asin) for kind in Kind for asin in WORLD.of_kind(kind)[:2]]
    shown = [{"payload": item_offers(product, "New", MIDDAY)} for product in products]
    many = offers_body(offer_node(ShippingTime={"availabilityType": "FUTURE_WITH_DATE"}), total=30)
    many["payload"]["Summary"]["NumberOfOffers"][0]["OfferCount"] = 30
    return [*shown, many, offers_body(total=3)]


OFFER_ANSWERS = offer_answers()
PRICE_ANSWERS = [competitive_price(WORLD.ensure(asin), asin) for asin in WORLD.asins]


@st.composite
def mutated(draw: st.DrawFn, originals: list[Json]) -> tuple[Json, Json]:
    """A document, and the same with one to three places spoilt."""
    original = draw(st.sampled_from(originals))
    spoilt = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(list(paths(spoilt))))
        node: Any = spoilt
        for step in parents:
            node = node[step]
        if isinstance(last, str) and draw(st.booleans()):
            del node[last]
        else:
            node[last] = copy.deepcopy(draw(JUNK))
        if not spoilt:
            break
    return original, spoilt


def prices_told(original: Json) -> set[int]:
    """What the new offers of an answer that ship now cost."""
    answer = item_offers_from(original)
    return {offer.price_jpy for offer in answer.offers if offer.availability == "NOW"}


def verdict_on(body: Json, buy_from: BuyFrom) -> Verdict | None:
    try:
        return judge_offers(item_offers_from(body), buy_from)
    except NoProof:
        return None


BUY_FROM = st.sampled_from([BuyFrom(), BuyFrom("fba"), BuyFrom("amazon", ("AN1VRQENFRJN5",))])


@given(mutated(OFFER_ANSWERS), BUY_FROM)
def test_spoilt_offers_prove_nothing_new(documents: tuple[Json, Json], buy_from: BuyFrom) -> None:
    original, spoilt = documents
    verdict = verdict_on(spoilt, buy_from)
    if verdict is None or not verdict.is_proof:
        return
    if verdict.in_stock:
        assert verdict.price_jpy in prices_told(original)
    else:
        assert not judge_offers(item_offers_from(original), BuyFrom()).in_stock or (
            buy_from.who != "any"
        )


@given(mutated(OFFER_ANSWERS))
def test_spoilt_offers_never_prove_absence(documents: tuple[Json, Json]) -> None:
    original, spoilt = documents
    before, after = (verdict_on(body, BuyFrom()) for body in (original, spoilt))
    if after is not None and after.in_stock is False:
        assert before is not None
        assert before.in_stock is False


@given(mutated([{"payload": [node]} for node in PRICE_ANSWERS]))
def test_spoilt_prices_prove_nothing_new(documents: tuple[Json, Json]) -> None:
    original, spoilt = documents
    before = next(iter(competitive_prices_from(original).values()))
    try:
        found = competitive_prices_from(spoilt)
    except NoProof:
        return
    for after in found.values():
        verdict = judge_competitive_price(after)
        assert verdict.price_jpy in {None, before.price_jpy}
        assert verdict.in_stock in {None, True}


@given(
    mutated([{"responses": [batched(ASIN, 200, body), batched("B000000002", 400, {})]}
             for body in OFFER_ANSWERS])
)  # fmt: skip
def test_spoilt_batches_raise_nothing_but_no_proof(documents: tuple[Json, Json]) -> None:
    try:
        found = item_offers_batch_from(documents[1])
    except NoProof:
        return
    assert all(isinstance(each.status, str) and each.status for each in found.values())


@given(mutated([{"items": [catalog_item(WORLD.ensure(ASIN), tuple(PARTS))]}]))
def test_spoilt_catalogs_raise_nothing_but_no_proof(documents: tuple[Json, Json]) -> None:
    original, spoilt = documents
    whole = catalog_items_from(original)[ASIN]
    try:
        found = catalog_items_from(spoilt)
    except NoProof:
        return
    for item in found.values():
        assert item.title in {None, whole.title, "x"}
        assert "\0" not in "".join((item.title or "", item.brand or "", *item.images))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON)
def test_anything_at_all_proves_nothing(entry: Any) -> None:
    bodies = ({"payload": [entry]}, {"responses": [entry]}, {"items": [entry]})
    assert competitive_prices_from(bodies[0]) == {}
    assert item_offers_batch_from(bodies[1]) == {}
    assert catalog_items_from(bodies[2]) == {}
    try:
        assert item_offers_from({"payload": entry}).status == MALFORMED
    except NoProof:
        assert not isinstance(entry, dict) or not entry
