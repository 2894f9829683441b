"""Running this code location's jobs in this process, as runs of the project's instance.

So whatever a command does shows up in the UI, with the same numbers.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs.instance.loggers import PEOPLE
from ecauto_pipeline.defs.instance.run_locks import reap_lost_runs
from ecauto_pipeline.defs.sensors import LAUNCHED_BY
from ecauto_pipeline.errors import EcautoError, Misconfigured, RunIncomplete
from ecauto_pipeline.settings.environment import dagster_home, set_environment
from ecauto_pipeline.settings.loading import load_settings
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.file_lock import locked_file

PROJECT = Path(__file__).resolve().parents[2]
"""Where dagster.yaml and workspace.yaml stand, beside this package."""


_INTERRUPTIONS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


_NEEDS_A_PERSON = {"Misconfigured", "CredentialsRejected", "DatabaseUnusable"}


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run that has ended."""

    job_name: str
    run_id: str
    succeeded: bool
    error_class: str
    error_message: str
    result: dg.ExecuteInProcessResult
    materializations: Sequence[dg.AssetMaterialization]
    observations: Sequence[dg.AssetObservation]

    @property
    def error(self) -> EcautoError:
        """What ended the run: for a person to mend, or to be read in the run's log."""
        if self.error_class in _NEEDS_A_PERSON:
            return Misconfigured(self.error_message)
        return RunIncomplete(self.error_message or f"{self.job_name}: see run {self.run_id}")


def prepare_dagster_home() -> Path:
    """The folder DAGSTER_HOME names, with the project's dagster.yaml in it."""
    home = dagster_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    except OSError as error:
        raise Misconfigured(f"DAGSTER_HOME: {error.filename}: {error.strerror}") from None
    set_environment({"DAGSTER_HOME": str(home)})
    return home


def open_instance() -> dg.DagsterInstance:
    """The project's instance, once runs whose process is gone have been ended."""
    home = prepare_dagster_home()
    if url := load_settings().dagster_postgres_url.get_secret_value():
        # Dagster itself would try for six seconds, and end in a traceback.
        database.check_reachable(url, "ECAUTO_DAGSTER_POSTGRES_URL")
    # Two that make Dagster's tables at once leave them in a state that none can use.
    with locked_file(home / "opening.lock"):
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
    """Run a job to its end; `ops` holds the config of each op by its name.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it; Dagster takes note of it and returns.
    """
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

    def logged(kind: str) -> list[dg.DagsterEvent]:
        """From the log: a step that fails takes its events out of the result."""
        entries = instance.all_logs(result.run_id, of_type=dg.DagsterEventType[f"ASSET_{kind}"])
        return [entry.get_dagster_event() for entry in entries]

    error_class, error_message = _error(result)
    if error_class in _INTERRUPTIONS:
        raise KeyboardInterrupt
    return JobRun(
        job_name,
        result.run_id,
        result.success,
        error_class,
        error_message,
        result,
        [event.step_materialization_data.materialization for event in logged("MATERIALIZATION")],
        [event.asset_observation_data.asset_observation for event in logged("OBSERVATION")],
    )


def _error(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    for event in result.all_events:
        data: Any = event.event_specific_data
        error = getattr(data, "error", None)
        if event.is_failure and error is not None:
            while error.cause is not None:
                error = error.cause
            return error.cls_name or "", error.message.strip().partition(": ")[2]
    return "", ""
