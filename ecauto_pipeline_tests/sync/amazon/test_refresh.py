"""Whole refreshes against the sandbox: what is stored is what is true."""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from ecauto_pipeline.clients.http import MAX_TRIES
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import ASK_AGAIN_AFTER, Scope
from ecauto_pipeline.errors import CredentialsRejected
from ecauto_pipeline.sandbox.amazon.api import AmazonCredentials
from ecauto_pipeline.sandbox.amazon.products import UNPROVEN, Kind
from ecauto_pipeline.sandbox.amazon.world import World, kind_of
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.amazon import RefreshSettings
from ecauto_pipeline.storage.amazon.product_files import FOLDER
from ecauto_pipeline.sync.amazon.report import RefreshReport, Result
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.pipeline_rig import OLD_PRICE, PipelineRig, pipeline_rigged

BuyFrom = Literal["any", "fba", "amazon"]
Open = Callable[..., AbstractContextManager[PipelineRig]]

OFFERS = Scope(frozenset({Fact.PRICE, Fact.STOCK}))
DETAILS = ("getItemOffers", "getItemOffersBatch")
PRICING = "/products/pricing/"


@pytest.fixture
def backend() -> str:
    """One database will do: the stores are tested with each of them on their own."""
    return "sqlite"


@pytest.fixture
def world() -> World:
    return World(count=60)


@pytest.fixture
def sandbox(world: World, clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(world, clock=clock, rate_multiplier=1000) as sandbox:
        yield sandbox


@pytest.fixture
def open_rig(sandbox: Sandbox, url: str, tmp_path: Path, clock: FakeClock) -> Open:
    return partial(pipeline_rigged, sandbox, url, tmp_path / "data", clock)


@pytest.fixture
def rig(open_rig: Open, world: World) -> Generator[PipelineRig]:
    """All products listed, and nothing known but what version 1.0 believed."""
    with open_rig() as rig:
        rig.add(world.asins)
        rig.enlist(world.asins)
        yield rig


def assert_true(rig: PipelineRig, world: World, buy_from: BuyFrom = "any") -> None:
    """Every product is as the world has it; where Amazon proves nothing, as it was."""
    for asin, row in rig.facts().items():
        truth = world.truth(asin, buy_from)
        known = row["amazon_in_stock"], row["amazon_price_jpy"]
        if kind_of(asin, world.seed) in UNPROVEN:
            assert known == (True, OLD_PRICE), asin
            assert row["stock_updated_at"] is row["price_updated_at"] is None
        elif truth.in_stock:
            assert known == (True, truth.price_jpy), (asin, kind_of(asin, world.seed))
        else:
            assert row["amazon_in_stock"] is False, (asin, kind_of(asin, world.seed))


def assert_harmless(rig: PipelineRig, world: World) -> None:
    """Every product is true or as it was."""
    for asin, row in rig.facts().items():
        truth = world.truth(asin)
        assert row["amazon_in_stock"] in {True, truth.in_stock}, asin
        assert row["amazon_price_jpy"] in {OLD_PRICE, truth.price_jpy}, asin


def totals(report: RefreshReport, fact: Fact = Fact.STOCK) -> dict[str, int]:
    return {result: report.total([fact], result) for result in Result}


def detail_calls(sandbox: Sandbox) -> int:
    return sum(sandbox.calls(operation) for operation in DETAILS)


@pytest.mark.parametrize("buy_from", ["any", "fba", "amazon"])
def test_after_a_refresh_all_is_true(open_rig: Open, world: World, buy_from: BuyFrom) -> None:
    assert {kind_of(asin, world.seed) for asin in world.asins} == set(Kind)
    with open_rig(amazon={"buy_from": buy_from}) as rig:
        rig.add(world.asins)
        rig.enlist(world.asins)
        report = rig.refresh()
        assert_true(rig, world, buy_from)
    unproven = sum(len(world.of_kind(kind)) for kind in UNPROVEN)
    assert totals(report) == {
        "refreshed": len(world.asins) - unproven,
        "unknown": unproven,
        "deferred": 0,
        "errors": 0,
    }
    assert report.problems == []


def test_the_catalog_is_true_as_well(rig: PipelineRig, world: World) -> None:
    report = rig.refresh(Scope(frozenset({Fact.CATALOG, Fact.CLASSIFICATION})))
    missing = set(world.of_kind(Kind.NOT_FOUND))
    for asin, row in rig.facts().items():
        product = world.ensure(asin)
        found = (row["title_ja"], row["brand"], row["images"])
        expected = (product.title, product.brand, list(product.images))
        assert found == ((None, None, None) if asin in missing else expected)
    assert totals(report, Fact.CATALOG)["unknown"] == len(missing)
    assert rig.sandbox.calls("searchCatalogItems") == 3
    assert rig.sandbox.calls("getCompetitivePricing") == 0


def test_a_second_refresh_makes_no_call(rig: PipelineRig, world: World) -> None:
    rig.refresh()
    calls = rig.sandbox.calls()
    report = rig.refresh()
    assert rig.sandbox.calls() == calls
    assert set(totals(report).values()) == {0}
    assert report.total([Fact.CATALOG], "cache_hits") == len(world.asins) - len(
        world.of_kind(Kind.NOT_FOUND)
    )


def test_what_moved_is_true_again_an_hour_later(rig: PipelineRig, world: World) -> None:
    rig.refresh()
    before = {asin: world.truth(asin) for asin in world.asins}
    world.move(5)
    assert before != {asin: world.truth(asin) for asin in world.asins}
    rig.clock.advance(hours=1.1)
    report = rig.refresh()
    assert_true(rig, world)
    moved = {asin for asin in world.asins if world.truth(asin) != before[asin]}
    assert {change.asin for change in report.changes} == moved


def test_what_the_sweep_finds_unchanged_is_confirmed(rig: PipelineRig, world: World) -> None:
    asins = world.of_kind(Kind.NORMAL)
    rig.refresh(OFFERS)
    rig.clock.advance(hours=1.1)
    rig.sandbox.faults.replace([Fault(name, FaultKind.ERROR_503_HTML) for name in DETAILS])
    now = rig.clock.now()
    rig.refresh(OFFERS)
    for asin in asins:
        row = rig.facts()[asin]
        if world.truth(asin).in_stock:
            assert row["stock_updated_at"] >= now
            assert row["price_updated_at"] >= now
    assert_true(rig, world)


def test_an_unlisted_product_is_confirmed_with_quota_to_spare(open_rig: Open, world: World) -> None:
    with open_rig() as rig:
        rig.add(world.asins)
        rig.refresh(OFFERS)
        assert_true(rig, world)
        rig.clock.advance(hours=1.1)
        rig.refresh(OFFERS)
        assert_true(rig, world)


FAULTS = [
    FaultKind.ERROR_503_HTML,
    FaultKind.THROTTLE_429,
    FaultKind.THROTTLE_429_EMPTY,
    FaultKind.ERROR_500_ERRORS_EMPTY,
    FaultKind.EMPTY_BODY,
    FaultKind.TRUNCATED_JSON,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.ERROR_AFTER,
]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fifth_of_the_calls_failing_changes_nothing_in_the_end(
    rig: PipelineRig, world: World, kind: FaultKind
) -> None:
    rig.sandbox.faults.replace([Fault(".", kind, share=0.2)])
    rig.refresh()
    assert_harmless(rig, world)
    rig.sandbox.faults.replace([])
    rig.clock.advance(seconds=ASK_AGAIN_AFTER.total_seconds() + 1)
    rig.refresh()
    assert_true(rig, world)


EMPTY_OBJECT = '{"payload": [], "responses": [], "items": []}'


@pytest.mark.parametrize(
    "text",
    [
        EMPTY_OBJECT,
        "{}",
        '{"errors": [{"code": "InternalFailure"}]}',
        '{"payload": [null, {}], "responses": ["x"], "items": [[]]}',
    ],
)
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_answers_that_hold_nothing_never_sell_anything_out(
    rig: PipelineRig, world: World, text: str, share: float
) -> None:
    rig.sandbox.faults.replace(
        [Fault("^/(catalog|products|batch)", FaultKind.BODY, share=share, text=text)]
    )
    rig.refresh()
    assert_harmless(rig, world)
    rig.sandbox.faults.replace([])
    rig.clock.advance(days=1.1)
    rig.refresh()
    assert_true(rig, world)


class Killed(BaseException):
    """The process is to end here."""


class KillsAt(Silent):
    """Raises after so many products."""

    def __init__(self, number: int) -> None:
        self._number = number

    def advanced(self, what: str, done: int, total: int) -> None:
        if done >= self._number:
            raise Killed


@pytest.mark.parametrize("number", [1, 25, 45])
def test_what_was_fetched_before_a_kill_is_kept(
    rig: PipelineRig, world: World, number: int
) -> None:
    with pytest.raises(Killed):
        rig.refresh(OFFERS, KillsAt(number))
    asked = [row for row in rig.rows() if row["offers_asked_at"] is not None]
    assert len(asked) >= number
    assert_harmless(rig, world)
    calls = rig.sandbox.calls("getCompetitivePricing")
    rig.refresh(OFFERS)
    assert_true(rig, world)
    left = len(world.asins) - len(asked)
    assert rig.sandbox.calls("getCompetitivePricing") - calls <= -(-left // 20)


def test_when_the_time_is_up_the_rest_is_deferred_not_failed(open_rig: Open, world: World) -> None:
    budget = RefreshSettings(time_budget=timedelta(seconds=3))
    with open_rig(rate_multiplier=1, refresh=budget) as rig:
        rig.add(world.asins)
        rig.enlist(world.asins)
        report = rig.refresh()
        done = totals(report)
        assert done["deferred"] > 0
        assert done["errors"] == 0
        assert done["refreshed"] + done["unknown"] + done["deferred"] == len(world.asins)
        assert report.problems == []
        assert report.seconds < 30
        assert_harmless(rig, world)


def test_more_than_the_sweep_reaches_is_left_for_later(open_rig: Open, world: World) -> None:
    budget = RefreshSettings(time_budget=timedelta(seconds=1))
    with open_rig(rate_multiplier=1, refresh=budget) as rig:
        rig.add(world.asins)
        plan = rig.pipeline.amazon.refresh_plan(OFFERS)
        assert plan.limit == 30
        report = rig.refresh(OFFERS)
        done = totals(report)
        assert sum(done.values()) == len(world.asins)
        assert done["deferred"] >= 30


@pytest.mark.parametrize("kind", [FaultKind.ERROR_503_HTML, FaultKind.DROP_BEFORE])
def test_amazon_down_is_counted_and_changes_nothing(
    rig: PipelineRig, world: World, kind: FaultKind
) -> None:
    before = rig.rows()
    rig.sandbox.faults.replace([Fault(PRICING, kind), Fault("/catalog/", kind)])
    report = rig.refresh()
    assert rig.rows() == before
    assert report.errors == len(world.asins)
    assert totals(report) == {"refreshed": 0, "unknown": 0, "deferred": 0, "errors": 60}
    assert report.problems


def test_a_long_outage_is_given_up_soon(open_rig: Open) -> None:
    big = World(count=200)
    with open_rig() as rig:
        rig.add(big.asins)
        rig.sandbox.faults.replace([Fault("getCompetitivePricing", FaultKind.DROP_BEFORE)])
        report = rig.refresh(OFFERS)
        assert totals(report) == {"refreshed": 0, "unknown": 0, "deferred": 140, "errors": 60}
        assert rig.sandbox.calls("getCompetitivePricing") == 3 * MAX_TRIES


def test_refused_credentials_end_the_run(url: str, tmp_path: Path, clock: FakeClock) -> None:
    accepted = AmazonCredentials("the-app-id", "another-secret", "Atzr|the-refresh-token")
    world = World(count=20)
    with (
        Sandbox(world, clock=clock, amazon_credentials=accepted) as sandbox,
        pipeline_rigged(sandbox, url, tmp_path / "data", clock) as rig,
    ):
        rig.add(world.asins)
        with pytest.raises(CredentialsRejected, match="LWA_CLIENT_SECRET") as raised:
            rig.refresh()
        assert "the-client-secret" not in str(raised.value)
        assert sandbox.calls("getCompetitivePricing") == 0


def no_offers(asin: str, status: str = "Success") -> str:
    """An answer of either operation by which nobody offers the product."""
    payload: dict[str, Any] = {
        "ASIN": asin,
        "status": status,
        "Summary": {"TotalOfferCount": 0},
        "Offers": [],
    }
    inner: dict[str, Any] = {
        "status": {"statusCode": 200},
        "body": {"payload": payload},
        "request": {"Asin": asin},
    }
    return json.dumps({"payload": payload, "responses": [inner]})


@pytest.mark.parametrize("status", ["Success", "NoBuyableOffers"])
@pytest.mark.parametrize(("times", "in_stock"), [(1, True), (2, False)])
def test_a_contradiction_is_asked_twice(
    open_rig: Open, world: World, times: int, status: str, *, in_stock: bool
) -> None:
    asin = world.of_kind(Kind.NORMAL)[0]
    empty = Fault("(?i)offers$", FaultKind.BODY, times=times, text=no_offers(asin, status))
    with open_rig() as rig:
        rig.add([asin])
        rig.enlist([asin])
        rig.sandbox.faults.replace([empty])
        report = rig.refresh(OFFERS)
        assert rig.facts()[asin]["amazon_in_stock"] is in_stock
        assert detail_calls(rig.sandbox) == 2
        assert totals(report)["refreshed"] == 1


def test_a_contradicted_confirmation_is_counted_once(open_rig: Open, world: World) -> None:
    asin = world.of_kind(Kind.NORMAL)[0]
    with open_rig() as rig:
        rig.add([asin])
        rig.enlist([asin])
        rig.refresh(OFFERS)
        rig.clock.advance(hours=1.1)
        empty = Fault("(?i)offers$", FaultKind.BODY, times=1, text=no_offers(asin))
        rig.sandbox.faults.replace([empty])
        report = rig.refresh(OFFERS)
        assert totals(report)["refreshed"] == 1
        assert rig.facts()[asin]["amazon_in_stock"] is True
        assert detail_calls(rig.sandbox) == 3


def test_a_scope_fetches_only_what_is_in_it(rig: PipelineRig, world: World) -> None:
    rig.enlist(world.asins[:3], "two")
    rig.refresh(Scope(OFFERS.facts, account_id="two"))
    asked = {row["asin"] for row in rig.rows() if row["offers_asked_at"]}
    assert asked == set(world.asins[:3])
    assert rig.sandbox.calls("searchCatalogItems") == 0


def test_the_file_cache_serves_an_empty_database(
    rig: PipelineRig, world: World, tmp_path: Path
) -> None:
    rig.refresh()
    calls = rig.sandbox.calls()
    new = f"sqlite:///{tmp_path / 'new.sqlite'}"
    with pipeline_rigged(rig.sandbox, new, tmp_path / "data", rig.clock) as another:
        proven = [asin for asin in world.asins if kind_of(asin, world.seed) not in UNPROVEN]
        another.add(proven, amazon_price_jpy=None, amazon_in_stock=None)
        report = another.refresh()
        assert rig.sandbox.calls() == calls
        assert_true(another, world)
        assert another.facts()[proven[0]]["title_ja"] == world.ensure(proven[0]).title
        assert report.total([Fact.STOCK], "cache_hits") == len(proven)


def test_stale_files_are_not_served(rig: PipelineRig, world: World, tmp_path: Path) -> None:
    rig.refresh()
    world.move(5)
    rig.clock.advance(hours=1.1)
    rig.refresh()
    assert_true(rig, world)
    names = {path.name for path in (tmp_path / "data" / FOLDER).iterdir()}
    assert names <= {f"{asin}.json" for asin in world.asins}


def test_requests_and_hits_are_told_by_shard(rig: PipelineRig, world: World) -> None:
    report = rig.refresh()
    shards = {row["shard"] for row in rig.rows()}
    calls = sum(report.of(Fact.STOCK, shard)["calls"] for shard in shards)
    made = sum(rig.sandbox.calls(name) for name in (*DETAILS, "getCompetitivePricing"))
    assert calls == pytest.approx(made, abs=0.5)
    assert sum(report.of(Fact.STOCK, shard)["due"] for shard in shards) == len(world.asins)
    assert sum(report.calls.values()) == rig.sandbox.calls() - rig.sandbox.calls("lwa/token")
