"""The `ecauto` command as a process of its own, against the sandbox."""

import base64
import json
import re
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.api import AmazonCredentials
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS, demo_items, demo_shops
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox, demo_sandbox
from ecauto_pipeline_tests import children
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.postgres import PostgresServer
from ecauto_pipeline_tests.program import AMAZON_SECRETS, Gate, Program, expected_shops, shops

pytestmark = pytest.mark.process

ASINS = 60

STATE = "sandbox.db"
"""Where a sandbox keeps its tokens, beside the installation."""

SHOP_SECRETS = [
    secret for shop in demo_shops() for secret in (shop.client_secret, shop.refresh_token)
]

LISTINGS = (
    "SELECT asin, account_id, platform_item_id, selling_price, visibility, status FROM listings"
    " ORDER BY id"
)
DECISIONS = (
    "SELECT listing_id, kind, old, new, rule, reason FROM decisions WHERE outcome = '{}'"
    " ORDER BY listing_id, kind"
)

Copy = tuple[Program, Sandbox]


def new_sandbox(**options: Any) -> Sandbox:
    return demo_sandbox(asins=ASINS, rate_multiplier=1000, **options)


def prices_before() -> Mapping[int, int]:
    items = demo_items(World(count=ASINS))
    return {item.item_id: item.price for account in ACCOUNTS for item in items[account]}


def edits(sandbox: Sandbox) -> int:
    return sandbox.calls("items/edit")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An installation that has taken over v1.0 and done nothing since; not to be changed."""
    with new_sandbox() as sandbox:
        program = Program(tmp_path_factory.mktemp("template"), sandbox)
        ended = program.run("import-v1", program.write_v1(), "--json")
        assert ended.returncode == 0, ended.stderr
        (program.folder / "report.json").write_text(ended.stdout)
        yield program


@pytest.fixture
def taken_over(template: Program, tmp_path: Path) -> Iterator[Copy]:
    """The same in a folder, and with a sandbox, of its own."""
    with new_sandbox() as sandbox:
        yield template.copy_to(tmp_path / "installation", sandbox), sandbox


@pytest.fixture(scope="module")
def synced(
    template: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Program, Any]]:
    """An installation after its first sync, and how that command ended."""
    folder = tmp_path_factory.mktemp("synced")
    with new_sandbox(state=str(folder / STATE)) as sandbox:
        program = template.copy_to(folder / "installation", sandbox)
        yield program, program.run("sync", "--json")


# --- taking over, and the whole sync ---------------------------------------------------------


def test_first_commands_may_start_together(tmp_path: Path) -> None:
    with new_sandbox() as sandbox:
        program = Program(tmp_path, sandbox)
        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(program.run, "status", "--json") for _ in range(3)]
        for each in running:
            assert each.result().returncode == 0, each.result().stderr


def test_what_was_taken_over_is_one_json_object(template: Program) -> None:
    report = json.loads((template.folder / "report.json").read_text())
    assert report["dry_run"] is False
    [(count,)] = template.rows("SELECT count(*) FROM listings")
    assert count == ASINS
    [(tokens,)] = template.rows("SELECT count(*) FROM account_tokens")
    assert tokens == len(ACCOUNTS)


def test_a_dry_take_over_writes_nothing(template: Program, tmp_path: Path) -> None:
    program = Program(tmp_path, template.sandbox)
    ended = program.run("import-v1", template.folder / "v1", "--dry-run", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["dry_run"] is True
    assert program.rows("SELECT count(*) FROM listings") == [(0,)]


def test_the_report_is_one_json_object_and_the_log_is_elsewhere(
    synced: tuple[Program, Any],
) -> None:
    program, ended = synced
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert ended.stdout == f"{ended.stdout.strip()}\n"
    assert (report["status"], report["problems"], report["errors"]) == ("done", [], 0)
    assert report["steps"] == ["cache", "visibility", "prices"]
    assert report["cache"]["products"] == report["cache"]["due"] == ASINS
    assert report["visibility"]["written"] + report["prices"]["written"] == edits(program.sandbox)
    assert "price of base_account_1: " in ended.stderr
    assert ended.stderr.count("products: ") < 5


def test_every_listing_is_as_amazon_says(synced: tuple[Program, Any]) -> None:
    program, _ = synced
    expected = expected_shops(program.sandbox, prices_before())
    assert shops(program.sandbox) == expected
    ours = {
        int(item_id): (price, visibility == "public")
        for _, _, item_id, price, visibility, status in program.rows(LISTINGS)
        if status == "listed"
    }
    assert ours == expected


def test_a_second_sync_calls_nobody(synced: tuple[Program, Any]) -> None:
    program, _ = synced
    calls, before = program.sandbox.calls(), program.rows(LISTINGS)
    report = program.sync()
    assert program.sandbox.calls() == calls
    assert (report["cache"]["due"], report["cache"]["calls"]) == (0, 0)
    assert report["prices"]["unchanged"] == report["prices"]["listings"]
    assert program.rows(LISTINGS) == before


def test_the_status_in_words_and_in_json(synced: tuple[Program, Any]) -> None:
    program, _ = synced
    shown = json.loads(program.run("status", "--json").stdout)
    assert shown["freshness"]["stock"]["products"] == ASINS
    assert shown["listings"] == {"listed": 52, "pending": 8}
    assert {account["id"]: account["state"] for account in shown["accounts"]} == dict.fromkeys(
        ACCOUNTS, "ok"
    )
    assert {run["status"] for run in shown["runs"]} == {"success"}
    assert {"import_v1", "amazon_refresh", "base_sync"} <= {run["job"] for run in shown["runs"]}
    words = program.run("status")
    assert (words.returncode, words.stderr) == (0, "")
    for part in ("Facts within their TTL", "base_account_1", "getItemOffers", "amazon_refresh"):
        assert part in words.stdout


# --- parts of the sync -----------------------------------------------------------------------


def test_a_dry_run_makes_the_same_decisions_and_writes_nothing(
    taken_over: Copy, synced: tuple[Program, Any]
) -> None:
    program, sandbox = taken_over
    listings, before = program.rows(LISTINGS), shops(sandbox)
    report = program.sync("--dry-run")
    assert report["dry_run"] is True
    assert report["prices"]["written"] == report["visibility"]["written"] == 0
    assert (program.rows(LISTINGS), shops(sandbox), edits(sandbox)) == (listings, before, 0)
    really, _ = synced
    planned = program.rows(DECISIONS.format("planned"))
    assert planned == really.rows(DECISIONS.format("written"))
    assert report["prices"]["planned"] + report["visibility"]["planned"] == len(planned) > 0
    assert program.rows("SELECT DISTINCT dry_run FROM decisions") == [(1,)]


def test_only_prices(taken_over: Copy) -> None:
    program, sandbox = taken_over
    before = shops(sandbox)
    report = program.sync("--price-only")
    assert report["runs"].keys() == {"price_refresh", "price_sync"}
    assert report["steps"] == ["cache", "prices"]
    assert sandbox.calls("searchCatalogItems") == 0
    expected = expected_shops(sandbox, prices_before())
    for item_id, (price, visible) in shops(sandbox).items():
        assert visible == before[item_id][1]
        assert price == expected[item_id][0]


def test_only_stock(taken_over: Copy) -> None:
    program, sandbox = taken_over
    before = shops(sandbox)
    report = program.sync("--stock-only")
    assert report["runs"].keys() == {"stock_refresh", "visibility_sync"}
    assert report["steps"] == ["cache", "visibility"]
    expected = expected_shops(sandbox, prices_before())
    for item_id, (price, visible) in shops(sandbox).items():
        assert visible == expected[item_id][1]
        came_back = visible and not before[item_id][1]
        assert price == (expected if came_back else before)[item_id][0]


def test_only_one_account(taken_over: Copy) -> None:
    program, sandbox = taken_over
    before = sandbox.items(ACCOUNTS[0])
    expected = expected_shops(sandbox, prices_before())
    report = program.sync("--account", ACCOUNTS[1])
    assert report["prices"]["listings"] == len(sandbox.items(ACCOUNTS[1]))
    assert report["cache"]["products"] < ASINS
    assert sandbox.items(ACCOUNTS[0]) == before
    for item in sandbox.items(ACCOUNTS[1]):
        assert (item.price, bool(item.visible)) == expected[item.item_id]


def test_one_account_that_cannot_go_on_is_named_and_the_other_is_written(
    taken_over: Copy,
) -> None:
    program, sandbox = taken_over
    expected = expected_shops(sandbox, prices_before())
    with sandbox.state.lock:
        sandbox.state.spend_refresh(demo_shops()[0].refresh_token)
    ended = program.run("sync", "--json")
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    assert report["status"] == "errors"
    assert f"`ecauto base connect {ACCOUNTS[0]}`" in report["problems"][0]
    assert report["prices"]["written"] + report["visibility"]["written"] == edits(sandbox) > 0
    for item in sandbox.items(ACCOUNTS[1]):
        assert (item.price, bool(item.visible)) == expected[item.item_id]


# --- interrupted half-way --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal_number", "operation", "after"),
    [
        (signal.SIGKILL, "getCompetitivePricing", 1),
        (signal.SIGKILL, "items/edit", 3),
        (signal.SIGINT, "getCompetitivePricing", 1),
    ],
)
def test_a_sync_stopped_half_way_is_made_up_by_the_next(
    template: Program,
    synced: tuple[Program, Any],
    tmp_path: Path,
    signal_number: signal.Signals,
    operation: str,
    after: int,
) -> None:
    gate = Gate()
    with new_sandbox(clock=gate) as sandbox:
        program = template.copy_to(tmp_path / "installation", sandbox)
        slow = Fault(operation, FaultKind.SLOW, after=after, times=1)
        sandbox.faults.replace([slow])
        status = program.stop_at(gate, signal_number, "sync", "--json")
        assert status == (130 if signal_number == signal.SIGINT else -signal.SIGKILL)
        half_way = sandbox.calls(operation)
        report = program.sync()
        assert report["problems"] == []
        assert sandbox.calls(operation) > half_way or operation != "items/edit"
        undisturbed, _ = synced
        assert shops(sandbox) == shops(undisturbed.sandbox)
        assert program.rows(LISTINGS) == undisturbed.rows(LISTINGS)
        assert program.run_statuses() == {"SUCCESS", "FAILURE"}


# --- bad input -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def untouched(template: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """An installation for commands that must change nothing."""
    right = AmazonCredentials(
        "sandbox-application",
        AMAZON_SECRETS["LWA_CLIENT_SECRET"],
        AMAZON_SECRETS["SP_API_REFRESH_TOKEN"],
    )
    with Sandbox(
        World(count=ASINS), demo_shops(), rate_multiplier=1000, amazon_credentials=right
    ) as sandbox:
        folder = tmp_path_factory.mktemp("untouched") / "installation"
        yield template.copy_to(folder, sandbox), sandbox


BAD_INPUT: list[tuple[list[str], dict[str, str], str]] = [
    (["sync", "--account", "nobody"], {}, "--account nobody: there is no such account"),
    (["sync"], {"LWA_CLIENT_SECRET": ""}, "LWA_CLIENT_SECRET: not set"),
    (["sync"], {"SP_API_REFRESH_TOKEN": "wrong"}, "SP_API_REFRESH_TOKEN: Amazon does not"),
    (["sync"], {"ECAUTO_TTL__STOCK": "soon"}, "ECAUTO_TTL__STOCK: a duration"),
    (["sync"], {"ECAUTO_BASE__ACCOUNTS": "[{"}, "ECAUTO_BASE__ACCOUNTS: not valid JSON"),
    (["sync"], {"ECAUTO_DATABASE_URL": "nonsense"}, "ECAUTO_DATABASE_URL: an address like"),
    (["sync"], {"ECAUTO_DATABASE_URL": "sqlite:///report.txt"}, "file is not a database"),
    (["sync"], {"ECAUTO_DATABASE_URL": "sqlite:////proc/no/x.db"}, "ECAUTO_DATABASE_URL: /p"),
    (["status"], {"ECAUTO_DATABASE_URL": "postgresql://u:pw@127.0.0.1:1/x"}, "cannot be used"),
    (
        ["status"],
        {"ECAUTO_DAGSTER_POSTGRES_URL": "postgresql://u:pw@127.0.0.1:1/x"},
        "ECAUTO_DAGSTER_POSTGRES_URL: ",
    ),
    (["status"], {"DAGSTER_HOME": "/proc/no"}, "DAGSTER_HOME: /proc/no"),
    (["sync", "--price-only", "--stock-only"], {}, "exclude each other"),
    (["sync", "--unheard-of"], {}, "No such option"),
    (["import-v1", "nowhere"], {}, "nowhere"),
    (["import-v1", "report.txt"], {}, "report.txt"),
    (["sandbox", "--faults", "nowhere.json"], {}, "the sandbox cannot start: "),
]


@pytest.fixture(scope="module")
def refusals(untouched: Copy) -> list[CompletedProcess[str]]:
    """How the commands with bad input end, and that they leave everything as it was."""
    program, sandbox = untouched
    (program.folder / "report.txt").write_text("this is no database\n" * 100)
    before = program.rows(LISTINGS), program.rows("SELECT * FROM products"), shops(sandbox)

    def run(case: tuple[list[str], dict[str, str], str]) -> "CompletedProcess[str]":
        arguments, settings, _ = case
        return program.run(*arguments, **settings)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, BAD_INPUT))
    after = program.rows(LISTINGS), program.rows("SELECT * FROM products"), shops(sandbox)
    assert after == before
    return ended


@pytest.mark.parametrize("number", range(len(BAD_INPUT)), ids=[case[2] for case in BAD_INPUT])
def test_bad_input_is_one_line_and_changes_nothing(
    refusals: list[CompletedProcess[str]], number: int
) -> None:
    *_, said = BAD_INPUT[number]
    ended = refusals[number]
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    [line] = ended.stderr.strip().splitlines()
    assert line.startswith("ecauto: ")
    assert said in line
    for secret in (*AMAZON_SECRETS.values(), "u:pw", "soon", "nonsense"):
        assert secret not in line


# --- the sandbox, and PostgreSQL -------------------------------------------------------------


def test_the_sandbox_tells_how_to_use_it(template: Program, tmp_path: Path) -> None:
    program = Program(tmp_path, template.sandbox)
    with program.started("sandbox", "--port", "0", "--asins", "20") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        url = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
        assert url is not None
        exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines[1:])
        assert exports["ECAUTO_BASE__ENDPOINT"] == exports["ECAUTO_AMAZON__ENDPOINT"] == url[0]
        assert exports["ECAUTO_RATE_MULTIPLIER"] == "1.0"
        with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client:
            assert client.get(f"{url[0]}/sandbox/stats").json()["asins"] == 20
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")


@pytest.fixture
def plain_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database, as people write its address."""
    with postgres.empty_database() as url:
        yield url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_postgresql_does_as_well(
    plain_postgres_url: str, template: Program, synced: tuple[Program, Any], tmp_path: Path
) -> None:
    with new_sandbox() as sandbox:
        program = Program(tmp_path, sandbox, ECAUTO_DATABASE_URL=plain_postgres_url)
        assert program.run("import-v1", template.folder / "v1").returncode == 0
        assert program.sync()["problems"] == []
        assert shops(sandbox) == shops(synced[0].sandbox)
        calls = sandbox.calls()
        assert program.sync()["prices"]["written"] == 0
        assert sandbox.calls() == calls
    assert not (program.data_dir / "master.db").exists()


# --- secrets ---------------------------------------------------------------------------------

DEBUG = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from ecauto_pipeline.cli.main import main

sys.argv = ["ecauto", *sys.argv[1:]]
main()
"""


def looks(secret: str) -> set[bytes]:
    """The secret as it is, URL-encoded and in base64, whatever stands before it."""
    found = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret.encode()).decode()
        inner = encoded[4 if before else 0 : -4]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return {form.encode() for form in found if len(form) >= 8}


def leaks(folder: Path, secrets: Mapping[str, str], *, but_not_in: str = "") -> list[str]:
    """Which secrets stand in which files, whatever kind of file it is."""
    forms = {name: looks(secret) for name, secret in secrets.items()}
    found: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if but_not_in and path.name.startswith(but_not_in):
            continue
        content = path.read_bytes()
        found += [
            f"{name} in {path.relative_to(folder)}"
            for name, looks_of in forms.items()
            if any(form in content for form in looks_of)
        ]
    return found


def shop_secrets(state: Path) -> dict[str, str]:
    """All that the shops know of: client secrets, and each token that was ever given."""
    known = {f"shop secret {number}": secret for number, secret in enumerate(SHOP_SECRETS)}
    with closing(sqlite3.connect(state)) as connection:
        rows = connection.execute("SELECT access_token, refresh_token FROM grants").fetchall()
    for number, (access, refresh) in enumerate(rows):
        known |= {f"access token {number}": access or "", f"refresh token {number}": refresh}
    return {name: secret for name, secret in known.items() if secret}


def test_the_search_for_leaks_finds_some(tmp_path: Path) -> None:
    secret = AMAZON_SECRETS["LWA_CLIENT_SECRET"]
    for number, form in enumerate(sorted(looks(secret))):
        (tmp_path / f"{number}.bin").write_bytes(b"\0\1" + form + b"\2")
    (tmp_path / "basic.txt").write_bytes(base64.b64encode(f"application:{secret}".encode()))
    count = sum(1 for _ in tmp_path.iterdir())
    assert len(leaks(tmp_path, {"canary": secret})) == count


def test_without_a_key_only_our_own_database_holds_tokens(synced: tuple[Program, Any]) -> None:
    program, ended = synced
    texts = program.folder / "texts"
    texts.mkdir(exist_ok=True)
    (texts / "sync").write_text(ended.stdout + ended.stderr)
    secrets = AMAZON_SECRETS | shop_secrets(program.folder.parent / STATE)
    assert leaks(program.folder, secrets, but_not_in="master.db") == []
    assert leaks(program.data_dir, AMAZON_SECRETS) == []


def test_with_a_key_no_secret_is_anywhere_even_when_all_is_logged(
    template: Program, tmp_path: Path
) -> None:
    key = "canary passphrase/3+4="
    echo = "; ".join(AMAZON_SECRETS.values())
    with new_sandbox(state=str(tmp_path / STATE)) as sandbox:
        program = Program(tmp_path / "installation", sandbox, ECAUTO_SECRET_KEY=key)
        v1 = tmp_path / "v1"
        shutil.copytree(template.folder / "v1", v1)
        texts = program.folder / "texts"
        texts.mkdir()

        def run(name: str, *arguments: str) -> int:
            command = [sys.executable, "-c", DEBUG, *arguments]
            environment = program.environment
            ended = children.run(command, environment=environment, folder=program.folder)
            (texts / name).write_text(ended.stdout + ended.stderr)
            return ended.returncode

        assert run("import", "import-v1", str(v1)) == 0
        refusal = json.dumps({"error": "invalid_client", "error_description": echo})
        lwa = Fault(r"/auth/o2/token", FaultKind.BODY, status=400, text=refusal)
        sandbox.faults.replace([lwa])
        assert run("refused", "sync") == 2
        echoing = Fault("items/edit", FaultKind.BASE_ERROR, times=1, error_description=echo)
        sandbox.faults.replace([replace(echoing, error="bad_params")])
        assert run("sync", "sync") == 1
        assert run("status", "status", "--json") == 0
        assert "DEBUG" in (texts / "sync").read_text()
        secrets = AMAZON_SECRETS | shop_secrets(tmp_path / STATE) | {"ECAUTO_SECRET_KEY": key}
        assert leaks(program.folder, secrets) == []
