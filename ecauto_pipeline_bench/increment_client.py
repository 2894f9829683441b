"""An increment of which nothing is new, beside an empty job: the CPU seconds of each.

Run as a process of its own, as the store answers from the one that measures:
`python -m ecauto_pipeline_bench.increment_client`, with the settings in the environment.
"""

import json
import statistics
import time
from collections.abc import Callable

import dagster as dg

from ecauto_pipeline.cli.launch import open_instance
from ecauto_pipeline.cli.shopify_sync import MirrorOptions, MirrorsReport, mirror_stores
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.wiring.pipeline import Pipeline

ROUNDS = 5
OPTIONS = MirrorOptions(entity=Entity.CUSTOMERS)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.op
def nothing() -> None:
    """The op of an empty job."""


@dg.job(executor_def=dg.in_process_executor)
def empty_job() -> None:
    """A job that does nothing."""
    nothing()


def main() -> None:
    """Mirror everything, then what is new since, which is nothing."""
    instance, pipeline = open_instance(), Pipeline()
    empties: list[float] = []
    increments: list[float] = []

    def increment() -> MirrorsReport:
        return mirror_stores(instance, pipeline, OPTIONS)

    reports = [increment()]
    for _ in range(ROUNDS):
        empties.append(
            _cpu(lambda: empty_job.execute_in_process(instance=instance, run_config=QUIET))
        )
        increments.append(_cpu(lambda: reports.append(increment())))
    pipeline.close()
    told = [numbers for report in reports for numbers in _numbers(report)]
    mirrored, *later = told
    print(
        json.dumps(
            {
                "rows": mirrored["mirror_count"],
                "read": max(numbers["read"] for numbers in later),
                "empty": statistics.median(empties),
                "increment": statistics.median(increments),
            }
        )
    )


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _numbers(report: MirrorsReport) -> list[dict[str, int]]:
    if report.problems:
        raise RuntimeError("; ".join(report.problems))
    return [numbers for entities in report.stores.values() for numbers in entities.values()]


if __name__ == "__main__":
    main()
