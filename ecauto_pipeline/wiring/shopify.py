"""Everything opened for the Shopify mirrors: stores, clients and flows, from the settings."""

from collections.abc import Sequence
from functools import cached_property, partial

from ecauto_pipeline.clients.http import open_http
from ecauto_pipeline.clients.shopify.api import ShopifyShop
from ecauto_pipeline.clients.shopify.client import ShopifyClient, open_shopify
from ecauto_pipeline.clients.shopify.tokens import ShopifyCredentials
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.settings.shopify import ShopifyStore as StoreSettings
from ecauto_pipeline.storage import locks
from ecauto_pipeline.storage.shopify.bulk_staging import BulkStaging
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.shopify.mirror import ShopifySync
from ecauto_pipeline.sync.shopify.replay import ReplayReport, replay
from ecauto_pipeline.sync.shopify.webhooks import WebhookMerge
from ecauto_pipeline.wiring.opened import Opened

FOLDER = "shopify"
"""Below the data folder: files of bulk operations, while they are read."""


class Mirrors:
    """What works with Shopify; its clients are closed with it."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._engine = opened.engine
        self._clients: list[ShopifyClient] = []
        self.clock = opened.clock
        self.settings = opened.settings

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def store_ids(self, only: str | None = None) -> list[str]:
        """The configured stores, or the one named.

        Raises:
            Misconfigured: there is no store of that id, or none at all.
        """
        known = [store.id for store in self.settings.shopify.stores]
        if only is None:
            return known
        if only not in known:
            ids = ", ".join(known) or "none is configured in ECAUTO_SHOPIFY__STORES"
            raise Misconfigured(f"--store {only}: there is no such store ({ids})")
        return [only]

    @cached_property
    def store(self) -> ShopifyStore:
        """The mirrors' rows."""
        return ShopifyStore(self._engine, self.clock)

    @cached_property
    def states(self) -> SyncStates:
        """How far the mirrors reach."""
        return SyncStates(self._engine, self.clock)

    @cached_property
    def letters(self) -> DeadLetters:
        """Records that could not be read."""
        return DeadLetters(self._engine, self.clock)

    @cached_property
    def inbox(self) -> WebhookInbox:
        """Webhooks that were received."""
        return WebhookInbox(self._engine, self.clock)

    @cached_property
    def sync(self) -> ShopifySync:
        """Mirrors stores."""
        return ShopifySync(
            store=self.store,
            states=self.states,
            letters=self.letters,
            client_for=self._client,
            transport_of=lambda store_id: self._settings_of(store_id).transport,
            exclusive=partial(locks.exclusive, self._engine),
            clock=self.clock,
        )

    @cached_property
    def webhooks(self) -> WebhookMerge:
        """Brings received webhooks into the mirrors."""
        return WebhookMerge(
            inbox=self.inbox,
            store=self.store,
            letters=self.letters,
            exclusive=partial(locks.exclusive, self._engine),
            clock=self.clock,
        )

    def replay(self, ids: Sequence[int], store_id: str | None = None) -> ReplayReport:
        """Read dead letters again: those of these ids, else all of the store, or of all."""
        chosen = self.letters.get(ids) if ids else self.letters.open_letters(store_id)
        return replay(self.letters, self.store, chosen)

    def _client(self, store_id: str, progress: Progress) -> ShopifyClient:
        """A client of the store for one run, which hears of its waits."""
        store = self._settings_of(store_id)
        client = open_shopify(
            open_http(self.settings.shopify.timeout.total_seconds()),
            ShopifyShop(store_id, store.address, store.api_version),
            lambda: self._credentials(store_id),
            self._opened.rate_buckets,
            self.clock,
            folder=self.settings.data_dir / FOLDER,
            stage=BulkStaging,
            redactor=self._opened.redactor,
            on_wait=progress.waiting,
        )
        self._clients.append(client)
        return client

    def _credentials(self, store_id: str) -> ShopifyCredentials:
        """Read again each time: they may have been changed since."""
        store = _named(self._opened.settings_now(), store_id)
        return ShopifyCredentials(
            store.access_token.get_secret_value(),
            store.client_id,
            store.client_secret.get_secret_value(),
        )

    def _settings_of(self, store_id: str) -> StoreSettings:
        return _named(self.settings, store_id)


def _named(settings: Settings, store_id: str) -> StoreSettings:
    """The store of that id, which may have been configured when its partitions were made."""
    for store in settings.shopify.stores:
        if store.id == store_id:
            return store
    raise Misconfigured(f"ECAUTO_SHOPIFY__STORES: {store_id} is not there any more")
