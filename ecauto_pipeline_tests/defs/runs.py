"""Running the jobs of the code location, and what they leave behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs.instance.loggers import PEOPLE


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one instance."""

    instance: dg.DagsterInstance

    def run(
        self,
        job: str,
        tags: Mapping[str, str] | None = None,
        *,
        partition: str | None = None,
        **ops: Mapping[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """Run a job; `ops` are the configs of its steps."""
        config = {name: {"config": dict(values)} for name, values in ops.items()}
        return defs.resolve_job_def(job).execute_in_process(
            run_config={"ops": config, "loggers": {PEOPLE: {}}},
            instance=self.instance,
            partition_key=partition,
            tags=dict(tags or {}),
            raise_on_error=False,
        )

    def materialized(self, asset: str) -> set[str]:
        """The partitions that are materialized."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset))

    def metadata(
        self, result: dg.ExecuteInProcessResult, asset: str
    ) -> dict[str | None, Mapping[str, Any]]:
        """What a run reported about an asset, by partition; plain values."""
        found: dict[str | None, Mapping[str, Any]] = {}
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        for entry in self.instance.all_logs(result.run_id, of_type=kind):
            data = entry.get_dagster_event().step_materialization_data
            materialization = data.materialization
            if materialization.asset_key == dg.AssetKey(asset):
                values = {name: value.value for name, value in materialization.metadata.items()}
                assert materialization.partition not in found, "materialized twice"
                found[materialization.partition] = values
        return found


def rows(entry: Any) -> list[Mapping[str, Any]]:
    """The rows of a table among the metadata."""
    return [record.data for record in entry]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Why the run failed, in the words of the flow."""
    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    return error.message.strip().partition(": ")[2]
