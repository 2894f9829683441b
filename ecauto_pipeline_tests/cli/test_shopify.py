"""The `ecauto shopify` commands as processes of their own, against the sandbox."""

import json
import re
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from ecauto_pipeline.cli.shopify_sync import MirrorOptions, mirror_stores
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.defs.partitions import FIRST_DAY
from ecauto_pipeline.domain.shopify.mirror import BadRecord, Entity, Shape
from ecauto_pipeline.domain.shopify.webhook_signature import signature
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.storage import migrate
from ecauto_pipeline.wiring.pipeline import opened_pipeline
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.mirrored import (
    STORES,
    days,
    looked_at,
    mirrored,
    moment,
    partitions,
    today,
)
from ecauto_pipeline_tests.postgres import PostgresServer
from ecauto_pipeline_tests.program import WRONG_TOKEN, Gate, Program, stores_setting
from ecauto_pipeline_tests.sync.shopify.rig import MirrorRig

pytestmark = pytest.mark.process

FIRST, SECOND = STORES

DAY = today() - timedelta(days=20)

Ended = CompletedProcess[str]


MANY = 600
"""Customers, so that they are several pages."""


def the_shops(clock: Clock | None, customers: int) -> list[ShopifyShop]:
    """One store with a token, one with a client's secret."""
    sizes: dict[str, Any] = {"customers": customers, "products": 12, "orders": 40}
    return [
        ShopifyShop(FIRST, "shop-a.myshopify.com", seed=1, clock=clock, **sizes),
        ShopifyShop(
            SECOND,
            "shop-b.myshopify.com",
            client_id="client-b",
            client_secret="canary-secret-of/b",
            seed=2,
            clock=clock,
            **sizes,
        ),
    ]


@contextmanager
def installed(
    folder: Path,
    *,
    wrong: tuple[str, ...] = (),
    clock: Clock | None = None,
    customers: int = 60,
    **settings: str,
) -> Generator[Program]:
    """An installation with two stores; `wrong` ones are given a wrong token."""
    shops = the_shops(clock, customers)
    with Sandbox(World(count=1), shopify_shops=shops, clock=clock, rate_multiplier=1000) as sandbox:
        named = stores_setting(sandbox, shops, *wrong)
        yield Program(folder, sandbox, **named, **settings)


@contextmanager
def mirrors_of(program: Program) -> Generator[MirrorRig]:
    with looked_at(program.sandbox, f"sqlite:///{program.data_dir / 'master.db'}") as rig:
        yield rig


def read(ended: Ended) -> Any:
    """The one JSON object of a command that succeeded."""
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{ended.stdout.strip()}\n"
    return json.loads(ended.stdout)


def read_in_sum(report: Any) -> dict[str, int]:
    """How many records each store gave."""
    return {
        store_id: sum(numbers["read"] for numbers in entities.values())
        for store_id, entities in report["stores"].items()
    }


# --- mirroring -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Synced:
    """How the syncs ended that followed each other."""

    program: Program
    first: Ended
    changed: list[tuple[str, int]]
    second: Ended
    on_that_day: int
    day: Ended
    full: Ended


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synced]:
    with installed(tmp_path_factory.mktemp("installation")) as program:
        first = program.run("shopify", "sync", "--json")
        shop = program.sandbox.shopify(FIRST)
        changed = shop.edit_random(4, "orders")
        changed.append(("orders", shop.create("orders")))
        second = program.run("shopify", "sync", "--store", FIRST, "--json")
        orders = program.sandbox.shopify(SECOND)
        for id_ in orders.ids("orders")[:3]:
            orders.edit("orders", id_, updated_at=moment(DAY, 3600))
        bodies = rest_bodies(orders, "orders")
        on_that_day = sum(body["updated_at"].startswith(f"{DAY}T") for body in bodies)
        one = ("--store", SECOND, "--entity", "orders")
        only = ("--from", str(DAY), "--to", str(DAY))
        with ThreadPoolExecutor(2) as pool:
            day = pool.submit(program.run, "shopify", "sync", *one, *only, "--json")
            products = ("--store", FIRST, "--entity", "products")
            full = pool.submit(program.run, "shopify", "sync", *products, "--full")
            yield Synced(program, first, changed, second, on_that_day, day.result(), full.result())


def test_a_sync_is_one_json_object_with_the_numbers_of_each_store(synced: Synced) -> None:
    report = read(synced.first)
    assert (report["status"], report["problems"]) == ("done", [])
    assert report["stores"].keys() == set(STORES)
    for store_id, entities in report["stores"].items():
        assert entities.keys() == set(Entity)
        for entity, numbers in entities.items():
            assert numbers["store"] == store_id
            assert numbers["read"] == numbers["created"] == numbers["source_count"]
            assert numbers["source_count"] == numbers["mirror_count"] > 0, entity
            assert f"{store_id}/{entity}" in report["runs"]
    assert f"{FIRST} customers: 60 of 60" in synced.first.stderr


def test_the_mirrors_end_equal_to_their_stores(synced: Synced) -> None:
    assert synced.second.returncode == 0
    with mirrors_of(synced.program) as rig:
        rig.agrees(FIRST)
        rig.agrees(SECOND, [Entity.CUSTOMERS, Entity.PRODUCTS])


def test_a_second_sync_reads_little_and_only_of_the_store_that_was_named(synced: Synced) -> None:
    report = read(synced.second)
    assert report["stores"].keys() == {FIRST}
    numbers = report["stores"][FIRST]
    assert numbers["orders"]["created"] == 1
    assert numbers["orders"]["changed"] == len({id_ for _, id_ in synced.changed[:-1]})
    everything = read_in_sum(read(synced.first))[FIRST]
    assert len(synced.changed) <= read_in_sum(report)[FIRST] < everything // 3


def test_certain_days_of_one_entity(synced: Synced) -> None:
    report = read(synced.day)
    [(store_id, entities)] = report["stores"].items()
    [(entity, numbers)] = entities.items()
    assert (store_id, entity, list(report["runs"])) == (SECOND, "orders", [f"{SECOND}/orders"])
    assert numbers["read"] == synced.on_that_day >= 3
    assert numbers["since"] == moment(DAY).isoformat()
    assert numbers["until"] == moment(DAY + timedelta(days=1)).isoformat()
    assert "watermark_at" not in numbers


def test_everything_again_is_told_to_people(synced: Synced) -> None:
    assert synced.full.returncode == 0, synced.full.stderr
    title, store_id, numbers = synced.full.stdout.splitlines()
    assert title.startswith("Shopify mirrors, ")
    assert store_id == FIRST
    assert re.fullmatch(r"  products   12 read, 12 here, 12 on the shop", numbers)


def test_each_run_is_one_of_the_dagster_instance(synced: Synced) -> None:
    assert synced.full.returncode == 0
    assert synced.program.run_statuses() == {"SUCCESS"}
    named = read(synced.first)["runs"]
    jobs = synced.program.jobs_run()
    assert {place: jobs[run_id] for place, run_id in named.items()} == {
        f"{store_id}/{entity}": f"shopify_{entity}_sync" for store_id in STORES for entity in Entity
    }


# --- one store in trouble, and stopped half-way ----------------------------------------------


def test_a_wrong_token_of_one_store_is_named_and_the_other_is_mirrored(tmp_path: Path) -> None:
    with installed(tmp_path, wrong=(FIRST,)) as program:
        ended = program.run("shopify", "sync", "--entity", "products", "--json")
        assert ended.returncode == 1, ended.stderr
        report = json.loads(ended.stdout)
        assert report["status"] == "errors"
        [problem] = report["problems"]
        assert FIRST in problem
        assert SECOND not in problem
        assert report["stores"].keys() == {SECOND}
        assert WRONG_TOKEN not in ended.stdout + ended.stderr
        with mirrors_of(program) as rig:
            rig.agrees(SECOND, [Entity.PRODUCTS], wholly=True)
        for path in program.data_dir.rglob("*"):
            assert path.is_dir() or WRONG_TOKEN.encode() not in path.read_bytes(), path


def test_what_was_killed_half_way_is_made_up_by_the_next_sync(tmp_path: Path) -> None:
    gate = Gate()
    with installed(tmp_path, clock=gate, customers=MANY) as program:
        last_page = Fault("#customers$", FaultKind.SLOW, after=2, times=1)
        program.sandbox.faults.replace([last_page])
        assert program.stop_at(gate, signal.SIGKILL, "shopify", "sync") == -signal.SIGKILL
        [(half,)] = program.rows("SELECT count(*) FROM shopify_customers")
        assert 0 < half < MANY
        report = read(program.run("shopify", "sync", "--json"))
        assert report["problems"] == []
        with mirrors_of(program) as rig:
            for store_id in STORES:
                rig.agrees(store_id, wholly=True)
        assert program.run_statuses() == {"SUCCESS", "FAILURE"}


@pytest.fixture
def plain_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database, as people write its address."""
    with postgres.empty_database() as url:
        yield url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_postgresql_does_as_well(plain_postgres_url: str, tmp_path: Path) -> None:
    with installed(tmp_path, ECAUTO_DATABASE_URL=plain_postgres_url) as program:
        ended = program.run("shopify", "sync", "--entity", "orders", "--json")
        assert read(ended)["problems"] == []
        with looked_at(program.sandbox, plain_postgres_url) as rig:
            for store_id in STORES:
                rig.agrees(store_id, [Entity.ORDERS], wholly=True)
        assert not (program.data_dir / "master.db").exists()


def test_days_that_are_still_to_come_are_left_out(tmp_path: Path, migrated_sqlite: Path) -> None:
    with mirrored(tmp_path, migrated_sqlite) as here, opened_pipeline() as pipeline:
        first = today() - timedelta(days=1)
        later = today() + timedelta(days=100)
        options = MirrorOptions(FIRST, Entity.ORDERS, first_day=first, last_day=later)
        assert mirror_stores(here.instance, pipeline, options).succeeded
        names = days(first, 2)
        assert here.runs.materialized("shopify_orders") == partitions(FIRST, names)


def test_dead_letters_are_shown_and_read_again(tmp_path: Path) -> None:
    with installed(tmp_path) as program:
        program.data_dir.mkdir()
        body = rest_bodies(program.sandbox.shopify(FIRST), "orders")[0]
        broken = {"id": 7, "email": "bob@example.com"}
        with mirrors_of(program) as rig:
            bad = [
                BadRecord(str(body["id"]), Shape.BODY, body, "orders were strange that day"),
                BadRecord("7", Shape.BODY, broken, "created_at is missing"),
            ]
            migrate.upgrade(rig.engine)
            rig.mirrors.letters.add(FIRST, Entity.ORDERS, bad)
        shown = read(program.run("shopify", "dead-letters", "--store", FIRST, "--json"))
        letters = {letter["record_id"]: letter for letter in shown["dead_letters"]}
        assert letters.keys() == {"7", str(body["id"])}
        assert letters["7"]["reason"] == "created_at is missing"
        words = program.run("shopify", "dead-letters", "--entity", "customers")
        assert (words.returncode, words.stdout) == (0, "no record is waiting\n")
        one = str(letters[str(body["id"])]["id"])
        assert read(program.run("shopify", "replay", one, "--json"))["replayed"] == 1
        again = program.run("shopify", "replay", one)
        assert again.returncode == 1
        assert "1 of these ids are no dead letters" in again.stdout
        rest = program.run("shopify", "replay")
        assert rest.returncode == 1, rest.stderr
        saved, problem = rest.stdout.splitlines()
        assert saved == "0 saved, 1 left"
        assert f"{FIRST} orders 7: " in problem
        assert "bob@" not in "".join([rest.stdout, rest.stderr, str(shown)])
        with mirrors_of(program) as rig:
            assert rig.mirror(Entity.ORDERS, FIRST)[0].keys() == {body["id"]}


def test_webhooks_are_received_until_ctrl_c(tmp_path: Path) -> None:
    with installed(tmp_path) as program:
        body = b'{"id": 5}'
        sent = {
            "X-Shopify-Hmac-Sha256": signature(body, "canary-secret-of/b"),
            "X-Shopify-Topic": "orders/delete",
            "X-Shopify-Shop-Domain": "shop-b.myshopify.com",
            "X-Shopify-Webhook-Id": "w1",
        }
        with (
            program.started("shopify", "webhooks", "--port", "0") as process,
            httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client,
        ):
            assert process.stdout is not None
            url = re.search(r"http://\S+(?=;)", process.stdout.readline())
            assert url is not None
            assert client.post(url[0], content=body, headers=sent).status_code == 200
            assert client.post(url[0], content=b"{}", headers=sent).status_code == 401
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        with mirrors_of(program) as rig:
            [webhook] = rig.mirrors.inbox.pending(10)
            assert (webhook.store_id, webhook.topic) == (SECOND, "orders/delete")


# --- bad input -------------------------------------------------------------------------------

SOON, YESTERDAY = (str(today() + timedelta(days=number)) for number in (2, -1))
EARLY = str(FIRST_DAY - timedelta(days=1))
NONE = {"ECAUTO_SHOPIFY__STORES": "[]"}

BAD_INPUT: list[tuple[list[str], dict[str, str], str]] = [
    (["sync", "--store", "nobody"], {}, f"--store nobody: there is no such store ({FIRST}, "),
    (["sync"], NONE, "ECAUTO_SHOPIFY__STORES: no Shopify store is configured"),
    (["sync", "--to", YESTERDAY], {}, "--to needs --from"),
    (["sync", "--full", "--from", YESTERDAY], {}, "--full reads everything"),
    (["sync", "--from", str(today()), "--to", YESTERDAY], {}, "--to must not be before --from"),
    (["sync", "--from", "yesterday"], {}, "--from"),
    (["sync", "--from", SOON], {}, f"--from {SOON}: that day has not come yet"),
    (["sync", "--from", EARLY], {}, f"--from {EARLY}: the first day is {FIRST_DAY}"),
    (["dead-letters", "--store", "nobody"], {}, "--store nobody: there is no such store"),
    (["replay", "--store", "nobody"], {}, "--store nobody: there is no such store"),
    (["webhooks"], NONE, "ECAUTO_SHOPIFY__STORES: no store has webhook_secrets"),
]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Ended]]:
    """How the commands with bad input end, and that no store hears of them."""
    with installed(tmp_path_factory.mktemp("untouched")) as program:

        def run(case: tuple[list[str], dict[str, str], str]) -> Ended:
            arguments, settings, _ = case
            return program.run("shopify", *arguments, **settings)

        first, *others = BAD_INPUT  # the first makes Dagster's database
        ended = [run(first)]
        with ThreadPoolExecutor(2) as pool:
            ended += pool.map(run, others)
        assert program.sandbox.calls() == 0
        yield ended


@pytest.mark.parametrize("number", range(len(BAD_INPUT)), ids=[case[2] for case in BAD_INPUT])
def test_bad_input_is_one_line_and_no_store_is_asked(refusals: list[Ended], number: int) -> None:
    *_, said = BAD_INPUT[number]
    assert_refused(refusals[number], said)


def assert_refused(ended: Ended, said: str) -> None:
    """Exit status 2, one line, and no secret in it."""
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    [line] = ended.stderr.strip().splitlines()
    assert line.startswith("ecauto: ")
    assert said in line
    for secret in (WRONG_TOKEN, "canary"):
        assert secret not in line


def test_when_no_token_is_right_it_is_a_matter_of_settings(tmp_path: Path) -> None:
    with installed(tmp_path, wrong=STORES) as program:
        ended = program.run("shopify", "sync", "--entity", "products")
        assert_refused(ended, FIRST)
