"""Things that behave like the real ones, and fast."""

import threading
from datetime import UTC, datetime, timedelta

MIDDAY = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""12:00 in Japan."""


class FakeClock:
    """A clock that moves only when somebody waits or it is told to; safe between threads."""

    def __init__(self, now: datetime = MIDDAY) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.advance(seconds=seconds)

    def advance(self, *, seconds: float = 0, hours: float = 0, days: float = 0) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds, hours=hours, days=days)
