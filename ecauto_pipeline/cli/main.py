"""The `ecauto` command: whatever it does is a run of the project's Dagster instance.

Exit status: 0 done; 1 the run failed or ended with errors; 2 bad usage or settings, said in one
line.
"""

import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecauto_pipeline.cli import shopify as cli_shopify
from ecauto_pipeline.cli import uploads as cli_uploads
from ecauto_pipeline.cli.command import (
    account_option,
    answer,
    json_option,
    opened,
    say,
)
from ecauto_pipeline.domain.base_shop.accounts import authorization_code
from ecauto_pipeline.errors import EcautoError, Misconfigured
from ecauto_pipeline.settings.loading import has_credentials, load_settings
from ecauto_pipeline.wiring.pipeline import opened_pipeline

if TYPE_CHECKING:
    pass


UI_ADDRESS = ("127.0.0.1", "3000")
STOP_PATIENCE_SECONDS = 20


def main() -> None:
    """The entry point: errors become one line and an exit status."""
    try:
        status: Any = cli.main(standalone_mode=False)
    except click.ClickException as error:
        say(f"ecauto: {error.format_message()}")
        status = error.exit_code
    except click.exceptions.Abort:
        say("ecauto: interrupted; what was done until then is kept")
        status = 130
    except Misconfigured as error:
        say(f"ecauto: {error}")
        status = 2
    except EcautoError as error:
        say(f"ecauto: {error}")
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Keeps BASE shops in step with Amazon Japan, and mirrors Shopify stores."""


for _command in (*cli_uploads.ALL, cli_shopify.shopify):
    cli.add_command(_command)


@cli.command()
@click.option("--price-only", is_flag=True, help="Only prices.")
@click.option("--stock-only", is_flag=True, help="Only stock and visibility.")
@account_option
@click.option("--dry-run", is_flag=True, help="Decide, note it, write nothing to BASE.")
@click.option("--accept-large-change", is_flag=True, help="Let this run past the breaker.")
@json_option
def sync(
    *,
    price_only: bool,
    stock_only: bool,
    account_id: str | None,
    dry_run: bool,
    accept_large_change: bool,
    as_json: bool,
) -> int:
    """Refresh what is due from Amazon, then write changed prices and visibility to BASE."""
    from ecauto_pipeline.cli.inventory_sync import SyncOptions  # noqa: PLC0415 - imports Dagster

    if price_only and stock_only:
        raise click.UsageError("--price-only and --stock-only exclude each other")
    options = SyncOptions(
        price_only=price_only,
        stock_only=stock_only,
        account_id=account_id,
        dry_run=dry_run,
        accept_large_change=accept_large_change,
    )
    return _sync(options, as_json=as_json)


@cli.command("import-v1")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@json_option
def import_v1(path: Path, *, dry_run: bool, as_json: bool) -> int:
    """Take over a v1.0 folder or master.db; it is only read."""
    return _import_v1(path, dry_run=dry_run, as_json=as_json)


@cli.command()
@json_option
def status(*, as_json: bool) -> int:
    """Freshness, listings, queue, accounts, quotas and the last runs."""
    from ecauto_pipeline.cli.status import status as read_status  # noqa: PLC0415 - imports Dagster
    from ecauto_pipeline.cli.status import status_lines  # noqa: PLC0415

    with opened() as (pipeline, instance):
        shown = read_status(pipeline, instance)
        answer(shown, status_lines(shown, pipeline.settings.zone), as_json=as_json)
    return 0


@cli.command()
@click.option("--port", default=8765, show_default=True, help="0: any free one.")
@click.option("--asins", default=411, show_default=True, help="How many products there are.")
@click.option("--rate-multiplier", default=1.0, show_default=True, help="Scales all quotas.")
@click.option("--faults", "faults_file", type=click.Path(path_type=Path), help="JSON rules.")
def sandbox(*, port: int, asins: int, rate_multiplier: float, faults_file: Path | None) -> int:
    """The marketplaces on this machine: Amazon, BASE and Shopify as one HTTP server."""
    from ecauto_pipeline.cli.demonstration import (  # noqa: PLC0415
        sandbox_accounts,
        sandbox_environment,
        sandbox_stores,
    )
    from ecauto_pipeline.sandbox.server import Sandbox, run_sandbox  # noqa: PLC0415

    def ready(running: Sandbox) -> None:
        click.echo(f"The sandbox answers at {running.url}; Ctrl-C ends it. To use it:")
        environment = sandbox_environment(running.url, rate_multiplier)
        environment |= sandbox_accounts() | sandbox_stores(running.url)
        for name, value in environment.items():
            click.echo(f"export {name}={shlex.quote(value)}")

    try:
        run_sandbox(port, asins, rate_multiplier, faults_file, ready=ready)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"the sandbox cannot start: {error}") from None
    return 0


@cli.group()
def base() -> None:
    """BASE accounts."""


@base.command()
@click.argument("account_id", metavar="ACCOUNT")
def connect(account_id: str) -> int:
    """Authorise an account: log in to its shop once, and paste the address you are sent to."""
    from ecauto_pipeline.clients.base_shop.auth import authorize_url  # noqa: PLC0415

    with opened_pipeline() as pipeline:
        account = pipeline.shops.accounts(account_id)[0]
        state = secrets.token_urlsafe(16)
        url = authorize_url(pipeline.settings.base.endpoint, account, state)
        click.echo(f"Open this address, log in to the shop of {account.label}, and allow:\n{url}")
        address = click.prompt("The address you were sent to")
        shop = pipeline.shops.tokens(account).connect(authorization_code(address, state))
    click.echo(f"{account.label} is connected to the shop {shop.name or shop.id}.")
    return 0


@cli.command()
def run() -> int:
    """The whole sync once: on the real shops, or without credentials on the sandbox."""
    from ecauto_pipeline.cli.inventory_sync import SyncOptions  # noqa: PLC0415 - imports Dagster
    from ecauto_pipeline.cli.shopify_sync import MirrorOptions  # noqa: PLC0415 - imports Dagster

    with _marketplaces():
        settings = load_settings()
        status = _sync(SyncOptions(), as_json=False) if settings.reads_amazon else 0
        if settings.shopify.stores:
            click.echo()
            status = max(status, cli_shopify.mirror(MirrorOptions(), as_json=False))
        return status


@cli.command()
def dev() -> int:
    """The Dagster UI and daemon on http://127.0.0.1:3000, until Ctrl-C."""
    from ecauto_pipeline.cli.launch import PROJECT, open_instance  # noqa: PLC0415 - imports Dagster

    with _marketplaces():
        open_instance().dispose()
        host, port = UI_ADDRESS
        command = [sys.executable, "-m", "dagster", "dev", "-h", host, "-p", port]
        command += ["-w", str(PROJECT / "workspace.yaml")]
        return _run_until_interrupted(command)


@contextmanager
def _marketplaces() -> Generator[None]:
    """The real ones where credentials are set, else the demonstration, taken over."""
    from ecauto_pipeline.cli.demonstration import (  # noqa: PLC0415
        demonstration,
        refuse_demonstration_data,
    )

    data_dir = load_settings().data_dir
    if has_credentials():
        refuse_demonstration_data(data_dir)
        yield
        return
    say("No credentials are set (.env): this is the demonstration on the built-in sandbox.")
    with demonstration(data_dir) as v1_folder:
        _import_v1(v1_folder, dry_run=False, as_json=False)
        yield


def _sync(options: Any, *, as_json: bool) -> int:
    from ecauto_pipeline.cli.inventory_sync import sync_inventory  # noqa: PLC0415 - imports Dagster

    with opened() as (pipeline, instance):
        report = sync_inventory(instance, pipeline, options)
        answer(report.as_dict(), report.lines(pipeline.settings.zone), as_json=as_json)
    return 0 if report.succeeded else 1


def _import_v1(path: Path, *, dry_run: bool, as_json: bool) -> int:
    from ecauto_pipeline.cli.launch import run_job  # noqa: PLC0415 - imports Dagster

    with opened() as (_, instance):
        config = {"path": str(path.absolute()), "dry_run": dry_run}
        run_ended = run_job(instance, "import_v1", ops={"take_over_v1": config})
        if not run_ended.succeeded:
            raise Misconfigured(run_ended.error_message)
        report = run_ended.result.output_for_node("take_over_v1")
    lines = report.pop("lines")
    answer(report, lines, as_json=as_json)
    return 0


def _run_until_interrupted(command: list[str]) -> int:
    """Run it in a process group of its own, which is interrupted and then ended as a whole."""
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own command
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Dagster's processes end by themselves when interrupted; whatever does not is killed.
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return 0
