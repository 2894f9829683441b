"""Running this code location's jobs in this process, as runs of the project's instance.

So whatever a command does shows up in the UI, with the same numbers.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.loggers import PEOPLE
from ecauto_pipeline.run_locks import reap_lost_runs
from ecauto_pipeline.sensors import LAUNCHED_BY
from ecauto_pipeline.settings import dagster_home, set_environment

PROJECT = Path(__file__).resolve().parent.parent
"""Where dagster.yaml and workspace.yaml stand, beside this package."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run that has ended."""

    job_name: str
    run_id: str
    succeeded: bool
    error_class: str
    error_message: str
    result: dg.ExecuteInProcessResult

    @property
    def materializations(self) -> list[dg.AssetMaterialization]:
        """What the run materialized."""
        events = self.result.get_asset_materialization_events()
        return [event.step_materialization_data.materialization for event in events]

    @property
    def observations(self) -> list[dg.AssetObservation]:
        """What the run observed."""
        events = self.result.get_asset_observation_events()
        return [event.asset_observation_data.asset_observation for event in events]


def prepare_dagster_home() -> Path:
    """The folder DAGSTER_HOME names, with the project's dagster.yaml in it."""
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    set_environment({"DAGSTER_HOME": str(home)})
    return home


def open_instance() -> dg.DagsterInstance:
    """The project's instance, once runs whose process is gone have been ended."""
    prepare_dagster_home()
    instance = dg.DagsterInstance.get()
    reap_lost_runs(instance)
    return instance


def run_job(
    instance: dg.DagsterInstance,
    job_name: str,
    *,
    tags: Mapping[str, str] | None = None,
    ops: Mapping[str, Mapping[str, Any]] | None = None,
) -> JobRun:
    """Run a job to its end; `ops` holds the config of each op by its name."""
    config: dict[str, Any] = {
        "loggers": {PEOPLE: {}},
        "ops": {name: {"config": dict(values)} for name, values in (ops or {}).items()},
    }
    result = defs.resolve_job_def(job_name).execute_in_process(
        run_config=config,
        instance=instance,
        tags={LAUNCHED_BY: "ecauto", "dagster/max_retries": "0", **(tags or {})},
        raise_on_error=False,
    )
    error_class, error_message = _error(result)
    return JobRun(job_name, result.run_id, result.success, error_class, error_message, result)


def _error(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    for event in result.all_events:
        data: Any = event.event_specific_data
        error = getattr(data, "error", None)
        if event.is_failure and error is not None:
            while error.cause is not None:
                error = error.cause
            return error.cls_name or "", error.message.strip().partition(": ")[2]
    return "", ""
