"""Uploads under random kills and stops, against a shop that loses answers: each product once.

`python -m ecauto_pipeline_tests.chaos.storm --uploads 2000 --kills 200 --stops 200`.
The sandbox's own items are the truth. Without the fence there must be duplicates: a test that does
not see them there proves nothing elsewhere.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import sqlalchemy as sa

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.uploads.rules import LIVE, QueueStatus, asin_of_identifier
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import Item
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.amazon import AmazonSettings
from ecauto_pipeline.settings.base_shop import BaseAccount, BaseShopSettings
from ecauto_pipeline.settings.loading import Settings, load_settings
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.chaos.worker import Orders, work
from ecauto_pipeline_tests.children import FORKS, PATIENCE_SECONDS
from ecauto_pipeline_tests.postgres import postgres_server
from ecauto_pipeline_tests.sync.pipeline_rig import SHOPS
from ecauto_pipeline_tests.sync.uploads.rig import ADD, content

ACCOUNTS = tuple(shop.account_id for shop in SHOPS)
MULTIPLIER = 10_000
LEASE_SECONDS = 3.0
CALL_SECONDS = 0.5
SLOW_SECONDS = 0.8
TICK_SECONDS = 0.02
PAUSE_SECONDS = 0.3
"""Before the next worker looks whether there is something to do again."""

WORKERS_PER_ACCOUNT = 2
LONG_NAPS = 0.25
"""Of those who are stopped."""

CALM_AT_THE_END = 0.9
"""Of the uploads are done when the last worker is killed or stopped."""

FAULTS = (
    Fault(ADD, FaultKind.DROP_AFTER, share=0.20),
    # Of the remaining 80 %: a failure without effect for a tenth of all calls.
    Fault(ADD, FaultKind.ERROR_500_ERRORS_EMPTY, share=0.125),
    Fault(ADD, FaultKind.ERROR_AFTER, share=0.04),
    Fault(ADD, FaultKind.SLOW, share=0.04, seconds=SLOW_SECONDS),
)


@dataclass(frozen=True, slots=True)
class Storm:
    """What is to happen."""

    uploads: int
    kills: int
    stops: int
    seed: int
    fenced: bool = True
    longest_nap: float = 6
    """In leases: long enough for the others to give up what the sleeper was about to send."""

    @property
    def patience_seconds(self) -> float:
        """When the queue will not be drained any more."""
        return PATIENCE_SECONDS + self.uploads * 1.5


@dataclass(slots=True)
class Figures:
    """What happened, by the shop's own account."""

    items: int = 0
    duplicates: int = 0
    lost: int = 0
    not_success: int = 0
    disagreeing: int = 0
    events: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Every product is on its shop once, and everybody says so."""
        return not (self.duplicates or self.lost or self.not_success or self.disagreeing)

    def line(self, storm: Storm, database: str) -> str:
        """All of it, for whoever wants to see it again."""
        events = " ".join(f"{name}={number}" for name, number in sorted(self.events.items()))
        return (
            f"chaos seed={storm.seed} database={database} fence={'on' if storm.fenced else 'off'}"
            f" uploads={storm.uploads} items={self.items} duplicates={self.duplicates}"
            f" lost={self.lost} not_success={self.not_success} disagreeing={self.disagreeing}"
            f" {events} seconds={self.seconds:.0f}"
        )


def run(storm: Storm, url: str, folder: Path) -> Figures:
    """Let workers drain a full queue while some are killed and some sleep; then count."""
    began = time.monotonic()
    world = World(count=storm.uploads * 2 + 50, seed=storm.seed)
    asins = world.of_kind(Kind.NORMAL)[: storm.uploads]
    seed, multiplier = storm.seed, MULTIPLIER
    with Sandbox(world, SHOPS, {}, seed=seed, rate_multiplier=multiplier) as sandbox:
        settings = settings_for(sandbox, url, folder)
        pipeline = Pipeline(lambda: settings)
        try:
            _fill(pipeline, asins)
            for account in ACCOUNTS:
                pipeline.shops.client(account).me()
            sandbox.faults.replace(FAULTS)
            crew = _Crew(storm, settings, sandbox)
            try:
                _weather(storm, crew, pipeline, sandbox)
            finally:
                crew.dismiss()
            figures = _count(pipeline, sandbox, asins)
        finally:
            pipeline.close()
    figures.events = crew.events
    figures.seconds = time.monotonic() - began
    return figures


def settings_for(sandbox: Sandbox, url: str, folder: Path) -> Settings:
    """Short times: a lease of seconds, and looks as soon as the sandbox must show an item."""
    accounts = tuple(
        BaseAccount.model_validate(
            {
                "id": shop.account_id,
                "client_id": shop.client_id,
                "client_secret": shop.client_secret,
                "refresh_token": shop.refresh_token,
                "daily_upload_limit": 86_400,
            }
        )
        for shop in SHOPS
    )
    return load_settings(
        data_dir=folder,
        database_url=url,
        rate_multiplier=MULTIPLIER,
        sp_api_refresh_token="Atzr|the-refresh-token",
        lwa_app_id="the-app-id",
        lwa_client_secret="the-client-secret",
        amazon=AmazonSettings(endpoint=sandbox.url, lwa_endpoint=sandbox.url),
        base=BaseShopSettings(
            endpoint=sandbox.url, accounts=accounts, timeout=timedelta(seconds=CALL_SECONDS)
        ),
        upload=UploadSettings(
            from_hour=0,
            to_hour=24,
            max_retries=100,
            lease=timedelta(seconds=LEASE_SECONDS),
            late_apply=timedelta(seconds=2 * SLOW_SECONDS),
            visibility_lag=timedelta(seconds=0.2),
            look_again_after=(timedelta(seconds=0.3), timedelta(seconds=0.6)),
        ),
    )


def _fill(pipeline: Pipeline, asins: Sequence[str]) -> None:
    now = pipeline.clock.now()
    dates = {"created_at": now, "updated_at": now}
    known = content(images=["https://m.media-amazon.com/images/I/a.jpg"])
    rows = [{"asin": asin, "shard": shard_of(asin), **known, **dates} for asin in asins]
    shop = {"platform": "base", "status": "pending", **dates}
    waiting = [
        {"asin": asin, "account_id": ACCOUNTS[number % len(ACCOUNTS)], **shop}
        for number, asin in enumerate(asins)
    ]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(products), rows)
        connection.execute(sa.insert(listings), waiting)
    filled = pipeline.uploads.fill_queue(ACCOUNTS)
    assert sum(filled.values()) == len(asins)


@dataclass(slots=True)
class _Worker:
    """A process at work, or asleep until `wakes_at`."""

    process: ForkServerProcess
    account_id: str
    wakes_at: float | None = None

    def send(self, number: signal.Signals) -> None:
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)


class _Crew:
    """The workers, those who die replaced."""

    def __init__(self, storm: Storm, settings: Settings, sandbox: Sandbox) -> None:
        self._dice = random.Random(storm.seed)
        self._fenced = storm.fenced
        self._longest_nap = storm.longest_nap
        self._settings = settings
        self._workers: list[_Worker] = []
        self._rests_until = dict.fromkeys(ACCOUNTS, 0.0)
        self.events: Counter[str] = Counter()
        kinds = ["killed"] * storm.kills + ["stopped"] * storm.stops
        self._dice.shuffle(kinds)
        self._strokes = kinds
        self._all = len(kinds)

    def tend(self) -> None:
        """Bury the dead, wake who has slept enough, and man every post."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.wakes_at is not None and worker.wakes_at <= now:
                worker.wakes_at = None
                worker.send(signal.SIGCONT)
        for worker in [each for each in self._workers if not each.process.is_alive()]:
            self._bury(worker, now)
        for account in ACCOUNTS:
            awake = sum(each.account_id == account for each in self._awake())
            if awake < WORKERS_PER_ACCOUNT and self._rests_until[account] <= now:
                self._hire(account)

    def strike(self, progress: float) -> None:
        """Kill or stop somebody, if that is due so far into the work."""
        due = min(1.0, progress / CALM_AT_THE_END) * self._all
        awake = self._awake()
        if not awake or self._all - len(self._strokes) >= due:
            return
        victim = self._dice.choice(awake)
        stroke = self._strokes.pop()
        self.events[stroke] += 1
        if stroke == "killed":
            victim.send(signal.SIGKILL)
            return
        victim.wakes_at = time.monotonic() + self._nap() * LEASE_SECONDS
        victim.send(signal.SIGSTOP)

    def dismiss(self) -> None:
        """End all of them."""
        for worker in self._workers:
            worker.send(signal.SIGKILL)
            worker.process.join()

    def _nap(self) -> float:
        """How many leases a stopped worker sleeps."""
        if self._dice.random() < LONG_NAPS:
            return self._dice.uniform(2, self._longest_nap)
        return self._dice.uniform(0.1, 2)

    def _awake(self) -> list[_Worker]:
        return [each for each in self._workers if each.wakes_at is None]

    def _hire(self, account_id: str) -> None:
        orders = Orders(account_id, fenced=self._fenced)
        process = FORKS.Process(target=work, args=(self._settings, orders), daemon=True)
        process.start()
        self._workers.append(_Worker(process, account_id))
        self.events["workers"] += 1

    def _bury(self, worker: _Worker, now: float) -> None:
        self._workers.remove(worker)
        worker.process.join()
        status = worker.process.exitcode
        if status == -signal.SIGALRM:
            self.events["fenced"] += 1
        elif status == 0:
            self._rests_until[worker.account_id] = now + PAUSE_SECONDS
        elif status != -signal.SIGKILL:
            self.events["errors"] += 1
            self._rests_until[worker.account_id] = now + PAUSE_SECONDS
        worker.process.close()


def _weather(storm: Storm, crew: _Crew, pipeline: Pipeline, sandbox: Sandbox) -> None:
    """Go on until the queue is drained."""
    ends_at = time.monotonic() + storm.patience_seconds
    tick = 0
    while time.monotonic() < ends_at:
        crew.tend()
        crew.strike(sandbox.calls("items/edit", status=200) / storm.uploads)
        tick += 1
        if tick % 10 == 0 and _is_drained(pipeline):
            return
        pipeline.clock.sleep(TICK_SECONDS)


def _is_drained(pipeline: Pipeline) -> bool:
    counts = pipeline.uploads.queue.counts()
    return not any(counts[status] for status in LIVE)


def _count(pipeline: Pipeline, sandbox: Sandbox, asins: Sequence[str]) -> Figures:
    """Compare the shops with the queue and the listings."""
    made: dict[str, list[Item]] = {}
    for account in ACCOUNTS:
        for item in sandbox.items(account):
            made.setdefault(asin_of_identifier(item.identifier) or "", []).append(item)
    query = (
        sa.select(
            upload_queue.c.asin,
            upload_queue.c.status,
            upload_queue.c.item_id,
            listings.c.platform_item_id,
            listings.c.visibility,
        )
        .join(listings, listings.c.asin == upload_queue.c.asin)
        .order_by(upload_queue.c.id)
    )
    with pipeline.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    assert [row["asin"] for row in rows if row["asin"] not in asins] == []
    return Figures(
        items=sum(map(len, made.values())),
        duplicates=sum(len(items) - 1 for items in made.values()),
        lost=sum(asin not in made for asin in asins),
        not_success=sum(row["status"] != QueueStatus.SUCCESS for row in rows),
        disagreeing=sum(not _agrees(row, made.get(row["asin"], [])) for row in rows),
    )


def _agrees(row: dict[str, Any], items: Sequence[Item]) -> bool:
    """Whether the row and the listing name the item, and it is shown; an only one, too."""
    known = [item for item in items if str(item.item_id) == row["item_id"]]
    return (
        row["item_id"] == row["platform_item_id"]
        and row["visibility"] == "public"
        and [item.visible for item in known] == [1]
    )


@contextmanager
def database_of(kind: str, folder: Path) -> Generator[str]:
    """A new database of that kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'chaos.sqlite'}"
        return
    with postgres_server() as server, server.empty_database() as url:
        yield url.render_as_string(hide_password=False)


@click.command()
@click.option("--uploads", default=2000, show_default=True)
@click.option("--kills", default=200, show_default=True)
@click.option("--stops", default=200, show_default=True)
@click.option("--database", type=click.Choice(["sqlite", "postgres"]), default="sqlite")
@click.option("--seed", type=int, help="By default another one each time.")
@click.option("--no-fence", is_flag=True, help="Succeed only if there are duplicates.")
def main(
    *, uploads: int, kills: int, stops: int, database: str, seed: int | None, no_fence: bool
) -> None:
    """Drain a queue in a storm; fail if anything is on a shop twice, or not at all."""
    chosen = random.randrange(10**6) if seed is None else seed
    storm = Storm(uploads, kills, stops, chosen, fenced=not no_fence)
    with TemporaryDirectory(prefix="ecauto-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with database_of(database, folder) as url:
            figures = run(storm, url, folder / "data")
    click.echo(figures.line(storm, database))
    sys.exit(0 if (figures.duplicates > 0 if no_fence else figures.clean) else 1)


if __name__ == "__main__":
    main()
