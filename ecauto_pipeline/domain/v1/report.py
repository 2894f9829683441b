"""What a take-over found, and what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_EXAMPLES = 5
"""Rows named per reason in the report for people; the one for programs names all."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A row, named by its key, and what is to be said about it."""

    row: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.row} ({self.detail})" if self.detail else self.row


@dataclass(slots=True)
class TableReport:
    """One table: `found` is the sum of added, already here and left out.

    `made` counts rows that were not in v1.0, but without which others could not be kept.
    """

    found: int = 0
    added: int = 0
    already_here: int = 0
    made: int = 0
    changed: list[Remark] = field(default_factory=list[Remark])
    left_out: list[Remark] = field(default_factory=list[Remark])

    def add(self, row: object, changes: Iterable[str] = ()) -> None:
        """Count a row as added, and name what was changed in it."""
        self.added += 1
        self.changed.extend(Remark(str(row), change) for change in changes)

    def leave_out(self, row: object, reason: str, detail: str = "") -> None:
        """Name a row that could not be kept."""
        self.left_out.append(Remark(str(row), reason, detail))


@dataclass(slots=True)
class ImportReport:
    """A take-over; of a dry run: what it would do."""

    source: str
    dry_run: bool
    tables: dict[str, TableReport] = field(default_factory=dict[str, TableReport])
    pricing: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list[str])

    @property
    def complete(self) -> bool:
        """Whether every row of v1.0 is here now."""
        return not any(table.left_out for table in self.tables.values())

    def table(self, name: str) -> TableReport:
        """The part about one table."""
        return self.tables.setdefault(name, TableReport())

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return asdict(self) | {"complete": self.complete}

    def lines(self) -> list[str]:
        """Everything in plain words, with some examples of what was changed or left out."""
        lines = [f"v1.0 at {self.source}" + (" (dry run: nothing written)" if self.dry_run else "")]
        for name, table in self.tables.items():
            lines += _table_lines(name, table)
        if self.pricing:
            lines.append(f"pricing: {', '.join(f'{k} {v}' for k, v in self.pricing.items())}")
        return lines + self.notes


def _table_lines(name: str, table: TableReport) -> list[str]:
    counts = f"{table.found} found, {table.added} added, {table.already_here} already here"
    if table.made:
        counts += f", {table.made} made"
    return [
        f"{name}: {counts}, {len(table.left_out)} left out",
        *_grouped("changed", table.changed),
        *_grouped("left out", table.left_out),
    ]


def _grouped(word: str, remarks: Sequence[Remark]) -> list[str]:
    groups: dict[str, list[Remark]] = {}
    for remark in remarks:
        groups.setdefault(remark.reason, []).append(remark)
    return [
        f"  {word} {len(group)}: {reason}: {', '.join(map(str, group[:_EXAMPLES]))}"
        + (", ..." if len(group) > _EXAMPLES else "")
        for reason, group in groups.items()
    ]
