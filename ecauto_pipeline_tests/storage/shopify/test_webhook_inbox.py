"""Webhooks are kept once, merged once, and their contents forgotten."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.errors import Unavailable
from ecauto_pipeline.storage.shopify.tables import webhook_inbox
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock


@pytest.fixture
def inbox(engine: sa.Engine, clock: FakeClock) -> WebhookInbox:
    return WebhookInbox(engine, clock)


def webhook(webhook_id: str = "a", minutes: int = 0, **changes: Any) -> ReceivedWebhook:
    received = ReceivedWebhook(
        webhook_id=webhook_id,
        store_id="one",
        topic="customers/update",
        api_version="2026-10",
        triggered_at=MIDDAY - timedelta(seconds=3),
        body='{"id": 3174076055691, "first_name": "花子 🍵"}',
        received_at=MIDDAY + timedelta(minutes=minutes),
    )
    return replace(received, **changes)


def contents(engine: sa.Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(webhook_inbox)).mappings()
        return {row["webhook_id"]: dict(row) for row in rows}


@pytest.mark.parametrize("received", [webhook(), webhook(api_version=None, triggered_at=None)])
def test_a_webhook_is_kept_as_it_came(inbox: WebhookInbox, received: ReceivedWebhook) -> None:
    assert inbox.put(received)
    assert inbox.pending(10) == [received]
    assert inbox.pending_count() == 1


def test_a_repetition_is_not_kept(inbox: WebhookInbox) -> None:
    assert inbox.put(webhook())
    assert not inbox.put(webhook(body="other"))
    assert inbox.pending(10) == [webhook()]


def test_a_body_that_no_database_takes_is_kept(inbox: WebhookInbox) -> None:
    assert inbox.put(webhook(body="\x00{}\udcff"))
    assert inbox.pending(1)[0].body == "{}\ufffd"


def test_what_the_database_does_not_take_now_may_be_put_again(
    inbox: WebhookInbox, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_inbox RENAME TO elsewhere")
    with pytest.raises(Unavailable) as caught:
        inbox.put(webhook())
    assert "花子" not in str(caught.value)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO webhook_inbox")
    assert inbox.put(webhook())


def test_the_oldest_come_first(inbox: WebhookInbox) -> None:
    for name, minutes in (("b", 1), ("c", 2), ("a", 0)):
        inbox.put(webhook(name, minutes))
    assert [each.webhook_id for each in inbox.pending(2)] == ["a", "b"]


def test_one_that_failed_stays_but_does_not_hold_up_the_others(
    inbox: WebhookInbox, engine: sa.Engine
) -> None:
    inbox.put(webhook("a", 0))
    inbox.put(webhook("b", 1))
    inbox.failed("a", "no id")
    assert [each.webhook_id for each in inbox.pending(10)] == ["b", "a"]
    assert contents(engine)["a"]["problem"] == "no id"
    assert contents(engine)["a"]["body"] != ""


def test_what_is_merged_is_emptied(
    inbox: WebhookInbox, engine: sa.Engine, clock: FakeClock
) -> None:
    for name in ("a", "b", "c"):
        inbox.put(webhook(name))
    inbox.failed("a", "busy")
    clock.advance(hours=1)
    inbox.merged(["a"])
    inbox.merged(["b", "unknown"], problem="a topic that we do not know")
    inbox.failed("b", "too late")
    assert [each.webhook_id for each in inbox.pending(10)] == ["c"]
    assert inbox.pending_count() == 1
    rows = contents(engine)
    assert [rows[name]["body"] for name in "ab"] == ["", ""]
    assert [rows[name]["merged_at"] for name in "ab"] == [clock.now(), clock.now()]
    assert [rows[name]["problem"] for name in "ab"] == [None, "a topic that we do not know"]
    assert not inbox.put(webhook("a"))


def test_what_was_merged_long_ago_is_deleted(
    inbox: WebhookInbox, engine: sa.Engine, clock: FakeClock
) -> None:
    for name in ("old", "new", "pending"):
        inbox.put(webhook(name))
    inbox.merged(["old"])
    clock.advance(days=8)
    inbox.merged(["new"])
    assert inbox.forget_before(clock.now() - timedelta(days=7)) == 1
    assert set(contents(engine)) == {"new", "pending"}
