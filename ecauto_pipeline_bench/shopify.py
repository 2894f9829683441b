"""What a mirror of Shopify's customers costs, beside the least that it can and beside dlt."""

import json
import os
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ecauto_pipeline.clients.shopify.queries import PAGE
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline_bench.databases import Databases, databases
from ecauto_pipeline_bench.processes import PROJECT, STORE, Store, Taken, median, taken, told
from ecauto_pipeline_bench.rows import Row

CUSTOMERS = 10_000
ROUNDS = 3
WAYS = {"rest": "REST", "graphql": "GraphQL"}
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
GOAL_SECONDS = 30
DLT = PROJECT / "data" / "bench" / "dlt"
DLT_PACKAGES = "dlt[sqlalchemy,postgres]==1.31.0"


@dataclass(frozen=True, slots=True)
class Clients:
    """Processes that copy the store's customers into a new database."""

    store: Store
    made: Databases
    folder: Path
    dlt_python: Path | None

    def ours(self, way: str, kind: str) -> Taken:
        """Our mirror."""
        reached = (way, self.store.url, self.store.token)
        return taken("mirror_client", *reached, self.made.new(kind), self.folder)

    def bare(self, way: str, kind: str) -> Taken:
        """The least that any has to do."""
        query = self.folder / "query.graphql"
        query.write_text(PAGE[Entity.CUSTOMERS], encoding="utf-8")
        reached = (way, self.store.url, self.store.token)
        return taken("bare_client", *reached, self.made.new(kind), query)

    def dlt(self, kind: str) -> Iterator[Taken]:
        """dlt, if it is there."""
        if self.dlt_python is not None:
            with TemporaryDirectory(dir=self.folder) as folder:
                reached = (self.store.url, self.store.token)
                address = self.made.new(kind)
                yield taken("dlt_client", *reached, address, folder, python=self.dlt_python)


def measure() -> Iterator[Row]:
    """10,000 customers: by each way into each database, unchanged, and at the real limits."""
    dlt_python = _dlt_python()
    if dlt_python is None:
        print(f"    {DLT_PACKAGES} cannot be installed: not compared with it")
    with (
        TemporaryDirectory(prefix="ecauto-bench-", ignore_cleanup_errors=True) as name,
        databases(Path(name)) as made,
    ):
        with Store(CUSTOMERS) as store:
            clients = Clients(store, made, Path(name), dlt_python)
            for kind in KINDS:
                for way in WAYS:
                    yield from _copies(clients, way, kind)
            yield _unchanged(store, Path(name))
        yield from _at_the_limits(made, Path(name))


def _copies(clients: Clients, way: str, kind: str) -> Iterator[Row]:
    """In turns, so that whatever else the machine does slows down all alike."""
    ours: list[Taken] = []
    bares: list[Taken] = []
    dlts: list[Taken] = []
    for _ in range(ROUNDS):
        ours.append(clients.ours(way, kind))
        bares.append(clients.bare(way, kind))
        if way == "rest":
            dlts += clients.dlt(kind)
    what = f"10,000 customers, {WAYS[way]}, {KINDS[kind]}"
    mine, bare = median(ours, CUSTOMERS), median(bares, CUSTOMERS)
    yield _cpu(f"{what}: CPU / a bare loop's", mine, bare, 2)
    if dlts:
        dlt = median(dlts, CUSTOMERS)
        yield _cpu(f"{what}: CPU / dlt's", mine, dlt, 0.25)
        figures = f"{mine.megabytes:.0f} MB for {dlt.megabytes:.0f} MB"
        yield Row(f"{what}: memory / dlt's", mine.megabytes / dlt.megabytes, 0.5, figures)


def _cpu(what: str, ours: Taken, theirs: Taken, goal: float) -> Row:
    return Row(what, ours.cpu / theirs.cpu, goal, f"{ours.cpu:.2f} s for {theirs.cpu:.2f} s")


def _dlt_python() -> Path | None:
    """The Python of an environment with dlt, made if it is not there; None where that fails."""
    python = DLT / "bin" / "python"
    marker = DLT / "installed"
    if marker.exists() and marker.read_text(encoding="utf-8") == DLT_PACKAGES:
        return python
    venv.create(DLT, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "--quiet", "install", DLT_PACKAGES]
    if subprocess.run(install, capture_output=True, check=False).returncode != 0:
        return None
    marker.write_text(DLT_PACKAGES, encoding="utf-8")
    return python


def _unchanged(store: Store, folder: Path) -> Row:
    """An increment that finds nothing, as a run of Dagster."""
    settings = {"id": STORE, "shop_domain": f"{STORE}.myshopify.com"}
    reached = {"endpoint": store.url, "access_token": store.token}
    environment = {
        **os.environ,
        "ECAUTO_DATA_DIR": str(folder / "data"),
        "ECAUTO_SHOPIFY__STORES": json.dumps([settings | reached]),
        "DAGSTER_HOME": str(folder / "dagster_home"),
    }
    found = told("increment_client", environment=environment)
    if found["rows"] != CUSTOMERS:
        raise RuntimeError(f"{found['rows']} rows were written, not {CUSTOMERS}")
    return Row(
        "an increment without changes, beyond an empty job / 1 s CPU",
        found["increment"] - found["empty"],
        1,
        f"{found['increment']:.2f} s, empty {found['empty']:.2f} s, {found['read']} read again",
    )


def _at_the_limits(made: Databases, folder: Path) -> Iterator[Row]:
    """What the Standard plan allows, which is the smallest."""
    with Store(CUSTOMERS, rate_multiplier=1) as store:
        clients = Clients(store, made, folder, None)
        result = median([clients.ours("graphql", "sqlite")], CUSTOMERS)
        calls = store.calls()
    yield Row(
        "10,000 customers, GraphQL, Standard plan: time / 30 s",
        result.seconds / GOAL_SECONDS,
        1,
        f"{result.seconds:.1f} s",
    )
    figures = f"{store.throttled} of {calls}"
    yield Row("throttled calls / calls", store.throttled / calls, 0.001, figures)
