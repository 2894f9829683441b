"""Filling the upload queue."""

from collections.abc import Iterable

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.uploads.rules import UploadRules, free_slots
from ecauto_pipeline.storage.uploads.queue import UploadQueue


def fill_queue(
    queue: UploadQueue,
    accounts: Iterable[Account],
    clock: Clock,
    rules: UploadRules,
    *,
    limit: int | None = None,
    held: bool = False,
) -> dict[str, int]:
    """Give every pending listing without a row of its own one; how many, by account.

    The times follow those already given, within each account's daily limit, as many days on as it
    takes. An account whose limit is 0 gets none.
    """
    waiting = queue.waiting_accounts(held=held)
    filled: dict[str, int] = {}
    for account in accounts:
        if not waiting.get(account.id) or not account.daily_upload_limit:
            continue
        last = queue.last_scheduled(account.id)
        slots = free_slots(clock.now(), last, account.daily_upload_limit, rules)
        filled[account.id] = queue.fill(account.id, slots, limit=limit, held=held)
        if limit is not None:
            limit -= filled[account.id]
            if limit <= 0:
                break
    return filled
