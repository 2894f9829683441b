"""`make bench`: every measurement, each as a ratio beside its goal; exit 1 when one is missed."""

import sys

from ecauto_pipeline_bench import amazon, dagster_overhead, freshness


def main() -> int:
    """Measure everything."""
    missed = 0
    for module in (dagster_overhead, freshness, amazon):
        for row in module.measure():
            print(row, flush=True)
            missed += not row.reached
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
