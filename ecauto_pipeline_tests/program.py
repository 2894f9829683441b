"""The program as its users meet it: a folder, settings, the sandbox, commands as processes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from ecauto_pipeline.cli.demonstration import sandbox_environment
from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline_tests import children
from ecauto_pipeline_tests.children import PATIENCE_SECONDS

COMMAND = Path(sys.executable).with_name("ecauto")
MULTIPLIER = 1000
"""So that no quota makes a test wait."""

AMAZON_SECRETS = {
    "SP_API_REFRESH_TOKEN": "Atzr|canary/refresh+token=1",
    "LWA_CLIENT_SECRET": "canary.client-secret/2+3=",
}
"""They change their looks when they are URL-encoded."""

WRONG_TOKEN = "shpat_canary/not+the=right-one"

_OURS = ("ECAUTO_", "SP_API", "LWA_", "REFRESH_TOKEN", "DAGSTER_")


class Gate(SystemClock):
    """A sandbox's clock: the call that a `slow` fault delays waits until the test opens it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def sleep(self, seconds: float) -> None:
        self._reached.set()
        self._open.wait(PATIENCE_SECONDS)

    def wait_for_the_call(self) -> None:
        """Return when the sandbox holds that call."""
        assert self._reached.wait(PATIENCE_SECONDS), "the call never came"

    def open(self) -> None:
        """Let the call go on."""
        self._open.set()


def settings_for(sandbox: Sandbox, data_dir: Path) -> dict[str, str]:
    """The variables that lead to the sandbox."""
    return {
        **sandbox_environment(sandbox.url, MULTIPLIER),
        **AMAZON_SECRETS,
        "ECAUTO_DATA_DIR": str(data_dir),
    }


def stores_setting(sandbox: Sandbox, shops: Iterable[ShopifyShop], *wrong: str) -> dict[str, str]:
    """The variable that names these Shopify stores; those in `wrong` get a wrong token."""
    stores = [
        {
            "id": shop.store_id,
            "shop_domain": shop.shop_domain,
            "endpoint": sandbox.url,
            "access_token": WRONG_TOKEN if shop.store_id in wrong else shop.access_token or "",
            "client_id": shop.client_id or "",
            "client_secret": shop.client_secret or "",
        }
        for shop in shops
    ]
    return {"ECAUTO_SHOPIFY__STORES": json.dumps(stores)}


class Program:
    """The commands of one installation."""

    def __init__(self, folder: Path, sandbox: Sandbox, **settings: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.sandbox = sandbox
        self.settings = settings_for(sandbox, self.data_dir) | settings
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are given: nothing of ours that the tests themselves were given."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        proxies = {name: "" for name in kept if name.lower().endswith("_proxy")}
        return kept | proxies | self.settings

    def write_v1(self) -> Path:
        """A v1.0 folder, beside the data, that agrees with the sandbox's shops."""
        folder = self.folder / "v1"
        write_demo_v1(folder, self.sandbox.world)
        return folder

    def run(self, *arguments: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        command = [COMMAND, *arguments]
        environment = self.environment | settings
        return children.run(command, environment=environment, folder=self.folder)

    def started(self, *arguments: str | Path) -> "AbstractContextManager[subprocess.Popen[str]]":
        """A command at work, until the context ends."""
        command = [COMMAND, *arguments]
        return children.started(command, environment=self.environment, folder=self.folder)

    def sync(self, *options: str) -> dict[str, Any]:
        """The report of a sync that succeeded."""
        ended = self.run("sync", "--json", *options)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def stop_at(self, gate: Gate, signal_number: signal.Signals, *arguments: str) -> int:
        """Start a command, send it the signal while the gate holds its call; its exit status."""
        try:
            with self.started(*arguments) as process:
                gate.wait_for_the_call()
                process.send_signal(signal_number)
                process.communicate(timeout=PATIENCE_SECONDS)
                return process.returncode
        finally:
            gate.open()

    def copy_to(self, folder: Path, sandbox: Sandbox) -> "Program":
        """The same data in another folder, with another sandbox."""
        copy = Program(folder, sandbox)
        shutil.copytree(self.data_dir, copy.data_dir)
        return copy

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of its SQLite database."""
        with closing(sqlite3.connect(self.data_dir / "master.db")) as connection:
            return connection.execute(query).fetchall()

    def run_statuses(self) -> set[str]:
        """The states of all runs of its Dagster instance."""
        with closing(sqlite3.connect(self.data_dir / "dagster_home/history/runs.db")) as runs:
            return {row[0] for row in runs.execute("SELECT DISTINCT status FROM runs")}

    def jobs_run(self) -> dict[str, str]:
        """The job of each run of its Dagster instance, by the run's id."""
        with closing(sqlite3.connect(self.data_dir / "dagster_home/history/runs.db")) as runs:
            return dict(runs.execute("SELECT run_id, pipeline_name FROM runs").fetchall())


def expected_shops(sandbox: Sandbox, listed: Mapping[int, int]) -> dict[int, tuple[int, bool]]:
    """Price and visibility of every item, as they must be after a sync.

    `listed` holds the price of each item that was there before it; one whose new price differs by
    less than 100 yen keeps it, and so does one of which Amazon proves nothing.
    """
    expected: dict[int, tuple[int, bool]] = {}
    for shop in sandbox.state.shops():
        for item in sandbox.items(shop.account_id):
            if item.item_id not in listed:
                continue
            asin = (item.identifier or "").split("-")[1]
            truth = sandbox.world.truth(asin)
            old = listed[item.item_id]
            new = old if truth.price_jpy is None else (truth.price_jpy * 13 + 5) // 10
            price = new if abs(new - old) >= 100 else old
            visible = bool(item.visible) if truth.in_stock is None else truth.in_stock
            expected[item.item_id] = price, visible
    return expected


def shops(sandbox: Sandbox) -> dict[int, tuple[int, bool]]:
    """Price and visibility of every item, as they are."""
    return {
        item.item_id: (item.price, bool(item.visible))
        for shop in sandbox.state.shops()
        for item in sandbox.items(shop.account_id)
    }
