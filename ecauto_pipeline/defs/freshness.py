"""The TTLs as Dagster freshness policies.

A policy looks at an asset's last materialization of any partition, so one fresh shard makes the
whole asset pass. The rows hold the truth: the check `rows_within_ttl` reports it, and the watermark
assets, which carry the same policies, are materialized only when no row is expired.
"""

from datetime import timedelta

import dagster as dg

from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import DEFAULT_TTL
from ecauto_pipeline.domain.shopify.mirror import SYNC_EVERY, Entity

WARN_SHARE = 0.75
"""A policy warns when this much of a TTL has passed."""


def ttl_policy(ttl: timedelta) -> dg.FreshnessPolicy:
    """The policy that fails after the TTL."""
    return dg.FreshnessPolicy.time_window(fail_window=ttl, warn_window=WARN_SHARE * ttl)


TTL_POLICIES = {fact: ttl_policy(DEFAULT_TTL[fact]) for fact in Fact}
"""One policy for each kind of fact: catalog 7 d, classification 30 d, price 24 h, stock 1 h."""

MIRROR_POLICIES = {entity: ttl_policy(2 * SYNC_EVERY[entity]) for entity in Entity}
"""A mirror is late when its schedule was missed once: customers 4 h, products 8 h, orders 2 h."""
