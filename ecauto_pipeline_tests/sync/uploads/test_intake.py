"""Whole intakes against the sandbox: each ASIN has its outcome, and is asked about once."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from ecauto_pipeline.domain.screening.rules import KeywordRule, ScreeningRules
from ecauto_pipeline.domain.uploads.intake import IntakeRow, Outcome, ParsedFile
from ecauto_pipeline.errors import CredentialsRejected, Misconfigured
from ecauto_pipeline.sandbox.amazon.api import AmazonCredentials
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import World, kind_of
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline.storage.uploads.inbox import FOLDER, Inbox
from ecauto_pipeline.storage.uploads.intake import IntakeStore
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.sync.screening import Screener
from ecauto_pipeline.sync.uploads import intake as intake_module
from ecauto_pipeline.sync.uploads.intake import Intake, IntakeOptions, IntakeReport
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.sync.pipeline_rig import PipelineRig, pipeline_rigged

COUNT = 60
SEARCH, SWEEP = "searchCatalogItems", "getCompetitivePricing"
DETAILS = ("getItemOffers", "getItemOffersBatch")
NOWHERE = "B0NOWHERE1"

Open = Callable[..., AbstractContextManager[PipelineRig]]


@pytest.fixture
def backend() -> str:
    """One database will do: the stores are tested with each of them on their own."""
    return "sqlite"


@pytest.fixture
def world() -> World:
    return World(count=COUNT)


@pytest.fixture
def sandbox(world: World, clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(world, clock=clock, rate_multiplier=1000) as sandbox:
        yield sandbox


@pytest.fixture
def open_rig(sandbox: Sandbox, url: str, tmp_path: Path, clock: FakeClock) -> Open:
    return partial(pipeline_rigged, sandbox, url, tmp_path / "data", clock)


@pytest.fixture
def rig(open_rig: Open) -> Iterator[PipelineRig]:
    with open_rig() as rig:
        yield rig


@pytest.fixture
def inbox(tmp_path: Path, clock: FakeClock) -> Inbox:
    folder = tmp_path / "data" / FOLDER
    folder.mkdir(parents=True)
    return Inbox(folder, clock)


def intake_of(rig: PipelineRig, rules: ScreeningRules | None = None) -> Intake:
    pipeline = rig.pipeline
    return Intake(
        store=IntakeStore(pipeline.engine, rig.clock, "base"),
        refresher=pipeline.amazon.refresher,
        screener=Screener(rules or ScreeningRules(), pipeline.uploads.screenings),
        accounts=pipeline.shops.account_store.accounts(pipeline.settings.base.accounts),
        setting="ECAUTO_BASE__ACCOUNTS",
        clock=rig.clock,
    )


def take_in(
    rig: PipelineRig,
    asins: Sequence[str],
    *,
    rules: ScreeningRules | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> IntakeReport:
    parsed = ParsedFile(tuple(asins))
    return intake_of(rig, rules).take_in(parsed, IntakeOptions(**options), progress or Silent())


def outcomes(report: IntakeReport) -> dict[str, Outcome]:
    return {row.asin: row.outcome for row in report.rows}


def expected(world: World, asin: str) -> Outcome:
    """What must become of a product that is new."""
    kind = kind_of(asin, world.seed)
    if kind is Kind.NOT_FOUND:
        return Outcome.NOT_FOUND
    if kind is Kind.TOO_SOON:
        return Outcome.NOT_ANSWERED
    # The sweep shows a price of it; whether it ships now is looked up before it is shown.
    if kind in {Kind.FUTURE, Kind.FUTURE_BUY_BOX} or world.truth(asin).in_stock:
        return Outcome.ADDED
    return Outcome.NO_PRICE


def listed(rig: PipelineRig) -> list[str]:
    return sorted(row["asin"] for row in rig.rows(listings))


def inconclusive(world: World) -> int:
    """How many products have no competitive price."""
    kinds = (Kind.SOLE_SELLER, Kind.VARIATION_PARENT, Kind.TOO_SOON, Kind.USED_ONLY, Kind.OUT)
    return sum(len(world.of_kind(kind)) for kind in kinds)


class Interruption:
    """Ctrl-C once so much is done."""

    def __init__(self, after: int) -> None:
        self._after = after

    def waiting(self, bucket: str, seconds: float) -> None: ...

    def advanced(self, what: str, done: int, total: int) -> None:
        if done >= self._after:
            raise KeyboardInterrupt


def test_every_kind_of_product_has_its_outcome(rig: PipelineRig, world: World) -> None:
    assert {kind_of(asin, world.seed) for asin in world.asins} == set(Kind)
    report = take_in(rig, [*world.asins, NOWHERE])
    wanted = {asin: expected(world, asin) for asin in world.asins} | {NOWHERE: Outcome.NOT_FOUND}
    assert outcomes(report) == wanted
    assert list(outcomes(report)) == [*world.asins, NOWHERE]
    assert listed(rig) == sorted(a for a, outcome in wanted.items() if outcome is Outcome.ADDED)
    gone = {asin for asin, outcome in wanted.items() if outcome is Outcome.NOT_FOUND}
    assert rig.facts().keys() == wanted.keys() - gone
    assert all(row.detail for row in report.rows if row.outcome is not Outcome.ADDED)
    assert report.problems == []


def test_what_is_listed_waits_with_all_that_was_asked_for(rig: PipelineRig) -> None:
    take_in(rig, ["B0FGQJ45HW"], priority=17, held=True, account_id="two")
    (row,) = rig.rows(listings)
    assert (row["status"], row["priority"], row["held"]) == ("pending", 17, True)
    assert (row["account_id"], row["platform"], row["sku"]) == ("two", "base", None)
    product = rig.facts()["B0FGQJ45HW"]
    assert product["title_ja"]
    assert product["amazon_price_jpy"]


def test_what_is_sold_out_is_listed_if_its_price_is_known(rig: PipelineRig, world: World) -> None:
    asin = world.of_kind(Kind.OUT)[0]
    rig.add([asin], amazon_price_jpy=1234)
    (row,) = take_in(rig, [asin]).rows
    assert row.outcome is Outcome.ADDED
    assert row.detail == "sold out at Amazon now: it stays hidden until it is back"


def test_what_is_there_is_not_asked_about(rig: PipelineRig, world: World) -> None:
    asins = world.asins[:11]
    rig.add(asins)
    rig.enlist(asins[:4], "two", status="pending")
    report = take_in(rig, asins)
    there = IntakeRow(asins[0], Outcome.ALREADY_THERE, "pending on account two", "two")
    assert report.rows[0] == there
    assert report.counts["already_there"] == 4
    assert report.counts["added"] == 7
    assert take_in(rig, asins).counts["already_there"] == 11
    assert rig.sandbox.calls(SEARCH) == rig.sandbox.calls(SWEEP) == 1


def test_two_thousand_are_asked_about_once_each(url: str, tmp_path: Path, clock: FakeClock) -> None:
    world = World(count=2_000)
    with (
        Sandbox(world, clock=clock, rate_multiplier=1000) as sandbox,
        pipeline_rigged(sandbox, url, tmp_path / "data", clock) as rig,
    ):
        report = take_in(rig, world.asins)
        assert outcomes(report) == {asin: expected(world, asin) for asin in world.asins}
        assert report.calls[SEARCH] == sandbox.calls(SEARCH) == 100
        assert report.calls[SWEEP] == sandbox.calls(SWEEP) == 100
        assert inconclusive(world) / 20 <= sum(report.calls[each] for each in DETAILS) <= 400
        again = take_in(rig, world.asins)
        gone = len(world.of_kind(Kind.NOT_FOUND))
        assert again.calls[SEARCH] == again.calls[SWEEP] == -(-gone // 20)
        assert again.counts["already_there"] == report.counts["added"]
        assert again.counts["added"] == 0


def test_a_list_is_taken_in_piece_by_piece(
    rig: PipelineRig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CHUNK", 25)
    report = take_in(rig, world.asins)
    assert outcomes(report) == {asin: expected(world, asin) for asin in world.asins}
    assert report.calls[SEARCH] == 2 + 2 + 1


def test_what_time_does_not_allow_is_left_for_later(rig: PipelineRig, world: World) -> None:
    report = take_in(rig, world.asins, time_budget=timedelta(0))
    assert report.counts["not_answered"] == COUNT
    assert rig.rows(products) == []
    assert rig.sandbox.calls() == 0


def test_a_dry_run_asks_and_writes_nothing(rig: PipelineRig, world: World) -> None:
    rig.add(world.asins[:1])
    rig.enlist(world.asins[:1])
    before = rig.rows(products), rig.rows(listings)
    parsed = ParsedFile(world.asins, ((3, "nonsense"),), 2)
    report = intake_of(rig).take_in(parsed, IntakeOptions(dry_run=True), Silent())
    assert report.counts == dict.fromkeys(map(str, Outcome), 0) | {
        "already_there": 1,
        "not_answered": COUNT - 1,
        "invalid": 1,
    }
    assert (rig.rows(products), rig.rows(listings)) == before
    assert rig.sandbox.calls() == 0
    assert report.lines()[0].startswith("dry run")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"priority": 0}, "--priority 0: 1 to 20"),
        ({"priority": 21}, "--priority 21"),
        ({"account_id": "nobody"}, r"--account nobody: there is no such account \(one, two\)"),
        ({"account_id": "two"}, "--account two: it is switched off"),
    ],
)
def test_a_wrong_option_changes_nothing(
    open_rig: Open, options: dict[str, Any], reason: str, *, dry_run: bool
) -> None:
    with open_rig(shops={"two": {"active": False}}) as rig:
        with pytest.raises(Misconfigured, match=reason):
            take_in(rig, ["B0FGQJ45HW"], dry_run=dry_run, **options)
        assert rig.rows(products) == []


def test_without_an_active_account_nothing_is_taken_in(open_rig: Open) -> None:
    off = {"active": False}
    with open_rig(shops={"one": off, "two": off}) as rig:
        with pytest.raises(Misconfigured, match="ECAUTO_BASE__ACCOUNTS"):
            take_in(rig, ["B0FGQJ45HW"])
        assert rig.rows(products) == []


def test_products_go_to_the_account_of_their_category(open_rig: Open, world: World) -> None:
    with open_rig(shops={"one": {"categories": ["おもちゃ", "文房具・オフィス用品"]}}) as rig:
        take_in(rig, world.asins)
        facts = rig.facts()
        for row in rig.rows(listings):
            path = facts[row["asin"]]["category"].split(" > ")
            for_one = {"おもちゃ", "文房具・オフィス用品"}.intersection(path)
            assert row["account_id"] == ("one" if for_one else "two"), path


def test_products_are_shared_out_evenly(rig: PipelineRig, world: World) -> None:
    rig.add(["B0AAAAAAA1", "B0AAAAAAA2", "B0AAAAAAA3"])
    rig.enlist(["B0AAAAAAA1", "B0AAAAAAA2", "B0AAAAAAA3"], "one")
    take_in(rig, world.asins[:7])
    assert Counter(row["account_id"] for row in rig.rows(listings)) == {"one": 5, "two": 5}


def test_an_account_that_never_uploads_gets_nothing_by_itself(open_rig: Open, world: World) -> None:
    with open_rig(shops={"one": {"daily_upload_limit": 0}}) as rig:
        take_in(rig, world.asins[:5])
        assert {row["account_id"] for row in rig.rows(listings)} == {"two"}


def test_products_are_screened(rig: PipelineRig, world: World) -> None:
    blocked, doubtful, released = world.asins[:3]
    words = (world.ensure(asin).title.split()[-1] for asin in (doubtful, released))
    word = KeywordRule("doubtful", tuple(words), 50)
    rules = ScreeningRules(
        blocked_asins=frozenset({blocked}),
        keyword_rules=(word,),
    )
    first = take_in(rig, [blocked, doubtful, released], rules=rules)
    assert outcomes(first) == {
        blocked: Outcome.SCREENED_OUT,
        doubtful: Outcome.NEEDS_REVIEW,
        released: Outcome.NEEDS_REVIEW,
    }
    assert listed(rig) == []
    assert rig.facts().keys() == {blocked, doubtful, released}
    screenings = rig.pipeline.uploads.screenings
    assert {row["asin"] for row in screenings.review_list()} == {doubtful, released}
    screenings.release([released])
    screenings.refuse([doubtful])
    calls = rig.sandbox.calls()
    second = take_in(rig, [blocked, doubtful, released], rules=rules)
    assert outcomes(second) == {
        blocked: Outcome.SCREENED_OUT,
        doubtful: Outcome.SCREENED_OUT,
        released: Outcome.ADDED,
    }
    assert listed(rig) == [released]
    assert rig.sandbox.calls() == calls


def test_no_answer_is_no_verdict(rig: PipelineRig, world: World) -> None:
    rig.sandbox.faults.replace([Fault(SEARCH, FaultKind.ERROR_503_HTML)])
    report = take_in(rig, world.asins)
    assert report.counts["not_answered"] == COUNT
    assert listed(rig) == []
    assert report.problems
    rig.sandbox.faults.replace([])
    assert outcomes(take_in(rig, world.asins))[world.asins[0]] is Outcome.ADDED


def test_what_was_asked_before_a_kill_is_not_asked_again(rig: PipelineRig, world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        take_in(rig, world.asins, progress=Interruption(after=50))
    assert listed(rig) == []
    assert rig.facts().keys() == set(world.asins)
    asked = rig.sandbox.calls(SEARCH) + rig.sandbox.calls(SWEEP)
    assert asked < 6
    report = take_in(rig, world.asins)
    assert outcomes(report) == {asin: expected(world, asin) for asin in world.asins}
    assert not rig.facts().keys() & set(world.of_kind(Kind.NOT_FOUND))


def test_two_at_once_list_everything_once(open_rig: Open, world: World) -> None:
    start = Barrier(2)

    def run(rig: PipelineRig, asins: Sequence[str]) -> dict[str, Outcome]:
        start.wait(PATIENCE_SECONDS)
        return outcomes(take_in(rig, asins))

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        rigs = [stack.enter_context(open_rig()) for _ in range(2)]
        first, second = pool.map(run, rigs, [world.asins, world.asins[::-1]])
        for asin in world.asins:
            found = {first[asin], second[asin]}
            if expected(world, asin) is Outcome.ADDED:
                assert found == {Outcome.ADDED, Outcome.ALREADY_THERE}
            else:
                assert found == {expected(world, asin)}
        assert len(set(listed(rigs[0]))) == len(listed(rigs[0]))


def test_the_report_says_everything_in_each_form(
    rig: PipelineRig, world: World, tmp_path: Path
) -> None:
    parsed = ParsedFile((*world.asins, NOWHERE), ((3, "=cmd()"),), 2)
    report = intake_of(rig).take_in(parsed, IntakeOptions(), Silent())
    numbers = report.as_dict()
    assert numbers["asins"] == COUNT + 1
    assert sum(numbers["counts"].values()) == len(numbers["rows"]) == COUNT + 2
    assert list(numbers["counts"]) == list(Outcome)
    assert numbers["calls"] == sum(numbers["calls_by_operation"].values()) > 0
    text = "\n".join(report.lines())
    assert f"{COUNT + 1} ASINs (2 repeated)" in text
    assert "invalid: =cmd() (line 3: not an ASIN)" in text
    report.write_csv(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["asin"] for row in rows] == [*world.asins, NOWHERE, "'=cmd()"]
    assert [row["outcome"] for row in rows] == [row.outcome for row in report.rows]
    assert list(tmp_path.glob("*.tmp")) == []


def drop(inbox: Inbox, name: str, content: bytes) -> Path:
    path = inbox.folder / name
    path.write_bytes(content)
    written_at = MIDDAY.timestamp() - 60
    os.utime(path, (written_at, written_at))
    return path


def test_a_list_of_the_inbox_is_taken_in(rig: PipelineRig, world: World, inbox: Inbox) -> None:
    path = drop(inbox, "新商品.csv", f"商品コード\n{world.asins[0]}\nnonsense\n".encode("cp932"))
    assert inbox.ready() == [path]
    result = intake_of(rig).process_inbox_file(path, inbox, IntakeOptions(), Silent())
    assert result is not None
    assert result.report is not None
    assert (result.report.counts["added"], result.report.counts["invalid"]) == (1, 1)
    assert result.path == inbox.folder / "done" / "新商品.csv"
    assert (inbox.folder / "done" / "新商品.csv.report.csv").is_file()
    assert inbox.ready() == []
    assert listed(rig) == [world.asins[0]]


def test_a_list_that_cannot_be_read_is_put_aside(rig: PipelineRig, inbox: Inbox) -> None:
    path = drop(inbox, "list.txt", b"\x81")
    result = intake_of(rig).process_inbox_file(path, inbox, IntakeOptions(), Silent())
    assert result is not None
    assert result.problem == "list.txt: it is not text in UTF-8 or Shift JIS"
    assert (inbox.folder / "failed" / "list.txt.error.txt").is_file()


def test_a_list_that_is_gone_is_somebody_elses(rig: PipelineRig, inbox: Inbox) -> None:
    path = inbox.folder / "list.txt"
    assert intake_of(rig).process_inbox_file(path, inbox, IntakeOptions(), Silent()) is None


def test_a_list_goes_back_when_amazon_refuses_us(
    open_rig: Open, world: World, url: str, tmp_path: Path, clock: FakeClock, inbox: Inbox
) -> None:
    path = drop(inbox, "list.txt", "\n".join(world.asins).encode())
    credentials = AmazonCredentials("another-app", "another-secret", "another-token")
    with (
        Sandbox(world, clock=clock, amazon_credentials=credentials) as sandbox,
        pipeline_rigged(sandbox, url, tmp_path / "data", clock) as rig,
    ):
        with pytest.raises(CredentialsRejected):
            intake_of(rig).process_inbox_file(path, inbox, IntakeOptions(), Silent())
        assert inbox.ready() == [path]
        assert listed(rig) == []
    with open_rig() as rig:
        result = intake_of(rig).process_inbox_file(path, inbox, IntakeOptions(), Silent())
        assert result is not None
        assert result.report is not None
        assert result.report.counts["added"]
