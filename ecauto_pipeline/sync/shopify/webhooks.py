"""Merging webhooks into the mirrors: what shops told us between two syncs, which do not rely on it.

Shopify promises neither the order of deliveries nor that there is one. Of a record the newest
version is kept whichever comes first, and merging a webhook twice is merging it once.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any, cast

from ecauto_pipeline.clients.json_body import parsed
from ecauto_pipeline.clients.shopify.records import read_page
from ecauto_pipeline.clients.shopify.values import (
    Unreadable,
    id_from_gid,
    json_object,
    text,
    whole_id,
    word,
)
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import Deletion, Entity, Shape
from ecauto_pipeline.domain.shopify.webhook_topics import Effect, meaning
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox
from ecauto_pipeline.sync.shopify.mirror import Exclusive

LIMIT = 1_000
"""Webhooks that are merged at a time: some ten megabytes."""

KEPT_FOR = timedelta(days=7)
"""How long a merged webhook is remembered; Shopify repeats one for four hours."""


@dataclass(slots=True)
class WebhookReport:
    """What became of the webhooks that were pending.

    `notes` say what a person has to do, `problems` what was given up, `errors` what stays pending.
    """

    merged: int = 0
    saved: int = 0
    stale: int = 0
    deleted: int = 0
    redacted: int = 0
    without_effect: int = 0
    forgotten: int = 0
    notes: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    def numbers(self) -> dict[str, Any]:
        """The counts and sentences, for the UI and `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WebhookMerge:
    """Brings what was received into the mirrors."""

    inbox: WebhookInbox
    store: ShopifyStore
    letters: DeadLetters
    exclusive: Exclusive
    clock: Clock

    def merge(self, limit: int = LIMIT) -> WebhookReport:
        """Merge what is pending, the oldest first, taking turns with syncs of the same mirrors."""
        report = WebhookReport()
        pending = sorted(
            self.inbox.pending(limit), key=lambda each: (_mirrors(each), meaning(each.topic).effect)
        )
        for (store_id, _, entities), webhooks in groupby(pending, key=_mirrors):
            with ExitStack() as held:
                for entity in entities:
                    held.enter_context(self.exclusive(f"shopify/{store_id}/{entity}"))
                done = [each.webhook_id for each in webhooks if self._merge(each, report)]
                self.inbox.merged(done)
                report.merged += len(done)
        report.forgotten = self.inbox.forget_before(self.clock.now() - KEPT_FOR)
        return report

    def _merge(self, webhook: ReceivedWebhook, report: WebhookReport) -> bool:
        """Do what the webhook asks for; False, and a word why, where that cannot be done."""
        try:
            self._apply(webhook, report)
        except Unreadable as reason:
            self.inbox.merged([webhook.webhook_id], problem=str(reason))
            report.problems.append(_about(webhook, str(reason)))
            return False
        except Exception as error:  # noqa: BLE001 - one must not keep all others waiting
            # Only what it is: its message may hold what is personal.
            self.inbox.failed(webhook.webhook_id, type(error).__name__)
            report.errors.append(_about(webhook, type(error).__name__))
            return False
        return True

    def _apply(self, webhook: ReceivedWebhook, report: WebhookReport) -> None:
        """Do what the webhook asks for.

        Raises:
            Unreadable: it is not as Shopify describes it.
        """
        effect, store_id = meaning(webhook.topic).effect, webhook.store_id
        if effect is Effect.NOTHING:
            report.without_effect += 1
            return
        payload = json_object(parsed(webhook.body.encode()), "the payload")
        if effect is Effect.SAVE:
            # One by one: payloads of a record may differ in their fields, and a batch keeps the
            # newest. Customers' lack tags and consent since 2025-01: a column that a payload does
            # not have is left alone.
            [entity] = meaning(webhook.topic).entities
            page = read_page(entity, Shape.BODY, [payload])
            if page.bad:
                self.letters.add(store_id, entity, page.bad)
                raise Unreadable(page.bad[0].reason)
            saved = self.store.save(store_id, entity, page.records)
            report.saved += saved.created + saved.changed + saved.same
            report.stale += saved.stale
        elif effect is Effect.DELETE:
            self._tombstone(webhook, whole_id(payload.get("id")), report)
        elif effect is Effect.MERGE:
            # Shopify tells of attempts that fail, too.
            if word(payload.get("status"), "status") == "completed":
                name = "admin_graphql_api_customer_deleted_id"
                self._tombstone(webhook, id_from_gid(payload.get(name), name), report)
            else:
                report.without_effect += 1
        elif effect in {Effect.REDACT, Effect.FORGET_STORE}:
            self._forget(store_id, effect, payload)
            report.redacted += 1
        elif effect is Effect.UNINSTALLED:
            advice = "install the app again, or take the store out of ECAUTO_SHOPIFY__STORES"
            report.notes.append(_about(webhook, advice))
        else:
            customer = _customer_id(payload)
            demand = f"customer {customer} asks what is stored: answer within 30 days"
            report.notes.append(_about(webhook, demand))

    def _tombstone(self, webhook: ReceivedWebhook, gone: int, report: WebhookReport) -> None:
        [entity] = meaning(webhook.topic).entities
        # The payload names no time; when it was sent is the nearest to it.
        deletion = Deletion(gone, webhook.triggered_at or webhook.received_at)
        report.deleted += self.store.tombstone(webhook.store_id, entity, [deletion])

    def _forget(self, store_id: str, effect: Effect, payload: Mapping[str, Any]) -> None:
        # The topic is not signed, only the body: no other body that Shopify ever signed will do.
        if text(payload.get("shop_domain"), "shop_domain") is None:
            raise Unreadable("shop_domain is empty")
        if effect is Effect.FORGET_STORE:
            if "customer" in payload:
                raise Unreadable("customer is there, so this is not about all of the store")
            self.store.forget_store(store_id)
            return
        name = "orders_to_redact"
        orders: object = payload.get(name) or []
        if not isinstance(orders, list):
            raise Unreadable(f"{name} is no list")
        order_ids = [whole_id(each, name) for each in cast("list[object]", orders)]
        self.store.redact_customer(store_id, _customer_id(payload), order_ids)


def _mirrors(webhook: ReceivedWebhook) -> tuple[str, int, Sequence[Entity]]:
    """The mirrors that it changes; what concerns several comes after what concerns one of them."""
    entities = meaning(webhook.topic).entities
    return webhook.store_id, len(entities), entities


def _customer_id(payload: Mapping[str, Any]) -> int:
    return whole_id(json_object(payload.get("customer"), "customer").get("id"))


def _about(webhook: ReceivedWebhook, sentence: str) -> str:
    return f"{webhook.store_id}: {webhook.topic}, webhook {webhook.webhook_id}: {sentence}"
