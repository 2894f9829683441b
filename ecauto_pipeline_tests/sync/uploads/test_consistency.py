"""Shops checked against listings and queue, and mended, over real HTTP and in both databases."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.base_shop.client import BaseShopClient
from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.uploads.consistency import ListingState, QueueState
from ecauto_pipeline.domain.uploads.rules import UploadRules, free_slots
from ecauto_pipeline.errors import Implausible
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import Item, ShopSeed
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.tables import decisions, listings, products, shop_items, upload_queue
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.storage.v1.additions import ImportStore
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline.sync.uploads.consistency import (
    ConsistencyCheck,
    ConsistencyReport,
    ShopReading,
)
from ecauto_pipeline.sync.v1 import import_v1
from ecauto_pipeline_tests.clients.base_shop.rig import ACCOUNT, rigged
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.v1_installation import V1Installation, asins

ONE, TWO = "one", "two"
SEEDS = [
    ShopSeed(each, f"shop-{each}", ACCOUNT.client_id, ACCOUNT.client_secret, f"refresh-{each}")
    for each in (ONE, TWO)
]
RULES = UploadRules()
ITEMS, DETAIL = "items", "items/detail"
A, B, C = asins(3)


def called(asin: str, form: str = "b-{}-20251201214453") -> str:
    return form.format(asin)


@dataclass
class Rig:
    """Two shops, and our side of them."""

    engine: sa.Engine
    sandbox: Sandbox
    clock: FakeClock
    clients: Mapping[str, Callable[[], BaseShopClient]]
    told: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])

    def check(
        self,
        account_id: str = ONE,
        *,
        fix: bool = True,
        client: BaseShopClient | None = None,
        store: ConsistencyStore | None = None,
    ) -> ConsistencyReport:
        told = self.told

        class Listening(Silent):
            def advanced(self, what: str, done: int, total: int) -> None:
                told.append((what, done, total))

        return self.checker(store).check_account(
            account_id,
            client or self.clients[account_id](),
            Listening(),
            run_id="run-1",
            fix=fix,
        )

    def read(self) -> ShopReading:
        return self.checker().read_shop(ONE, self.clients[ONE]())

    def checker(self, store: ConsistencyStore | None = None) -> ConsistencyCheck:
        store = store or ConsistencyStore(self.engine, self.clock, "base")
        attempts = UploadAttempts(self.engine, self.clock, "base", RULES)
        return ConsistencyCheck(store, attempts, RULES, self.clock)

    def insert(self, table: sa.Table, asin: str, **values: Any) -> None:
        """A row, and its product if there is none."""
        row = {"asin": asin, "platform": "base", "account_id": ONE, "created_at": MIDDAY}
        with self.engine.begin() as connection:
            known = connection.scalar(sa.select(products.c.asin).where(products.c.asin == asin))
            if not known:
                dates = {"created_at": MIDDAY, "updated_at": MIDDAY}
                product = {"asin": asin, "shard": shard_of(asin), **dates}
                connection.execute(sa.insert(products).values(product))
            if table is listings:
                row |= {"updated_at": MIDDAY, "selling_price": Decimal(1980)}
            connection.execute(sa.insert(table).values({**row, **values}))

    def enlist(self, *places: int) -> None:
        """Listed items that agree with the shop."""
        for place in places:
            item_id = self.add_item(called(asins(100)[place]))
            self.insert(listings, asins(100)[place], status="listed", platform_item_id=item_id)

    def add_item(self, identifier: str | None, account_id: str = ONE, **values: Any) -> str:
        item = Item(title="題", price=1980, stock=1, identifier=identifier)
        with self.sandbox.state.lock:
            item_id = self.sandbox.state.add_item(account_id, replace(item, **values))
            self.sandbox.state.commit()
        return str(item_id)

    def delete_items(self, *item_ids: str) -> None:
        with self.sandbox.state.lock:
            for item_id in item_ids:
                self.sandbox.state.delete_item(ONE, int(item_id))
            self.sandbox.state.commit()

    def rows(self, table: sa.Table = listings) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            query = sa.select(table).order_by(*table.primary_key)
            return [dict(row) for row in connection.execute(query).mappings()]

    def everything(self) -> list[list[dict[str, Any]]]:
        return [self.rows(table) for table in (listings, upload_queue, decisions)]

    def one(self, table: sa.Table, *names: str) -> tuple[Any, ...]:
        (row,) = self.rows(table)
        return tuple(row[name] for name in names)

    def shows_once(self, *identifiers: str) -> None:
        """The next reading of the shop has these items only, of those that it has."""
        nodes = [
            {
                "item_id": item.item_id,
                "price": item.price,
                "stock": item.stock,
                "visible": item.visible,
                "identifier": item.identifier,
            }
            for item in self.sandbox.items(ONE)
            if item.identifier in identifiers
        ]
        text = orjson.dumps({"items": nodes}).decode()
        self.sandbox.faults.replace([Fault(ITEMS, FaultKind.BODY, times=1, text=text)])


@pytest.fixture
def rig(engine: sa.Engine, clock: FakeClock) -> Iterator[Rig]:
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(World(count=1), SEEDS, clock=clock))
        clients: dict[str, Callable[[], BaseShopClient]] = {}
        for seed in SEEDS:
            account = replace(ACCOUNT, id=seed.account_id, seed_refresh_token=seed.refresh_token)
            shop = stack.enter_context(rigged(engine, sandbox.url, clock, account))
            clients[seed.account_id] = shop.client
        yield Rig(engine, sandbox, clock, clients)


def found(report: ConsistencyReport) -> dict[str, int]:
    return {kind: count for kind, count in report.counts.items() if count}


def test_what_agrees_needs_one_call_per_hundred_items(rig: Rig) -> None:
    rig.enlist(*range(3))
    report = rig.check()
    assert (report.findings, report.problems, report.shop_items) == ([], [], 3)
    assert report.calls == {"items": 1}
    assert report.lines() == ["one: all agrees"]


def test_without_fix_everything_is_reported_and_nothing_touched(rig: Rig) -> None:
    rig.enlist(3, 4)
    rig.add_item(called(A))
    rig.insert(listings, A)
    rig.insert(upload_queue, A, status="success")
    rig.insert(listings, B, status="listed", platform_item_id="1")
    before = rig.everything()
    report = rig.check(fix=False)
    assert found(report) == {"success_but_pending": 1, "gone_from_shop": 1}
    assert (report.mended, report.lookup, report.calls) == ([], None, {"items": 1})
    assert [row["mend"] for row in report.rows()] == ["safe", "safe"]
    assert rig.everything() == before


def test_without_a_client_what_needs_no_shop_is_found(rig: Rig) -> None:
    rig.insert(listings, A)
    report = rig.checker().check_account(ONE, None, fix=True)
    assert (found(report), report.shop_items, report.calls) == ({"orphan": 1}, None, {})
    assert rig.sandbox.calls() == 0


@pytest.mark.parametrize("foreign", [False, True], ids=["empty", "of another account"])
def test_a_shop_that_shows_nothing_of_ours_mends_nothing(rig: Rig, *, foreign: bool) -> None:
    for place, asin in enumerate(asins(8)[2:]):
        rig.insert(listings, asin, status="listed", platform_item_id=str(place + 1))
    rig.insert(listings, A)
    rig.insert(upload_queue, A, status="success")
    rig.insert(listings, B)
    rig.insert(upload_queue, B, status="unknown")
    if foreign:
        rig.add_item(called(A))
    before = rig.everything()
    report = rig.check()
    assert (report.shop_empty, report.mended, report.lookup) == (True, [], None)
    assert found(report) == {"success_but_pending": 1, "stuck_uploading": 1}
    assert "of the 6 that are listed there; nothing is mended" in report.lines()[0]
    assert rig.everything() == before
    assert report.calls == {"items": 1}


def mirrored(rig: Rig) -> list[str]:
    return [row["item_id"] for row in rig.rows(shop_items)]


@pytest.mark.parametrize("fix", [False, True])
def test_what_the_shop_shows_is_kept(rig: Rig, *, fix: bool) -> None:
    rig.enlist(0, 1)
    stranger = rig.add_item("by hand")
    report = rig.check(fix=fix)
    assert mirrored(rig) == [*(row["platform_item_id"] for row in rig.rows()), stranger]
    assert report.reading is not None
    assert (report.reading.calls, report.calls) == ({"items": 1}, {"items": 1})


@pytest.mark.parametrize("shown", [[], ["b-B09ZZZZZZZ-1"]], ids=["nothing", "nothing of ours"])
def test_what_is_kept_of_a_shop_stays_when_it_is_not_believed(rig: Rig, shown: list[str]) -> None:
    rig.enlist(*range(6))
    rig.check()
    before = mirrored(rig)
    if shown:
        rig.add_item(*shown)
    rig.shows_once(*shown)
    report = rig.check()
    assert (report.reading, report.shop_empty, report.shop_items) == (None, True, len(shown))
    rig.shows_once(*shown)
    with pytest.raises(Implausible, match="of the 6 that are listed there"):
        rig.read()
    assert (mirrored(rig), len(before)) == (before, 6)
    assert {row["status"] for row in rig.rows()} == {"listed"}


def test_a_reading_alone_mends_nothing(rig: Rig) -> None:
    rig.enlist(0, 1)
    rig.delete_items(rig.rows()[0]["platform_item_id"])
    before = rig.everything()
    reading = rig.read()
    assert (len(reading.items), reading.calls) == (1, {"items": 1})
    assert [(each.kind, each.asin) for each in reading.findings] == [("gone_from_shop", A)]
    assert (rig.everything(), mirrored(rig)) == (before, [rig.rows()[1]["platform_item_id"]])


def test_a_shop_that_cannot_be_read_mends_nothing(rig: Rig) -> None:
    rig.insert(listings, A, platform_item_id="1")
    rig.sandbox.faults.replace([Fault(ITEMS, FaultKind.BASE_ERROR, error="bad_request")])
    report = rig.check()
    assert (found(report), report.mended) == ({"item_id_but_pending": 1}, [])
    assert "the shop was not read" in report.problems[0]


@pytest.mark.parametrize(
    "form",
    ["b-{}-20251201214453_2", "s-{}-1701412345", "base-{}-1701412345", "BASE-{}", "b-{}-1"],
)
@pytest.mark.parametrize("status", [None, "pending", "failed", "success"])
def test_an_item_of_any_form_is_adopted(rig: Rig, form: str, status: str | None) -> None:
    item_id = rig.add_item(called(A, form), price=2500, visible=1)
    rig.insert(listings, A, sku=f"s-{A}", visibility="hidden")
    if status:
        rig.insert(upload_queue, A, status=status)
    report = rig.check()
    kind = "success_but_pending" if status == "success" else "unknown_here"
    assert report.mended_counts == {kind: 1}
    names = ("status", "platform_item_id", "selling_price", "visibility")
    assert rig.one(listings, *names) == ("listed", item_id, Decimal(2500), "public")
    if status == "pending":
        names = ("status", "error_message", "item_id")
        assert rig.one(upload_queue, *names) == ("success", "found on the shop", item_id)
    assert rig.check().findings == []


def test_what_one_reading_missed_is_found_by_another(rig: Rig) -> None:
    rig.enlist(3)
    rig.add_item(called(A))
    rig.insert(listings, A)
    rig.insert(upload_queue, A, status="success")
    rig.shows_once(called(asins(4)[3]))
    report = rig.check()
    assert report.mended_counts == {"success_but_pending": 1}
    assert {row["status"] for row in rig.rows()} == {"listed"}
    assert rig.rows(upload_queue)[0]["status"] == "success"


def test_what_no_reading_shows_is_failed_and_left_to_a_person(rig: Rig) -> None:
    rig.insert(listings, A)
    rig.insert(upload_queue, A, status="success")
    report = rig.check()
    assert (report.mended_counts, report.calls) == ({"success_but_pending": 1}, {"items": 2})
    assert rig.one(upload_queue, "status", "error_message") == ("failed", "not on the shop")
    assert rig.check().findings == []
    slots = free_slots(rig.clock.now(), None, 1000, RULES)
    queue = UploadQueue(rig.engine, rig.clock, "base")
    assert queue.fill(ONE, slots) == 0
    assert queue.retry([rig.rows(upload_queue)[0]["id"]]) == 1


def test_a_deleted_item_is_asked_for_before_its_listing_is_delisted(rig: Rig) -> None:
    rig.enlist(0, 1)
    gone = rig.rows()[0]["platform_item_id"]
    rig.delete_items(gone)
    report = rig.check()
    assert report.mended_counts == {"gone_from_shop": 1}
    assert report.calls == {"items": 1, "items/detail": 1}
    assert [row["status"] for row in rig.rows()] == ["delisted", "listed"]
    assert rig.one(decisions, "run_id", "kind", "asin", "outcome") == (
        "run-1",
        "delist",
        A,
        "written",
    )


def test_an_item_that_only_the_pages_missed_is_not_delisted(rig: Rig) -> None:
    rig.enlist(0, 1)
    rig.shows_once(called(B))
    report = rig.check()
    assert (found(report), report.mended) == ({"gone_from_shop": 1}, [])
    assert {row["status"] for row in rig.rows()} == {"listed"}
    assert [finding.asin for finding in report.remaining] == [A]


def test_an_item_id_that_base_would_refuse_is_not_proven_gone(rig: Rig) -> None:
    rig.enlist(1)
    rig.insert(listings, A, status="listed", platform_item_id="none of BASE's")
    report = rig.check()
    assert report.mended == []
    assert f"{A} is not delisted" in report.problems[0]


def test_when_the_second_proof_cannot_be_had_the_rest_is_kept(rig: Rig) -> None:
    rig.enlist(0, 1)
    rig.delete_items(rig.rows()[0]["platform_item_id"])
    item_id = rig.add_item(called(C))
    rig.insert(listings, C)
    rig.sandbox.faults.replace([Fault(DETAIL, FaultKind.ERROR_503_HTML)])
    report = rig.check()
    assert report.mended_counts == {"unknown_here": 1}
    assert "not all was mended" in report.problems[0]
    assert [row["status"] for row in rig.rows()] == ["listed"] * 3
    assert rig.rows()[2]["platform_item_id"] == item_id


def test_what_was_changed_by_hand_is_followed_and_the_shop_is_not_written_to(rig: Rig) -> None:
    rig.enlist(0, 1)
    mine = rig.sandbox.items(ONE)[0]
    with rig.sandbox.state.lock:
        rig.sandbox.state.put_item(ONE, replace(mine, price=3000, visible=0))
        rig.sandbox.state.commit()
    report = rig.check()
    assert report.mended_counts == {"drifted": 1}
    row = rig.rows()[0]
    assert (row["selling_price"], row["visibility"]) == (Decimal(3000), "hidden")
    assert report.calls == {"items": 1}
    assert rig.check().findings == []


def test_a_lost_upload_is_rescued_and_looked_up(rig: Rig) -> None:
    for asin, status in ((A, "uploading"), (B, "unknown")):
        rig.insert(listings, asin)
        lease = MIDDAY - timedelta(minutes=1)
        rig.insert(
            upload_queue,
            asin,
            status=status,
            lease_until=lease,
            sent_at=MIDDAY,
            worker="w",
            identifier=called(asin, "b-{}-1"),
        )
    item_id = rig.add_item(called(B, "b-{}-1"))
    report = rig.check()
    assert found(report) == {"stuck_uploading": 2, "unknown_here": 1}
    assert report.lookup is not None
    assert (report.lookup.rescued, report.lookup.adopted) == (1, 1)
    assert [row["status"] for row in rig.rows(upload_queue)] == ["unknown", "success"]
    assert [row["platform_item_id"] for row in rig.rows()] == [None, item_id]
    assert report.mended == []
    assert report.lines()[-1] == "one: looked up: 1 found, 0 not found, 1 rescued"
    assert report.as_dict()["looked_up"] == {
        "adopted": 1,
        "not_found": 0,
        "rescued": 1,
        "doubled": [],
    }


def test_two_items_for_one_product_are_reported_and_stay(rig: Rig) -> None:
    rig.enlist(0)
    second = rig.add_item(called(A, "BASE-{}"))
    before, shop = rig.everything(), rig.sandbox.items(ONE)
    report = rig.check()
    assert found(report) == {"unknown_here": 1, "doubled_identifier": 1}
    assert second in report.rows()[0]["detail"]
    assert (report.mended, rig.everything(), rig.sandbox.items(ONE)) == ([], before, shop)


def test_what_changes_while_the_shop_is_read_is_no_disagreement(rig: Rig) -> None:
    rig.enlist(0)
    rig.insert(listings, B)
    rig.add_item(called(C))
    rig.insert(listings, C)

    class Moving(ConsistencyStore):
        times = 0

        def states(self, account_id: str) -> tuple[list[ListingState], list[QueueState]]:
            self.times += 1
            if self.times == 2:
                rig.insert(upload_queue, B, status="pending")
                rig.insert(
                    upload_queue, C, status="uploading", lease_until=MIDDAY + timedelta(minutes=3)
                )
            return super().states(account_id)

    report = rig.check(store=Moving(rig.engine, rig.clock, "base"))
    assert (report.findings, report.mended) == ([], [])


def test_the_report_is_told_in_words_and_as_a_table(rig: Rig) -> None:
    rig.enlist(20)
    for asin in asins(7):
        rig.insert(listings, asin)
    rig.add_item(called(A))
    report = rig.check()
    examples = ", ".join(asins(7)[1:6])
    assert report.lines() == [
        f"one: 1 unknown_here, 1 mended: {A}",
        f"one: 6 orphan, 0 mended: {examples} and 1 more",
    ]
    told = report.as_dict()
    assert (told["counts"]["orphan"], told["mended"]) == (6, {"unknown_here": 1})
    assert (told["shop_items"], told["calls"], told["shop_empty"]) == (2, 1, False)
    assert [row["mend"] for row in told["findings"]] == [""] * 6 + ["mended"]
    assert len(orjson.dumps(told)) > 0
    assert rig.told[-1] == ("disagreements of one mended", 1, 1)


FORMS = ("b-{}-20251201214453", "b-{}-20251201214453_2", "s-{}-1701412345", "BASE-{}")

LISTED = {ONE: 100, TWO: 91}
SUCCEEDED = {ONE: 5, TWO: 3}
UPLOADING = {ONE: 1, TWO: 0}
FAILED = {ONE: 0, TWO: 2}
ORPHANS = {ONE: 1200, TWO: 685}


def fill_production(v1: V1Installation, rig: Rig) -> None:
    """2,087 listings: 191 listed, 1,896 pending; of the queue's 277 rows 75 have no listing."""
    names = asins(2087 + 75)
    v1.fill("INSERT INTO products (asin) VALUES (?)", [(asin,) for asin in names])
    rest = iter(names)
    rows: list[tuple[Any, ...]] = []
    queue: list[tuple[str, str, str]] = []
    for account in (ONE, TWO):
        for _ in range(LISTED[account]):
            asin = next(rest)
            item_id = rig.add_item(called(asin), account)
            rows.append((asin, account, called(asin), "listed", item_id))
            queue.append((asin, account, "success"))
        made = ["success"] * SUCCEEDED[account] + ["uploading"] * UPLOADING[account]
        for number, status in enumerate(made):
            asin = next(rest)
            rig.add_item(called(asin, FORMS[number % len(FORMS)]), account)
            rows.append((asin, account, called(asin), "pending", None))
            queue.append((asin, account, status))
        for number in range(FAILED[account] + ORPHANS[account]):
            asin = next(rest)
            rows.append((asin, account, called(asin), "pending", None))
            if number < FAILED[account]:
                queue.append((asin, account, "failed"))
    queue += [(asin, TWO, "success") for _, asin in zip(range(30), rest, strict=False)]
    queue += [(asin, TWO, "failed") for asin in rest]
    v1.fill(
        "INSERT INTO listings (asin, platform, account_id, sku, selling_price, status,"
        " platform_item_id) VALUES (?, 'base', ?, ?, 1980.0, ?, ?)",
        rows,
    )
    v1.fill(
        "INSERT INTO upload_queue (asin, platform, account_id, status) VALUES (?, 'base', ?, ?)",
        queue,
    )


def test_the_numbers_of_production_are_mended_looked_up_and_queued(
    rig: Rig, tmp_path: Path
) -> None:
    v1 = V1Installation(tmp_path / "v1")
    fill_production(v1, rig)
    import_v1(
        v1.folder,
        ImportStore(rig.engine),
        AccountStore(rig.engine, Cipher(), rig.clock, "base"),
        rig.clock,
        toml_file=tmp_path / "ecauto.toml",
        dry_run=False,
    )
    assert statuses(rig, listings) == {"pending": 1896, "listed": 191}
    assert statuses(rig, upload_queue) == {"success": 229, "failed": 47, "unknown": 1}

    reports = {account: rig.check(account) for account in (ONE, TWO)}
    assert {each: found(report) for each, report in reports.items()} == {
        ONE: {"success_but_pending": 5, "unknown_here": 1, "stuck_uploading": 1, "orphan": 1200},
        TWO: {"success_but_pending": 3, "orphan": 685},
    }
    assert {each: report.mended_counts for each, report in reports.items()} == {
        ONE: {"success_but_pending": 5},
        TWO: {"success_but_pending": 3},
    }
    lookup = reports[ONE].lookup
    assert lookup is not None
    assert (lookup.adopted, lookup.not_found, reports[TWO].lookup) == (1, 0, None)
    assert statuses(rig, listings) == {"pending": 1887, "listed": 200}
    assert statuses(rig, upload_queue) == {"success": 230, "failed": 47}
    for account, count in ORPHANS.items():
        assert found(rig.check(account)) == {"orphan": count}

    queue = UploadQueue(rig.engine, rig.clock, "base")
    for account, count in ORPHANS.items():
        slots = free_slots(rig.clock.now(), queue.last_scheduled(account), 1000, RULES)
        assert queue.fill(account, slots) == count
        assert rig.check(account).findings == []
    pending = [row for row in rig.rows(upload_queue) if row["status"] == "pending"]
    a_day = Counter(
        (row["account_id"], row["scheduled_time"].astimezone(JAPAN).date()) for row in pending
    )
    assert (len(pending), max(a_day.values()) <= 1000) == (1885, True)


def statuses(rig: Rig, table: sa.Table) -> dict[str, int]:
    return dict(Counter(row["status"] for row in rig.rows(table)))
