"""How near the Amazon half comes to what the quotas alone allow."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.amazon.product_files import ProductFiles
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline_bench.rows import Row
from ecauto_pipeline_bench.workspace import pipeline_with

PRODUCTS = 2000
MULTIPLIER = 10
BATCH = 20
PUBLISHED = {"getCompetitivePricing": 0.5, "searchCatalogItems": 2.0}
SWEEP_PER_SECOND = PUBLISHED["getCompetitivePricing"]


def measure() -> Iterator[Row]:
    """2,000 products of which nothing is cached: catalog, price and stock."""
    with Sandbox(World(count=PRODUCTS), rate_multiplier=MULTIPLIER) as sandbox:
        asins = sandbox.world.asins
        with pipeline_with(asins, sandbox.url, rate_multiplier=MULTIPLIER) as pipeline:
            started = time.perf_counter()
            pipeline.amazon.refresher.refresh(pipeline.amazon.refresh_plan(Scope()), Silent())
            seconds = time.perf_counter() - started
            files = _file_seconds(pipeline.amazon.products.facts(asins), pipeline.settings.data_dir)
        need = PRODUCTS / BATCH / (SWEEP_PER_SECOND * MULTIPLIER)
        yield Row(
            "2,000 ASINs, nothing cached: time / what the quotas need",
            seconds / need,
            1.10,
            f"{seconds:.1f} s for {need:.0f} s at x{MULTIPLIER}",
        )
        for operation, per_second in PUBLISHED.items():
            yield _rate(sandbox, operation, per_second * MULTIPLIER)
        refused, sent = sandbox.calls(status=429), sandbox.calls()
        yield Row("throttled calls / calls", refused / sent, 0.001, f"{refused} of {sent}")
        yield Row("file cache / the run", files / seconds, 0.10, f"{files:.2f} s")


def _rate(sandbox: Sandbox, operation: str, published: float) -> Row:
    times = [c.at.timestamp() for c in sandbox.journal.calls() if c.operation == operation]
    per_second = (len(times) - 1) / (times[-1] - times[0])
    figures = f"{per_second:.2f}/s of {published:g}/s"
    return Row(
        f"{operation}: calls per second / published",
        per_second / published,
        0.93,
        figures,
        at_least=True,
    )


def _file_seconds(rows: Sequence[Mapping[str, Any]], folder: Path) -> float:
    """What it costs to write each product's file once, and to read it once."""
    files = ProductFiles(folder / "bench_files")
    started = time.perf_counter()
    files.write(rows)
    for row in rows:
        files.read(row["asin"])
    return time.perf_counter() - started
