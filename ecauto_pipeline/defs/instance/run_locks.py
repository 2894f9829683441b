"""Telling runs that are alive from runs whose process is gone.

Each run holds a locked file while it works; the system frees it when the process dies, however it
dies. A run that is marked as going on and whose file is free was lost (a killed worker, a reboot),
and would otherwise keep its pool slot for ever.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg

from ecauto_pipeline.storage.file_lock import locked_file

FOLDER = "run_locks"

_GOING_ON = {
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
}


@contextmanager
def held_run_lock(instance: dg.DagsterInstance | None, run_id: str | None) -> Generator[None]:
    """Mark the run as alive for as long as this process works on it."""
    if instance is None or run_id is None or instance.is_ephemeral:
        yield
        return
    path = _folder(instance) / f"{run_id}.lock"
    unseen = path.with_suffix(".new")
    with locked_file(unseen):
        # Under its name only once it is locked, and gone before it is free: whoever finds a free
        # one may be sure that the process has died.
        unseen.rename(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def reap_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs of this machine whose process is gone, and free their slots; their ids."""
    return [path.stem for path in _freed_files(_folder(instance)) if _reap(instance, path.stem)]


def _freed_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*.lock")):
        # Its run, or another reaper, may be quicker.
        with suppress(FileNotFoundError, BlockingIOError), path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield path
                path.unlink()


def _reap(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    if run is None:
        return False
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    if run.status not in _GOING_ON:
        return False
    report = (
        instance.report_run_canceled
        if run.status == dg.DagsterRunStatus.CANCELING
        else instance.report_run_failed
    )
    report(run, message="The process of this run is gone; what it had done is kept.")
    return True


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / FOLDER
