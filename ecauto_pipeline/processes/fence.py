"""Ending a process when its lease does: the one fence that stops a request sent too late.

A worker that slept (a stopped process, swapping, a paused virtual machine) may wake up after its
lease and send. No statement in our database can stop that. A timer of the kernel can: its signal
ends the process before its next instruction.
"""

import contextlib
import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


class KernelFence:
    """SIGALRM at the end of the lease, with its default action: the process ends."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def arm(self, seconds: float) -> None:
        """End this process in so many seconds; at once if there are none left."""
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))

    def disarm(self) -> None:
        """Nothing is under way."""
        signal.setitimer(signal.ITIMER_REAL, 0)


def end_with_parent() -> None:
    """Let the kernel end this process when the one that started it ends (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
