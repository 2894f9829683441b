"""Running an upload worker as a process of its own, which may be ended while this one goes on."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from ecauto_pipeline.errors import RunIncomplete

MAX_LOST_WORKERS = 20
"""So many times a worker that was ended is replaced; then something is wrong."""

MODULE = "ecauto_pipeline.processes.upload_worker"


@dataclass(slots=True)
class WorkersReport:
    """What an account's workers did, together."""

    account_id: str
    results: Counter[str] = field(default_factory=Counter[str])
    looked_up: Counter[str] = field(default_factory=Counter[str])
    calls: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])
    stopped: str = ""
    problem: str = ""
    workers_lost: int = 0

    def add(self, event: dict[str, Any]) -> None:
        """Add what a worker said."""
        match event["event"]:
            case "looked_up":
                for name in ("adopted", "not_found", "rescued"):
                    self.looked_up[name] += event[name]
                self.notes += event["doubled"]
            case "uploaded":
                self.results.update(event["results"])
                self.calls.update(event["calls"])
                self.notes += event["notes"]
                self.stopped = event["stopped"]
            case "stopped":
                self.problem = event["reason"]
            case _:
                pass


def run_workers(
    account_id: str,
    *,
    limit: int | None = None,
    now: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> WorkersReport:
    """Let workers upload what is due; one that was ended by the system is replaced.

    Raises:
        RunIncomplete: one after the other is ended.
    """
    report = WorkersReport(account_id)
    command = [sys.executable, "-m", MODULE, "--account", account_id]
    command += ["--limit", str(limit)] if limit is not None else []
    command += ["--now"] if now else []
    while (status := _run(command, report)) < 0:
        report.workers_lost += 1
        say(f"{account_id}: an upload worker was lost; what it was sending will be looked up")
        if report.workers_lost == MAX_LOST_WORKERS:
            raise RunIncomplete(f"{account_id}: {MAX_LOST_WORKERS} upload workers were lost")
    if status and not report.problem:
        report.problem = f"the upload worker failed with status {status}; its log says why"
    return report


def _run(command: list[str], report: WorkersReport) -> int:
    """Run one worker to its end; its exit status, negative when a signal ended it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        try:
            for line in process.stdout or ():
                report.add(_event(line))
            return process.wait()
        finally:
            process.kill()


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        event = None
    if not isinstance(event, dict) or "event" not in event:
        return {"event": ""}
    return cast("dict[str, Any]", event)
