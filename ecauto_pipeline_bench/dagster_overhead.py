"""What this code location costs beyond Dagster itself."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import dagster as dg

from ecauto_pipeline.cli.inventory_sync import SyncOptions, sync_inventory
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline_bench.rows import Row
from ecauto_pipeline_bench.workspace import pipeline_with

LISTINGS = 10_000
ROUNDS = 5
IMPORT_DAGSTER = "import dagster"
LOAD_DEFINITIONS = "import ecauto_pipeline.definitions as d; d.defs.get_repository_def()"


@dg.op
def nothing() -> None:
    """The op of an empty job."""


@dg.job(executor_def=dg.in_process_executor)
def empty_job() -> None:
    """A job that does nothing."""
    nothing()


def measure() -> Iterator[Row]:
    """Loading the definitions, and a sync of which everything is fresh."""
    imports = _cpu(IMPORT_DAGSTER)
    loading = _cpu(LOAD_DEFINITIONS)
    figures = f"{loading:.2f} s of CPU for {imports:.2f} s"
    yield Row("loading the definitions / importing dagster", loading / imports, 1.5, figures)
    yield from _fresh_sync()


def _fresh_sync() -> Iterator[Row]:
    asins = World(count=LISTINGS).asins
    with (
        TemporaryDirectory(prefix="ecauto-bench-") as home,
        pipeline_with(asins, listed=True, cached="fresh") as pipeline,
        dg.DagsterInstance.local_temp(home, overrides=_NO_TELEMETRY) as instance,
    ):
        empties: list[float] = []
        syncs: list[float] = []
        calls = 0
        for _ in range(ROUNDS):
            started = time.perf_counter()
            empty_job.execute_in_process(instance=instance, run_config=_QUIET)
            empties.append(time.perf_counter() - started)
            started = time.perf_counter()
            report = sync_inventory(instance, pipeline, SyncOptions())
            syncs.append(time.perf_counter() - started)
            calls += report.cache.calls + report.visibility.calls + report.prices.calls
    empty, sync = statistics.median(empties), statistics.median(syncs)
    yield Row("API calls of a run with everything fresh", calls, 0)
    yield Row(
        "a run with everything fresh, beyond an empty job / 1 s",
        sync - empty,
        1,
        f"{sync:.2f} s, empty {empty:.2f} s, {LISTINGS:,} listings",
    )


_NO_TELEMETRY = {"telemetry": {"enabled": False}}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _cpu(code: str) -> float:
    """The median CPU seconds of a process that runs the code."""
    script = f"{code}\nimport time; print(time.process_time())"
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(ROUNDS)
    ]
    return statistics.median(times)
