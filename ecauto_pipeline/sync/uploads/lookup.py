"""Finding out, for uploads whose answer was lost, whether the shop has the item."""

from collections import Counter
from dataclasses import dataclass, field

from ecauto_pipeline.domain.uploads.rules import Found, UploadRules, asin_of_identifier
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.sync.shop import Shop


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
    attempts: UploadAttempts, shop: Shop, rules: UploadRules, account_id: str
) -> LookupReport:
    """Rescue what lost workers left, and look up what nobody knows; one reading serves all rows."""
    report = LookupReport(account_id, rescued=attempts.rescue(account_id))
    rows = attempts.unresolved(account_id)
    if not rows:
        return report
    if all(row.identifier for row in rows):
        names = {row.identifier for row in rows if row.identifier}
        last_look = any(row.imported or row.lookups + 1 >= rules.looks for row in rows)
        items = shop.look_up(names, thorough=last_look)
    else:
        # Some of v1.0's uploads are known by their ASIN only, in names of several forms.
        items = list(shop.items(newest_first=True))
    for row in rows:
        found = [
            item
            for item in items
            if (
                item.identifier == row.identifier
                if row.identifier
                else asin_of_identifier(item.identifier) == row.asin
            )
        ]
        if not found:
            report.not_found += attempts.not_found(row)
            continue
        if len(found) > 1:
            ids = ", ".join(item.item_id for item in found)
            report.doubled.append(f"{row.asin}: {shop.label} has it more than once: {ids}")
        oldest = found[-1]
        report.adopted += attempts.adopt(row, Found([oldest.item_id], visible=oldest.visible))
    report.calls = shop.calls
    return report
