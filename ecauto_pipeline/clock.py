"""Time, handed in: what waits or dates anything takes a `Clock`, so that tests need not wait."""

import threading
import time
from datetime import UTC, datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

JAPAN: Final = ZoneInfo("Asia/Tokyo")
"""Where the sellers live: their days are Japan's, and BASE counts its hours and days there."""


class Clock(Protocol):
    """The wall clock, and waiting."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that long, or not at all if `seconds` is not positive."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait that long, or not at all if `seconds` is not positive."""
        if seconds > 0:
            time.sleep(seconds)


class Stopped(BaseException):
    """The wait was ended by `StoppableClock.stop`; not an error, so nothing may swallow it."""


class StoppableClock:
    """Another clock whose waits end at once, in every thread, when `stop` is called."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stop = threading.Event()

    def now(self) -> datetime:
        """The current time of the clock behind."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait that long.

        Raises:
            Stopped: `stop` was called, before or meanwhile.
        """
        if isinstance(self._clock, SystemClock):
            self._stop.wait(max(seconds, 0))
        elif not self._stop.is_set():
            self._clock.sleep(seconds)
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """End all waits, now and later."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()
