"""Products, pending listings and queue rows for tests of the upload queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.domain.uploads.rules import Slots, UploadRules, free_slots
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

RULES = UploadRules()
DATES = {"created_at": MIDDAY, "updated_at": MIDDAY}


def asins(count: int) -> list[str]:
    """So many."""
    return [f"B0{number:08}" for number in range(count)]


@dataclass(slots=True)
class QueueRig:
    """A database with an upload queue, and both stores about it."""

    engine: sa.Engine
    clock: FakeClock

    @property
    def queue(self) -> UploadQueue:
        return UploadQueue(self.engine, self.clock, "base")

    @property
    def attempts(self) -> UploadAttempts:
        return UploadAttempts(self.engine, self.clock, "base", RULES)

    def enlist(self, names: Iterable[str], account_id: str = "one", **listing: Any) -> None:
        """Pending listings, and their products unless they are there."""
        names = list(names)
        known = self._known()
        new = [{"asin": name, "shard": "00", **DATES} for name in names if name not in known]
        base = {"platform": "base", "account_id": account_id, "status": "pending", **DATES}
        with self.engine.begin() as connection:
            if new:
                connection.execute(sa.insert(products), new)
            rows = [{**base, "asin": name, **listing} for name in names]
            connection.execute(sa.insert(listings), rows)

    def add(self, asin: str, account_id: str = "one", **row: Any) -> int:
        """A listing with a row that is due; returns the row's id."""
        self.enlist([asin], account_id)
        values = {
            "asin": asin,
            "platform": "base",
            "account_id": account_id,
            "scheduled_time": MIDDAY,
            "created_at": MIDDAY,
            **row,
        }
        with self.engine.begin() as connection:
            statement = sa.insert(upload_queue).values(values).returning(upload_queue.c.id)
            return connection.execute(statement).scalar_one()

    def slots(self, per_day: int = 1000) -> Slots:
        """The free slots of account one."""
        return free_slots(self.clock.now(), self.queue.last_scheduled("one"), per_day, RULES)

    def fill(self, per_day: int = 1000, **options: Any) -> int:
        """Queue what waits for account one."""
        return self.queue.fill("one", self.slots(per_day), **options)

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The queue, by time."""
        query = sa.select(upload_queue).order_by(upload_queue.c.scheduled_time, upload_queue.c.id)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self) -> Mapping[str, Any]:
        """The only row."""
        (row,) = self.rows()
        return row

    def listing(self) -> Mapping[str, Any]:
        """The only listing."""
        with self.engine.connect() as connection:
            return dict(connection.execute(sa.select(listings)).mappings().one())

    def set_rows(self, **values: Any) -> None:
        """Change all rows."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(upload_queue).values(values))

    def wait(self, length: timedelta) -> datetime:
        """Let the time pass; returns what it is then."""
        self.clock.advance(seconds=length.total_seconds())
        return self.clock.now()

    def _known(self) -> set[str]:
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(products.c.asin)).scalars())
