"""How old an asset may get, as Dagster freshness policies.

A policy looks at an asset's last materialization of any partition, so one fresh shard makes the
whole asset pass. The rows hold the truth: the check `rows_within_ttl` reports it, and the watermark
assets, which carry the same policies, are materialized only when no row is expired.
"""

from datetime import timedelta

import dagster as dg

from ecauto_pipeline.domain.shopify.mirror import SYNC_EVERY, Entity

WARN_SHARE = 0.75
"""A policy warns when this much of a TTL has passed."""

SHORTEST_WINDOW = timedelta(minutes=1)
"""Dagster refuses a shorter one, and its daemon looks every 30 seconds only."""


def ttl_policy(ttl: timedelta) -> dg.FreshnessPolicy:
    """The policy that fails after the TTL; below 80 seconds it gives no warning before."""
    warn = WARN_SHARE * ttl
    return dg.FreshnessPolicy.time_window(
        fail_window=max(ttl, SHORTEST_WINDOW), warn_window=warn if warn >= SHORTEST_WINDOW else None
    )


def in_words(ttl: timedelta) -> str:
    """The TTL in the largest unit of which it is a whole number, a single day in hours."""
    seconds = round(ttl.total_seconds())
    units = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    if seconds == units["days"]:
        return "24 hours"
    unit, length = next(pair for pair in units.items() if seconds % pair[1] == 0)
    count = seconds // length
    return f"{count} {unit if count != 1 else unit.removesuffix('s')}"


MIRROR_POLICIES = {entity: ttl_policy(2 * SYNC_EVERY[entity]) for entity in Entity}
"""A mirror is late when its schedule was missed once: customers 4 h, products 8 h, orders 2 h."""
