"""Webhooks that were received: kept as they came, until they are merged into the mirrors."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.domain.text import storable
from ecauto_pipeline.errors import Unavailable
from ecauto_pipeline.storage.chunks import chunks
from ecauto_pipeline.storage.database import insert_into, reading
from ecauto_pipeline.storage.shopify.tables import webhook_inbox

_COLUMNS = [webhook_inbox.c[field.name] for field in fields(ReceivedWebhook)]
_PENDING = webhook_inbox.c.merged_at.is_(None)


class WebhookInbox:
    """The `webhook_inbox` table."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def put(self, webhook: ReceivedWebhook) -> bool:
        """Keep a webhook; False if it is there already.

        Raises:
            Unavailable: the database does not take it now; the message holds nothing of it.
        """
        values: dict[str, Any] = {column.name: getattr(webhook, column.name) for column in _COLUMNS}
        values["body"] = storable(webhook.body)
        insert = insert_into(self._engine.dialect, webhook_inbox).values(values)
        statement = insert.on_conflict_do_nothing(index_elements=["webhook_id"])
        try:
            with self._engine.begin() as connection:
                return connection.execute(statement).rowcount == 1
        except SQLAlchemyError as error:
            # Only what it is: what it says may quote the body.
            raise Unavailable(f"the database did not take it: {type(error).__name__}") from None

    def pending(self, limit: int) -> list[ReceivedWebhook]:
        """What is not merged yet, the oldest first, but those that failed once last."""
        order = (webhook_inbox.c.received_at, webhook_inbox.c.webhook_id)
        query = (
            sa.select(*_COLUMNS)
            .where(_PENDING)
            .order_by(webhook_inbox.c.problem.is_not(None), *order)
            .limit(limit)
        )
        with self._reading.connect() as connection:
            return [ReceivedWebhook(*row) for row in connection.execute(query)]

    def pending_count(self) -> int:
        """How many are not merged yet."""
        query = sa.select(sa.func.count()).select_from(webhook_inbox).where(_PENDING)
        with self._reading.connect() as connection:
            return connection.execute(query).scalar_one()

    def merged(self, ids: Iterable[str], *, problem: str | None = None) -> None:
        """These are done with, or given up for `problem`; their bodies are emptied."""
        # The row is kept only to know a repetition by; its body may be personal.
        values = {"merged_at": self._clock.now(), "body": "", "problem": problem}
        with self._engine.begin() as connection:
            for chunk in chunks(ids):
                which = webhook_inbox.c.webhook_id.in_(chunk)
                connection.execute(sa.update(webhook_inbox).where(which).values(values))

    def failed(self, webhook_id: str, problem: str) -> None:
        """This one could not be merged; it stays pending."""
        which = webhook_inbox.c.webhook_id == webhook_id
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(webhook_inbox).where(which, _PENDING).values(problem=problem)
            )

    def forget_before(self, time: datetime) -> int:
        """Delete those that were merged before; returns how many."""
        statement = sa.delete(webhook_inbox).where(webhook_inbox.c.merged_at < time)
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount
