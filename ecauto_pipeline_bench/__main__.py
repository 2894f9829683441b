"""`make bench`: every measurement, each as a ratio beside its goal; exit 1 when one is missed.

With `--quick`, without the one that takes minutes.
"""

import sys

from ecauto_pipeline_bench import amazon, dagster_overhead, freshness, shopify, shopify_million

QUICK = (dagster_overhead, freshness, amazon, shopify)


def main() -> int:
    """Measure everything."""
    missed = 0
    for module in QUICK if "--quick" in sys.argv[1:] else (*QUICK, shopify_million):
        for row in module.measure():
            print(row, flush=True)
            missed += not row.reached
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
