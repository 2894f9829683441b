"""The quotas used up so far, shared by all processes: buckets that refill, calendar windows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.tables import UtcDateTime, rate_buckets, rate_windows

CLOCK_SLACK_SECONDS = 1.0
"""A clock behind what was written by more than this was set back: all times move with it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_SECOND_SQL: sa.ColumnElement[Any] = sa.literal_column(f"{float(_SECOND)}", sa.Float[float]())
_SLACK: sa.ColumnElement[Any] = sa.literal_column(f"{CLOCK_SLACK_SECONDS * _SECOND:.0f}")
_EVER = float(2**31)
_ZERO: sa.ColumnElement[Any] = sa.literal_column("0")
_TIMES = ("tat_us", "blocked_until_us", "delayed_until_us")


@dataclass(frozen=True, slots=True)
class BucketState:
    """A bucket at this moment; `free_in_seconds` is the wait of whoever asks now."""

    bucket: str
    per_second: float
    burst: float
    free_in_seconds: float
    blocked_seconds: float


class RateBuckets:
    """The buckets as rows: the generic cell rate algorithm, booking instead of polling.

    `tat_us`, the theoretical arrival time, is when the bucket would be full again. On PostgreSQL
    the server's clock counts, so that machines need not agree on the time.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._clock = clock
        self._is_postgres = engine.dialect.name == "postgresql"
        # One statement at a time: PostgreSQL needs no BEGIN and COMMIT around it.
        single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engine = single if self._is_postgres else engine
        self._reading = single if self._is_postgres else database.reading(engine)
        # Composed once, as that takes longer than running them.
        self._configure = self._configure_statement()
        slot = rate_buckets.c.tat_us - _refill(rate_buckets.c.burst)
        self._reserve = self._update(
            self._greatest(_ZERO, slot - self._now), tat_us=self._booked(_number("cost"))
        ).where(self._wait(_number("cost")) <= _microseconds("longest"))
        ends = self._now + _microseconds("seconds")
        self._block = self._update(blocked_until_us=self._greatest("blocked_until_us", ends))
        self._delay = self._update(delayed_until_us=self._greatest("delayed_until_us", ends))
        spacing = _refill(_number("spacing"))
        self._depart = self._update(
            self._greatest(_ZERO, rate_buckets.c.delayed_until_us - spacing - self._now),
            delayed_until_us=self._greatest("delayed_until_us", self._now) + spacing,
        ).where(self._time("blocked_until_us") <= self._now)
        self._learn = self._update(per_second=sa.bindparam("rate"))
        booked = self._time("tat_us") - _refill(_number("unused"))
        said = self._now + _refill(rate_buckets.c.burst - _number("available"))
        self._note_level = self._update(tat_us=self._greatest(booked, said))
        self._blocked = sa.select(self._until("blocked_until_us")).where(
            rate_buckets.c.bucket == sa.bindparam("name")
        )

    def configure(self, bucket: str, per_second: float, burst: float) -> None:
        """Make the bucket, full; or take over a changed rate, forgetting a learned one."""
        self._write(self._configure, {"name": bucket, "rate": per_second, "size": burst})

    def reserve(
        self, bucket: str, *, cost: float = 1.0, max_wait: float | None = None
    ) -> float | None:
        """Book a turn: the seconds until then; None, and nothing booked, if above `max_wait`.

        Raises:
            LookupError: the bucket was never configured.
        """
        longest = _EVER if max_wait is None else max_wait
        row = self._write(self._reserve, {"name": bucket, "cost": cost, "longest": longest})
        if row is None and max_wait is None:
            raise LookupError(f"no such bucket: {bucket}")
        return None if row is None else row[0] / _SECOND

    def block(self, bucket: str, seconds: float) -> None:
        """Let nobody have a turn that long; who has booked one meanwhile must book again."""
        self._write(self._block, {"name": bucket, "seconds": seconds})

    def blocked_for(self, bucket: str) -> float:
        """Seconds until the end of the block; 0 without one."""
        with self._reading.connect() as connection:
            us = connection.execute(self._blocked, {"name": bucket} | self._times()).scalar()
        return (us or 0) / _SECOND

    def delay(self, bucket: str, seconds: float) -> None:
        """Let the next one depart that far from now at the earliest."""
        self._write(self._delay, {"name": bucket, "seconds": seconds})

    def depart(self, bucket: str, spacing: float) -> float | None:
        """Seconds until whoever has a turn may send; None when the bucket is blocked.

        `spacing` is the distance from the one before, as a share of that between turns.
        """
        row = self._write(self._depart, {"name": bucket, "spacing": spacing})
        return None if row is None else row[0] / _SECOND

    def learn(self, bucket: str, per_second: float) -> None:
        """Use this rate until another is configured."""
        self._write(self._learn, {"name": bucket, "rate": per_second})

    def note_level(self, bucket: str, available: float, *, unused: float = 0.0) -> None:
        """The server says that `available` is left, and took `unused` less than was booked.

        Never is more assumed than it says; less is, when others have booked meanwhile.
        """
        self._write(self._note_level, {"name": bucket, "available": available, "unused": unused})

    def snapshot(self) -> list[BucketState]:
        """Every bucket, by name."""
        statement = sa.select(
            rate_buckets.c.bucket,
            rate_buckets.c.per_second,
            rate_buckets.c.burst,
            self._wait(sa.literal(1.0)) / _SECOND_SQL,
            self._until("blocked_until_us") / _SECOND_SQL,
        ).order_by(rate_buckets.c.bucket)
        with self._reading.connect() as connection:
            rows = connection.execute(statement, self._times()).all()
        return [BucketState(*row) for row in rows]

    def _write(self, statement: sa.UpdateBase, values: dict[str, Any]) -> sa.Row[Any] | None:
        with self._engine.begin() as connection:
            # The clock is read behind the lock, so that no process brings an older time.
            result = connection.execute(statement, values | self._times())
            return result.first() if result.returns_rows else None

    def _times(self) -> dict[str, Any]:
        if self._is_postgres:
            return {}
        now = self._clock.now()
        return {"now": (now - _EPOCH) // timedelta(microseconds=1), "written_at": now}

    @property
    def _now(self) -> sa.ColumnElement[Any]:
        if self._is_postgres:
            return _whole(sa.extract("epoch", sa.func.clock_timestamp()) * _SECOND_SQL)
        return sa.bindparam("now", type_=sa.BigInteger)

    @property
    def _written_at(self) -> sa.ColumnElement[Any]:
        if self._is_postgres:
            return sa.func.clock_timestamp()
        return sa.bindparam("written_at", type_=UtcDateTime)

    def _time(self, name: str) -> sa.ColumnElement[Any]:
        """One of the row's times, by the clock as it goes now."""
        seen = rate_buckets.c.seen_us
        set_back = seen > self._now + _SLACK
        return rate_buckets.c[name] - sa.case((set_back, seen - self._now), else_=_ZERO)

    def _greatest(self, *times: str | sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        greatest = sa.func.greatest if self._is_postgres else sa.func.max
        return greatest(*(self._time(time) if isinstance(time, str) else time for time in times))

    def _until(self, name: str) -> sa.ColumnElement[Any]:
        return self._greatest(_ZERO, self._time(name) - self._now)

    def _update(
        self, returned: sa.ColumnElement[Any] | None = None, **changed: sa.ColumnElement[Any]
    ) -> Any:
        times = {name: self._time(name) for name in _TIMES}
        written = {"seen_us": self._now, "updated_at": self._written_at}
        # A power cut may cost the last bookings: a short burst, for ten times the speed.
        without_fsync = [sa.func.set_config("synchronous_commit", "off", True)]  # noqa: FBT003
        return (
            sa.update(rate_buckets)
            .where(rate_buckets.c.bucket == sa.bindparam("name"))
            .values(times | written | changed)
            .returning(
                _ZERO if returned is None else returned,
                *(without_fsync if self._is_postgres else ()),
            )
        )

    def _booked(self, cost: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The arrival time after booking; a block leaves the bucket empty."""
        interval = _refill(cost)
        empty = _refill(rate_buckets.c.burst) - interval
        held = self._time("blocked_until_us") + empty
        return self._greatest("tat_us", self._now, held) + interval

    def _wait(self, cost: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        slot = self._booked(cost) - _refill(rate_buckets.c.burst)
        return self._greatest(_ZERO, slot - self._now)

    def _configure_statement(self) -> sa.Insert:
        rate, size = _number("rate"), _number("size")
        statement = database.insert_into(self._engine.dialect, rate_buckets).values(
            bucket=sa.bindparam("name"),
            per_second=rate,
            burst=size,
            configured_per_second=rate,
            tat_us=self._now,
            blocked_until_us=0,
            delayed_until_us=0,
            seen_us=self._now,
            updated_at=self._written_at,
        )
        old, new = rate_buckets.c, statement.excluded
        same = old.configured_per_second == new.configured_per_second
        least = sa.func.least if self._is_postgres else sa.func.min
        empty = new.tat_us + _whole(new.burst * _SECOND_SQL / new.per_second)
        return statement.on_conflict_do_update(
            index_elements=["bucket"],
            set_={
                "per_second": sa.case((same, old.per_second), else_=new.per_second),
                "burst": new.burst,
                "configured_per_second": new.configured_per_second,
                "tat_us": sa.case((same, old.tat_us), else_=least(old.tat_us, empty)),
                "updated_at": new.updated_at,
            },
        )


def _number(name: str) -> sa.ColumnElement[Any]:
    return sa.bindparam(name, type_=sa.Float[float]())


def _whole(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(value, sa.BigInteger)


def _microseconds(seconds: str) -> sa.ColumnElement[Any]:
    return _whole(_number(seconds) * _SECOND_SQL)


def _refill(tokens: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Microseconds in which that many tokens come in."""
    return _whole(tokens * _SECOND_SQL / rate_buckets.c.per_second)


class RateWindows:
    """Quotas that start afresh at a full hour or day; a row counts the newest window only."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def take(self, bucket: str, window_start: datetime, limit: int, cost: int = 1) -> bool:
        """Count `cost` in the window, if that leaves it within its limit."""
        if cost > limit:
            return False
        new = self._new(bucket, window_start, cost)
        # A window older than the row's comes of a clock set back: it counts in the newest.
        begins = rate_windows.c.window_start < new.excluded.window_start
        total = sa.case((begins, 0), else_=rate_windows.c.used) + new.excluded.used
        return self._write(new, begins, total, total <= limit)

    def used(self, bucket: str, window_start: datetime) -> int:
        """How much of the window is counted."""
        statement = sa.select(rate_windows.c.used).where(
            rate_windows.c.bucket == bucket, rate_windows.c.window_start >= window_start
        )
        with database.reading(self._engine).connect() as connection:
            return connection.execute(statement).scalar() or 0

    def exhaust(self, bucket: str, window_start: datetime, limit: int) -> None:
        """Take the window for used up, as the shop says so."""
        new = self._new(bucket, window_start, limit)
        begins = rate_windows.c.window_start < new.excluded.window_start
        more = begins | (rate_windows.c.used < new.excluded.used)
        self._write(new, begins, new.excluded.used, more)

    def _new(self, bucket: str, window_start: datetime, used: int) -> Any:
        return database.insert_into(self._engine.dialect, rate_windows).values(
            bucket=bucket, window_start=window_start, used=used, updated_at=self._clock.now()
        )

    def _write(self, new: Any, begins: Any, used: Any, allowed: Any) -> bool:
        old, excluded = rate_windows.c, new.excluded
        statement = new.on_conflict_do_update(
            index_elements=["bucket"],
            set_={
                "window_start": sa.case((begins, excluded.window_start), else_=old.window_start),
                "used": used,
                "updated_at": excluded.updated_at,
            },
            where=allowed,
        ).returning(rate_windows.c.used)
        with self._engine.begin() as connection:
            return connection.execute(statement).first() is not None
