"""Saving all that a shop lists of an entity, and what that proves of the mirror."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ecauto_pipeline.domain.shopify.mirror import (
    Depth,
    Entity,
    Page,
    Transport,
    bulk_to_resume,
    next_watermark,
    pick_transport,
)
from ecauto_pipeline.errors import Rejected, Unavailable
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.shopify.run import MirrorRun

PASSES = 3
"""How often a listing that gave less than the shop counts is read again within a run."""

WITHHELD_FROM = 20
"""So many customers without any name, address or phone are no coincidence."""

_PERSONAL = ("email", "phone", "first_name", "last_name")


@dataclass(slots=True)
class Listing:
    """Reads what a run asks for by the `chosen` transport; None leaves that to us.

    `letters` are the records that could not be read before, `began_at` is when an operation was
    started that an earlier run may have begun, `ids` are the different records that came: None
    where the transport itself proves that all did.
    """

    run: MirrorRun
    progress: Progress
    chosen: Transport | None
    letters: set[str] = field(init=False)
    began_at: datetime | None = None
    newest: datetime | None = None
    ids: set[int] | None = None

    def __post_init__(self) -> None:
        report = self.run.report
        self.letters = set(self.run.letters.record_ids(report.store_id, report.entity))

    def read(self) -> None:
        """Save all pages; a listing that ends too early is read again."""
        run, report, window = self.run, self.run.report, self.run.report.window
        counted = self._count()
        report.transport = pick_transport(self.chosen, report.entity, counted)
        # The search for customers knows no upper bound, so their count says nothing about a window.
        bounded = window.until is not None and report.entity is Entity.CUSTOMERS
        report.expected = None if bounded else counted
        if report.transport is Transport.BULK:
            query = repr(window)

            def started(operation_id: str) -> None:
                run.remember(
                    bulk_operation_id=operation_id,
                    bulk_query=query,
                    bulk_started_at=run.clock.now(),
                )

            resume = bulk_to_resume(run.state, query, run.started_at)
            try:
                self._save(
                    run.client.bulk_pages(report.entity, window, resume=resume, started=started)
                )
            except (Unavailable, Rejected) as error:
                if self.chosen is Transport.BULK:
                    raise
                # What came of it is saved, but it proves nothing: the pages have to.
                report.note(f"read page by page, as the bulk operation failed: {error}")
                report.transport = Transport.GRAPHQL
            else:
                self.began_at = run.states.get(report.store_id, report.entity).bulk_started_at
                run.remember(bulk_operation_id=None, bulk_query=None)
                return
        self.ids = set()
        # Lists come from an index, in which a record may appear seconds after its change.
        for _ in range(PASSES):
            self._save(run.client.pages(report.entity, window, report.transport))
            if len(self.ids) >= (report.expected or 0):
                break

    def prove(self) -> None:
        """Move the watermark as far as the listing reaches, if all that the shop counted came."""
        run, report = self.run, self.run.report
        seen = None if self.ids is None else len(self.ids)
        if seen is not None and report.expected is not None and seen < report.expected:
            # Counted again, as what was deleted meanwhile cannot come.
            left = self._count()
            if left is None or seen < left:
                report.problems.append(
                    f"{report.store_id}: only {seen} of {report.expected} {report.entity} came;"
                    " they are kept, and the next run reads the same again"
                )
                return
        if report.depth is None:
            return
        # An operation that is taken up again knows nothing of what came after it began.
        asked_at = min(run.started_at, self.began_at or run.started_at)
        report.watermark_at = next_watermark(run.state.watermark_at, asked_at, self.newest)
        run.remember(
            watermark_at=report.watermark_at,
            synced_at=run.started_at,
            # What a first, complete listing lacks was never here: events are of use from then on.
            deletes_until=run.state.deletes_until or run.started_at,
            deep_at=run.started_at if report.depth is Depth.DEEP else run.state.deep_at,
            full_at=run.started_at if report.depth is Depth.FULL else run.state.full_at,
        )

    def _count(self) -> int | None:
        """How many records the listing should give; None when the shop does not tell."""
        report = self.run.report
        try:
            return self.run.client.count(report.entity, report.window, self.chosen)
        except Rejected as error:
            report.note(f"the shop does not tell how many {report.entity} there are ({error})")
            return None

    def _save(self, pages: Iterable[Page]) -> None:
        """Save the pages as they come, and put aside what cannot be read."""
        report, letters = self.run.report, self.run.letters
        store_id, entity = report.store_id, report.entity
        nameless = 0
        for page in pages:
            report.count(page, self.run.store.save(store_id, entity, page.records))
            letters.add(store_id, entity, page.bad)
            if self.letters:
                read = self.letters.intersection(str(record.id) for record in page.records)
                letters.resolve(store_id, entity, read)
            self.letters.update(bad.record_id for bad in page.bad)
            times = {record.updated_at for record in page.records}
            if self.newest is not None:
                times.add(self.newest)
            self.newest = max(times, default=None)
            if self.ids is not None:
                self.ids.update(record.id for record in page.records)
                self.ids.update(int(bad.record_id) for bad in page.bad if bad.has_id)
            if entity is Entity.CUSTOMERS:
                nameless += sum(
                    all(record.columns.get(name) is None for name in _PERSONAL)
                    for record in page.records
                )
            if page.withheld:
                names = ", ".join(sorted(page.withheld))
                report.note(
                    f"Shopify withholds {names}: what the mirror has of it is left as it is"
                )
            done = max(report.expected or 0, report.read)
            self.progress.advanced(f"{store_id} {entity}", report.read, done)
        if nameless >= WITHHELD_FROM and nameless == report.read:
            report.note("no customer has a name, an address or a phone: Shopify withholds them")
