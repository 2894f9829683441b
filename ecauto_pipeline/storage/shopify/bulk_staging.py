"""The lines of a bulk file, sorted by their parents on disk.

Since 2026-01 children need not follow their parent directly, and a file may be larger than memory.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

_TABLE = """
CREATE TABLE lines (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    parent_id TEXT,
    line BLOB NOT NULL
)
"""

_ORPHANS = """
SELECT count(*) FROM lines AS child
WHERE parent_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM lines AS parent WHERE parent.id = child.parent_id AND parent.parent_id IS NULL
)
"""


class BulkStaging:
    """A database in a file of its own, which lives as long as its folder."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Nobody needs the file after a crash.
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_TABLE)

    def add(self, lines: Iterable[tuple[str, str | None, bytes]]) -> None:
        """Put lines in, each with its own id and its parent's; to be called once."""
        # The indexes come last: made at once, they take a fraction of the time.
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO lines (id, parent_id, line) VALUES (?, ?, ?)", lines
        )
        self._connection.execute("CREATE INDEX by_parent ON lines (parent_id)")
        self._connection.execute("CREATE INDEX by_id ON lines (id)")
        self._connection.execute("COMMIT")

    def orphans(self) -> int:
        """How many lines name a parent that is not there."""
        return self._connection.execute(_ORPHANS).fetchone()[0]

    def families(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Every line without a parent, and its children, each in the order in which they came."""
        parents = self._connection.execute(
            "SELECT id, line FROM lines WHERE parent_id IS NULL ORDER BY position"
        )
        for id_, line in parents:
            children = self._connection.execute(
                "SELECT line FROM lines WHERE parent_id = ? ORDER BY position", (id_,)
            )
            yield line, [child for (child,) in children]

    def close(self) -> None:
        """Close the file, so that it can be removed."""
        self._connection.close()
