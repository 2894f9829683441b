"""Locked files: held by one process, and freed by the system when it dies."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked_file(path: Path) -> Generator[None]:
    """Hold an exclusive lock on the file, which is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
