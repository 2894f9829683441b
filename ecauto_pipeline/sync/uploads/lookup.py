"""Finding out, for uploads whose answer was lost, whether the shop has the item."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ecauto_pipeline.clients.base_shop.client import PAGE_ITEMS, BaseShopClient
from ecauto_pipeline.domain.base_shop.changes import Item
from ecauto_pipeline.domain.uploads.rules import Found, Unresolved, UploadRules, asin_of_identifier
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts

RECENT_ITEMS = 5 * PAGE_ITEMS
"""How far the first looks go back; the last one reads the whole shop."""


@dataclass(slots=True)
class LookupReport:
    """What became of an account's unknown rows."""

    account_id: str
    adopted: int = 0
    not_found: int = 0
    rescued: int = 0
    doubled: list[str] = field(default_factory=list[str])
    calls: Counter[str] = field(default_factory=Counter[str])


def resolve_unknown(
    attempts: UploadAttempts, client: BaseShopClient, rules: UploadRules, account_id: str
) -> LookupReport:
    """Rescue what lost workers left, and look up what nobody knows; one reading serves all rows."""
    report = LookupReport(account_id, rescued=attempts.rescue(account_id))
    rows = attempts.unresolved(account_id)
    if not rows:
        return report
    last_look = any(row.imported or row.lookups + 1 >= rules.looks for row in rows)
    items = _newest_first(client, None if last_look else RECENT_ITEMS)
    for row in rows:
        _resolve(attempts, row, [item for item in items if _is_of(item, row)], report)
    report.calls = client.calls
    return report


def _resolve(
    attempts: UploadAttempts, row: Unresolved, items: Sequence[Item], report: LookupReport
) -> None:
    if not items:
        report.not_found += attempts.not_found(row)
        return
    if len(items) > 1:
        ids = ", ".join(item.item_id for item in items)
        report.doubled.append(f"{row.asin}: BASE has it more than once: {ids}")
    oldest = items[-1]
    report.adopted += attempts.adopt(row, Found([oldest.item_id], visible=oldest.visible))


def _newest_first(client: BaseShopClient, most: int | None) -> list[Item]:
    """The items with an identifier; at most so many are looked at, or all."""
    return [item for item in _first(client.items("created", "desc"), most) if item.identifier]


def _first(items: Iterable[Item], most: int | None) -> Iterable[Item]:
    for number, item in enumerate(items):
        if number == most:
            return
        yield item


def _is_of(item: Item, row: Unresolved) -> bool:
    """By the identifier that was sent; v1.0's uploads are known by their ASIN only."""
    if row.identifier:
        return item.identifier == row.identifier
    return asin_of_identifier(item.identifier) == row.asin
