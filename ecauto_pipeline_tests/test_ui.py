"""The Dagster UI, daemon and code location as processes, driven as the browser drives them."""

import os
import random
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from ecauto_pipeline.cli.launch import PROJECT
from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.defs.partitions import ALL_SHARDS, RANGE_END, RANGE_START
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.demo.listings import demo_items
from ecauto_pipeline.sandbox.demo.stores import demo_shopify_shops
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import demo_sandbox
from ecauto_pipeline_tests.children import PATIENCE_SECONDS, started, wait_for
from ecauto_pipeline_tests.mirrored import days, moment, partitions, today
from ecauto_pipeline_tests.program import Gate, Program, expected_shops, shops, stores_setting

pytestmark = pytest.mark.ui

ASINS = 150

STORES = ("shop-a", "shop-b")
FIVE_DAYS = days(today() - timedelta(days=20), 5)

ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
LOCATION = {
    "repositoryLocationName": "ecauto_pipeline",
    "repositoryName": "__repository__",
}


def free_port() -> int:
    """One of those that the system gives to nobody who does not ask for it."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Ui:
    """What a browser asks of the UI."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer."""
        answer = self.http.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def answers(self) -> bool:
        """Whether it is there and has loaded the code location."""
        try:
            return self.location() == "LOADED"
        except (httpx.TransportError, ValueError):
            return False

    def location(self) -> str | None:
        """How loading the code location stands."""
        entries = self.ask(
            "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus"
            " locationOrLoadError { __typename ... on PythonError { message } } } } } }"
        )["workspaceOrError"]["locationEntries"]
        for entry in entries:
            loaded = entry["locationOrLoadError"]
            assert (loaded or {}).get("__typename") != "PythonError", loaded["message"]
        return entries[0]["loadStatus"] if entries else None

    def launch(self, job: str, tags: dict[str, str], *assets: str) -> str:
        """Launch a run as the button "Materialize" does; its id."""
        selector: dict[str, Any] = {**LOCATION, "pipelineName": job}
        if assets:
            selector |= {"assetSelection": [{"path": [asset]} for asset in assets]}
            selector |= {"assetCheckSelection": []}
        launched = self.ask(
            "mutation L($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p)"
            " { __typename ... on LaunchRunSuccess { run { runId } }"
            " ... on PythonError { message } } }",
            p={
                "mode": "default",
                "selector": selector,
                "runConfigData": "{}",
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in tags.items()]
                },
            },
        )["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def status(self, run_id: str) -> str:
        """The state of a run."""
        query = "query R($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return self.ask(query, id=run_id)["runOrError"]["status"]

    def end_of(self, run_id: str) -> str:
        """The state in which a run ends."""

        def ended() -> str | None:
            status = self.status(run_id)
            return status if status in ENDED else None

        return wait_for(f"the end of run {run_id}", ended)

    def backfill(self, asset: str, *partitions: str) -> str:
        """Launch a backfill; its id."""
        launched = self.ask(
            "mutation B($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p)"
            " { __typename ... on LaunchBackfillSuccess { backfillId }"
            " ... on PythonError { message } } }",
            p={"assetSelection": [{"path": [asset]}], "partitionNames": partitions},
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"]

    def backfill_status(self, backfill_id: str) -> str:
        """The state of a backfill."""
        return self.ask(
            "query Q($id: String!) { partitionBackfillOrError(backfillId: $id)"
            " { ... on PartitionBackfill { status } } }",
            id=backfill_id,
        )["partitionBackfillOrError"]["status"]

    def backfill_counts(self, backfill_id: str) -> dict[str, int]:
        """How many partitions a backfill was for, and how many it has materialized."""
        [counts] = self.ask(
            "query C($id: String!) { partitionBackfillOrError(backfillId: $id)"
            " { ... on PartitionBackfill { assetBackfillData { assetBackfillStatuses"
            " { ... on AssetPartitionsStatusCounts { numPartitionsTargeted"
            " numPartitionsMaterialized } } } } } }",
            id=backfill_id,
        )["partitionBackfillOrError"]["assetBackfillData"]["assetBackfillStatuses"]
        return counts

    def add_partition(self, dimension: str, key: str) -> None:
        """Add a dynamic partition, unless a sensor was quicker."""
        added = self.ask(
            "mutation D($s: RepositorySelector!, $d: String!, $k: String!)"
            " { addDynamicPartition(repositorySelector: $s, partitionsDefName: $d,"
            " partitionKey: $k) { __typename } }",
            s=LOCATION,
            d=dimension,
            k=key,
        )["addDynamicPartition"]["__typename"]
        assert added in {"AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"}

    def materialized(self, asset: str) -> set[str]:
        """The partitions of an asset that are materialized."""
        node = self.ask(
            "query A($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode"
            " { assetPartitionStatuses { ... on DefaultPartitionStatuses"
            " { materializedPartitions } } } } }",
            key={"path": [asset]},
        )["assetNodeOrError"]
        return set(node["assetPartitionStatuses"]["materializedPartitions"])

    def runs_of(self, job: str, key: str, value: str) -> list[dict[str, Any]]:
        """The runs of a job with a tag."""
        return self.ask(
            "query S($f: RunsFilter) { runsOrError(filter: $f) { ... on Runs"
            " { results { runId status tags { key value } } } } }",
            f={"pipelineName": job, "tags": [{"key": key, "value": value}]},
        )["runsOrError"]["results"]

    def slots(self, pool: str) -> list[str]:
        """The runs that hold a slot of the pool."""
        found = self.ask(
            "query P($key: String) { instance { concurrencyLimit(concurrencyKey: $key)"
            " { activeRunIds } } }",
            key=pool,
        )
        return found["instance"]["concurrencyLimit"]["activeRunIds"]


@contextmanager
def running(command: list[str], program: Program, port: int) -> Generator[Ui]:
    """The stack, until it is interrupted as by Ctrl-C."""
    log = program.folder / "dagster.log"
    ui = Ui(f"http://127.0.0.1:{port}")
    with (
        log.open("w") as output,
        closing(ui.http),
        started(
            command,
            folder=program.folder,
            environment={**os.environ, **program.environment},
            output=output,
        ) as process,
    ):
        wait_for("the UI", lambda: process.poll() is not None or ui.answers())
        assert process.poll() is None, log.read_text()[-3000:]
        yield ui
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


class Gates:
    """A gate for each test that wants to hold a call; the sandbox's clock asks the present one."""

    def __init__(self) -> None:
        self.present = Gate()

    def now(self) -> Any:
        return SystemClock().now()

    def sleep(self, seconds: float) -> None:
        self.present.sleep(seconds)


@pytest.fixture(scope="module")
def gates() -> Gates:
    return Gates()


@pytest.fixture(scope="module")
def program(gates: Gates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An installation that has taken over v1.0; it is configured by a `.env` in its folder."""
    with demo_sandbox(asins=ASINS, rate_multiplier=1000, clock=gates) as sandbox:
        stores = stores_setting(sandbox, demo_shopify_shops())
        program = Program(tmp_path_factory.mktemp("installation"), sandbox, **stores)
        assert program.run("import-v1", program.write_v1()).returncode == 0
        home = program.data_dir / "dagster_home"
        lines = [f"{name}='{value}'" for name, value in program.settings.items()]
        (program.folder / ".env").write_text("\n".join([*lines, f"DAGSTER_HOME={home}"]))
        program.settings = {}
        yield program


@pytest.fixture(scope="module")
def ui(program: Program) -> Iterator[Ui]:
    port = free_port()
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-w", str(PROJECT / "workspace.yaml")]
    with running(command, program, port) as ui:
        yield ui


@pytest.fixture(scope="module", autouse=True)
def backfill_id(ui: Ui) -> str:
    """Launched before all else: the daemon looks for backfills only every 30 seconds."""
    return ui.backfill("amazon_catalog", "07", "08")


@pytest.fixture(scope="module", autouse=True)
def five_days_id(ui: Ui, program: Program, backfill_id: str) -> str:
    """Launched with it, so that both are found at once: five days of both Shopify stores."""
    assert backfill_id
    wanted: set[str] = set()
    for store_id in STORES:
        shop = program.sandbox.shopify(store_id)
        for name, id_ in zip(FIVE_DAYS, shop.ids("orders"), strict=False):
            shop.edit("orders", id_, updated_at=moment(date.fromisoformat(name), 1))
        ui.add_partition("shopify_store", store_id)
        wanted |= partitions(store_id, FIVE_DAYS)
    return ui.backfill("shopify_orders", *sorted(wanted))


def test_the_location_loads(ui: Ui) -> None:
    assert ui.location() == "LOADED"
    found = ui.ask(
        "query R($s: RepositorySelector!) { repositoryOrError(repositorySelector: $s)"
        " { ... on Repository { jobs { name } sensors { name sensorState { status } }"
        " schedules { name scheduleState { status } } } } }",
        s=LOCATION,
    )["repositoryOrError"]
    assert {"stock_refresh", "base_sync", "import_v1"} <= {job["name"] for job in found["jobs"]}
    states = {each["name"]: each["sensorState"]["status"] for each in found["sensors"]}
    assert states["base_half_after_success"] == states["freshness_watermarks"] == "RUNNING"
    assert {each["scheduleState"]["status"] for each in found["schedules"]} == {"RUNNING"}


def test_one_partition_is_materialized_as_by_the_button(ui: Ui, program: Program) -> None:
    run_id = ui.launch("__ASSET_JOB", {"dagster/partition": "03"}, "amazon_stock")
    assert ui.end_of(run_id) == "SUCCESS"
    assert ui.materialized("amazon_stock") >= {"03"}
    asked = "SELECT DISTINCT shard FROM products WHERE offers_asked_at IS NOT NULL"
    assert ("03",) in program.rows(asked)


def test_a_canceled_refresh_keeps_what_it_fetched_and_frees_its_slot(
    ui: Ui, program: Program, gates: Gates
) -> None:
    gates.present = Gate()
    slow = Fault("getCompetitivePricing", FaultKind.SLOW, after=2, times=1)
    program.sandbox.faults.replace([slow])
    fetched = "SELECT count(*) FROM products WHERE price_updated_at IS NOT NULL"
    [(before,)] = program.rows(fetched)
    run_id = ui.launch("__ASSET_JOB", ALL_SHARDS, "amazon_prices")
    gates.present.wait_for_the_call()
    assert ui.slots("amazon_sp_api") == [run_id]
    canceled = ui.ask(
        "mutation T($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE)"
        " { __typename } }",
        id=run_id,
    )
    assert canceled["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert ui.end_of(run_id) == "CANCELED"
    gates.present.open()
    program.sandbox.faults.replace([])
    [(after,)] = program.rows(fetched)
    assert after > before
    assert wait_for("the slot", lambda: run_id not in ui.slots("amazon_sp_api"))


def test_the_base_half_follows_the_stock_refresh(ui: Ui, program: Program) -> None:
    sandbox = program.sandbox
    # Other sensors may upload what waits meanwhile: those items are not looked at.
    listed = [item for items in demo_items(World(count=ASINS)).values() for item in items]
    expected = expected_shops(sandbox, {item.item_id: item.price for item in listed})
    run_id = ui.launch("stock_refresh", ALL_SHARDS)
    assert ui.end_of(run_id) == "SUCCESS"
    [follower] = wait_for("base_sync", lambda: ui.runs_of("base_sync", "dagster/run_key", run_id))
    tags = {tag["key"]: tag["value"] for tag in follower["tags"]}
    assert (tags[RANGE_START], tags[RANGE_END]) == ("base_account_1", "base_account_2")
    assert ui.end_of(follower["runId"]) == "SUCCESS"
    assert shops(sandbox).items() >= expected.items()
    assert ui.materialized("base_visibility") == {"base_account_1", "base_account_2"}


def test_a_backfill_of_two_partitions_is_one_run(ui: Ui, backfill_id: str) -> None:
    def ended() -> str | None:
        status = ui.backfill_status(backfill_id)
        return status if status.startswith(("COMPLETED", "FAILED")) else None

    assert wait_for("the backfill", ended) == "COMPLETED_SUCCESS"
    materialized = ui.materialized("amazon_catalog")
    # At ten past the hour the schedule adds the shard of the hour.
    scheduled = ui.runs_of("catalog_refresh", "dagster/schedule_name", "catalog_refresh_hourly")
    tags = [tag for each in scheduled for tag in each["tags"]]
    others = {tag["value"] for tag in tags if tag["key"] == RANGE_START} - {"07", "08"}
    assert materialized - others == {"07", "08"}
    [run] = ui.runs_of("__ASSET_JOB", "dagster/backfill", backfill_id)
    assert {"key": RANGE_START, "value": "07"} in run["tags"]
    assert {"key": RANGE_END, "value": "08"} in run["tags"]


def test_a_backfill_of_five_days_of_two_stores_is_a_run_for_each(
    ui: Ui, program: Program, five_days_id: str
) -> None:
    def ended() -> str | None:
        status = ui.backfill_status(five_days_id)
        return status if status.startswith(("COMPLETED", "FAILED")) else None

    assert wait_for("the backfill", ended) == "COMPLETED_SUCCESS"
    counts = ui.backfill_counts(five_days_id)
    assert set(counts.values()) == {len(STORES) * len(FIVE_DAYS)}
    # Runs that the schedules launch meanwhile do not carry this tag.
    runs = ui.runs_of("__ASSET_JOB", "dagster/backfill", five_days_id)
    assert [run["status"] for run in runs] == ["SUCCESS", "SUCCESS"]
    tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs]
    assert {(each[RANGE_START], each[RANGE_END]) for each in tags} == {
        (f"{FIVE_DAYS[0]}|{store_id}", f"{FIVE_DAYS[-1]}|{store_id}") for store_id in STORES
    }
    found = program.rows("SELECT store_id, count(*) FROM shopify_orders GROUP BY 1 ORDER BY 1")
    assert [store_id for store_id, _ in found] == list(STORES)
    assert all(count >= len(FIVE_DAYS) for _, count in found)


def test_nothing_was_written_outside_the_installation(program: Program) -> None:
    assert {path.name for path in program.folder.iterdir()} == {".env", "data", "dagster.log", "v1"}
    assert "canary" not in (program.folder / "dagster.log").read_text()
