"""Processes that tests start: waited for with patience, and ended with all that they started."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import IO, TypeVar
from uuid import uuid4

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 600
"""Far more than anything takes: whoever waits goes on as soon as it is there."""

LOOK_EVERY_SECONDS = 0.05

MARK = "STARTED_BY_A_TEST"
"""The variable by which all that a child starts is known, though it leave its group and parent."""

PROC = Path("/proc")
"""Linux tells there who started whom; elsewhere only a child's own group is ended."""

FORKS = multiprocessing.get_context("forkserver")
"""No fork of this process itself: it has threads."""

# They import nearly everything, so that a process begins at once.
FORKS.set_forkserver_preload(
    ["ecauto_pipeline_tests.chaos.worker", "ecauto_pipeline_tests.sync.uploads.rig"]
)

_PR_SET_CHILD_SUBREAPER = 36
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""What `multiprocessing` starts for itself, and keeps until the end."""

_known: dict[int, str] = {}
"""The processes that somebody will end, and how whatever they start is marked."""


def wait_for(what: str, look: Callable[[], Answer | None]) -> Answer:
    """What `look` gives once it gives something; other processes have to get there first."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(LOOK_EVERY_SECONDS)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} s")


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    stdin: int | None = None,
    output: int | IO[str] = subprocess.PIPE,
    user: str | None = None,
) -> "Generator[subprocess.Popen[str]]":
    """A process in a group of its own; when the context ends, so do it and all that it started.

    Its output and its errors are a pipe each, or together the file `output`.
    """
    mark = uuid4().hex
    with subprocess.Popen(
        [str(part) for part in command],
        env={**environment, MARK: mark},
        cwd=folder,
        stdin=stdin,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
        user=user,
    ) as process:
        _known[process.pid] = mark
        try:
            yield process
        finally:
            _end(process.pid, mark)
            del _known[process.pid]


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, whatever its exit status."""
    with started(command, environment=environment, folder=folder) as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@contextmanager
def working(*processes: BaseProcess) -> Generator[None]:
    """Start them; what of them still runs when the context ends is killed."""
    try:
        for process in processes:
            process.start()
            _known[process.pid or 0] = uuid4().hex
        yield
    finally:
        for process in processes:
            if process.pid is not None:
                if process.is_alive():
                    process.kill()
                    process.join()
                del _known[process.pid]


def at_once(count: int, work: Callable[..., Answer], *arguments: object) -> list[Answer]:
    """What that many processes answer who begin the work at the same time.

    Raises:
        EOFError: one ended without an answer; its traceback is on standard error.
    """
    start = FORKS.Barrier(count)
    pipes = [FORKS.Pipe(duplex=False) for _ in range(count)]
    orders = [(writer, start, work, arguments) for _, writer in pipes]
    with working(*(FORKS.Process(target=_answer, args=each) for each in orders)):
        answers: list[Answer] = []
        for reader, writer in pipes:
            with reader:
                writer.close()  # so that nobody can answer once its process has ended
                assert reader.poll(PATIENCE_SECONDS), f"{work.__name__} takes too long"
                answers.append(reader.recv())
    return answers


def _answer(
    writer: "Connection[Answer]",
    start: Barrier,
    work: Callable[..., Answer],
    arguments: tuple[object, ...],
) -> None:
    start.wait(PATIENCE_SECONDS)
    writer.send(work(*arguments))


def has_stopped(pid: int) -> bool:
    """Whether a process sleeps until it is told to go on."""
    return _state(pid) == "T"


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal is waiting for a process to go on."""
    status = dict(line.split(":\t", 1) for line in _text(pid, "status").splitlines())
    return any(int(status[name], 16) >> (number - 1) & 1 for name in ("SigPnd", "ShdPnd"))


def adopt_orphans() -> None:
    """Become the parent of what an ended child leaves behind (Linux), so that it is found."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_strays() -> list[str]:
    """Kill the processes that nobody else will end; their command lines."""
    ours = _children(os.getpid())
    helpers = {pid for pid in ours if any(name in _text(pid, "cmdline") for name in _HELPERS)}
    ours = (ours - helpers).union(*map(_children, helpers)) - _known.keys()
    strays = [pid for pid in _family(ours) if _runs(pid) and not _is_marked(pid, _known.values())]
    found = [_text(pid, "cmdline").replace("\0", " ") for pid in strays]
    _kill(strays)
    return found


def _end(pid: int, mark: str) -> None:
    """Kill a process and all that it started, until nothing of it runs."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    while True:
        its = _family({pid})
        left = {each for each in _family({os.getpid()}) if each in its or _is_marked(each, [mark])}
        left = {each for each in left if _runs(each)}
        if not left:
            return
        _kill(left)
        time.sleep(LOOK_EVERY_SECONDS / 10)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _family(pids: set[int]) -> set[int]:
    """These processes with all that they started, as far as the starters still run."""
    return pids.union(*(_family(_children(pid)) for pid in pids))


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):  # it ends while it is looked at
        for task in (PROC / str(pid) / "task").iterdir():
            found |= {int(each) for each in (task / "children").read_text().split()}
    return found


def _is_marked(pid: int, marks: Iterable[str]) -> bool:
    environment = _text(pid, "environ")
    return any(mark in environment for mark in marks)


def _runs(pid: int) -> bool:
    """Whether it is more than an exit status that nobody has asked for."""
    return _state(pid) not in {"", "Z", "X"}


def _state(pid: int) -> str:
    """The system's letter for what a process does; nothing once it is gone."""
    return _text(pid, "stat").rpartition(") ")[2][:1]


def _text(pid: int, name: str) -> str:
    """What the system tells of a process; nothing once it is gone."""
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
