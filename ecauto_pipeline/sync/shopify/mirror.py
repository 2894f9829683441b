"""Mirroring a Shopify store: read what changed, save it, move the watermark to what is proven."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

from ecauto_pipeline.clients.shopify.client import ShopifyClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import (
    EVERYTHING,
    RECENT_ORDERS,
    Depth,
    Entity,
    Transport,
    Window,
    depth_of,
    increment,
)
from ecauto_pipeline.errors import EcautoError, Misconfigured, Rejected
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.shopify.deletes import Deletes
from ecauto_pipeline.sync.shopify.listing import Listing
from ecauto_pipeline.sync.shopify.report import MirrorReport
from ecauto_pipeline.sync.shopify.run import MirrorRun

ALL_ORDERS = "read_all_orders"
"""The scope without which Shopify shows the orders of the last 60 days, see `RECENT_ORDERS`."""

Exclusive = Callable[[str], AbstractContextManager[None]]


class Mode(StrEnum):
    """What a run is for."""

    INCREMENT = "increment"
    """Whatever changed since the watermark."""
    WINDOW = "window"
    """Whatever changed in certain days; the watermark stays."""
    FULL = "full"
    """Everything."""


@dataclass(frozen=True, slots=True)
class ShopifySync:
    """All that is needed to mirror stores; `transport_of` gives what a store is set to."""

    store: ShopifyStore
    states: SyncStates
    letters: DeadLetters
    client_for: Callable[[str, Progress], ShopifyClient]
    transport_of: Callable[[str], Transport | None]
    exclusive: Exclusive
    clock: Clock

    def sync(
        self,
        store_id: str,
        entity: Entity,
        progress: Progress,
        mode: Mode = Mode.INCREMENT,
        window: Window | None = None,
    ) -> MirrorReport:
        """Bring the mirror up to date; two runs over the same entity of a store take turns.

        Raises:
            CredentialsRejected: the shop does not accept the token, or a scope is missing.
            AccountStopped: the shop is frozen or locked.
            Unavailable: the shop gives no usable answers; what came before is kept.
        """
        # By this name webhooks of the entity take their turns, too.
        with self.exclusive(f"shopify/{store_id}/{entity}"):
            started_at = self.clock.now()
            state = self.states.get(store_id, entity)
            if mode is Mode.WINDOW:
                report = MirrorReport(store_id, entity, window or EVERYTHING)
            else:
                depth = Depth.FULL if mode is Mode.FULL else depth_of(state, started_at)
                report = MirrorReport(store_id, entity, increment(state, depth), depth)
            try:
                client = self.client_for(store_id, progress)
                run = MirrorRun(
                    client,
                    self.store,
                    self.states,
                    self.letters,
                    self.clock,
                    started_at,
                    state,
                    report,
                )
                visible = _visible(run)
                listing = Listing(run, progress, self.transport_of(store_id))
                listing.read()
                listing.prove()
                deletes = Deletes(run, visible, trusted=mode is Mode.FULL)
                deletes.follow_events()
                deletes.certify()
            except EcautoError as error:
                self.states.update(store_id, entity, problem=str(error))
                raise
            run.remember(problem="; ".join(report.problems) or None)
            report.seconds = (self.clock.now() - started_at).total_seconds()
            return report


def _visible(run: MirrorRun) -> Window:
    """What the shop shows us at all; what makes a mirror smaller than the shop is noted.

    Raises:
        Misconfigured: the token may not see the entity at all.
    """
    report, entity = run.report, run.report.entity
    recent = Window(created_since=run.started_at - RECENT_ORDERS)
    at_least = recent if entity is Entity.ORDERS else EVERYTHING
    try:
        scopes = run.client.scopes()
    except Rejected as error:
        report.note(f"the shop does not tell what the token may see ({error})")
        return at_least
    if not scopes & {f"read_{entity}", f"write_{entity}"}:
        raise Misconfigured(
            f"ECAUTO_SHOPIFY__STORES: the token of {report.store_id} lacks the scope"
            f" read_{entity}: grant it to the app in Shopify's admin"
        )
    if entity is Entity.ORDERS and ALL_ORDERS not in scopes:
        report.note(
            f"the token lacks the scope {ALL_ORDERS}: Shopify shows the orders of the last 60 days"
            " only"
        )
        return at_least
    return EVERYTHING
