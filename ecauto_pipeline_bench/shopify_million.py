"""How much memory a mirror takes when a store is large."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline_bench.processes import Store, taken
from ecauto_pipeline_bench.rows import Row

CUSTOMERS = 1_000_000
GOAL_MEGABYTES = 300


def measure() -> Iterator[Row]:
    """1,000,000 customers by a bulk operation into SQLite."""
    with TemporaryDirectory(prefix="ecauto-bench-") as folder, Store(CUSTOMERS) as store:
        url = f"sqlite:///{Path(folder) / 'bench.sqlite'}"
        engine = database.open_engine(url)
        migrate.upgrade(engine)
        engine.dispose()
        result = taken("mirror_client", "bulk", store.url, store.token, url, folder)
    if result.rows != CUSTOMERS:
        raise RuntimeError(f"{result.rows} rows were written, not {CUSTOMERS}")
    yield Row(
        "1,000,000 customers, bulk operation, SQLite: peak memory / 300 MB",
        result.megabytes / GOAL_MEGABYTES,
        1,
        f"{result.megabytes:.0f} MB, {result.seconds:.0f} s, {result.cpu:.0f} s of CPU",
    )
