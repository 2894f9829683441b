"""The folder that lists of ASINs are dropped into: taken by one process, then put away."""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.uploads.intake import ParsedFile, decode_text, parse_asins
from ecauto_pipeline.errors import Misconfigured

FOLDER = "inbox"
"""Below the data folder."""

WORKING, DONE, FAILED = "working", "done", "failed"

SUFFIXES = (".txt", ".csv")
SETTLED_AFTER = timedelta(seconds=5)
"""A file that was written to more recently may still be being copied."""

MOST_BYTES = 50_000_000

_REPORT = ".report.csv"
_ERROR = ".error.txt"
_HIDDEN = (".", "~$")
"""How the names of files begin that editors and Excel keep beside an open one."""


def report_path(path: Path) -> Path:
    """Where the report about a list goes: beside it."""
    return path.with_name(path.name + _REPORT)


def ready_files(folder: Path, now: datetime) -> list[Path]:
    """The lists in the folder that nobody writes to any more, the oldest first."""
    found: list[tuple[datetime, Path]] = []
    for path in folder.glob("*"):
        name = path.name.casefold()
        if name.startswith(_HIDDEN) or name.endswith((_REPORT, _ERROR)):
            continue
        with suppress(FileNotFoundError):  # taken, or renamed when the copy was complete
            written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            # A file may keep the time of a machine whose clock is ahead.
            settled = abs(now - written_at) >= SETTLED_AFTER
            if settled and name.endswith(SUFFIXES) and path.is_file():
                found.append((written_at, path))
    return [path for _, path in sorted(found)]


def read_asin_file(path: Path) -> ParsedFile:
    """The ASINs in a file.

    Raises:
        Misconfigured: it cannot be read, or holds none.
    """
    try:
        size = path.stat().st_size
        read = size <= MOST_BYTES
        parsed = parse_asins(decode_text(path.read_bytes()), path.suffix) if read else ParsedFile()
    except OSError as error:
        raise Misconfigured(f"{path.name}: {error.strerror}") from None
    except Misconfigured as problem:
        raise Misconfigured(f"{path.name}: {problem}") from None
    if parsed.asins:
        return parsed
    if not read:
        problem = f"{size:,} bytes are too much for a list of ASINs"
    elif parsed.invalid:
        line, text = parsed.invalid[0]
        problem = f"there is no ASIN in it; line {line} reads {text[:40]!r}"
    else:
        problem = "there is nothing in it"
    raise Misconfigured(f"{path.name}: {problem}")


class Inbox:
    """A folder of lists, with `working`, `done` and `failed` in it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock

    def ready(self) -> list[Path]:
        """The lists that can be taken now."""
        return ready_files(self.folder, self._clock.now())

    @contextmanager
    def taken(self, path: Path) -> Generator[Path | None]:
        """The list at its place in `working`, for us alone; None: another process has it.

        What is still there at the end goes back into the inbox.
        """
        working = self.folder / WORKING / path.name
        with _held(_lock_of(working)) as held:
            if held:
                self._put_back(working)
            if not held or not _moved(path, working):
                yield None
                return
            try:
                yield working
            finally:
                self._put_back(working)

    def put_back_abandoned(self) -> list[Path]:
        """Return lists whose process was lost to the inbox; where they are now."""
        found: list[Path] = []
        for working in sorted((self.folder / WORKING).glob("*")):
            if working.suffix == ".lock":
                continue
            with _held(_lock_of(working)) as held:
                back = self._put_back(working) if held else None
            if back is not None:
                found.append(back)
        return found

    def finish(self, working: Path, write_report: Callable[[Path], None]) -> Path:
        """Put a list away with its report beside it; where it is now."""
        target = self._free(DONE, working.name)
        write_report(report_path(target))
        working.rename(target)
        return target

    def fail(self, working: Path, sentence: str) -> Path:
        """Put a list away that cannot be used, with the reason beside it; where it is now."""
        target = self._free(FAILED, working.name)
        target.with_name(target.name + _ERROR).write_text(f"{sentence}\n", "utf-8")
        working.rename(target)
        return target

    def _put_back(self, working: Path) -> Path | None:
        return target if _moved(working, target := self._free("", working.name)) else None

    def _free(self, subfolder: str, name: str) -> Path:
        """A path in the subfolder that nothing is at; the name gets the time if need be."""
        folder = self.folder / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        stamp = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        for number in count(1):
            taken = (path, report_path(path), path.with_name(path.name + _ERROR))
            if not any(each.exists() for each in taken):
                break
            again = "" if number == 1 else f"-{number}"
            path = folder / f"{Path(name).stem}-{stamp}{again}{Path(name).suffix}"
        return path


def _lock_of(working: Path) -> Path:
    return working.with_name(f"{working.name}.lock")


def _moved(path: Path, target: Path) -> bool:
    try:
        path.rename(target)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _held(path: Path) -> Generator[bool]:
    """Whether we hold the locked file, until the end; the system frees it when we die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed it in between.
            held = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except (BlockingIOError, FileNotFoundError):
            held = False
        try:
            yield held
        finally:
            if held:
                path.unlink(missing_ok=True)  # gone before it is free
