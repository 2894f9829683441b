"""What a run did to the mirror of one entity of one store."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.domain.shopify.mirror import Depth, Entity, Page, Transport, Window
from ecauto_pipeline.storage.shopify.mirror import Saved


@dataclass(slots=True)
class MirrorReport:
    """The counts of one run over one entity of one store."""

    store_id: str
    entity: Entity
    window: Window
    depth: Depth | None = None
    transport: Transport = Transport.GRAPHQL
    expected: int | None = None
    pages: int = 0
    read: int = 0
    created: int = 0
    changed: int = 0
    same: int = 0
    stale: int = 0
    children: int = 0
    bad: int = 0
    deleted: int = 0
    revived: int = 0
    source_count: int | None = None
    mirror_count: int | None = None
    watermark_at: datetime | None = None
    days: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    seconds: float = 0

    def count(self, page: Page, saved: Saved) -> None:
        """Count what came, and what became of it."""
        self.pages += 1
        self.read += len(page.records)
        self.bad += len(page.bad)
        # Partitions are days in Japan.
        days = Counter(record.updated_at.astimezone(JAPAN).date() for record in page.records)
        self.days.update({day.isoformat(): count for day, count in days.items()})
        self.created += saved.created
        self.changed += saved.changed
        self.same += saved.same
        self.stale += saved.stale
        self.children += saved.children

    def note(self, note: str) -> None:
        """Remember something that a person may want to know, once."""
        if note not in self.notes:
            self.notes.append(note)

    @property
    def agrees(self) -> bool | None:
        """Whether the mirror holds as many as the shop has; None when that was not counted."""
        if self.source_count is None or self.mirror_count is None:
            return None
        return self.source_count == self.mirror_count

    def numbers(self) -> dict[str, Any]:
        """The plain numbers, for the UI and `--json`; what is not known is left out."""
        shown = {
            "transport": str(self.transport),
            "depth": str(self.depth) if self.depth else None,
            "since": _text(self.window.since),
            "until": _text(self.window.until),
            "pages": self.pages,
            "read": self.read,
            "created": self.created,
            "changed": self.changed,
            "same": self.same,
            "stale": self.stale,
            "children": self.children,
            "bad": self.bad,
            "deleted": self.deleted,
            "revived": self.revived,
            "source_count": self.source_count,
            "mirror_count": self.mirror_count,
            "watermark_at": _text(self.watermark_at),
            "notes": self.notes,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
        }
        return {name: value for name, value in shown.items() if value is not None}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
