"""The lists of one kind of record of a Shopify store: sorted, filtered, and behind the records.

What a list says comes from an index that may lag behind; the records in it are always fresh.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from ecauto_pipeline.sandbox.shopify.records import STRIDE, Mint, Record, id_of

KEPT = 100_000
"""Records of larger stores are made anew each time they are asked for, to spare the memory."""
LAST_ID = 10**16

Position = tuple[int, int]
"""Where a record stands in a list: the value that it is sorted by, and its id."""


class Sort(StrEnum):
    """What a list is sorted by; the order of creation is that of the ids."""

    ID = "id"
    CREATED = "created_at"
    UPDATED = "updated_at"


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included; None leaves that end open."""

    low: int | None = None
    high: int | None = None

    def holds(self, value: int) -> bool:
        """Whether a value lies in it."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def within(self, other: "Range") -> "Range":
        """What lies in both."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Range(max(lows, default=None), min(highs, default=None))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records a list is asked for."""

    updated: Range = Range()
    created: Range = Range()
    ids: Range = Range()
    only: frozenset[int] | None = None
    matches: Callable[[Record], bool] | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that is asked for: what, in which order, behind which position, how many."""

    wanted: Wanted = EVERYTHING
    sort: Sort = Sort.ID
    descending: bool = False
    after: Position | None = None
    size: int = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list: records with their positions, and whether more follow."""

    rows: list[tuple[Position, Record]] = field(default_factory=list[tuple[Position, Record]])
    more: bool = False


class Shelf:
    """All records of one kind, and the index of their lists."""

    def __init__(self, entity: str, mint: Mint) -> None:
        self._entity = entity
        self._mint = mint
        self._count = mint.counts[entity]
        self._created_later = 0
        self._changed: dict[int, Record | None] = {}
        self._kept: dict[int, Record] = {}
        self._ids = [id_of(entity, number) for number in range(self._count)]
        self._moved: dict[int, int] = {}
        self._by_update: list[Position] | None = None
        self._due: list[tuple[float, int, int | None]] = []

    def record(self, record_id: int) -> Record | None:
        """A record as it is now."""
        if record_id in self._changed:
            return self._changed[record_id]
        if record_id in self._kept:
            return self._kept[record_id]
        number = self._number(record_id)
        if number is None:
            return None
        record = self._mint.make(self._entity, number)
        if self._count <= KEPT:
            self._kept[record_id] = record
        return record

    def fresh(self) -> Record:
        """A record that is not there yet, to be changed and put."""
        number = self._count + self._created_later
        self._created_later += 1
        return self._mint.make(self._entity, number)

    def put(self, record: Record, due: float) -> None:
        """Keep a new or changed record; the lists learn of it when it is due."""
        self._changed[record["id"]] = record
        self._due.append((due, record["id"], record["updated_at"]))

    def remove(self, record_id: int, due: float) -> None:
        """Forget a record; the lists learn of it when it is due."""
        self._changed[record_id] = None
        self._due.append((due, record_id, None))

    def settle(self, now: float) -> None:
        """Let the lists learn of what is due."""
        if not self._due:
            return
        ready = sorted((due for due in self._due if due[0] <= now), key=lambda due: due[0])
        self._due = [due for due in self._due if due[0] > now]
        by_update = self._updates()
        for _, record_id, updated in ready:
            place = bisect_left(self._ids, record_id)
            known = place < len(self._ids) and self._ids[place] == record_id
            if known:
                old = bisect_left(by_update, (self._updated(record_id), record_id))
                # Found by what the index knew until now, not by what the record says.
                del by_update[old]
            if updated is not None:
                self._moved[record_id] = updated
                insort(by_update, (updated, record_id))
            if known and updated is None:
                del self._ids[place]
            elif updated is not None and not known:
                self._ids.insert(place, record_id)

    def ids(self) -> list[int]:
        """The ids of all records as they are now, in order."""
        alive = {record_id for record_id, record in self._changed.items() if record is not None}
        made = (each for each in self._ids if each not in self._changed)
        return sorted(alive.union(made)) if self._changed else list(self._ids)

    def page(self, asked: Asked) -> Listed:
        """A page of the list."""
        rows: list[tuple[Position, Record]] = []
        for position in self._walk(asked):
            record = self._listed(position[1], asked.wanted)
            if record is None:
                continue
            if len(rows) == asked.size:
                return Listed(rows, more=True)
            rows.append((position, record))
        return Listed(rows)

    def count(self, wanted: Wanted, most: int | None = None) -> int:
        """How many records of the list are wanted, as far as `most`."""
        if wanted == EVERYTHING:
            return len(self._ids) if most is None else min(most, len(self._ids))
        number = 0
        for position in self._walk(Asked(wanted, Sort.UPDATED)):
            number += self._listed(position[1], wanted) is not None
            if number == most:
                break
        return number

    def _number(self, record_id: int) -> int | None:
        number, rest = divmod(record_id - id_of(self._entity, 0), STRIDE)
        return number if rest == 0 and 0 <= number < self._count else None

    def _listed(self, record_id: int, wanted: Wanted) -> Record | None:
        """The record, if it is wanted; its place in the index decided about `updated` already."""
        if not wanted.ids.holds(record_id):
            return None
        if wanted.only is not None and record_id not in wanted.only:
            return None
        record = self.record(record_id)
        if record is None or not wanted.created.holds(record["created_at"]):
            return None
        return record if wanted.matches is None or wanted.matches(record) else None

    def _walk(self, asked: Asked) -> Iterator[Position]:
        """The positions in order, behind the one given, within the bounds of `updated`."""
        if asked.sort is Sort.UPDATED:
            yield from self._walk_updated(asked)
            return
        low, high = 0, len(self._ids)
        if asked.wanted.ids.low is not None:
            low = bisect_left(self._ids, asked.wanted.ids.low)
        if asked.after is not None and asked.descending:
            high = bisect_left(self._ids, asked.after[1])
        elif asked.after is not None:
            low = max(low, bisect_right(self._ids, asked.after[1]))
        # In this order only each record itself tells when it was changed.
        any_time = asked.wanted.updated == Range()
        for place in _places(low, high, descending=asked.descending):
            record_id = self._ids[place]
            if any_time or asked.wanted.updated.holds(self._updated(record_id)):
                yield record_id, record_id

    def _walk_updated(self, asked: Asked) -> Iterator[Position]:
        listed, bounds = self._updates(), asked.wanted.updated
        # An id of 0 stands before all records of that second, LAST_ID behind them.
        low = 0 if bounds.low is None else bisect_left(listed, (bounds.low, 0))
        high = len(listed)
        if bounds.high is not None:
            high = bisect_right(listed, (bounds.high, LAST_ID))
        if asked.after is not None and asked.descending:
            high = min(high, bisect_left(listed, asked.after))
        elif asked.after is not None:
            low = max(low, bisect_right(listed, asked.after))
        for place in _places(low, high, descending=asked.descending):
            yield listed[place]

    def _updates(self) -> list[Position]:
        if self._by_update is None:
            self._by_update = sorted((self._updated(each), each) for each in self._ids)
        return self._by_update

    def _updated(self, record_id: int) -> int:
        moved = self._moved.get(record_id)
        if moved is not None:
            return moved
        number = self._number(record_id)
        return self._mint.updated(self._entity, number) if number is not None else 0


def _places(low: int, high: int, *, descending: bool) -> range:
    return range(high - 1, low - 1, -1) if descending else range(low, high)
