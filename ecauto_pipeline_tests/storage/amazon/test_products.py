"""Which products are due, and what an answer changes, in both databases."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.amazon.facts import (
    CatalogItem,
    CompetitivePrice,
    Fact,
    KnownOffers,
    Verdict,
    unknown,
)
from ecauto_pipeline.domain.amazon.freshness import (
    ASK_AGAIN_AFTER,
    CATALOG_ASK_AGAIN_AFTER,
    Due,
    FreshnessRules,
    RefreshRules,
    Scope,
    ShardFreshness,
    Tier,
    Ttl,
)
from ecauto_pipeline.storage.amazon.products import OffersUpdate, ProductStore
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

ASIN = "B000000001"
ALL_TIMES = tuple(f"{fact}_updated_at" for fact in Fact)
OFFERS = Scope(frozenset({Fact.PRICE, Fact.STOCK}))
CATALOG = Scope(frozenset({Fact.CATALOG}))

MakeStore = Callable[..., ProductStore]


@pytest.fixture
def make(engine: sa.Engine, clock: FakeClock) -> MakeStore:
    def make_store(**rules: Any) -> ProductStore:
        return ProductStore(engine, clock, FreshnessRules(**rules))

    return make_store


@pytest.fixture
def store(make: MakeStore) -> ProductStore:
    return make()


@pytest.fixture
def add(engine: sa.Engine) -> Callable[..., str]:
    """Adds a product, by default one of which everything is fresh."""

    def add_product(asin: str = ASIN, *, fresh: bool = True, **columns: Any) -> str:
        times = dict.fromkeys(ALL_TIMES, MIDDAY) if fresh else {}
        values = {"shard": "00", "created_at": MIDDAY, "updated_at": MIDDAY, **times, **columns}
        with engine.begin() as connection:
            connection.execute(sa.insert(products).values(asin=asin, **values))
        return asin

    return add_product


@pytest.fixture
def enlist(engine: sa.Engine) -> Callable[..., None]:
    """Puts a product on a shop."""

    def add_listing(asin: str, account_id: str = "one", **columns: Any) -> None:
        values = {"status": "listed", "created_at": MIDDAY, "updated_at": MIDDAY, **columns}
        with engine.begin() as connection:
            connection.execute(
                sa.insert(listings).values(
                    asin=asin, platform="base", account_id=account_id, **values
                )
            )

    return add_listing


def row(engine: sa.Engine, asin: str = ASIN) -> dict[str, Any]:
    with engine.connect() as connection:
        query = sa.select(products).where(products.c.asin == asin)
        return dict(connection.execute(query).mappings().one())


def ago(**units: float) -> datetime:
    return MIDDAY - timedelta(**units)


def asins(dues: list[Due]) -> list[str]:
    return [due.asin for due in dues]


def test_what_was_never_fetched_is_due_for_everything(
    store: ProductStore, add: Callable[..., str]
) -> None:
    add(fresh=False)
    assert store.due(Scope(), 10) == [Due(ASIN, "00", frozenset(Fact))]
    assert store.count_due(Scope()) == 1


def test_what_is_fresh_is_not_due(store: ProductStore, add: Callable[..., str]) -> None:
    add()
    assert store.due(Scope(), 10) == []
    assert store.count_due(Scope()) == 0
    assert store.due_shards(Scope()) == []


@pytest.mark.parametrize("fact", Fact)
def test_each_fact_expires_after_its_own_ttl(
    store: ProductStore, add: Callable[..., str], clock: FakeClock, fact: Fact
) -> None:
    add(**{f"{other}_updated_at": MIDDAY + timedelta(days=365) for other in Fact if other != fact})
    clock.advance(seconds=Ttl()[fact].total_seconds())
    assert store.due(Scope(), 10) == []
    clock.advance(seconds=0.001)
    assert store.due(Scope(), 10) == [Due(ASIN, "00", frozenset({fact}))]


def test_only_the_facts_asked_for_count(store: ProductStore, add: Callable[..., str]) -> None:
    add(catalog_updated_at=None, stock_updated_at=None)
    assert store.due(CATALOG, 10)[0].facts == {Fact.CATALOG}
    assert store.due(OFFERS, 10)[0].facts == {Fact.STOCK}
    assert store.due(Scope(frozenset({Fact.PRICE})), 10) == []


def test_sold_then_viewed_then_listed_then_oldest(
    store: ProductStore, add: Callable[..., str], enlist: Callable[..., None]
) -> None:
    for number, hours in enumerate([2, 3, 4, 5, 6, 7]):
        add(f"B00000000{number}", stock_updated_at=ago(hours=hours))
    add("B00000000N", fresh=False)
    enlist("B000000000", last_sold_at=ago(days=6))
    enlist("B000000001", last_viewed_at=ago(days=29))
    enlist("B000000002")
    enlist("B000000003", last_sold_at=ago(days=8), last_viewed_at=ago(days=31))
    enlist("B000000004", status="delisted")
    expected = ["B000000000", "B000000001", "B000000003", "B000000002"]
    expected += ["B00000000N", "B000000005", "B000000004"]
    assert asins(store.due(Scope(), 10)) == expected
    for limit in range(1, 8):
        assert asins(store.due(Scope(), limit)) == expected[:limit]
    assert store.count_due(Scope()) == 7


def test_a_product_on_two_shops_is_due_once(
    store: ProductStore, add: Callable[..., str], enlist: Callable[..., None]
) -> None:
    add(fresh=False)
    enlist(ASIN, last_sold_at=MIDDAY, last_viewed_at=MIDDAY)
    enlist(ASIN, "two", last_viewed_at=MIDDAY)
    assert [(due.asin, due.tier) for due in store.due(Scope(), 10)] == [(ASIN, Tier.HOT)]


@pytest.mark.parametrize(
    ("age", "due"),
    [
        (timedelta(minutes=59), []),
        (timedelta(hours=2), ["hot"]),
        (timedelta(hours=7), ["hot", "warm"]),
        (timedelta(hours=25), ["hot", "warm", "cold"]),
    ],
)
@pytest.mark.parametrize("fact", [Fact.PRICE, Fact.STOCK])
def test_with_tiers_price_and_stock_follow_the_product(
    make: MakeStore,
    add: Callable[..., str],
    enlist: Callable[..., None],
    fact: Fact,
    age: timedelta,
    due: list[str],
) -> None:
    store = make(refresh=RefreshRules(policy="tiered"))
    scope = Scope(frozenset({fact}))
    for asin in ("hot", "warm", "cold"):
        add(asin, **{f"{fact}_updated_at": MIDDAY - age})
    enlist("hot", last_sold_at=MIDDAY)
    enlist("warm", last_viewed_at=MIDDAY)
    enlist("cold")
    assert asins(store.due(scope, 10)) == due
    assert store.count_due(scope) == len(due)
    assert store.freshness(scope)[0].fresh == {fact: 3 - len(due)}


def test_a_scope_names_shards(store: ProductStore, add: Callable[..., str]) -> None:
    for number in range(4):
        add(f"B00000000{number}", fresh=False, shard=f"0{number}")
    scope = Scope(shards=frozenset({"01", "03"}))
    assert asins(store.due(scope, 10)) == ["B000000001", "B000000003"]
    assert store.count_due(scope) == 2
    assert store.due_shards(scope) == ["01", "03"]
    assert store.due_shards(Scope()) == ["00", "01", "02", "03"]
    assert [shard.shard for shard in store.freshness(scope)] == ["01", "03"]


def test_a_scope_names_an_account(
    store: ProductStore, add: Callable[..., str], enlist: Callable[..., None]
) -> None:
    for number in range(3):
        add(f"B00000000{number}", fresh=False)
    enlist("B000000000")
    enlist("B000000001", "two")
    assert asins(store.due(Scope(account_id="two"), 10)) == ["B000000001"]
    assert store.due(Scope(account_id="three"), 10) == []


def test_freshness_is_counted_by_shard_and_fact(
    store: ProductStore, add: Callable[..., str]
) -> None:
    add("B000000000")
    add("B000000001", stock_updated_at=ago(hours=2))
    add("B000000002", shard="07", fresh=False)
    all_fresh = dict.fromkeys(Fact, 2)
    assert store.freshness(Scope()) == [
        ShardFreshness("00", 2, all_fresh | {Fact.STOCK: 1}),
        ShardFreshness("07", 1, dict.fromkeys(Fact, 0)),
    ]


def test_what_proved_nothing_is_asked_again_after_ten_minutes(
    store: ProductStore, add: Callable[..., str], clock: FakeClock
) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, unknown("ActiveButTooSoonForProcessing"))])
    clock.advance(seconds=ASK_AGAIN_AFTER.total_seconds())
    assert store.due(OFFERS, 10) == []
    assert store.due(CATALOG, 10) != []
    clock.advance(seconds=1)
    assert asins(store.due(OFFERS, 10)) == [ASIN]


def test_what_the_catalog_does_not_know_is_asked_again_after_a_day(
    store: ProductStore, add: Callable[..., str], clock: FakeClock
) -> None:
    add(fresh=False)
    store.save_catalog([ASIN], {})
    clock.advance(seconds=CATALOG_ASK_AGAIN_AFTER.total_seconds())
    assert store.due(CATALOG, 10) == []
    assert store.due(OFFERS, 10) != []
    clock.advance(seconds=1)
    assert asins(store.due(CATALOG, 10)) == [ASIN]


@pytest.mark.parametrize(
    ("fact", "ttl"), [(Fact.STOCK, timedelta(minutes=5)), (Fact.CATALOG, timedelta(hours=6))]
)
def test_a_ttl_shorter_than_the_pause_is_kept_for_what_was_proven(
    make: MakeStore, add: Callable[..., str], clock: FakeClock, fact: Fact, ttl: timedelta
) -> None:
    store = make(ttl=Ttl(**{fact: ttl}))
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, detailed=True)])
    store.save_catalog([ASIN], {ASIN: CatalogItem(ASIN, "題")})
    assert store.due(Scope(), 10) == []
    clock.advance(seconds=ttl.total_seconds() + 1)
    assert store.due(Scope(frozenset({fact})), 10) != []


IN_STOCK = Verdict(in_stock=True, reason="buy-box offer", price_jpy=1980, points=20)
SOLD_OUT = Verdict(in_stock=False, reason="no new offer")
SWEPT = CompetitivePrice(ASIN, "Success", price_jpy=1990, new_offers=4)

ITEM = CatalogItem(
    ASIN,
    title="木製まな板 🎁",
    description="一行目\n二行目",
    brand="和み堂",
    classification="ホーム > 調理器具",
    images=("https://x/1.jpg", "https://x/2.jpg"),
)


def test_what_the_catalog_says_is_stored(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine
) -> None:
    add(fresh=False)
    store.save_catalog([ASIN], {ASIN: ITEM})
    stored = row(engine)
    assert (stored["title_ja"], stored["description_ja"]) == (ITEM.title, ITEM.description)
    assert (stored["brand"], stored["category"]) == (ITEM.brand, ITEM.classification)
    assert stored["images"] == list(ITEM.images)
    assert stored["catalog_updated_at"] == stored["classification_updated_at"] == MIDDAY
    assert stored["stock_updated_at"] is None
    assert store.due(CATALOG, 10) == []


def test_where_the_catalog_is_silent_the_old_values_stay(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine, clock: FakeClock
) -> None:
    add(fresh=False)
    store.save_catalog([ASIN], {ASIN: ITEM})
    before = row(engine)
    clock.advance(days=8)
    store.save_catalog([ASIN], {ASIN: CatalogItem(ASIN, brand="新しい")})
    after = row(engine)
    for name in ("title_ja", "description_ja", "category", "images"):
        assert after[name] == before[name]
    assert after["brand"] == "新しい"
    assert after["catalog_updated_at"] == clock.now()


def test_what_the_catalog_does_not_know_stays_as_it_was(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine, clock: FakeClock
) -> None:
    add(title_ja="昔の題", fresh=False)
    before = row(engine)
    clock.advance(days=8)
    store.save_catalog([ASIN], {})
    assert row(engine) == before | {"catalog_asked_at": clock.now()}


def test_proof_is_stored(store: ProductStore, add: Callable[..., str], engine: sa.Engine) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT, detailed=True)])
    stored = row(engine)
    assert (stored["amazon_in_stock"], stored["amazon_price_jpy"]) == (True, 1980)
    assert (stored["amazon_points"], stored["amazon_status"]) == (20, "buy-box offer")
    assert (stored["swept_price_jpy"], stored["new_offer_count"]) == (1990, 4)
    for name in ("stock_updated_at", "price_updated_at", "offers_checked_at", "offers_asked_at"):
        assert stored[name] == MIDDAY
    assert stored["catalog_updated_at"] is None


def test_without_proof_the_old_values_and_their_age_stay(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine, clock: FakeClock
) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT, detailed=True)])
    before = row(engine)
    clock.advance(hours=2)
    swept = CompetitivePrice(ASIN, "Success", price_jpy=5, new_offers=0)
    store.save_offers([OffersUpdate(ASIN, unknown("Malformed"), swept, detailed=True)])
    changed = {"offers_asked_at": clock.now(), "amazon_status": "Malformed"}
    assert row(engine) == before | changed


def test_sold_out_keeps_the_last_price(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine
) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, detailed=True)])
    store.save_offers([OffersUpdate(ASIN, SOLD_OUT, detailed=True)])
    stored = row(engine)
    assert (stored["amazon_in_stock"], stored["amazon_price_jpy"]) == (False, 1980)


def test_a_confirmation_makes_the_price_fresh_and_keeps_it(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine, clock: FakeClock
) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT, detailed=True)])
    clock.advance(hours=2)
    store.save_offers([OffersUpdate(ASIN, Verdict(in_stock=True, reason="unchanged"), SWEPT)])
    stored = row(engine)
    assert (stored["amazon_price_jpy"], stored["price_updated_at"]) == (1980, clock.now())
    assert stored["offers_checked_at"] == MIDDAY


def test_a_price_of_the_sweep_is_none_that_was_read(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine
) -> None:
    add(fresh=False)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT, detailed=True)])
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT)])
    assert row(engine)["offers_checked_at"] is None
    assert not store.known([ASIN])[ASIN].offers_checked


def test_nothing_to_store_is_nothing_done(store: ProductStore) -> None:
    store.save_offers([])
    store.adopt([])
    assert store.facts([]) == []


def test_what_is_known_is_told_before_a_sweep(
    store: ProductStore, add: Callable[..., str], enlist: Callable[..., None], clock: FakeClock
) -> None:
    add(fresh=False)
    assert store.known([ASIN]) == {ASIN: KnownOffers(ASIN, listed=False)}
    enlist(ASIN)
    store.save_offers([OffersUpdate(ASIN, IN_STOCK, SWEPT, detailed=True)])
    expected = KnownOffers(ASIN, True, True, 1980, 1990, 4, offers_checked=True)  # noqa: FBT003
    assert store.known([ASIN]) == {ASIN: expected}
    clock.advance(hours=24.1)
    assert not store.known([ASIN])[ASIN].offers_checked


def test_facts_taken_from_elsewhere_are_adopted(
    store: ProductStore, add: Callable[..., str], engine: sa.Engine
) -> None:
    add(fresh=False, brand="和み堂")
    store.adopt([{"asin": ASIN, "amazon_in_stock": True, "stock_updated_at": MIDDAY}])
    stored = row(engine)
    assert (stored["amazon_in_stock"], stored["stock_updated_at"]) == (True, MIDDAY)
    assert (stored["brand"], stored["price_updated_at"]) == ("和み堂", None)


def test_all_columns_of_products_are_told(store: ProductStore, add: Callable[..., str]) -> None:
    add("B000000001", amazon_price_jpy=2**40)
    add("B000000002")
    found = {each["asin"]: each for each in store.facts(["B000000001", "B000000002", "none"])}
    assert found.keys() == {"B000000001", "B000000002"}
    assert found["B000000001"]["amazon_price_jpy"] == 2**40
    assert found["B000000001"]["stock_updated_at"] == MIDDAY
