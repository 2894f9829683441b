"""Mirroring a Shopify store: read what changed, save it, move the watermark to what is proven."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ecauto_pipeline.clients.shopify.client import ShopifyClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import (
    EVERYTHING,
    RECENT_ORDERS,
    Depth,
    Entity,
    Page,
    SyncState,
    Transport,
    Window,
    depth_of,
    increment,
    next_watermark,
    pick_transport,
)
from ecauto_pipeline.errors import EcautoError, Misconfigured, Rejected, Unavailable
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.shopify.deletes import Deletes
from ecauto_pipeline.sync.shopify.report import MirrorReport, newest

PASSES = 3
"""How often a listing that gave less than the shop counts is read again within a run."""

RESUME_WITHIN = timedelta(days=1)
"""An older bulk operation is not waited for: what it tells is too old."""

WITHHELD_FROM = 20
"""So many customers without any name, address or phone are no coincidence."""

ALL_ORDERS = "read_all_orders"

_PERSONAL = ("email", "phone", "first_name", "last_name")

Exclusive = Callable[[str], AbstractContextManager[None]]


class Mode(StrEnum):
    """What a run is for."""

    INCREMENT = "increment"
    """Whatever changed since the watermark."""
    WINDOW = "window"
    """Whatever changed in certain days; the watermark stays."""
    FULL = "full"
    """Everything."""


@dataclass(slots=True)
class _Listing:
    """What a listing has proven so far.

    `letters` are the records that could not be read before, `began_at` is when an operation was
    started that an earlier run may have begun.
    """

    letters: set[str]
    began_at: datetime | None = None
    newest: datetime | None = None
    ids: set[int] | None = None

    @property
    def seen(self) -> int | None:
        """How many different records came; None where the transport itself proves that all did."""
        return None if self.ids is None else len(self.ids)


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
        with self.exclusive(f"shopify/{store_id}/{entity}"):
            started_at = self.clock.now()
            try:
                report = self._sync(store_id, entity, progress, mode, window)
            except EcautoError as error:
                self.states.update(store_id, entity, problem=str(error))
                raise
            report.seconds = (self.clock.now() - started_at).total_seconds()
            return report

    def _sync(
        self,
        store_id: str,
        entity: Entity,
        progress: Progress,
        mode: Mode,
        window: Window | None,
    ) -> MirrorReport:
        state = self.states.get(store_id, entity)
        client = self.client_for(store_id, progress)
        report = self._begin(state, mode, window)
        scopes = _scopes(client, report)
        started_at = self.clock.now()
        listing = self._read(client, report, progress)
        if self._is_complete(client, report, listing):
            self._move_watermark(state, report, started_at, listing)
        deletes = Deletes(
            self.store,
            self.states,
            self.letters,
            self.clock,
            client,
            state,
            started_at,
            visible=_visible(entity, scopes, started_at),
            trusted=mode is Mode.FULL,
        )
        deletes.follow_events(report)
        deletes.certify(report)
        self.states.update(store_id, entity, problem="; ".join(report.problems) or None)
        return report

    def _begin(self, state: SyncState, mode: Mode, window: Window | None) -> MirrorReport:
        if mode is Mode.WINDOW:
            return MirrorReport(state.store_id, state.entity, window or Window())
        depth = Depth.FULL if mode is Mode.FULL else depth_of(state, self.clock.now())
        return MirrorReport(state.store_id, state.entity, increment(state, depth), depth)

    def _read(self, client: ShopifyClient, report: MirrorReport, progress: Progress) -> _Listing:
        """Save all pages; a listing that ends too early is read again."""
        chosen = self.transport_of(report.store_id)
        counted = _count(client, report, chosen)
        report.transport = pick_transport(chosen, report.entity, counted)
        # The search for customers knows no upper bound, so their count says nothing about a window.
        bounded = report.window.until is not None and report.entity is Entity.CUSTOMERS
        report.expected = None if bounded else counted
        if report.transport is Transport.BULK:
            try:
                return self._save_bulk(client, report, progress)
            except (Unavailable, Rejected) as error:
                if chosen is Transport.BULK:
                    raise
                report.note(f"read page by page, as the bulk operation failed: {error}")
                report.transport = Transport.GRAPHQL
        letters = set(self.letters.record_ids(report.store_id, report.entity))
        listing = _Listing(letters, ids=set())
        for _ in range(PASSES):
            pages = client.pages(report.entity, report.window, report.transport)
            self._save_all(pages, report, listing, progress)
            if (listing.seen or 0) >= (report.expected or 0):
                break
        return listing

    def _save_bulk(
        self, client: ShopifyClient, report: MirrorReport, progress: Progress
    ) -> _Listing:
        """Save what a bulk operation gives; one that an earlier run began is waited for."""
        state = self.states.get(report.store_id, report.entity)
        query = repr(report.window)
        began = state.bulk_started_at
        usable = began is not None and self.clock.now() - began < RESUME_WITHIN
        resume = state.bulk_operation_id if usable and state.bulk_query == query else None

        def started(operation_id: str) -> None:
            self.states.update(
                report.store_id,
                report.entity,
                bulk_operation_id=operation_id,
                bulk_query=query,
                bulk_started_at=self.clock.now(),
            )

        listing = _Listing(set(self.letters.record_ids(report.store_id, report.entity)))
        pages = client.bulk_pages(report.entity, report.window, resume=resume, started=started)
        self._save_all(pages, report, listing, progress)
        listing.began_at = self.states.get(report.store_id, report.entity).bulk_started_at
        self.states.update(report.store_id, report.entity, bulk_operation_id=None, bulk_query=None)
        return listing

    def _save_all(
        self,
        pages: Iterator[Page],
        report: MirrorReport,
        listing: _Listing,
        progress: Progress,
    ) -> None:
        nameless = 0
        for page in pages:
            self._save(page, report, listing)
            listing.newest = newest(page.records, listing.newest)
            if listing.ids is not None:
                listing.ids.update(record.id for record in page.records)
                listing.ids.update(int(bad.record_id) for bad in page.bad if bad.has_id)
            nameless += _nameless(report.entity, page)
            what = f"{report.store_id} {report.entity}"
            progress.advanced(what, report.read, max(report.expected or 0, report.read))
        if nameless >= WITHHELD_FROM and nameless == report.read:
            report.note("no customer has a name, an address or a phone: Shopify withholds them")

    def _save(self, page: Page, report: MirrorReport, listing: _Listing) -> None:
        report.count(page)
        if page.withheld:
            names = ", ".join(sorted(page.withheld))
            report.note(f"Shopify withholds {names}: what the mirror has of it is left as it is")
        saved = self.store.save(report.store_id, report.entity, page.records)
        report.created += saved.created
        report.changed += saved.changed
        report.same += saved.same
        report.stale += saved.stale
        report.children += saved.children
        self.letters.add(report.store_id, report.entity, page.bad)
        if listing.letters:
            read = [str(record.id) for record in page.records]
            self.letters.resolve(report.store_id, report.entity, listing.letters.intersection(read))
        listing.letters.update(bad.record_id for bad in page.bad)

    def _is_complete(self, client: ShopifyClient, report: MirrorReport, listing: _Listing) -> bool:
        """Whether all that the shop counted came; what was deleted meanwhile cannot."""
        if listing.seen is None or report.expected is None or listing.seen >= report.expected:
            return True
        chosen = self.transport_of(report.store_id)
        left = _count(client, report, chosen)
        if left is not None and listing.seen >= left:
            return True
        report.problems.append(
            f"{report.store_id}: only {listing.seen} of {report.expected} {report.entity} came;"
            " they are kept, and the next run reads the same again"
        )
        return False

    def _move_watermark(
        self, state: SyncState, report: MirrorReport, started_at: datetime, listing: _Listing
    ) -> None:
        if report.depth is None:
            return
        asked_at = min(started_at, listing.began_at or started_at)
        moved = next_watermark(state.watermark_at, asked_at, listing.newest)
        changes: dict[str, Any] = {"watermark_at": moved, "synced_at": started_at}
        if state.deletes_until is None:
            changes["deletes_until"] = started_at
        if report.depth is Depth.DEEP:
            changes["deep_at"] = started_at
        if report.depth is Depth.FULL:
            changes["full_at"] = started_at
        self.states.update(report.store_id, report.entity, **changes)
        report.watermark_at = moved


def _scopes(client: ShopifyClient, report: MirrorReport) -> frozenset[str]:
    """What the token may see; what is missing that only makes a mirror smaller is noted.

    Raises:
        Misconfigured: it may not see the entity at all.
    """
    entity = report.entity
    try:
        scopes = client.scopes()
    except Rejected as error:
        report.note(f"the shop does not tell what the token may see ({error})")
        return frozenset()
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
    return scopes


def _count(client: ShopifyClient, report: MirrorReport, chosen: Transport | None) -> int | None:
    """How many records the listing should give; None when the shop does not tell."""
    try:
        return client.count(report.entity, report.window, chosen)
    except Rejected as error:
        report.note(f"the shop does not tell how many {report.entity} there are ({error})")
        return None


def _visible(entity: Entity, scopes: frozenset[str], now: datetime) -> Window:
    """What the shop shows us at all."""
    if entity is Entity.ORDERS and ALL_ORDERS not in scopes:
        return Window(created_since=now - RECENT_ORDERS)
    return EVERYTHING


def _nameless(entity: Entity, page: Page) -> int:
    """How many customers came without anything personal."""
    if entity is not Entity.CUSTOMERS:
        return 0
    return sum(
        all(record.columns.get(name) is None for name in _PERSONAL) for record in page.records
    )
