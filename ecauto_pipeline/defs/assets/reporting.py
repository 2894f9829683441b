"""Showing in the UI what a flow did and what it is doing."""

from collections.abc import Mapping, Sequence

import dagster as dg

from ecauto_pipeline.clock import Clock

TABLE_ROWS = 100
"""The most rows of a table in the UI; the database has them all."""

SAY_EVERY_SECONDS = 5
SAY_WAITS_FROM_SECONDS = 5


class RunLog:
    """Tells the run's log how far a flow is, and what it waits for, without flooding it."""

    def __init__(
        self, context: dg.AssetExecutionContext | dg.OpExecutionContext, clock: Clock
    ) -> None:
        self._context = context
        self._clock = clock
        self._said: dict[str, float] = {}
        self._finished: set[str] = set()

    def waiting(self, bucket: str, seconds: float) -> None:
        """The flow waits for its turn at a quota."""
        if seconds >= SAY_WAITS_FROM_SECONDS:
            self._context.log.info("waiting %.0f s for a turn at %s", seconds, bucket)

    def advanced(self, what: str, done: int, total: int) -> None:
        """So many of so many are done."""
        if (done == total and what not in self._finished) or self._may_say(what):
            self._context.log.info("%s: %d of %d", what, done, total)
        if done == total:
            self._finished.add(what)

    def _may_say(self, what: str) -> bool:
        now = self._clock.now().timestamp()
        if now - self._said.setdefault(what, now) < SAY_EVERY_SECONDS:
            return False
        self._said[what] = now
        return True


def table(
    columns: Sequence[str], rows: Sequence[Mapping[str, str | int | float | None]]
) -> dg.TableMetadataValue:
    """The first rows as a table, all as text where the columns say nothing else."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: _plain(row[name]) for name in columns if row[name] is not None})
            for row in rows[:TABLE_ROWS]
        ],
        schema=dg.TableSchema([dg.TableColumn(name) for name in columns]),
    )


def _plain(value: str | int | float | None) -> str | int | float | None:
    """An enum's member is text, but Dagster would store it as a class it does not know."""
    return str(value) if isinstance(value, str) else value
