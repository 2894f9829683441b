"""What the commands share: options, the opened pipeline, jobs run to their end, answers."""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.wiring.pipeline import opened_pipeline

if TYPE_CHECKING:
    import dagster as dg

    from ecauto_pipeline.cli.launch import JobRun
    from ecauto_pipeline.wiring.pipeline import Pipeline

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
account_option = click.option("--account", "account_id", metavar="ID", help="This account only.")


@contextmanager
def opened() -> "Generator[tuple[Pipeline, dg.DagsterInstance]]":
    """The pipeline and the project's instance."""
    with opened_pipeline() as pipeline:
        from ecauto_pipeline.cli.launch import open_instance  # noqa: PLC0415 - imports Dagster

        with open_instance() as instance:
            yield pipeline, instance


def run_over_accounts(
    job_name: str, account_id: str | None, ops: Mapping[str, Mapping[str, Any]]
) -> "JobRun":
    """Run a job over the partitions of the active accounts, or of the one named.

    Raises:
        Misconfigured: there is no such account, it is switched off, or there is none at all.
    """
    from ecauto_pipeline.cli.launch import run_job  # noqa: PLC0415 - imports Dagster
    from ecauto_pipeline.defs import partitions  # noqa: PLC0415

    with opened() as (pipeline, instance):
        found = pipeline.shops.accounts(account_id)
        for account in found:
            if not account.active:
                raise Misconfigured(
                    f"--account {account.label}: it is switched off (active = false)"
                )
        accounts = [account.id for account in found]
        if not accounts:
            raise Misconfigured("ECAUTO_BASE__ACCOUNTS: no active BASE account is configured")
        known = partitions.ensure_partitions(instance, partitions.BASE_ACCOUNTS, accounts)
        return run_job(instance, job_name, tags=partitions.account_range(known, accounts), ops=ops)


def outcome(job_name: str, op_name: str, **config: Any) -> dict[str, Any]:
    """Run a job of one step that has no partitions; what the step gives back.

    Raises:
        EcautoError: what ended the run.
    """
    from ecauto_pipeline.cli.launch import run_job  # noqa: PLC0415 - imports Dagster

    with opened() as (_, instance):
        run = run_job(instance, job_name, ops={op_name: config})
    if not run.succeeded:
        raise run.error
    return run.result.output_for_node(op_name)


def plain_values(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What stands behind Dagster's metadata."""
    return {name: getattr(value, "value", value) for name, value in metadata.items()}


def numbers_and_words(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of the metadata; tables are left to the UI."""
    return {
        name: value
        for name, value in plain_values(metadata).items()
        if isinstance(value, str | int | float | bool)
    }


def answer(shown: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """One JSON object, or lines for people."""
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, default=str))
    else:
        for line in lines:
            click.echo(line)


def say(message: str) -> None:
    """Tell a person something that is not the answer."""
    click.echo(message, err=True)
