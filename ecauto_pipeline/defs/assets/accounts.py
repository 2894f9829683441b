"""Working through the accounts of a run: which they are, and what the trouble of one means."""

from collections.abc import Callable, Collection, Iterable
from itertools import product

import dagster as dg

from ecauto_pipeline.errors import EcautoError, RunIncomplete
from ecauto_pipeline.wiring.pipeline import Pipeline

PROBLEMS_SHOWN = 5


def active_accounts(
    context: dg.AssetExecutionContext, pipeline: Pipeline, chosen: Collection[str] = ()
) -> list[str]:
    """The accounts of this run's partitions: those chosen, else those that are switched on."""
    partitions = list(context.partition_keys)
    if chosen:
        return [account for account in partitions if account in chosen]
    active = {account.id for account in pipeline.shops.accounts()}
    for account in partitions:
        if account not in active:
            context.log.warning("%s is left out: it is not an active account", account)
    return [account for account in partitions if account in active]


def each_account(accounts: Iterable[str], *works: Callable[[str], Iterable[str]]) -> None:
    """Do all works for each account; the trouble of one, whatever it is, is not the others'.

    A work reports what it did by itself; it returns, or raises, what it could not do.

    Raises:
        RunIncomplete: some could not be done; the first few are named, each with its account.
    """
    found: list[tuple[str, str]] = []
    for account_id, work in product(accounts, works):
        try:
            found.extend((account_id, problem) for problem in work(account_id))
        except EcautoError as error:
            found.append((account_id, str(error)))
    problems = [
        problem if problem.startswith(f"{account_id}: ") else f"{account_id}: {problem}"
        for account_id, problem in found
    ]
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        shown = problems[:PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise RunIncomplete("; ".join(shown))
