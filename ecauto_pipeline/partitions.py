"""How the assets are partitioned: Amazon's by ASIN shard, BASE's by account."""

import warnings

import dagster as dg

from ecauto_pipeline.domain.asin import SHARDS

# Single-run backfills are marked beta; one run over 24 shards takes a tenth of the time of 24 runs.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

SINGLE_RUN = dg.BackfillPolicy.single_run()

ASIN_SHARDS = dg.StaticPartitionsDefinition(list(SHARDS))
"""`asin_shard`: a hundred thousand ASINs in 24 partitions; one an hour covers all in a day."""

BASE_ACCOUNTS = dg.DynamicPartitionsDefinition(name="base_account")
"""`base_account`: one partition an account, added when the account is first seen."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def range_tags(start: str, end: str) -> dict[str, str]:
    """The tags of one run over a range of partitions."""
    return {RANGE_START: start, RANGE_END: end}


ALL_SHARDS = range_tags(SHARDS[0], SHARDS[-1])
"""The tags of one run over all shards."""


def account_range_tags(instance: dg.DagsterInstance, accounts: list[str]) -> dict[str, str]:
    """The tags of one run over these accounts; those that are not known yet are added.

    A range follows the order in which partitions were added, so it may hold accounts between the
    first and the last that were not asked for: the run leaves out those that are switched off.
    """
    assert BASE_ACCOUNTS.name is not None  # noqa: S101 - it was given one above
    known = instance.get_dynamic_partitions(BASE_ACCOUNTS.name)
    if new := [account for account in accounts if account not in known]:
        instance.add_dynamic_partitions(BASE_ACCOUNTS.name, new)
    order = [account for account in [*known, *new] if account in accounts]
    return range_tags(order[0], order[-1])


GOING_ON = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
"""The states of a run that is not over: another one for the same partitions has to wait."""
