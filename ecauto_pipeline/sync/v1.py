"""Taking over a v1.0 installation, which is read and never written to."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.accounts import Tokens
from ecauto_pipeline.domain.v1.additions import (
    ebay_metadata_to_add,
    listings_to_add,
    missing_products,
    products_to_add,
    queue_to_add,
)
from ecauto_pipeline.domain.v1.report import ImportReport
from ecauto_pipeline.domain.v1.settings_files import (
    V1Account,
    account_from,
    is_account_id,
    pricing_from,
    tokens_from,
)
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.base_shop import PricingSettings
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.v1 import ecauto_toml
from ecauto_pipeline.storage.v1.additions import ImportStore, ImportTransaction
from ecauto_pipeline.storage.v1.database import Row, V1Database, open_v1_database
from ecauto_pipeline.storage.v1.folder import V1Folder, read_v1_folder

BASE = "base"
"""v1.0's word for BASE, and what it meant where it said nothing."""

_ROUNDING = (
    "v1.0 cut prices off where this program rounds them: a price may differ by one step of"
    " round_to, which is written only when it is at least min_difference_jpy"
)


def import_v1(
    source: Path,
    store: ImportStore,
    accounts: AccountStore,
    clock: Clock,
    *,
    toml_file: Path,
    dry_run: bool,
) -> ImportReport:
    """Take over a v1.0 folder or master.db; a dry run reports the same and writes nothing.

    Rows that are here already stay as they are, so that it can be repeated.

    Raises:
        Misconfigured: there is nothing to take over, or it is not v1.0's; nothing was changed.
    """
    folder = read_v1_folder(source)
    report = ImportReport(str(source), dry_run)
    with open_v1_database(folder.database) as v1:
        known = _import_rows(v1, store, clock, report)
        rows = list(v1.rows("account_configs"))
    _import_accounts(_found_accounts(folder, rows, report), known, accounts, report)
    _import_tokens(folder, known, accounts, report)
    _import_pricing(folder, toml_file, report)
    report.notes += [*folder.notes, *_credential_notes(folder)]
    return report


def _import_rows(
    v1: V1Database, store: ImportStore, clock: Clock, report: ImportReport
) -> set[str]:
    """Returns the ids of the accounts that are here already."""
    now = clock.now()
    products = report.table("products")
    with store.transaction(dry_run=report.dry_run) as into:
        here = into.here()
        known = set(here.asins)
        added = products_to_add(v1.rows("products"), here.asins, now, products)
        into.add_products(_noting(added, known))
        listings = listings_to_add(list(v1.rows("listings")), here, now, report.table("listings"))
        queue = queue_to_add(list(v1.rows("upload_queue")), here, now, report.table("upload_queue"))
        into.add_products(missing_products([*listings, *queue], known, now, products))
        into.add_listings(listings)
        into.add_queue(queue)
        _import_ebay_metadata(v1, into, here.ebay_skus, report)
    return here.accounts


def _import_ebay_metadata(
    v1: V1Database, into: ImportTransaction, here: set[str], report: ImportReport
) -> None:
    table = report.table("ebay_listing_metadata")
    into.add_ebay_metadata(ebay_metadata_to_add(v1.rows("ebay_listing_metadata"), here, table))


def _noting(products: Iterator[dict[str, Any]], known: set[str]) -> Iterator[dict[str, Any]]:
    for product in products:
        known.add(product["asin"])
        yield product


def _import_accounts(
    found: Iterable[V1Account], known: set[str], accounts: AccountStore, report: ImportReport
) -> None:
    """Save the accounts that are not `known`; they are from then on."""
    table = report.table("account_configs")
    for each in found:
        id_ = each.account.id
        if id_ in known:
            table.already_here += 1
            continue
        known.add(id_)
        table.add(id_, each.changes)
        if not report.dry_run:
            accounts.save_imported_account(each.account, uploads_per_hour=each.uploads_per_hour)


def _found_accounts(folder: V1Folder, rows: list[Row], report: ImportReport) -> Iterator[V1Account]:
    """Each account once; v1.0 itself went by the file, so that goes before the table."""
    table = report.table("account_configs")
    seen: set[str] = set()
    for number, raw in enumerate([*folder.accounts, *rows], start=1):
        label = str(raw.get("id") or f"entry {number}")
        if label in seen:
            continue
        seen.add(label)
        table.found += 1
        platform = raw.get("platform") or BASE
        try:
            found = account_from(raw)
        except ValueError as error:
            table.leave_out(label, str(error))
            continue
        if platform == BASE:
            yield found
        else:
            table.leave_out(label, f"an account of {platform}; only BASE accounts are kept")


def _import_tokens(
    folder: V1Folder, known: set[str], accounts: AccountStore, report: ImportReport
) -> None:
    table = report.table("account_tokens")
    table.found = len(folder.tokens)
    for id_, raw in folder.tokens.items():
        try:
            tokens = tokens_from(raw)
            is_news = _is_news(accounts, id_, tokens)
        except (ValueError, Misconfigured) as error:
            table.leave_out(id_, str(error))
            continue
        if not is_news:
            table.already_here += 1
            continue
        table.add(id_, [] if id_ in known else ["no account of that id was found; configure it"])
        if not report.dry_run:
            accounts.save_imported_tokens(id_, tokens)
    if table.added:
        report.notes.append(
            "stop v1.0 for good: a BASE refresh token works once, so only one of both can use it"
        )


def _is_news(accounts: AccountStore, account_id: str, tokens: Tokens) -> bool:
    """What `save_imported_tokens` would answer, asked without writing."""
    if not is_account_id(account_id):
        raise ValueError("is no usable account id")
    stored = accounts.tokens(account_id)
    if stored is None or not stored.refresh_token:
        return True
    if stored.obtained_at is None or tokens.obtained_at is None:
        return False
    return tokens.obtained_at > stored.obtained_at


def _import_pricing(folder: V1Folder, toml_file: Path, report: ImportReport) -> None:
    if folder.pricing is None:
        return
    try:
        pricing = pricing_from(folder.pricing)
        PricingSettings(**pricing)
        if ecauto_toml.has_table(toml_file, "pricing"):
            report.notes.append(f"pricing: {toml_file} has a [pricing] table already, which stays")
            return
        if not report.dry_run:
            ecauto_toml.add_table(toml_file, "pricing", pricing)
    except (ValueError, Misconfigured) as error:
        report.notes.append(f"pricing: not carried over, {_reason(error)}")
        return
    report.pricing = pricing
    report.notes.append(f"pricing: {_ROUNDING}")


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"


def _credential_notes(folder: V1Folder) -> list[str]:
    if not folder.env_names:
        return []
    names = ", ".join(folder.env_names)
    return [f".env: not copied; {names} seen there belong into this project's .env"]
