"""What a shop does not have any more: its events say so, and where counts differ all ids do."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecauto_pipeline.clients.shopify.client import ShopifyClient
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import (
    DEEP_OVERLAP,
    OVERLAP,
    RECONCILE_EVERY,
    Deletion,
    Depth,
    SyncState,
    Window,
    next_watermark,
    too_many_missing,
)
from ecauto_pipeline.errors import Rejected
from ecauto_pipeline.storage.shopify.dead_letters import DeadLetters
from ecauto_pipeline.storage.shopify.mirror import ShopifyStore
from ecauto_pipeline.storage.shopify.sync_states import SyncStates
from ecauto_pipeline.sync.shopify.report import MirrorReport


@dataclass(frozen=True, slots=True)
class Deletes:
    """Finds out what was deleted, and whether the mirror is complete, in one run over an entity.

    `visible` is what the shop shows us at all; a `trusted` listing may lack most of what there was.
    """

    store: ShopifyStore
    states: SyncStates
    letters: DeadLetters
    clock: Clock
    client: ShopifyClient
    state: SyncState
    started_at: datetime
    visible: Window
    trusted: bool

    def follow_events(self, report: MirrorReport) -> None:
        """Mark what the shop's events say was deleted since the mirror began."""
        known = self.state.deletes_until
        if known is None:
            return
        overlap = DEEP_OVERLAP if report.depth is Depth.DEEP else OVERLAP
        try:
            deletions = list(self.client.deletions(report.entity, known - overlap))
        except Rejected as error:
            report.note(f"the shop tells of no deletions ({error}): ids are compared instead")
            return
        self._mark(report, deletions)
        latest = max((each.deleted_at for each in deletions), default=None)
        until = next_watermark(known, self.started_at, latest)
        self.states.update(report.store_id, report.entity, deletes_until=until)

    def certify(self, report: MirrorReport) -> None:
        """Count both sides; where they differ, compare the ids and count once more."""
        try:
            self._count(report)
            if self._should_compare(report):
                self._compare_ids(report)
                self._count(report)
        except Rejected as error:
            report.note(f"the shop does not tell how many {report.entity} it has ({error})")
        self.states.update(
            report.store_id,
            report.entity,
            source_count=report.source_count,
            mirror_count=report.mirror_count,
            counted_at=self.clock.now(),
        )

    def _count(self, report: MirrorReport) -> None:
        """Records that could not be read count as mirrored: they wait as dead letters.

        Those that were created while we read are left to the next run.
        """
        store_id, entity, transport = report.store_id, report.entity, report.transport
        source = self.client.count(entity, self.visible, transport)
        since = self.visible.created_since
        mirrored = self.store.count(store_id, entity, created_since=since)
        mirrored += self.store.lacking(store_id, entity, self.letters.record_ids(store_id, entity))
        if source is not None and source > mirrored:
            new = self.client.count(entity, Window(created_since=self.started_at), transport)
            source = max(mirrored, source - (new or 0))
        report.source_count, report.mirror_count = source, mirrored

    def _should_compare(self, report: MirrorReport) -> bool:
        if report.agrees is not False:
            return False
        if (report.mirror_count or 0) > (report.source_count or 0):
            return True
        last = self.state.reconciled_at
        return last is None or self.started_at - last >= RECONCILE_EVERY

    def _compare_ids(self, report: MirrorReport) -> None:
        """Mark what the shop does not list, and bring back what it does."""
        store_id, entity = report.store_id, report.entity
        listed = _ids(self.client.ids(entity, report.transport))
        if len(listed) < (self.client.count(entity, Window(), report.transport) or 0):
            report.note("the shop's list of ids was not complete: nothing is concluded from it")
            return
        since = self.visible.created_since
        live = set(self.store.live_ids(store_id, entity, created_since=since))
        gone = live - listed
        if too_many_missing(len(gone), len(live)) and not self.trusted:
            report.problems.append(_not_believed(report, len(listed), len(gone), len(live)))
            return
        self._mark(report, [Deletion(id_, self.started_at) for id_ in sorted(gone)])
        if since is None:
            letters = self.letters.record_ids(store_id, entity)
            unlisted = [each for each in letters if each.isdecimal() and int(each) not in listed]
            self.letters.resolve(store_id, entity, unlisted)
        back = listed.intersection(self.store.ids_deleted(store_id, entity))
        report.revived += self.store.revive(store_id, entity, sorted(back))
        self.states.update(store_id, entity, reconciled_at=self.started_at)
        self._mend_holes(report, listed - live - back, max(live, default=0))

    def _mark(self, report: MirrorReport, deletions: Sequence[Deletion]) -> None:
        """Tombstones, also for what could never be read."""
        store_id, entity = report.store_id, report.entity
        report.deleted += self.store.tombstone(store_id, entity, deletions)
        self.letters.resolve(store_id, entity, [str(each.id) for each in deletions])

    def _mend_holes(self, report: MirrorReport, lacking: frozenset[int], newest_id: int) -> None:
        """What is older than the newest we have, and not here, was lost: read everything again."""
        holes = sum(id_ < newest_id for id_ in lacking)
        if holes:
            report.note(f"{holes} {report.entity} were missed: the next run reads everything")
            self.states.update(report.store_id, report.entity, full_at=None)


def _not_believed(report: MirrorReport, listed: int, gone: int, live: int) -> str:
    store_id, entity = report.store_id, report.entity
    return (
        f"{store_id}: the shop lists {listed} {entity} and lacks {gone} of the {live} that it had;"
        f" they are kept. If it is right: ecauto shopify sync --store {store_id}"
        f" --entity {entity} --full"
    )


def _ids(pages: Iterable[Iterable[int]]) -> frozenset[int]:
    """All ids; kept compactly until they are complete."""
    ids = array("q")
    for page in pages:
        ids.extend(page)
    return frozenset(ids)
