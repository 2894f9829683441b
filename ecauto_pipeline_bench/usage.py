"""What a process took, told by itself: imports as little as it can, as it is measured too."""

import json
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def tell(**figures: object) -> None:
    """Print the figures, and the CPU seconds and megabytes since the interpreter's start."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in spent)
    print(json.dumps({**figures, "cpu": cpu, "megabytes": _peak_kilobytes() / 1024}))


def _peak_kilobytes() -> int:
    """Linux reckons what the parent had among `ru_maxrss`, but not here."""
    if _STATUS.exists():
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
