"""What a shop does not have any more: its events say so, and where counts differ all ids do."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from ecauto_pipeline.domain.shopify.mirror import (
    DEEP_OVERLAP,
    EVERYTHING,
    OVERLAP,
    RECONCILE_EVERY,
    Deletion,
    Depth,
    Window,
    next_watermark,
    too_many_missing,
)
from ecauto_pipeline.errors import Rejected
from ecauto_pipeline.sync.shopify.run import MirrorRun


@dataclass(frozen=True, slots=True)
class Deletes:
    """Finds out what was deleted, and whether the mirror is complete.

    `visible` is what the shop shows us at all; a `trusted` listing may lack most of what there was.
    """

    run: MirrorRun
    visible: Window
    trusted: bool

    def follow_events(self) -> None:
        """Mark what the shop's events say was deleted since the mirror began."""
        run, report = self.run, self.run.report
        known = run.state.deletes_until
        if known is None:
            return
        overlap = DEEP_OVERLAP if report.depth is Depth.DEEP else OVERLAP
        try:
            # All of them first: of a shop that refuses half-way nothing is known.
            deletions = list(run.client.deletions(report.entity, known - overlap))
        except Rejected as error:
            report.note(f"the shop tells of no deletions ({error}): ids are compared instead")
            return
        self._mark(deletions)
        latest = max((each.deleted_at for each in deletions), default=None)
        run.remember(deletes_until=next_watermark(known, run.started_at, latest))

    def certify(self) -> None:
        """Count both sides; where they differ, compare the ids and count once more.

        That the mirror has too many is wrong at once; that it lacks some may mend itself.
        """
        run, report = self.run, self.run.report
        try:
            self._count()
            surplus = (report.mirror_count or 0) > (report.source_count or 0)
            last = run.state.reconciled_at
            due = last is None or run.started_at - last >= RECONCILE_EVERY
            if report.agrees is False and (surplus or due):
                self._compare_ids()
                self._count()
        except Rejected as error:
            report.note(f"the shop does not tell how many {report.entity} it has ({error})")
        run.remember(
            source_count=report.source_count,
            mirror_count=report.mirror_count,
            counted_at=run.clock.now(),
        )

    def _count(self) -> None:
        """Records that could not be read count as mirrored: they wait as dead letters.

        Those that were created while we read are left to the next run.
        """
        run, report = self.run, self.run.report
        store_id, entity, transport = report.store_id, report.entity, report.transport
        source = run.client.count(entity, self.visible, transport)
        since = self.visible.created_since
        mirrored = run.store.count(store_id, entity, created_since=since)
        mirrored += run.store.lacking(store_id, entity, run.letters.record_ids(store_id, entity))
        if source is not None and source > mirrored:
            new = run.client.count(entity, Window(created_since=run.started_at), transport)
            source = max(mirrored, source - (new or 0))
        report.source_count, report.mirror_count = source, mirrored

    def _compare_ids(self) -> None:
        """Mark what the shop does not list, and bring back what it does."""
        run, report = self.run, self.run.report
        store_id, entity = report.store_id, report.entity
        ids = array("q")  # eight bytes each until they are complete
        for page in run.client.ids(entity, report.transport):
            ids.extend(page)
        listed = frozenset(ids)
        # A page that came empty by mistake would be taken for deletions.
        if len(listed) < (run.client.count(entity, EVERYTHING, report.transport) or 0):
            report.note("the shop's list of ids was not complete: nothing is concluded from it")
            return
        since = self.visible.created_since
        live = set(run.store.live_ids(store_id, entity, created_since=since))
        gone = live - listed
        if too_many_missing(len(gone), len(live)) and not self.trusted:
            report.problems.append(
                f"{store_id}: the shop lists {len(listed)} {entity} and lacks {len(gone)} of the"
                f" {len(live)} that it had; they are kept. If it is right: ecauto shopify sync"
                f" --store {store_id} --entity {entity} --full"
            )
            return
        self._mark([Deletion(id_, run.started_at) for id_ in sorted(gone)])
        if since is None:  # else an old order that is not shown may still be there
            letters = run.letters.record_ids(store_id, entity)
            unlisted = [each for each in letters if each.isdecimal() and int(each) not in listed]
            run.letters.resolve(store_id, entity, unlisted)
        back = listed.intersection(run.store.ids_deleted(store_id, entity))
        report.revived += run.store.revive(store_id, entity, sorted(back))
        run.remember(reconciled_at=run.started_at)
        # What is older than the newest we have, and not here, was lost; newer ones are still new.
        newest = max(live, default=0)
        if holes := sum(id_ < newest for id_ in listed - live - back):
            report.note(f"{holes} {entity} were missed: the next run reads everything")
            run.remember(full_at=None)

    def _mark(self, deletions: Sequence[Deletion]) -> None:
        """Tombstones, also for what could never be read."""
        run, report = self.run, self.run.report
        store_id, entity = report.store_id, report.entity
        report.deleted += run.store.tombstone(store_id, entity, deletions)
        run.letters.resolve(store_id, entity, [str(each.id) for each in deletions])
