"""Merging webhooks, over real tables."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.shopify.records import read_page
from ecauto_pipeline.domain.shopify.mirror import Entity, Shape
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.storage import locks
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.tables import (
    shopify_customers,
    shopify_order_items,
    shopify_orders,
    shopify_product_variants,
    shopify_products,
    webhook_inbox,
)
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox
from ecauto_pipeline.sync.shopify.webhooks import WebhookMerge, WebhookReport
from ecauto_pipeline_tests.fakes import FakeClock

CUSTOMER_ID, ORDER_ID, PRODUCT_ID = 706405506930370084, 820982911946154508, 788032119674292922

CUSTOMER: dict[str, Any] = {
    "id": CUSTOMER_ID,
    "created_at": "2021-12-31T19:00:00-05:00",
    "updated_at": "2026-11-20T10:00:00+09:00",
    "first_name": "Bob",
    "last_name": "Biller",
    "state": "disabled",
    "note": "This customer loves ice cream",
    "verified_email": True,
    "tax_exempt": False,
    "email": "bob@example.com",
    "phone": None,
    "currency": "USD",
    "addresses": [],
}
"""As in webhooks since 2025-01: without tags, consents and totals."""

FULL_CUSTOMER = CUSTOMER | {
    "updated_at": "2026-11-20T09:00:00+09:00",
    "tags": "vip, tokyo",
    "orders_count": 3,
    "total_spent": "199.65",
    "phone": "+815012345678",
    "email_marketing_consent": {
        "state": "subscribed",
        "opt_in_level": "confirmed_opt_in",
        "consent_updated_at": "2026-11-01T00:00:00Z",
    },
    "sms_marketing_consent": {
        "state": "not_subscribed",
        "opt_in_level": "single_opt_in",
        "consent_updated_at": None,
        "consent_collected_from": "OTHER",
    },
}

ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "created_at": "2026-11-20T08:00:00+09:00",
    "updated_at": "2026-11-20T10:00:00+09:00",
    "name": "#9999",
    "email": "bob@example.com",
    "customer": {"id": CUSTOMER_ID, "email": "bob@example.com"},
    "currency": "JPY",
    "total_price": "388.00",
    "financial_status": "pending",
    "tags": "",
    "line_items": [{"id": 1, "title": "Ice", "quantity": 2, "price": "194.00"}],
}

PRODUCT: dict[str, Any] = {
    "id": PRODUCT_ID,
    "created_at": "2026-11-20T08:00:00+09:00",
    "updated_at": "2026-11-20T10:00:00+09:00",
    "title": "Ice",
    "status": "active",
    "tags": "cold",
    "variants": [{"id": 2, "title": "Large", "price": "194.00"}],
}


def at(hour: int) -> datetime:
    """That hour of the day in Japan."""
    return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hour - 9)


class Rig:
    """The tables, and what is merged into them; `held` tells which locks were held when."""

    def __init__(self, engine: sa.Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock
        self.inbox = WebhookInbox(engine, clock)
        self.store = ShopifyStore(engine, clock)
        self.letters = DeadLetters(engine, clock)
        self.held: list[list[str]] = []
        self._locks: list[str] = []
        self._number = 0
        self.merging = WebhookMerge(self.inbox, self.store, self.letters, self._exclusive, clock)

    @contextmanager
    def _exclusive(self, name: str) -> Generator[None]:
        self._locks.append(name)
        self.held.append(list(self._locks))
        with locks.exclusive(self.engine, name):
            yield
        self._locks.remove(name)

    def receive(
        self,
        topic: str,
        body: object,
        *,
        store_id: str = "tokyo",
        triggered_at: datetime | None = None,
    ) -> str:
        """Put a webhook in, a second after the one before; what it is called."""
        self.clock.advance(seconds=1)
        self._number += 1
        webhook = ReceivedWebhook(
            webhook_id=f"w{self._number}",
            store_id=store_id,
            topic=topic,
            api_version="2026-10",
            triggered_at=triggered_at,
            body=body if isinstance(body, str) else json.dumps(body),
            received_at=self.clock.now(),
        )
        assert self.inbox.put(webhook)
        return webhook.webhook_id

    def merge(self) -> WebhookReport:
        """Merge all; nothing may be left."""
        report = self.merging.merge()
        assert self.inbox.pending_count() == 0
        assert report.errors == []
        return report

    def synced(self, entity: Entity, *bodies: dict[str, Any], store_id: str = "tokyo") -> None:
        """Have records in the mirror already."""
        self.store.save(store_id, entity, read_page(entity, Shape.BODY, bodies).records)

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows of the table, by their keys."""
        query = sa.select(table).order_by(*table.primary_key)
        with self.engine.connect() as connection:
            found = connection.execute(query).mappings()
            return [dict(row) for row in found]

    def row(self, table: sa.Table) -> dict[str, Any]:
        """Its only row."""
        [row] = self.rows(table)
        return row


@pytest.fixture
def rig(engine: sa.Engine, clock: FakeClock) -> Rig:
    return Rig(engine, clock)


def test_what_was_received_is_in_the_mirrors(rig: Rig) -> None:
    rig.receive("orders/create", ORDER)
    rig.receive("products/update", PRODUCT)
    rig.receive("customers/create", CUSTOMER)
    report = rig.merge()
    assert (report.merged, report.saved, report.stale) == (3, 3, 0)
    assert rig.row(shopify_customers)["email"] == "bob@example.com"
    assert rig.row(shopify_products)["title"] == "Ice"
    assert rig.row(shopify_product_variants)["product_id"] == PRODUCT_ID
    assert rig.row(shopify_orders)["customer_id"] == CUSTOMER_ID
    assert rig.row(shopify_order_items)["order_id"] == ORDER_ID


def test_a_webhook_of_a_customer_keeps_tags_consents_and_totals(rig: Rig) -> None:
    rig.synced(Entity.CUSTOMERS, FULL_CUSTOMER)
    before = rig.row(shopify_customers)
    rig.receive("customers/update", CUSTOMER | {"first_name": "Rob"})
    rig.merge()
    after = rig.row(shopify_customers)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"first_name", "phone", "updated_at", "payload", "synced_at"}
    assert (after["tags"], after["email_marketing_state"]) == ("tokyo, vip", "subscribed")
    assert after["phone"] is None


ORDER_UPDATES = [
    ("orders/create", ORDER),
    ("orders/updated", ORDER | {"updated_at": "2026-11-20T10:00:01+09:00", "tags": "b"}),
    (
        "orders/paid",
        ORDER | {"updated_at": "2026-11-20T10:00:02+09:00", "financial_status": "paid"},
    ),
]


@pytest.mark.parametrize("deliveries", list(permutations(ORDER_UPDATES)))
@pytest.mark.parametrize("together", [True, False])
def test_whichever_comes_first_the_newest_is_kept(
    rig: Rig, deliveries: Sequence[tuple[str, dict[str, Any]]], *, together: bool
) -> None:
    for topic, body in deliveries:
        rig.receive(topic, body)
        if not together:
            rig.merge()
    rig.merge()
    row = rig.row(shopify_orders)
    assert row["financial_status"] == "paid"
    assert row["updated_at"] == datetime(2026, 11, 20, 1, 0, 2, tzinfo=UTC)


def test_an_older_version_than_the_mirror_has_is_counted_and_left_out(rig: Rig) -> None:
    rig.synced(Entity.ORDERS, ORDER)
    rig.receive("orders/updated", ORDER | {"updated_at": "2026-11-20T09:59:59+09:00", "tags": "x"})
    report = rig.merge()
    assert (report.saved, report.stale, report.merged) == (0, 1, 1)
    assert rig.row(shopify_orders)["tags"] is None


def test_payloads_with_different_fields_complete_each_other(rig: Rig) -> None:
    rig.receive("customers/update", FULL_CUSTOMER)
    rig.receive("customers/update", CUSTOMER)
    rig.merge()
    row = rig.row(shopify_customers)
    assert (row["tags"], row["updated_at"]) == ("tokyo, vip", at(10))


def test_the_same_again_changes_nothing(rig: Rig) -> None:
    rig.receive("orders/create", ORDER)
    rig.merge()
    before = rig.row(shopify_orders)
    rig.receive("orders/updated", ORDER)
    rig.merge()
    after = rig.row(shopify_orders)
    assert {name for name in after if after[name] != before[name]} == {"synced_at"}
    assert len(rig.rows(shopify_order_items)) == 1


@pytest.mark.parametrize("first", ["orders/delete", "orders/updated"])
@pytest.mark.parametrize("together", [True, False])
def test_a_deletion_holds_whether_it_comes_before_or_after_an_update(
    rig: Rig, first: str, *, together: bool
) -> None:
    rig.synced(Entity.ORDERS, ORDER | {"updated_at": "2026-11-20T09:00:00+09:00"})
    last = "orders/updated" if first == "orders/delete" else "orders/delete"
    for topic in (first, last):
        body = {"id": ORDER_ID} if topic == "orders/delete" else ORDER
        rig.receive(topic, body, triggered_at=at(11))
        if not together:
            rig.merge()
    rig.merge()
    assert rig.row(shopify_orders)["deleted_at"] == at(11)
    assert rig.row(shopify_order_items)["deleted_at"] == at(11)


def test_a_deletion_that_comes_with_the_record_is_merged_after_it(rig: Rig) -> None:
    rig.receive("products/delete", {"id": PRODUCT_ID}, triggered_at=at(11))
    rig.receive("products/create", PRODUCT)
    assert rig.merge().deleted == 1
    assert rig.row(shopify_products)["deleted_at"] == at(11)


def test_a_deletion_without_a_time_counts_from_when_it_came(rig: Rig) -> None:
    rig.synced(Entity.CUSTOMERS, CUSTOMER)
    rig.receive("customers/delete", {"id": CUSTOMER_ID, "tax_exemptions": []})
    received_at = rig.clock.now()
    rig.merge()
    assert rig.row(shopify_customers)["deleted_at"] == received_at


def test_of_merged_customers_the_one_that_went_is_deleted(rig: Rig) -> None:
    rig.synced(Entity.CUSTOMERS, CUSTOMER, CUSTOMER | {"id": 1})
    body: dict[str, Any] = {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
        "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{CUSTOMER_ID}",
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }
    rig.receive("customers/merge", body | {"status": "failed"}, triggered_at=at(11))
    assert (rig.merge().deleted, rig.store.count("tokyo", Entity.CUSTOMERS)) == (0, 2)
    rig.receive("customers/merge", body, triggered_at=at(11))
    assert rig.merge().deleted == 1
    assert list(rig.store.live_ids("tokyo", Entity.CUSTOMERS)) == [1]


REDACT: dict[str, Any] = {
    "shop_id": 954889,
    "shop_domain": "tokyo.myshopify.com",
    "customer": {"id": CUSTOMER_ID, "email": "bob@example.com", "phone": "555-625-1199"},
    "orders_to_redact": [ORDER_ID],
}


def test_what_is_personal_of_a_customer_is_erased(rig: Rig) -> None:
    rig.synced(Entity.CUSTOMERS, FULL_CUSTOMER)
    rig.synced(Entity.ORDERS, ORDER)
    rig.receive("customers/redact", REDACT)
    rig.receive("customers/update", CUSTOMER)  # overtaken: must not bring anything back
    rig.receive("orders/updated", ORDER)
    assert rig.merge().redacted == 1
    stored = [rig.rows(shopify_customers), rig.rows(shopify_orders), rig.rows(webhook_inbox)]
    for personal in ("bob@example.com", "Biller", "vip", "+8150"):
        assert personal not in repr(stored)
    assert rig.row(shopify_orders)["total_price"] == 388
    assert rig.held[-1] == ["shopify/tokyo/customers", "shopify/tokyo/orders"]


def test_nothing_is_left_of_a_store_that_is_to_be_forgotten(rig: Rig) -> None:
    for store_id in ("osaka", "tokyo"):
        rig.synced(Entity.PRODUCTS, PRODUCT, store_id=store_id)
        rig.synced(Entity.CUSTOMERS, CUSTOMER, store_id=store_id)
    rig.receive("shop/redact", {"shop_id": 954889, "shop_domain": "tokyo.myshopify.com"})
    rig.receive("orders/create", ORDER)
    assert rig.merge().redacted == 1
    for table in (shopify_customers, shopify_products, shopify_product_variants):
        assert rig.row(table)["store_id"] == "osaka"
    assert rig.rows(shopify_orders) == []


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("shop/redact", ORDER),
        ("shop/redact", REDACT),
        ("shop/redact", {"shop_domain": ""}),
        ("customers/redact", ORDER),
        ("customers/redact", REDACT | {"customer": None}),
        ("customers/redact", REDACT | {"orders_to_redact": "all"}),
        ("customers/redact", REDACT | {"orders_to_redact": [None]}),
    ],
)
def test_nothing_is_erased_for_a_body_that_does_not_ask_for_it(
    rig: Rig, topic: str, body: dict[str, Any]
) -> None:
    rig.synced(Entity.CUSTOMERS, FULL_CUSTOMER)
    rig.receive(topic, body)
    report = rig.merge()
    assert (report.redacted, len(report.problems)) == (0, 1)
    assert rig.row(shopify_customers)["email"] == "bob@example.com"


@pytest.mark.parametrize("topic", ["bulk_operations/finish", "orders/edited", "carts/create"])
def test_other_topics_are_merged_without_effect(rig: Rig, topic: str) -> None:
    rig.receive(topic, "whatever")
    report = rig.merge()
    assert (report.merged, report.without_effect, report.problems) == (1, 1, [])


def test_what_only_a_person_can_do_is_noted(rig: Rig) -> None:
    rig.receive("customers/data_request", REDACT)
    rig.receive("app/uninstalled", {"id": 1, "email": "shop@example.com"})
    requested, uninstalled = rig.merge().notes
    assert f"customer {CUSTOMER_ID} asks what is stored" in requested
    assert uninstalled.startswith("tokyo: app/uninstalled")
    assert "@" not in requested + uninstalled


def test_a_record_that_cannot_be_read_becomes_a_dead_letter(rig: Rig) -> None:
    webhook_id = rig.receive("orders/create", ORDER | {"total_price": 388.0})
    report = rig.merge()
    [letter] = rig.letters.open_letters()
    assert (letter.store_id, letter.entity, letter.record_id) == (
        "tokyo",
        Entity.ORDERS,
        str(ORDER_ID),
    )
    assert letter.payload["name"] == "#9999"
    assert rig.row(webhook_inbox)["problem"] == letter.reason
    assert report.problems == [f"tokyo: orders/create, webhook {webhook_id}: {letter.reason}"]
    assert report.merged == 0


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"orders"', "{} {}"])
@pytest.mark.parametrize("topic", ["orders/create", "orders/delete", "customers/redact"])
def test_what_is_no_json_object_is_given_up_with_the_reason(
    rig: Rig, topic: str, body: str
) -> None:
    rig.receive(topic, body)
    assert len(rig.merge().problems) == 1
    assert rig.row(webhook_inbox)["problem"] == "the payload is no object"


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/delete", {}),
        ("orders/delete", {"id": "x"}),
        ("customers/merge", {}),
        ("customers/merge", {"status": "completed"}),
        ("customers/data_request", {}),
    ],
)
def test_what_names_no_record_is_given_up(rig: Rig, topic: str, body: dict[str, Any]) -> None:
    rig.receive(topic, body)
    rig.receive("products/update", PRODUCT)
    report = rig.merge()
    assert (report.merged, report.saved, len(report.problems)) == (1, 1, 1)


class Crash(BaseException):
    """The process is lost."""


class CrashingInbox(WebhookInbox):
    """An inbox whose process is lost before it can mark anything."""

    def merged(self, ids: Any, *, problem: str | None = None) -> None:
        raise Crash


def test_after_a_crash_all_is_merged_again_with_the_same_result(rig: Rig) -> None:
    rig.synced(Entity.CUSTOMERS, FULL_CUSTOMER)
    rig.receive("orders/create", ORDER)
    rig.receive("orders/delete", {"id": ORDER_ID}, triggered_at=at(11))
    another: dict[str, Any] = ORDER | {"id": 1, "line_items": []}
    rig.receive("orders/create", another)
    crashing = CrashingInbox(rig.engine, rig.clock)
    merging = WebhookMerge(crashing, rig.store, rig.letters, rig.merging.exclusive, rig.clock)
    with pytest.raises(Crash):
        merging.merge()
    assert rig.inbox.pending_count() == 3
    saved = rig.rows(shopify_orders), rig.rows(shopify_order_items)
    assert len(saved[0]) == 2
    report = rig.merge()
    assert (report.merged, report.deleted) == (3, 0)
    assert (rig.rows(shopify_orders), rig.rows(shopify_order_items)) == saved


def test_one_that_cannot_be_stored_keeps_no_other_waiting(rig: Rig) -> None:
    rig.receive("customers/update", CUSTOMER)
    rig.receive("orders/create", ORDER)
    with rig.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE shopify_customers RENAME TO elsewhere")
    report = rig.merging.merge()
    assert (report.merged, len(report.errors)) == (1, 1)
    assert "bob@" not in report.errors[0]
    assert [webhook.webhook_id for webhook in rig.inbox.pending(10)] == ["w1"]
    with rig.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO shopify_customers")
    assert rig.merge().saved == 1


def test_each_mirror_is_changed_under_the_lock_of_its_sync(rig: Rig) -> None:
    rig.receive("orders/create", ORDER)
    rig.receive("products/create", PRODUCT, store_id="osaka")
    rig.receive("orders/delete", {"id": ORDER_ID})
    rig.receive("carts/create", {})
    rig.merge()
    assert rig.held == [["shopify/osaka/products"], ["shopify/tokyo/orders"]]


def test_the_oldest_are_merged_first_as_many_as_wanted(rig: Rig) -> None:
    for number in range(3):
        rig.receive("orders/create", ORDER | {"id": number + 1})
    assert rig.merging.merge(limit=2).merged == 2
    assert [row["id"] for row in rig.rows(shopify_orders)] == [1, 2]
    assert rig.merge().merged == 1


def test_merged_webhooks_are_emptied_and_forgotten_after_a_week(rig: Rig) -> None:
    rig.receive("orders/create", ORDER)
    rig.merge()
    assert rig.row(webhook_inbox)["body"] == ""
    rig.clock.advance(days=7)
    assert rig.merge().forgotten == 0
    rig.clock.advance(seconds=1)
    assert rig.merge().numbers()["forgotten"] == 1
    assert rig.rows(webhook_inbox) == []
