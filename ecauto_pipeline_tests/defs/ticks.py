"""Ticks as Dagster's daemon evaluates them, with the resources of the code location."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs import resources


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick launches and reports; why not, if it does nothing."""

    run_requests: Sequence[dg.RunRequest]
    skip_message: str | None
    asset_events: Sequence[dg.AssetMaterialization] = ()


def sense(name: str, instance: dg.DagsterInstance) -> Tick:
    """Let the sensor look; the partitions that it asks for are added, as the daemon does."""
    with dg.build_sensor_context(instance=instance, resources=resources.ALL) as context:
        ended = defs.resolve_sensor_def(name).evaluate_tick(context)
    for request in ended.dynamic_partitions_requests or ():
        assert isinstance(request, dg.AddDynamicPartitionsRequest)
        name = request.partitions_def_name
        known = instance.get_dynamic_partitions(name)
        instance.add_dynamic_partitions(
            name, [key for key in request.partition_keys if key not in known]
        )
    events = [each for each in ended.asset_events if isinstance(each, dg.AssetMaterialization)]
    assert len(events) == len(ended.asset_events)
    return Tick(list(ended.run_requests or ()), ended.skip_message, events)


def strike(name: str, instance: dg.DagsterInstance, at: datetime) -> Tick:
    """Let the schedule tick at that time."""
    with dg.build_schedule_context(instance, at, resources=resources.ALL) as now:
        ended = defs.resolve_schedule_def(name).evaluate_tick(now)
    return Tick(list(ended.run_requests or ()), ended.skip_message)
