"""How fast it is found out what is due."""

import statistics
import time
from collections.abc import Callable, Iterator

from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline_bench.rows import Row
from ecauto_pipeline_bench.workspace import pipeline_with

PRODUCTS = 100_000
GOAL_SECONDS = 0.1
ROUNDS = 5
CALL, HOUR = 20, 30_000
"""Products that one call takes, and that the sweep's quota reaches in a run's time."""


def measure() -> Iterator[Row]:
    """100,000 products, nine tenths of them with expired stock, all of them listed."""
    with pipeline_with(World(count=PRODUCTS).asins, cached="aged", listed=True) as pipeline:
        hour = _median(lambda: pipeline.amazon.products.due(Scope(), HOUR))
        for what, limit in (("20, one call's worth", CALL), ("1,000", 1000)):
            seconds = _median(lambda limit=limit: pipeline.amazon.products.due(Scope(), limit))
            yield Row(
                f"choosing the most urgent {what} / 100 ms",
                seconds / GOAL_SECONDS,
                1,
                f"{seconds * 1000:.0f} ms of {PRODUCTS:,}; {HOUR:,} at once {hour * 1000:.0f} ms",
            )
        seconds = _median(lambda: pipeline.amazon.products.count_due(Scope()))
        yield Row(
            "counting what is due / 100 ms", seconds / GOAL_SECONDS, 1, f"{seconds * 1000:.0f} ms"
        )


def _median(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
