"""The `ecauto` commands of the way from an ASIN to a published listing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from ecauto_pipeline.cli.command import (
    account_option,
    answer,
    json_option,
    numbers_and_words,
    outcome,
    run_over_accounts,
)
from ecauto_pipeline.domain.amazon.asin import asin_from
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.wiring.pipeline import opened_pipeline

QUEUE_ROWS = 50


@click.group(invoke_without_command=True)
@account_option
@json_option
@click.pass_context
def queue(context: click.Context, *, account_id: str | None, as_json: bool) -> int:
    """Look at the upload queue, fill it, try failed rows again."""
    if context.invoked_subcommand:
        if account_id or as_json:
            wanted = f"`ecauto queue {context.invoked_subcommand} --account … --json`"
            raise click.UsageError(f"options stand behind the command they are for: {wanted}")
        return 0
    with opened_pipeline() as pipeline:
        if account_id:
            pipeline.shops.accounts(account_id)
        counts = pipeline.uploads.queue.counts(account_id)
        rows = pipeline.uploads.queue.rows(account_id, QUEUE_ROWS)
        lines = queue_lines(counts, rows, pipeline.settings.zone)
        answer({"counts": counts, "rows": rows}, lines, as_json=as_json)
    return 0


@queue.command("add")
@click.option("--limit", type=click.IntRange(min=1), help="No more than so many.")
@account_option
@json_option
def queue_add(*, limit: int | None, account_id: str | None, as_json: bool) -> int:
    """Queue pending listings that never were, those that intake was told to hold included."""
    with opened_pipeline() as pipeline:
        active = [each.id for each in pipeline.shops.accounts(account_id) if each.active]
    filled: dict[str, int] = {}
    if active:
        run = run_over_accounts(
            "queue_fill", account_id, {"upload_queue": {"limit": limit, "held": True}}
        )
        if not run.succeeded:
            raise run.error
        counts = {
            each.partition or "": numbers_and_words(each.metadata) for each in run.materializations
        }
        filled = {account: of["queued"] for account, of in counts.items() if of["queued"]}
    total = sum(filled.values())
    answer({"queued": total, "accounts": filled}, [f"{total} listings queued"], as_json=as_json)
    return 0


@queue.command("retry")
@click.argument("ids", nargs=-1, required=True, type=int)
@json_option
def queue_retry(ids: Sequence[int], *, as_json: bool) -> int:
    """Put failed rows back, by their ids."""
    asked = set(ids)
    count = outcome("queue_retry", "retry_failed_uploads", ids=sorted(asked))["put_back"]
    lines = [f"{count} of {len(asked)} rows put back"]
    answer({"put_back": count, "asked": len(asked)}, lines, as_json=as_json)
    return 0 if count == len(asked) else 1


@click.command()
@account_option
@click.option("--limit", type=click.IntRange(min=1), help="No more than so many an account.")
@click.option("--now", is_flag=True, help="Whatever is pending, at any hour.")
@json_option
def upload(*, account_id: str | None, limit: int | None, now: bool, as_json: bool) -> int:
    """Look up what is unknown, then upload what is due."""
    run = run_over_accounts("upload", account_id, {"uploads": {"limit": limit, "now": now}})
    accounts = {
        event.partition or "": numbers_and_words(event.metadata) for event in run.materializations
    }
    shown = {"accounts": accounts, "problem": run.error_message}
    answer(shown, upload_lines(accounts, run.error_message), as_json=as_json)
    return 0 if run.succeeded else 1


@click.command()
@account_option
@click.option("--fix", is_flag=True, help="Mend what is safe.")
@json_option
def check(*, account_id: str | None, fix: bool, as_json: bool) -> int:
    """Find disagreement between listings, queue and BASE, and mend it."""
    run = run_over_accounts("consistency_check", account_id, {"consistency": {"fix": fix}})
    accounts = {
        event.partition or "": numbers_and_words(event.metadata)
        | {"findings": findings(event.metadata)}
        for event in run.materializations
        # The check keeps the shops' mirrors as well.
        if event.asset_key.to_user_string() == "consistency"
    }
    shown = {"accounts": accounts, "problem": run.error_message}
    answer(shown, check_lines(accounts, run.error_message), as_json=as_json)
    return 0 if run.succeeded else 1


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def review(context: click.Context, *, as_json: bool) -> int:
    """The products that the screening rules are not sure about."""
    if context.invoked_subcommand:
        return 0
    with opened_pipeline() as pipeline:
        rows = pipeline.uploads.screenings.review_list()
        answer({"review": rows}, review_lines(rows), as_json=as_json)
    return 0


@review.command("release")
@click.argument("asins", nargs=-1, required=True)
def review_release(asins: Sequence[str]) -> int:
    """Let these be listed; failed uploads that waited for it are put back."""
    chosen = list(dict.fromkeys(asin_from(asin) for asin in asins))
    done = outcome("review_decision", "decide_about_products", decision="release", asins=chosen)
    click.echo(f"{len(chosen)} released, {done['put_back']} uploads put back")
    for asin in done["not_listed"]:
        click.echo(f"{asin}: not listed yet; `ecauto add-products` takes it in now")
    return 0


@review.command("refuse")
@click.argument("asins", nargs=-1, required=True)
def review_refuse(asins: Sequence[str]) -> int:
    """Never list these."""
    chosen = list(dict.fromkeys(asin_from(asin) for asin in asins))
    outcome("review_decision", "decide_about_products", decision="refuse", asins=chosen)
    click.echo(f"{len(chosen)} refused")
    return 0


@click.command("add-products")
@click.argument("file", type=click.Path(path_type=Path))
@account_option
@click.option("--priority", type=click.IntRange(1, 20), default=5, show_default=True)
@click.option("--no-queue", is_flag=True, help="Hold the listings until `ecauto queue add`.")
@click.option("--dry-run", is_flag=True, help="Read and check the file, nothing else.")
@json_option
def add_products(
    file: Path,
    *,
    account_id: str | None,
    priority: int,
    no_queue: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """From a file of ASINs to products, listings and the upload queue."""
    if not file.is_file():
        raise Misconfigured(f"{file}: there is no such file")
    config = {
        "path": str(file.absolute()),
        "account_id": account_id,
        "priority": priority,
        "no_queue": no_queue,
        "dry_run": dry_run,
    }
    report = outcome("product_intake", "take_in_products", **config)
    lines = report.pop("lines")
    answer(report, lines, as_json=as_json)
    return 1 if report["problems"] else 0


def queue_lines(
    counts: Mapping[str, int], rows: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> Iterable[str]:
    """How the queue stands, and its next rows."""
    yield "  ".join(f"{status} {count}" for status, count in counts.items())
    for row in rows:
        due: datetime | None = row["scheduled_time"]
        when = f"{due.astimezone(zone):%m-%d %H:%M}" if due else "-"
        note = f"  {row['error_message']}" if row["error_message"] else ""
        yield (
            f"{row['id']:>8}  {row['asin']}  {row['account_id']:<20} {row['status']:<9}"
            f" {when:<11} priority {row['priority']}{note}"
        )


def upload_lines(accounts: Mapping[str, Mapping[str, Any]], problem: str) -> Iterable[str]:
    """What was uploaded, account by account."""
    for account, numbers in accounts.items():
        counts = ", ".join(
            f"{name.replace('_', ' ')} {count}"
            for name, count in numbers.items()
            if isinstance(count, int) and count
        )
        yield f"{account}: {counts or 'nothing was due'}"
        if "stopped" in numbers:
            yield f"  stopped: {numbers['stopped']}"
    if problem:
        yield f"! {problem}"


def findings(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table of what was found, as the UI shows it."""
    shown = metadata.get("findings")
    return [dict(record.data) for record in shown.records] if shown else []


def check_lines(accounts: Mapping[str, Mapping[str, Any]], problem: str) -> Iterable[str]:
    """What was found, account by account."""
    for account, numbers in accounts.items():
        yield account
        for name, count in numbers.items():
            if isinstance(count, int) and count:
                yield f"  {name.replace('_', ' '):<28}{count:>8}"
        for row in numbers["findings"]:
            yield f"    {row['kind']}: {row['asin']} {row['detail']}"
    if problem:
        yield f"! {problem}"


def review_lines(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The doubtful products, the most doubtful first."""
    if not rows:
        yield "nothing waits for review"
    for row in rows:
        yield f"{row['asin']}  score {row['score']:>3}  {row['title']}"
        yield from (f"    {reason}" for reason in row["reasons"])


ALL: tuple[click.Command, ...] = (add_products, queue, upload, check, review)
