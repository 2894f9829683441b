"""The `ecauto shopify` commands."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from ecauto_pipeline.cli.command import answer, json_option, opened, outcome
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.wiring.pipeline import opened_pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.cli.shopify_sync import MirrorOptions

LETTERS_SHOWN = 100

store_option = click.option("--store", "store_id", metavar="ID", help="This store only.")
entity_option = click.option(
    "--entity",
    type=click.Choice([str(entity) for entity in Entity]),
    help="This kind of record only.",
)
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def shopify() -> None:
    """The mirrors of Shopify stores."""


@shopify.command()
@store_option
@entity_option
@click.option("--full", is_flag=True, help="Read everything again.")
@click.option("--from", "first", type=_DAY, help="What changed from this day on (Japan time).")
@click.option("--to", "last", type=_DAY, help="To the end of this day; default: today.")
@json_option
def sync(
    *,
    store_id: str | None,
    entity: str | None,
    full: bool,
    first: datetime | None,
    last: datetime | None,
    as_json: bool,
) -> int:
    """Bring the mirrors up to date, or read everything, or certain days, again."""
    days = _days(first, last, full=full)
    from ecauto_pipeline.cli.shopify_sync import MirrorOptions  # noqa: PLC0415 - imports Dagster

    options = MirrorOptions(store_id, Entity(entity) if entity else None, full, *days)
    return mirror(options, as_json=as_json)


def mirror(options: "MirrorOptions", *, as_json: bool) -> int:
    """Mirror the stores, and report; the exit status."""
    from ecauto_pipeline.cli.shopify_sync import mirror_stores  # noqa: PLC0415 - imports Dagster

    with opened() as (pipeline, instance):
        report = mirror_stores(instance, pipeline, options)
        answer(report.as_dict(), report.lines(pipeline.settings.zone), as_json=as_json)
    return 0 if report.succeeded else 1


def _days(
    first: datetime | None, last: datetime | None, *, full: bool
) -> tuple[date | None, date | None]:
    if full and (first or last):
        raise click.UsageError("--full reads everything: leave --from and --to out")
    if last and not first:
        raise click.UsageError("--to needs --from")
    if first and last and last < first:
        raise click.UsageError("--to must not be before --from")
    return first.date() if first else None, last.date() if last else None


@shopify.command("dead-letters")
@store_option
@entity_option
@json_option
def dead_letters(*, store_id: str | None, entity: str | None, as_json: bool) -> int:
    """The records that could not be read when they came, and why."""
    with opened_pipeline() as pipeline:
        if store_id:
            pipeline.mirrors.store_ids(store_id)
        letters = pipeline.mirrors.letters.open_letters(
            store_id, Entity(entity) if entity else None, limit=LETTERS_SHOWN
        )
    lines = [
        f"{letter.id:>6}  {letter.store_id} {letter.entity} {letter.record_id}:"
        f" {letter.reason} (seen {letter.seen} times)"
        for letter in letters
    ]
    names = ("id", "store_id", "entity", "record_id", "reason", "seen", "last_seen_at")
    shown = [{name: getattr(letter, name) for name in names} for letter in letters]
    for letter in shown:
        letter["last_seen_at"] = letter["last_seen_at"].isoformat()
    answer({"dead_letters": shown}, lines or ["no record is waiting"], as_json=as_json)
    return 0


@shopify.command()
@click.argument("ids", nargs=-1, type=int)
@store_option
@json_option
def replay(*, ids: Sequence[int], store_id: str | None, as_json: bool) -> int:
    """Read dead letters again: those named, or all."""
    if store_id:
        with opened_pipeline() as pipeline:
            pipeline.mirrors.store_ids(store_id)
    shown = outcome("shopify_replay", "replay_dead_letters", ids=list(ids), store_id=store_id)
    if unknown := len(set(ids)) - shown["replayed"] - shown["left"] if ids else 0:
        shown["problems"].append(f"{unknown} of these ids are no dead letters")
    lines = [f"{shown['replayed']} saved, {shown['left']} left", *shown["problems"]]
    answer(shown, lines, as_json=as_json)
    return 1 if shown["problems"] else 0


@shopify.command()
@click.option("--port", type=int, default=8767, show_default=True, help="On this machine only.")
def webhooks(*, port: int) -> int:
    """Receive webhooks until Ctrl-C; a tunnel or reverse proxy has to bring them here."""
    from ecauto_pipeline.processes.webhook_server import WebhookServer  # noqa: PLC0415 - imports storage

    with opened_pipeline() as pipeline:
        mirrors = pipeline.mirrors
        stores = mirrors.settings.shopify.stores
        with WebhookServer(stores, mirrors.inbox, mirrors.clock, port) as server:
            click.echo(f"webhooks are received at {server.url}; Ctrl-C ends")
            server.wait()
    return 0
