"""How the assets are partitioned: by ASIN shard, by BASE account, by Shopify store and day."""

import warnings
from collections.abc import Collection, Iterable, Sequence
from datetime import date

import dagster as dg

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.amazon.asin import SHARDS
from ecauto_pipeline.domain.shopify.mirror import SyncState

# Single-run backfills are marked beta; one run over 24 shards takes a tenth of the time of 24 runs.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

SINGLE_RUN = dg.BackfillPolicy.single_run()

ASIN_SHARDS = dg.StaticPartitionsDefinition(list(SHARDS))
"""`asin_shard`: a hundred thousand ASINs in 24 partitions; one an hour covers all in a day."""

BASE_ACCOUNTS = dg.DynamicPartitionsDefinition(name="base_account")
"""`base_account`: one partition an account, added when the account is first seen."""

SHOPIFY_STORES = dg.DynamicPartitionsDefinition(name="shopify_store")
"""`shopify_store`: one partition a store, added when the store is first seen in the settings."""

FIRST_DAY = date(2020, 1, 1)

STORE_DAYS = dg.MultiPartitionsDefinition(
    {
        "store": SHOPIFY_STORES,
        "day": dg.DailyPartitionsDefinition(
            start_date=FIRST_DAY.isoformat(), timezone=JAPAN.key, end_offset=1
        ),
    }
)
"""Store × day in Japan, today included: what was changed that day."""

STORE = "ecauto/shopify_store"
"""The tag of a run over one store."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def range_tags(start: str, end: str) -> dict[str, str]:
    """The tags of one run over a range of partitions."""
    return {RANGE_START: start, RANGE_END: end}


ALL_SHARDS = range_tags(SHARDS[0], SHARDS[-1])
"""The tags of one run over all shards."""


def account_range(known: Sequence[str], accounts: Collection[str]) -> dict[str, str]:
    """The tags of one run over these accounts; those not known yet are to be added in that order.

    A range follows the order in which partitions were added, so it may hold accounts between the
    first and the last that were not asked for: the run leaves out those that are switched off.
    """
    order = [account for account in dict.fromkeys([*known, *accounts]) if account in accounts]
    return range_tags(order[0], order[-1])


GOING_ON = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
"""The states of a run that is not over: another one for the same partitions has to wait."""


def first_day_due(state: SyncState, today: date) -> date:
    """The first day that a run which catches up is over: that of the last sync, or today.

    The watermark alone would not do: it is the newest record's, so that each run over a store that
    has rested for a year would materialize all days of that year.
    """
    if state.watermark_at is None:
        return today
    last = max(state.watermark_at, state.synced_at or state.watermark_at)
    return min(last.astimezone(JAPAN).date(), today)


def store_days(store_id: str, first: date, last: date) -> dict[str, str]:
    """The tags of one run over a store's days, from the first day that there is on."""
    start, end = (
        dg.MultiPartitionKey({"store": store_id, "day": max(day, FIRST_DAY).isoformat()})
        for day in (first, last)
    )
    return {**range_tags(start, end), STORE: store_id}


def known_partitions(
    instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition
) -> Sequence[str]:
    """The partitions there are, in the order in which they were added."""
    return instance.get_dynamic_partitions(str(definition.name))


def ensure_partitions(
    instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Iterable[str]
) -> Sequence[str]:
    """Add those that are missing; all there are then, in the order in which they were added.

    For commands and schedules: a sensor asks Dagster to add them, in its result.
    """
    known = known_partitions(instance, definition)
    if missing := [key for key in dict.fromkeys(keys) if key not in known]:
        instance.add_dynamic_partitions(str(definition.name), missing)
    return [*known, *missing]


def days_by_store(keys: Iterable[str]) -> dict[str, list[date]]:
    """The days of each store, in order, of a run over these partitions."""
    days: dict[str, list[date]] = {}
    for key in keys:
        part = STORE_DAYS.get_partition_key_from_str(key).keys_by_dimension
        days.setdefault(part["store"], []).append(date.fromisoformat(part["day"]))
    return {store_id: sorted(found) for store_id, found in days.items()}
