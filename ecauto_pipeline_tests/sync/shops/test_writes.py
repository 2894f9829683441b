"""Prices and visibility written to the sandbox's shops."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.domain.shops.changes import Kind, Outcome
from ecauto_pipeline.errors import AccountStopped
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop import state as base_shop_state
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import decisions, listings
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline.sync.shops.report import WriteOptions, WriteReport
from ecauto_pipeline.sync.shops.writes import FAILURES_IN_A_ROW
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.sync.pipeline_rig import SHOPS, PipelineRig, pipeline_rigged

EDIT = "items/edit"
DETAIL = "items/detail"
SIZE = 10
"""Listings on each shop."""

Open = Callable[..., AbstractContextManager[PipelineRig]]
FRESH = {"stock_updated_at": MIDDAY, "price_updated_at": MIDDAY}


@pytest.fixture
def backend() -> str:
    """One database will do: the stores are tested with each of them on their own."""
    return "sqlite"


@pytest.fixture
def world() -> World:
    return World(count=2 * SIZE)


@pytest.fixture
def sandbox(clock: FakeClock, world: World) -> Iterator[Sandbox]:
    items = {
        shop.account_id: [
            base_shop_state.Item(title=f"item {number}", price=1300, stock=1)
            for number in range(SIZE)
        ]
        for shop in SHOPS
    }
    with Sandbox(world, SHOPS, items, clock=clock, rate_multiplier=1000) as sandbox:
        yield sandbox


@pytest.fixture
def open_rig(sandbox: Sandbox, url: str, tmp_path: Path, clock: FakeClock) -> Open:
    return partial(pipeline_rigged, sandbox, url, tmp_path / "data", clock)


@dataclass
class Shops:
    """Both shops, in step with their listings until a product changes."""

    rig: PipelineRig

    def __post_init__(self) -> None:
        self.rig.add(self.rig.sandbox.world.asins, **FRESH | {"amazon_price_jpy": 1000})
        for shop in SHOPS:
            self._enlist(shop.account_id)

    def _enlist(self, account: str) -> None:
        for asin, item in zip(self.asins(account), self.items(account), strict=True):
            self.rig.enlist(
                [asin], account, platform_item_id=str(item.item_id), selling_price=Decimal(1300)
            )

    def asins(self, account: str = "one") -> tuple[str, ...]:
        start = SIZE if account == "two" else 0
        return self.rig.sandbox.world.asins[start : start + SIZE]

    def items(self, account: str = "one") -> list[base_shop_state.Item]:
        return self.rig.sandbox.items(account)

    def prices(self, account: str = "one") -> list[int]:
        return [item.price for item in self.items(account)]

    def visible(self, account: str = "one") -> list[int]:
        return [item.visible for item in self.items(account)]

    def now(self, number: int, account: str = "one", **facts: Any) -> None:
        """What Amazon says of one product from now on."""
        columns = {"amazon_in_stock": True, **FRESH, **facts}
        self.rig.pipeline.amazon.products.adopt([{"asin": self.asins(account)[number], **columns}])

    def fault(self, *faults: Fault) -> None:
        self.rig.sandbox.faults.replace(faults)

    def sync(self, kind: str, account: str = "one", **options: Any) -> WriteReport:
        sync = self.rig.pipeline.shops.writes()
        chosen = Kind.VISIBILITY if kind == "visibility" else Kind.PRICE
        return sync.write(account, chosen, WriteOptions("run-1", **options), Silent())

    def edits(self) -> int:
        return self.rig.sandbox.calls(EDIT)

    def decided(self) -> list[tuple[Any, ...]]:
        names = ("asin", "kind", "old", "new", "rule", "reason", "dry_run", "outcome")
        return [tuple(row[name] for name in names) for row in self.rig.rows(decisions)]

    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.rig.rows(decisions)]


@pytest.fixture
def shops(open_rig: Open) -> Iterator[Shops]:
    with open_rig() as rig:
        yield Shops(rig)


def test_shops_in_step_need_no_call(shops: Shops) -> None:
    for kind in ("visibility", "prices"):
        report = shops.sync(kind)
        assert (report.listings, report.in_stock, report.changes) == (SIZE, SIZE, [])
    assert shops.rig.sandbox.calls() == 0
    assert shops.decided() == []


def test_a_price_that_moved_is_written_once(shops: Shops) -> None:
    shops.now(0, amazon_price_jpy=2000)
    shops.now(1, amazon_price_jpy=1076)
    report = shops.sync("prices")
    assert shops.prices() == [2600] + [1300] * (SIZE - 1)
    assert report.outcomes == {Outcome.WRITTEN: 1}
    assert report.calls == {EDIT: 1}
    calls = shops.rig.sandbox.calls()
    assert shops.sync("prices").changes == []
    assert shops.rig.sandbox.calls() == calls
    assert shops.rig.rows(listings)[0]["selling_price"] == Decimal(2600)


def test_what_is_sold_out_is_hidden_and_shown_again_at_its_new_price(shops: Shops) -> None:
    shops.now(3, amazon_in_stock=False)
    report = shops.sync("visibility")
    assert (report.done(new="hidden"), report.out_of_stock) == (1, 1)
    assert shops.visible()[3] == 0
    assert shops.prices()[3] == 1300
    shops.now(3, amazon_price_jpy=2000)
    assert shops.sync("visibility").done(new="public") == 1
    assert (shops.visible()[3], shops.prices()[3]) == (1, 2600)
    assert shops.edits() == 2
    assert shops.sync("prices").changes == []


def test_a_returning_listing_is_not_priced_twice(shops: Shops) -> None:
    shops.now(0, amazon_in_stock=False)
    shops.sync("visibility")
    shops.now(0, amazon_price_jpy=2000)
    assert shops.sync("prices", dry_run=True).changes == []
    assert len(shops.sync("prices", dry_run=True, price_only=True).changes) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"amazon_in_stock": False, "stock_updated_at": None},
        {"amazon_price_jpy": 9000, "price_updated_at": None},
        {"amazon_in_stock": None, "amazon_price_jpy": 9000},
    ],
)
def test_what_is_not_proven_changes_nothing(shops: Shops, facts: dict[str, Any]) -> None:
    shops.now(0, **facts)
    assert shops.sync("visibility").changes == []
    assert shops.sync("prices").changes == []
    assert shops.rig.sandbox.calls() == 0


def test_facts_of_two_days_ago_neither_show_nor_reprice_but_still_hide(
    shops: Shops, clock: FakeClock
) -> None:
    shops.now(0, amazon_price_jpy=9000)
    shops.now(1, amazon_in_stock=False)
    clock.advance(hours=48.1)
    assert shops.sync("prices").changes == []
    report = shops.sync("visibility")
    assert (report.unknown, report.done(new="hidden")) == (SIZE - 1, 1)


@pytest.mark.parametrize("kind", ["visibility", "prices"])
def test_a_dry_run_decides_alike_and_calls_nobody(shops: Shops, kind: str) -> None:
    shops.now(0, amazon_in_stock=False)
    shops.now(1, amazon_price_jpy=3000)
    report = shops.sync(kind, dry_run=True)
    assert report.outcomes == {Outcome.PLANNED: 1}
    assert shops.rig.sandbox.calls() == 0
    shops.sync(kind)
    dry, wet = shops.decided()
    assert dry[:6] == wet[:6]
    assert (dry[6:], wet[6:]) == ((True, "planned"), (False, "written"))


@pytest.mark.parametrize(
    ("kind", "facts", "verb"),
    [
        ("visibility", {"amazon_in_stock": False}, "hide"),
        ("prices", {"amazon_price_jpy": 3000}, "reprice"),
    ],
)
def test_the_breaker_holds_until_a_person_accepts(
    shops: Shops, kind: str, facts: dict[str, Any], verb: str
) -> None:
    for number in range(6):
        shops.now(number, **facts)
    dry = shops.sync(kind, dry_run=True)
    assert f"would {verb} 6 of 10" in dry.notes[0]
    assert dry.problems == []
    held = shops.sync(kind)
    assert held.outcomes == {Outcome.HELD: 6}
    assert f"would {verb} 6 of 10" in held.problems[0]
    assert "--accept-large-change" in held.problems[0]
    assert shops.rig.sandbox.calls() == 0
    assert shops.outcomes() == ["planned"] * 6 + ["held"] * 6
    accepted = shops.sync(kind, accept_large_change=True)
    assert accepted.outcomes == {Outcome.WRITTEN: 6}
    assert shops.edits() == 6


def delete(shops: Shops, number: int) -> None:
    state = shops.rig.sandbox.state
    with state.lock:
        state.delete_item("one", shops.items()[number].item_id)
        state.commit()


def test_an_item_that_is_gone_is_verified_and_delisted(shops: Shops) -> None:
    for number in (0, 1):
        shops.now(number, amazon_price_jpy=2000)
    delete(shops, 0)
    report = shops.sync("prices")
    assert shops.rig.sandbox.calls(DETAIL) == 1
    assert report.outcomes == {Outcome.WRITTEN: 2}
    assert report.problems == []
    first, second, *_ = shops.rig.rows(listings)
    assert (first["status"], second["status"]) == ("delisted", "listed")
    assert [(row[1], row[7]) for row in shops.decided()] == [
        ("price", "failed"),
        ("price", "written"),
        ("delist", "written"),
    ]
    assert shops.sync("prices").listings == SIZE - 1


GONE = Fault(
    EDIT,
    FaultKind.BASE_ERROR,
    error="bad_item_id",
    error_description="不正なitem_idです。",
    times=1,
)


def test_an_item_that_is_still_there_is_not_delisted(shops: Shops) -> None:
    shops.now(0, amazon_price_jpy=2000)
    shops.fault(GONE)
    report = shops.sync("prices")
    assert report.outcomes == {Outcome.FAILED: 1}
    assert "gone, and shows it" in report.problems[0]
    assert shops.rig.rows(listings)[0]["status"] == "listed"
    assert shops.sync("prices").outcomes == {Outcome.WRITTEN: 1}


@pytest.mark.parametrize(
    "trouble",
    [
        Fault(DETAIL, FaultKind.ERROR_503_HTML),
        Fault(DETAIL, FaultKind.BASE_ERROR, error="bad_params", error_description="?"),
    ],
)
def test_an_item_that_cannot_be_verified_is_not_delisted(shops: Shops, trouble: Fault) -> None:
    for number in (0, 1):
        shops.now(number, amazon_price_jpy=2000)
    shops.fault(GONE, trouble)
    report = shops.sync("prices")
    assert report.outcomes == {Outcome.FAILED: 1, Outcome.WRITTEN: 1}
    assert shops.prices()[:2] == [1300, 2600]
    assert {row["status"] for row in shops.rig.rows(listings)} == {"listed"}


REFUSED = Fault(
    EDIT,
    FaultKind.BASE_ERROR,
    error="validation_error",
    error_description="バリデーションエラー",
    times=1,
)


def test_a_refusal_is_of_that_listing_only(shops: Shops) -> None:
    for number in (0, 1, 2):
        shops.now(number, amazon_price_jpy=2000)
    shops.fault(replace(REFUSED, after=1))
    report = shops.sync("prices")
    assert report.outcomes == {Outcome.WRITTEN: 2, Outcome.FAILED: 1}
    assert shops.prices()[:3] == [2600, 1300, 2600]
    assert len(report.problems) == 1
    assert shops.rig.rows(decisions)[1]["error_message"]


def test_after_three_failures_in_a_row_the_account_is_left(shops: Shops) -> None:
    for number in range(5):
        shops.now(number, amazon_price_jpy=2000)
    shops.fault(Fault(EDIT, FaultKind.ERROR_503_HTML))
    report = shops.sync("prices")
    failed = FAILURES_IN_A_ROW - 1
    assert report.outcomes == {Outcome.FAILED: failed, Outcome.DEFERRED: 5 - failed}
    assert shops.outcomes() == ["failed"] * 2 + ["deferred"] * 3
    shops.fault()
    assert shops.sync("prices").outcomes == {Outcome.WRITTEN: 5}


def test_answers_in_between_are_not_failures_in_a_row(shops: Shops) -> None:
    for number in range(5):
        shops.now(number, amazon_price_jpy=2000)
    broken = [
        Fault(EDIT, FaultKind.ERROR_503_HTML, times=5),
        REFUSED,
        Fault(EDIT, FaultKind.ERROR_503_HTML, times=5),
        REFUSED,
        Fault(EDIT, FaultKind.ERROR_503_HTML, times=5),
    ]
    shops.fault(*broken)
    report = shops.sync("prices")
    assert report.outcomes == {Outcome.FAILED: 5}


@pytest.mark.parametrize(
    "kind", [FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER, FaultKind.TRUNCATED_JSON]
)
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_lost_answers_converge(shops: Shops, kind: FaultKind, share: float) -> None:
    for number in range(4):
        shops.now(number, amazon_price_jpy=2000)
    shops.now(4, amazon_in_stock=False)
    shops.fault(Fault(EDIT, kind, share=share))
    for each in ("visibility", "prices"):
        shops.sync(each)
    shops.fault()
    for each in ("visibility", "prices"):
        shops.sync(each)
    assert shops.prices() == [2600] * 4 + [1300] * (SIZE - 4)
    assert shops.visible() == [1] * 4 + [0] + [1] * (SIZE - 5)
    told = [(row["selling_price"], row["visibility"]) for row in shops.rig.rows(listings)[:5]]
    assert told == [(2600, "public")] * 4 + [(1300, "hidden")]
    calls = shops.rig.sandbox.calls()
    assert shops.sync("prices").changes == shops.sync("visibility").changes == []
    assert shops.rig.sandbox.calls() == calls


def test_a_stopped_account_does_not_stop_the_other(shops: Shops) -> None:
    for account in ("one", "two"):
        for number in (0, 1):
            shops.now(number, account, amazon_price_jpy=2000)
    restricted = "利用が制限されているユーザーです。"
    shops.fault(
        Fault(
            EDIT,
            FaultKind.BASE_ERROR,
            account="one",
            error="access_denied",
            error_description=restricted,
        )
    )
    stopped = shops.sync("prices")
    assert stopped.outcomes == {Outcome.DEFERRED: 2}
    assert restricted in stopped.problems[0]
    assert shops.sync("prices", "two").outcomes == {Outcome.WRITTEN: 2}
    assert shops.prices() == [1300] * SIZE
    assert shops.prices("two")[:2] == [2600] * 2


def test_refused_credentials_leave_the_decisions_marked(open_rig: Open) -> None:
    with open_rig(shops={"one": {"client_secret": "wrong-client-secret"}}) as rig:
        shops = Shops(rig)
        shops.now(0, amazon_price_jpy=2000)
        report = shops.sync("prices")
        assert report.outcomes == {Outcome.DEFERRED: 1}
        assert report.problems
        assert "wrong-client-secret" not in report.problems[0]
        assert shops.outcomes() == ["deferred"]


def test_an_account_that_is_switched_off_has_no_decisions(open_rig: Open) -> None:
    with open_rig(shops={"one": {"active": False}}) as rig:
        shops = Shops(rig)
        shops.now(0, amazon_price_jpy=2000)
        with pytest.raises(AccountStopped, match="switched off"):
            shops.sync("prices")
        assert shops.decided() == []
        assert rig.sandbox.calls() == 0


def test_when_the_hours_calls_are_used_up_the_rest_is_deferred(
    open_rig: Open, clock: FakeClock
) -> None:
    with open_rig(shops={"one": {"calls_per_hour": 3}}, rate_multiplier=1) as rig:
        shops = Shops(rig)
        for number in range(5):
            shops.now(number, amazon_price_jpy=2000)
        report = shops.sync("prices")
        assert report.outcomes == {Outcome.WRITTEN: 3, Outcome.DEFERRED: 2}
        assert report.problems == []
        assert "used up" in report.notes[0]
        assert shops.edits() == 3
        clock.advance(hours=1)
        assert shops.sync("prices").outcomes == {Outcome.WRITTEN: 2}


def test_progress_tells_how_far_it_is(shops: Shops) -> None:
    told: list[tuple[str, int, int]] = []

    class Listening(Silent):
        def advanced(self, what: str, done: int, total: int) -> None:
            told.append((what, done, total))

    for number in range(3):
        shops.now(number, amazon_price_jpy=2000)
    sync = shops.rig.pipeline.shops.writes()
    sync.write("one", Kind.PRICE, WriteOptions("run-1"), Listening())
    assert told == [("price of one", number, 3) for number in (1, 2, 3)]
