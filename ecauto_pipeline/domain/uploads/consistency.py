"""Where listings, queue and shop disagree, and what may safely be done about it.

A mend changes our own rows only, never the shop, and carries the rows as they were seen: whoever
carries it out leaves alone what has changed since. Without the shop, things are found but nothing
is mended.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ecauto_pipeline.domain.shops.changes import Item
from ecauto_pipeline.domain.shops.visibility import Visibility
from ecauto_pipeline.domain.uploads.rules import LIVE, QueueStatus, asin_of_identifier

MIN_LISTED = 5
"""With more listings than this, a shop that shows none of them is not believed."""

NOT_ON_SHOP = "not on the shop"
FOUND_ON_SHOP = "found on the shop"


class FindingKind(StrEnum):
    """What disagrees."""

    SUCCESS_BUT_PENDING = "success_but_pending"
    ITEM_ID_BUT_PENDING = "item_id_but_pending"
    GONE_FROM_SHOP = "gone_from_shop"
    UNKNOWN_HERE = "unknown_here"
    STUCK_UPLOADING = "stuck_uploading"
    DOUBLED_IDENTIFIER = "doubled_identifier"
    ORPHAN = "orphan"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class ListingState:
    """A listing of an account, of whatever status; `held` is not to be queued by itself."""

    id: int
    asin: str
    account_id: str
    item_id: str | None
    sku: str | None
    status: str
    visibility: str
    selling_price: Decimal | None
    held: bool = False

    def differing(self, item: Item) -> dict[str, tuple[object, object]]:
        """What the shop has otherwise: what it is, as it is here, as it is there."""
        both = {
            "price": (self.selling_price, item.price_jpy),
            "visibility": (self.visibility, Visibility.of(visible=item.visible)),
        }
        return {what: (here, there) for what, (here, there) in both.items() if here != there}


@dataclass(frozen=True, slots=True)
class QueueState:
    """A row of the upload queue; `attempt_no` tells whether it was tried since."""

    id: int
    asin: str
    account_id: str
    status: str
    attempt_no: int = 0
    item_id: str | None = None
    identifier: str | None = None
    lease_until: datetime | None = None
    scheduled_time: datetime | None = None

    @property
    def busy(self) -> bool:
        """Whether an upload is at it, or must look on the shop first."""
        if self.status == QueueStatus.PENDING:
            return self.item_id is not None
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class Adopt:
    """The item is the listing's: it is listed, as the shop has it, and need not be uploaded."""

    listing: ListingState
    item: Item
    waiting: tuple[QueueState, ...]


@dataclass(frozen=True, slots=True)
class FailRows:
    """The uploads that succeeded made nothing that is there: a person may try them again."""

    listing: ListingState
    rows: tuple[QueueState, ...]
    waiting: tuple[QueueState, ...]


@dataclass(frozen=True, slots=True)
class Delist:
    """The item is not on the shop any more; to be proven a second time, by asking for it alone."""

    listing: ListingState


@dataclass(frozen=True, slots=True)
class LookUp:
    """Rescue the row, and look for its item."""

    row: QueueState


@dataclass(frozen=True, slots=True)
class Follow:
    """Our row takes the price and visibility that the shop has; the next sync starts from there."""

    listing: ListingState
    item: Item


Mend = Adopt | FailRows | Delist | LookUp | Follow


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement, and what would mend it.

    `listing` and `item` are told where a listing and the shop disagree, or where one lacks the
    other.
    """

    kind: FindingKind
    account_id: str
    asin: str | None
    detail: str
    mend: Mend | None = None
    listing: ListingState | None = None
    item: Item | None = None

    @property
    def safe(self) -> bool:
        """Whether it may be mended without a person."""
        return self.mend is not None


def find(
    account_id: str,
    listings: Sequence[ListingState],
    queue: Sequence[QueueState],
    items: Sequence[Item] | None,
    now: datetime,
) -> list[Finding]:
    """Everything that disagrees on one account; `items` is its whole shop, None if it is unread."""
    sides = _Sides(account_id, listings, queue, items)
    found = [finding for each in listings if (finding := _of_listing(sides, each))]
    taken = {finding.mend.item.item_id for finding in found if isinstance(finding.mend, Adopt)}
    found += _strangers(sides, taken, now)
    found += _doubles(sides)
    found += [finding for row in queue if (finding := _stuck(sides, row, now))]
    order = list(FindingKind)
    return sorted(found, key=lambda finding: order.index(finding.kind))


def differences(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Our listings that the shop shows otherwise, or not at all, beside what it shows."""
    return [
        {
            "asin": listing.asin,
            "what": ", ".join(listing.differing(item)) if item else "deleted",
            "item_id": listing.item_id,
            "selling_price": listing.selling_price,
            "shop_price": item.price_jpy if item else None,
            "visibility": listing.visibility,
            "shop_visible": item.visible if item else None,
        }
        for listing, item in ((finding.listing, finding.item) for finding in findings)
        if listing
    ]


def strangers(findings: Iterable[Finding]) -> list[Item]:
    """The items of the shop that belong to no listing of ours."""
    return [each.item for each in findings if each.item and not each.listing]


def disbelief(listings: Iterable[ListingState], items: Iterable[Item]) -> str | None:
    """Why these cannot be the account's items: none is one of ours; None when they may be."""
    listed = {each.item_id for each in listings if each.status == "listed" and each.item_id}
    shown = {item.item_id for item in items}
    if len(listed) <= MIN_LISTED or listed & shown:
        return None
    what = f"{len(shown)} items, but none" if shown else "no item at all, and none"
    return f"the shop shows {what} of the {len(listed)} that are listed there"


class _Sides:
    """The three sides of one account, joined."""

    def __init__(
        self,
        account_id: str,
        listings: Sequence[ListingState],
        queue: Sequence[QueueState],
        items: Sequence[Item] | None,
    ) -> None:
        self.account_id = account_id
        self.items: Mapping[str, Item] | None = (
            None if items is None else {item.item_id: item for item in items}
        )
        self._rows: dict[str, list[QueueState]] = defaultdict(list)
        for row in queue:
            self._rows[row.asin].append(row)
        self._by_asin = {each.asin: each for each in listings}
        self._by_sku = {each.sku: each for each in listings if each.sku}
        self._naming: dict[str, list[ListingState]] = defaultdict(list)
        for each in listings:
            if each.item_id:
                self._naming[each.item_id].append(each)
        self._items_of: dict[int, list[Item]] = defaultdict(list)
        for item in items or ():
            if owner := self.owner(item):
                self._items_of[owner.id].append(item)

    def rows(self, asin: str) -> Sequence[QueueState]:
        """The listing's rows of the queue."""
        return self._rows.get(asin, ())

    def waiting(self, asin: str) -> tuple[QueueState, ...]:
        """The row that waits for its upload, if there is one."""
        return tuple(row for row in self.rows(asin) if row.status in LIVE)

    def busy(self, asin: str) -> bool:
        """Whether an upload has the listing in its hands."""
        return any(row.busy for row in self.rows(asin))

    def names(self, item: Item) -> Sequence[ListingState]:
        """The listings that name the item by its id."""
        return self._naming.get(item.item_id, ())

    def owner(self, item: Item) -> ListingState | None:
        """The listing that the item is of: by id, by identifier, or by the ASIN in that."""
        if naming := self.names(item):
            return naming[0] if len(naming) == 1 else None
        asin = asin_of_identifier(item.identifier)
        by_sku = self._by_sku.get(item.identifier or "")
        if by_sku and asin in {None, by_sku.asin}:
            return by_sku
        return self._by_asin.get(asin or "")

    def items_of(self, listing: ListingState) -> Sequence[Item]:
        """All items that are the listing's."""
        return self._items_of.get(listing.id, ())

    def finding(
        self,
        kind: FindingKind,
        asin: str | None,
        detail: str,
        mend: Mend | None = None,
        listing: ListingState | None = None,
        item: Item | None = None,
    ) -> Finding:
        """A finding of this account."""
        return Finding(kind, self.account_id, asin, detail, mend, listing, item)

    def adoption(self, listing: ListingState) -> tuple[Adopt | None, str]:
        """How the pending listing comes by its item, or why it does not."""
        if self.items is None:
            return None, "the shop was not read"
        if self.busy(listing.asin):
            return None, "its upload is under way, or to be looked up"
        item, why = self._item_for(listing, self.items)
        return item and Adopt(listing, item, self.waiting(listing.asin)), why

    def _item_for(
        self, listing: ListingState, items: Mapping[str, Item]
    ) -> tuple[Item | None, str]:
        """The one item that is certainly the listing's, or why there is none."""
        named = items.get(listing.item_id or "")
        if named and len(self.names(named)) > 1:
            return None, f"item {named.item_id} is named by several listings"
        own = self.items_of(listing)
        if len(own) > 1:
            return None, f"the shop has {len(own)} items for it: {_ids(own)}"
        if not own:
            return None, NOT_ON_SHOP
        if asin_of_identifier(own[0].identifier) not in {None, listing.asin}:
            return None, f"item {own[0].item_id} is called {own[0].identifier}"
        return own[0], f"item {own[0].item_id} is on the shop"


def _of_listing(sides: _Sides, listing: ListingState) -> Finding | None:
    if listing.status == "pending":
        return _pending(sides, listing)
    if listing.status == "listed" and sides.items is not None and not sides.busy(listing.asin):
        return _listed(sides, listing, sides.items.get(listing.item_id or ""))
    return None


def _pending(sides: _Sides, listing: ListingState) -> Finding | None:
    rows = sides.rows(listing.asin)
    if done := tuple(row for row in rows if row.status == QueueStatus.SUCCESS):
        return _succeeded(sides, listing, done)
    if listing.item_id:
        mend, why = sides.adoption(listing)
        named = mend is not None and mend.item.item_id == listing.item_id
        return sides.finding(
            FindingKind.ITEM_ID_BUT_PENDING,
            listing.asin,
            f"pending, but has item {listing.item_id}: {why}",
            mend if named else None,
        )
    if rows or listing.held or sides.items_of(listing):
        return None
    return sides.finding(FindingKind.ORPHAN, listing.asin, "pending, and was never queued")


def _succeeded(sides: _Sides, listing: ListingState, done: tuple[QueueState, ...]) -> Finding:
    mend, why = sides.adoption(listing)
    if why == NOT_ON_SHOP:
        mend = FailRows(listing, done, sides.waiting(listing.asin))
    detail = f"uploaded, says the queue, but pending: {why}"
    return sides.finding(FindingKind.SUCCESS_BUT_PENDING, listing.asin, detail, mend)


def _listed(sides: _Sides, listing: ListingState, item: Item | None) -> Finding | None:
    kind, mend = FindingKind.GONE_FROM_SHOP, None
    if listing.item_id is None:
        detail = "listed, but has no item id"
    elif item is None:
        detail = f"item {listing.item_id} is not on the shop any more"
        mend = Delist(listing)
    elif differing := listing.differing(item):
        kind, mend = FindingKind.DRIFTED, Follow(listing, item)
        told = [
            f"{what} {here} here, {there} on the shop" for what, (here, there) in differing.items()
        ]
        detail = f"item {item.item_id}: {'; '.join(told)}"
    else:
        return None
    return sides.finding(kind, listing.asin, detail, mend, listing, item)


def _strangers(sides: _Sides, taken: set[str], now: datetime) -> Iterator[Finding]:
    """The items that no listing names, but for those that a listing is about to be given."""
    for item in (sides.items or {}).values():
        if sides.names(item) or item.item_id in taken:
            continue
        owner = sides.owner(item)
        if owner and any(_under_way(row, now) for row in sides.rows(owner.asin)):
            continue
        mend, why = _whose(sides, owner)
        called = f"item {item.item_id} ({item.identifier or 'without identifier'})"
        yield sides.finding(
            FindingKind.UNKNOWN_HERE,
            owner.asin if owner else asin_of_identifier(item.identifier),
            f"{called} belongs to no listing: {why}",
            mend,
            item=item,
        )


def _whose(sides: _Sides, owner: ListingState | None) -> tuple[Adopt | None, str]:
    if owner is None:
        return None, "it is of no product that this account has"
    if owner.status != "pending":
        return None, f"that of {owner.asin} is {owner.status} with item {owner.item_id}"
    if owner.item_id:
        return None, f"that of {owner.asin} names item {owner.item_id}"
    return sides.adoption(owner)


def _doubles(sides: _Sides) -> Iterator[Finding]:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in (sides.items or {}).values():
        if item.identifier:
            groups[asin_of_identifier(item.identifier) or item.identifier].append(item)
    for name, items in groups.items():
        if len(items) > 1:
            yield sides.finding(
                FindingKind.DOUBLED_IDENTIFIER,
                asin_of_identifier(items[0].identifier),
                f"the shop has {name} {len(items)} times: {_ids(items)}",
            )


def _stuck(sides: _Sides, row: QueueState, now: datetime) -> Finding | None:
    if row.status == QueueStatus.UPLOADING and not _under_way(row, now):
        detail = (
            f"queue row {row.id}: uploading since before {row.lease_until}"
            if row.lease_until
            else f"queue row {row.id}: uploading, by nobody"
        )
    elif row.status == QueueStatus.UNKNOWN and (
        row.scheduled_time is None or row.scheduled_time <= now
    ):
        detail = f"queue row {row.id}: nobody knows whether its item was made"
    else:
        return None
    # The rescue goes by the lease: without one, a person must say what became of the row.
    can_look = row.status == QueueStatus.UNKNOWN or row.lease_until is not None
    mend = LookUp(row) if can_look and sides.items is not None else None
    return sides.finding(FindingKind.STUCK_UPLOADING, row.asin, detail, mend)


def _under_way(row: QueueState, now: datetime) -> bool:
    """Whether a worker still has time for the row, or goes on with an item that is made."""
    if row.status == QueueStatus.UPLOADING:
        return row.lease_until is not None and row.lease_until >= now
    return row.status == QueueStatus.PENDING and row.item_id is not None


def _ids(items: Iterable[Item]) -> str:
    return ", ".join(item.item_id for item in items)
