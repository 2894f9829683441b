"""A process that uploads: it may be ended at any moment, and is by its own lease when too late.

Started by the `uploads` asset, which goes on living. It says what it does in JSON, a line each.
"""

import json
import os
import socket
import sys
from typing import Any

import click

from ecauto_pipeline.errors import EcautoError
from ecauto_pipeline.processes.fence import KernelFence, end_with_parent
from ecauto_pipeline.wiring.pipeline import Pipeline


@click.command()
@click.option("--account", "account_id", required=True)
@click.option("--limit", type=int)
@click.option("--now", "now", is_flag=True, help="Whatever is pending, at any hour.")
def main(*, account_id: str, limit: int | None, now: bool) -> None:
    """Look up what is unknown, then upload what is due."""
    end_with_parent()
    pipeline = Pipeline()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    try:
        looked_up = pipeline.uploads.resolve_unknown(account_id)
        _say(
            "looked_up",
            adopted=looked_up.adopted,
            not_found=looked_up.not_found,
            rescued=looked_up.rescued,
            doubled=looked_up.doubled,
        )
        pipeline.uploads.adopt_before_uploading(account_id)
        uploader = pipeline.uploads.uploader(account_id, KernelFence())
        report = uploader.run(account_id, worker, limit=limit, now_due=not now)
        _say(
            "uploaded",
            results={str(result): count for result, count in report.results.items()},
            notes=report.notes,
            stopped=report.stopped,
            calls=dict(uploader.shop.calls),
        )
        if report.needs_a_person:
            _say("stopped", reason=report.stopped)
    except EcautoError as error:
        _say("stopped", reason=str(error))
        sys.exit(1)
    finally:
        pipeline.close()


def _say(event: str, **values: Any) -> None:
    click.echo(json.dumps({"event": event, **values}, ensure_ascii=False))


if __name__ == "__main__":
    main()
