"""The world of products."""

import pytest

from ecauto_pipeline.sandbox.amazon.products import AMAZON_JP_SELLER, Kind, Offer, Product
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World


def test_every_kind_is_there_even_in_a_small_world() -> None:
    world = World(count=20)
    assert all(world.of_kind(kind) for kind in Kind)
    assert len(set(world.asins)) == 20


def test_the_first_asins_are_real_normal_and_in_stock() -> None:
    world = World(count=411)
    assert world.asins[:11] == FIRST_ASINS
    assert all(world.truth(asin).in_stock for asin in FIRST_ASINS)


def test_most_products_are_normal() -> None:
    world = World(count=1000)
    assert len(world.of_kind(Kind.NORMAL)) > 700


def test_the_same_seed_gives_the_same_world_and_another_one_another() -> None:
    first, again, other = World(count=60), World(count=60), World(count=60, seed=2)
    assert [first.find(asin) for asin in first.asins] == [again.find(asin) for asin in again.asins]
    assert first.asins != other.asins


def test_a_product_does_not_depend_on_the_world_it_is_in() -> None:
    asin = World(count=60).asins[-1]
    alone = World([])
    assert alone.find(asin) is None
    assert alone.ensure(asin) == World(count=60).find(asin)


def test_moving_changes_some_prices_and_some_stock() -> None:
    world = World(count=600)
    before = {asin: world.truth(asin) for asin in world.asins}
    assert world.move() == 1
    after = {asin: world.truth(asin) for asin in world.asins}
    changed = sum(before[asin].price_jpy != after[asin].price_jpy for asin in before)
    flipped = sum(before[asin].in_stock != after[asin].in_stock for asin in before)
    assert 10 < changed < 120
    assert 2 < flipped < 40


def test_moves_lead_to_the_same_place_however_they_are_made() -> None:
    watched, unwatched = World(count=100), World(count=100)
    for _ in range(5):
        watched.move()
        assert len([watched.truth(asin) for asin in watched.asins]) == 100
    unwatched.move(5)
    assert [watched.find(a) for a in watched.asins] == [unwatched.find(a) for a in watched.asins]


def a_product(*offers: Offer, kind: Kind = Kind.NORMAL) -> Product:
    like = World(count=11).ensure(FIRST_ASINS[0])
    return Product(
        like.asin, kind, like.title, like.brand, like.category, like.images,
        like.bullet_points, like.description, 1000, sold_out=False, offers=offers, sales_rank=1,
    )  # fmt: skip


BOX = Offer("A1", "new", 1000, shipping=100, points=10, buy_box=True)
CHEAP = Offer("A2", "new", 900, fulfilled_by_amazon=True)
LATE = Offer("A3", "new", 500, availability="FUTURE_WITH_DATE", buy_box=True)
AMAZON = Offer(AMAZON_JP_SELLER, "new", 1200, fulfilled_by_amazon=True)
USED = Offer("A4", "used", 100)


@pytest.mark.parametrize(
    ("offers", "buy_from", "price"),
    [
        ((BOX, CHEAP), "any", 1100),
        ((BOX, CHEAP), "fba", 900),
        ((BOX, CHEAP), "amazon", None),
        ((BOX, AMAZON), "amazon", 1200),
        ((LATE, AMAZON, CHEAP), "any", 900),
        ((LATE, USED), "any", None),
        ((), "any", None),
    ],
)
def test_the_truth_is_the_buy_box_if_it_counts_else_the_cheapest(
    offers: tuple[Offer, ...], buy_from: str, price: int | None
) -> None:
    truth = a_product(*offers).truth(buy_from)  # pyright: ignore[reportArgumentType]
    assert (truth.price_jpy, truth.in_stock) == (price, price is not None)


def test_without_proof_nothing_is_true() -> None:
    truth = a_product(BOX, kind=Kind.TOO_SOON).truth()
    assert (truth.price_jpy, truth.in_stock) == (None, None)


def test_each_kind_has_the_truth_it_is_there_for() -> None:
    world = World(count=1500)
    stock = {kind: {world.truth(asin).in_stock for asin in world.of_kind(kind)} for kind in Kind}
    for kind in (Kind.NORMAL, Kind.SOLE_SELLER, Kind.FUTURE_BUY_BOX, Kind.SHIPPING):
        assert stock[kind] == {True}
    for kind in (Kind.OUT, Kind.USED_ONLY, Kind.FUTURE, Kind.VARIATION_PARENT):
        assert stock[kind] == {False}
    for kind in (Kind.TOO_SOON, Kind.NOT_FOUND):
        assert stock[kind] == {None}
