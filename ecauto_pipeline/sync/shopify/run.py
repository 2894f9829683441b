"""One run over one entity of a store: what its steps work with, and what they have done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecauto_pipeline.clients.shopify.client import ShopifyClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import SyncState
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.sync.shopify.report import MirrorReport


@dataclass(frozen=True, slots=True)
class MirrorRun:
    """The shop on one side, the mirror on the other; `state` is what was proven before."""

    client: ShopifyClient
    store: ShopifyStore
    states: SyncStates
    letters: DeadLetters
    clock: Clock
    started_at: datetime
    state: SyncState
    report: MirrorReport

    def remember(self, **changes: Any) -> None:
        """Set these columns of the mirror's state."""
        self.states.update(self.report.store_id, self.report.entity, **changes)
