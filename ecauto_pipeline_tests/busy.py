"""Runs a command beside processes that are busy: `busy 8 python -m pytest`."""

import os
import subprocess
import sys
from contextlib import ExitStack

from ecauto_pipeline_tests.children import started

LOOP = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    sum(range(1_000_000))
"""
"""Ends with whoever started it, however that one ends."""


def main() -> None:
    """Exit with the command's status."""
    count, *command = sys.argv[1:]
    loop = [sys.executable, "-c", LOOP, str(os.getpid())]
    with ExitStack() as loops:
        for _ in range(int(count)):
            loops.enter_context(started(loop))
        status = subprocess.call(command)
    sys.exit(status)


if __name__ == "__main__":
    main()
