"""`ecauto` from a list of ASINs to published items, as a process of its own."""

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from subprocess import CompletedProcess
from typing import Any

import pytest

from ecauto_pipeline.cli.uploads import review_lines
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import World, kind_of
from ecauto_pipeline.sandbox.base_shop.state import Item
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS, demo_shops
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox, demo_sandbox
from ecauto_pipeline_tests.program import Program

pytestmark = pytest.mark.process

ASINS = 60
"""So many does version 1.0 have."""

ADD = "items/add"

NORMAL = [asin for asin in World(count=160).natives[ASINS:] if kind_of(asin, 1) is Kind.NORMAL]
WANTED = NORMAL[:9]
DOUBTFUL, RELEASED, REFUSED = WANTED[-3:]
"""One that is doubtful from the start, and two that become so once they are queued."""

NO_ASIN = "not-an-asin"

ACCOUNT_SETTING = json.dumps(
    [
        {
            "id": shop.account_id,
            "client_id": shop.client_id,
            "client_secret": shop.client_secret,
            "refresh_token": shop.refresh_token,
        }
        for shop in demo_shops()
    ]
)

LISTINGS = "SELECT asin, status, visibility FROM listings ORDER BY id"
QUEUED = "SELECT id, asin, status, priority, error_message FROM upload_queue ORDER BY id"

Ended = CompletedProcess[str]


def read(ended: Ended) -> Any:
    """The one JSON object of a command that succeeded."""
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{ended.stdout.strip()}\n"
    return json.loads(ended.stdout)


def words(ended: Ended) -> str:
    """What a command that succeeded tells people."""
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def new_items(sandbox: Sandbox) -> dict[str, list[Item]]:
    """The items that this program made, by ASIN."""
    found: dict[str, list[Item]] = {}
    for account in ACCOUNTS:
        for item in sandbox.items(account):
            prefix, asin, number = (item.identifier or "--").split("-")
            if prefix == "b" and number == "1":
                found.setdefault(asin, []).append(item)
    return found


def price_of(sandbox: Sandbox, asin: str) -> int | None:
    """What BASE must ask for the product."""
    price = sandbox.world.truth(asin).price_jpy
    return None if price is None else (price * 13 + 5) // 10


def doubt(program: Program, asins: Sequence[str]) -> None:
    """Make the rules doubt these products, which carry their ASIN's end in their titles."""
    folder = program.data_dir / "screening"
    folder.mkdir(parents=True, exist_ok=True)
    named = json.dumps([asin[-4:] for asin in asins])
    rule = f'[[keywords]]\nname = "a doubt"\nscore = 40\nwords = {named}\n'
    (folder / "prohibited.toml").write_text(rule, "utf-8")


def write(program: Program, statement: str, *values: Any) -> None:
    """Change its SQLite database."""
    with closing(sqlite3.connect(program.data_dir / "master.db")) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An installation with two accounts and a list of new products; the tests share it."""
    with demo_sandbox(asins=ASINS, rate_multiplier=1000) as sandbox:
        folder = tmp_path_factory.mktemp("installation")
        program = Program(folder, sandbox, ECAUTO_BASE__ACCOUNTS=ACCOUNT_SETTING)
        lines = [WANTED[0].lower(), *WANTED[1:], WANTED[0], NO_ASIN]
        (folder / "new.txt").write_text("\n".join(lines), "utf-8")
        yield program


# --- from a list to the queue ----------------------------------------------------------------


@dataclass(frozen=True)
class Intake:
    """How `add-products` ended, dry and really, and what was in the database after each."""

    dry: Ended
    listings_after_dry: list[tuple[Any, ...]]
    files_after_dry: set[str]
    calls_after_dry: int
    added: Ended
    queue_after: Ended


@pytest.fixture(scope="module")
def intake(program: Program) -> Intake:
    doubt(program, [DOUBTFUL])
    dry = program.run("add-products", "new.txt", "--dry-run", "--json")
    listings = program.rows("SELECT asin FROM products UNION ALL SELECT asin FROM listings")
    files = {path.name for path in program.folder.iterdir()}
    calls = program.sandbox.calls()
    added = program.run("add-products", "new.txt", "--no-queue", "--priority", "9")
    return Intake(dry, listings, files, calls, added, program.run("queue", "--json"))


def test_a_dry_intake_checks_the_list_and_writes_nothing(intake: Intake) -> None:
    report = read(intake.dry)
    assert (report["dry_run"], report["asins"], report["repeated"]) == (True, len(WANTED), 1)
    assert report["counts"]["invalid"] == 1
    assert (intake.listings_after_dry, intake.calls_after_dry) == ([], 0)
    assert intake.files_after_dry == {"new.txt", "data"}


def test_an_intake_tells_what_became_of_each_product(intake: Intake) -> None:
    said = words(intake.added)
    assert said.startswith(f"{len(WANTED)} ASINs (1 repeated): 8 added, 0 already there,")
    assert f"needs review: {DOUBTFUL} (waits for review: a doubt: {DOUBTFUL[-4:]})" in said
    assert f"invalid: {NO_ASIN} (line 11: not an ASIN)" in said


def test_the_report_about_a_list_lies_beside_it(program: Program, intake: Intake) -> None:
    assert intake.added.returncode == 0
    with (program.folder / "new.txt.report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["asin"] for row in rows] == [*WANTED, NO_ASIN]
    outcomes = Counter(row["outcome"] for row in rows)
    assert outcomes == {"added": 8, "needs_review": 1, "invalid": 1}
    assert {row["account_id"] for row in rows if row["outcome"] == "added"} == set(ACCOUNTS)


def test_held_listings_are_not_queued(program: Program, intake: Intake) -> None:
    assert not any(read(intake.queue_after)["counts"].values())
    assert program.rows("SELECT DISTINCT held FROM listings WHERE status = 'pending'") == [(1,)]


@dataclass(frozen=True)
class Queue:
    """What `queue add` said, twice, and how the queue looked afterwards."""

    some: Ended
    rest: Ended
    json: Ended
    table: Ended


@pytest.fixture(scope="module")
def queue(program: Program, intake: Intake) -> Queue:
    assert intake.added.returncode == 0
    return Queue(
        program.run("queue", "add", "--limit", "3", "--json"),
        program.run("queue", "add"),
        program.run("queue", "--json"),
        program.run("queue", "--account", ACCOUNTS[1]),
    )


def test_queue_add_queues_what_was_held_no_more_than_wanted(queue: Queue) -> None:
    some = read(queue.some)
    assert some["queued"] == sum(some["accounts"].values()) == 3
    assert words(queue.rest) == "5 listings queued\n"


def test_the_queue_is_one_json_object(queue: Queue) -> None:
    shown = read(queue.json)
    assert shown["counts"]["pending"] == len(shown["rows"]) == 8
    assert {row["priority"] for row in shown["rows"]} == {9}
    assert {row["asin"] for row in shown["rows"]} == set(WANTED) - {DOUBTFUL}


def test_the_queue_is_a_table_for_people(queue: Queue) -> None:
    first, *rows = words(queue.table).splitlines()
    assert first.startswith("pending 4  uploading 0")
    assert len(rows) == 4
    for row in rows:
        assert f"{ACCOUNTS[1]} " in row
        assert "priority 9" in row


# --- from the queue to the shops -------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """How three uploads ended; a refusal by BASE and two by the rules are among the first two."""

    limited: Ended
    adds_when_limited: int
    second: Ended
    items_after_second: dict[str, list[Item]]
    failed: dict[str, tuple[int, str]]
    review: Ended
    released: Ended
    refused: Ended
    retried: Ended
    third: Ended


@pytest.fixture(scope="module")
def upload(program: Program, queue: Queue) -> Upload:
    assert queue.rest.returncode == 0
    sandbox = program.sandbox
    doubt(program, [DOUBTFUL, RELEASED, REFUSED])
    sandbox.faults.replace(
        [Fault(ADD, FaultKind.BASE_ERROR, times=1, account=ACCOUNTS[0], error="bad_params")]
    )
    limited = program.run("upload", "--now", "--limit", "1", "--account", ACCOUNTS[0], "--json")
    adds = sandbox.calls(ADD)
    second = program.run("upload", "--now", "--json")
    rows = program.rows(QUEUED)
    failed = {asin: (id_, why) for id_, asin, status, _, why in rows if status == "failed"}
    items = new_items(sandbox)
    review = program.run("review", "--json")
    released = program.run("review", "release", RELEASED.lower(), DOUBTFUL)
    refused = program.run("review", "refuse", REFUSED)
    others = [str(id_) for asin, (id_, _) in failed.items() if asin != RELEASED]
    retried = program.run("queue", "retry", *others, others[0], "--json")
    third = program.run("upload", "--now")
    return Upload(limited, adds, second, items, failed, review, released, refused, retried, third)


def test_a_limit_is_kept(upload: Upload) -> None:
    [numbers] = read(upload.limited)["accounts"].values()
    assert (numbers["failed"], numbers["published"], numbers["waiting"]) == (1, 0, 3)
    assert upload.adds_when_limited == 1


def test_what_is_pending_is_published_at_its_price(program: Program, upload: Upload) -> None:
    report = read(upload.second)
    assert report["problem"] == ""
    assert sum(numbers["published"] for numbers in report["accounts"].values()) == 5
    items = upload.items_after_second
    assert items.keys() == set(WANTED) - {DOUBTFUL} - upload.failed.keys()
    for asin, [item] in items.items():
        assert (item.price, item.visible) == (price_of(program.sandbox, asin), 1)


def test_what_failed_says_why(upload: Upload) -> None:
    assert upload.failed.keys() > {RELEASED, REFUSED}
    refusals = {asin: why for asin, (_, why) in upload.failed.items()}
    assert refusals.pop(RELEASED) == f"waits for review: a doubt: {RELEASED[-4:]}"
    assert refusals.pop(REFUSED) == f"waits for review: a doubt: {REFUSED[-4:]}"
    [why] = refusals.values()
    assert why.startswith("BASE refuses it: ")


def test_doubtful_products_are_listed_for_review(upload: Upload) -> None:
    rows = read(upload.review)["review"]
    assert {row["asin"] for row in rows} == {DOUBTFUL, RELEASED, REFUSED}
    assert {row["score"] for row in rows} == {40}
    lines = list(review_lines(rows))
    assert lines[1] == f"    a doubt: {rows[0]['asin'][-4:]}"
    assert lines[0] == f"{rows[0]['asin']}  score  40  {rows[0]['title']}"


def test_a_release_puts_back_what_waited_for_it(upload: Upload) -> None:
    said = words(upload.released)
    assert said.startswith("2 released, 1 uploads put back\n")
    assert f"{DOUBTFUL}: not listed yet" in said
    assert words(upload.refused) == "1 refused\n"


def test_failed_rows_are_put_back_by_their_ids(upload: Upload) -> None:
    assert read(upload.retried) == {"put_back": 2, "asked": 2}


def test_each_product_is_on_a_shop_once_and_the_refused_one_never(
    program: Program, upload: Upload
) -> None:
    said = words(upload.third)
    assert f"{ACCOUNTS[0]}: " in said
    items = new_items(program.sandbox)
    assert items.keys() == set(WANTED) - {DOUBTFUL, REFUSED}
    for asin, [item] in items.items():
        assert (item.price, item.visible) == (price_of(program.sandbox, asin), 1)
    [why] = [row[4] for row in program.rows(QUEUED) if row[1] == REFUSED]
    assert why.startswith("refused by a person")
    listed = [(asin, "listed", "public") for asin in items]
    assert sorted(program.rows(LISTINGS)) == sorted([*listed, (REFUSED, "pending", "public")])


def test_the_second_time_only_what_was_released_is_new(program: Program, upload: Upload) -> None:
    assert upload.third.returncode == 0
    report = read(program.run("add-products", "new.txt", "--account", ACCOUNTS[1], "--json"))
    assert report["counts"]["already_there"] == 8
    [added] = [row for row in report["rows"] if row["outcome"] == "added"]
    assert (added["asin"], added["account_id"]) == (DOUBTFUL, ACCOUNTS[1])
    queued = [(asin, priority) for _, asin, status, priority, _ in program.rows(QUEUED)
              if status == "pending"]  # fmt: skip
    assert queued == [(DOUBTFUL, 5)]


# --- a take-over, uploaded and checked -------------------------------------------------------


@dataclass(frozen=True)
class TakenOver:
    """An installation after a take-over and the first upload; one item was there already."""

    program: Program
    there_already: str
    items_before: dict[str, int]
    uploaded: Ended


def on_shops(sandbox: Sandbox) -> Counter[str]:
    """How many items each product has."""
    items = (item for account in ACCOUNTS for item in sandbox.items(account))
    return Counter((item.identifier or "").split("-")[1] for item in items)


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TakenOver]:
    with demo_sandbox(asins=ASINS, rate_multiplier=1000) as sandbox:
        program = Program(tmp_path_factory.mktemp("taken-over"), sandbox)
        read(program.run("import-v1", program.write_v1(), "--json"))
        # v1.0 had made this one when it was stopped, and had not noted it.
        [(asin, sku, account)] = program.rows(
            "SELECT asin, sku, account_id FROM listings JOIN upload_queue USING (asin, account_id)"
            " WHERE listings.status = 'pending' AND upload_queue.status = 'pending'"
            " ORDER BY asin LIMIT 1"
        )
        model = sandbox.items(account)[0]
        with sandbox.state.lock:
            item = replace(model, item_id=0, identifier=sku, list_order=0)
            sandbox.state.add_item(account, item)
            sandbox.state.commit()
        before = on_shops(sandbox)
        uploaded = program.run("upload", "--now", "--json")
        yield TakenOver(program, asin, before, uploaded)


def test_after_a_take_over_pending_listings_are_made_once_and_others_adopted(
    taken_over: TakenOver,
) -> None:
    assert read(taken_over.uploaded)["problem"] == ""
    program = taken_over.program
    listed = {row[0] for row in program.rows("SELECT asin FROM listings WHERE status = 'listed'")}
    items = on_shops(program.sandbox)
    assert set(items) == listed
    assert set(items.values()) == {1}
    assert taken_over.there_already in listed
    assert len(items) > len(taken_over.items_before)


@dataclass(frozen=True)
class Checked:
    """What the check found, mended, and found then."""

    found: Ended
    listings_when_found: list[tuple[Any, ...]]
    fixed: Ended
    again: Ended
    gone: str
    forgotten: str


@pytest.fixture(scope="module")
def checked(taken_over: TakenOver) -> Checked:
    program = taken_over.program
    sandbox = program.sandbox
    first, second = sandbox.items(ACCOUNTS[0])[:2]
    with sandbox.state.lock:
        sandbox.state.delete_item(ACCOUNTS[0], first.item_id)
        sandbox.state.commit()
    gone, forgotten = ((item.identifier or "").split("-")[1] for item in (first, second))
    write(
        program,
        "INSERT INTO upload_queue (asin, platform, account_id, status, created_at, processed_at)"
        " VALUES (?, 'base', ?, 'success', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        forgotten,
        ACCOUNTS[0],
    )
    write(
        program,
        "UPDATE listings SET status = 'pending', platform_item_id = NULL WHERE asin = ?",
        forgotten,
    )
    found = program.run("check")
    listings = program.rows(LISTINGS)
    fixed = program.run("check", "--fix", "--account", ACCOUNTS[0], "--json")
    return Checked(found, listings, fixed, program.run("check", "--json"), gone, forgotten)


def test_a_check_finds_and_mends_nothing_unasked(checked: Checked) -> None:
    found = [" ".join(line.split()) for line in words(checked.found).splitlines()]
    assert found.count("success but pending 1") == found.count("gone from shop 1") == 1
    assert not any(line.startswith("mended") for line in found)
    states = {asin: status for asin, status, _ in checked.listings_when_found}
    assert (states[checked.gone], states[checked.forgotten]) == ("listed", "pending")


def test_a_check_mends_what_is_safe_when_asked_to(taken_over: TakenOver, checked: Checked) -> None:
    numbers = read(checked.fixed)["accounts"]
    assert numbers.keys() == {ACCOUNTS[0]}
    [of] = numbers.values()
    assert of["mended"] == of["mended_success_but_pending"] + of["mended_gone_from_shop"] == 2
    states = {asin: status for asin, status, _ in taken_over.program.rows(LISTINGS)}
    assert (states[checked.gone], states[checked.forgotten]) == ("delisted", "listed")
    for after in read(checked.again)["accounts"].values():
        assert after["gone_from_shop"] == after["success_but_pending"] == 0
    assert set(on_shops(taken_over.program.sandbox).values()) == {1}


# --- bad input -------------------------------------------------------------------------------


BAD_INPUT: list[tuple[list[str], str]] = [
    (["add-products", "new.txt", "--account", "nobody"], "--account nobody: there is no such"),
    (["add-products", "nowhere.txt"], "nowhere.txt: there is no such file"),
    (["upload", "--account", "nobody"], "--account nobody: there is no such account"),
    (["upload", "--account", ACCOUNTS[1]], f"--account {ACCOUNTS[1]}: it is switched off"),
    (["queue", "--account", ACCOUNTS[1], "add"], "`ecauto queue add --account"),
]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    """How the commands with bad input end, and that they call nobody."""
    with demo_sandbox(asins=ASINS, rate_multiplier=1000) as sandbox:
        accounts = json.loads(ACCOUNT_SETTING)
        accounts[1]["active"] = False
        folder = tmp_path_factory.mktemp("untouched")
        program = Program(folder, sandbox, ECAUTO_BASE__ACCOUNTS=json.dumps(accounts))
        (folder / "new.txt").write_text(WANTED[0], "utf-8")
        program.run("queue")  # so that the others find a database
        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(program.run, *arguments) for arguments, _ in BAD_INPUT]
            ended = [each.result() for each in running]
        assert sandbox.calls() == 0
        assert program.rows("SELECT count(*) FROM products") == [(0,)]
        assert sorted(path.name for path in folder.iterdir()) == ["data", "new.txt"]
    return ended


@pytest.mark.parametrize(
    "number", range(len(BAD_INPUT)), ids=[" ".join(arguments) for arguments, _ in BAD_INPUT]
)
def test_bad_input_is_one_line_and_changes_nothing(refusals: list[Ended], number: int) -> None:
    _, said = BAD_INPUT[number]
    ended = refusals[number]
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith("ecauto: ")
    assert said in line
    assert "Traceback" not in ended.stderr


def test_nothing_is_released_when_one_of_the_products_was_never_screened(
    program: Program, upload: Upload
) -> None:
    assert upload.third.returncode == 0
    ended = program.run("review", "release", REFUSED, NORMAL[-1])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"ecauto: {NORMAL[-1]}: never screened")
    decisions = dict(program.rows("SELECT asin, decision FROM screenings"))
    assert decisions[REFUSED] == "refused"
