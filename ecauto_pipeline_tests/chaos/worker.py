"""An upload worker that dawdles between its last check and the sending, and may lack the fence."""

import os
import signal
import socket
import sys
from dataclasses import dataclass, replace
from datetime import timedelta

import click

from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.errors import EcautoError
from ecauto_pipeline.processes.fence import KernelFence
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.sync.uploads.uploader import NoFence, Uploader
from ecauto_pipeline.wiring.pipeline import Pipeline

GAP_SECONDS = 0.03
REST_SECONDS = 0.5
"""What is left of the lease when a worker stops itself."""


@dataclass(frozen=True, slots=True)
class Orders:
    """How a worker is to behave; one that stops itself does so when about to send."""

    account_id: str
    fenced: bool = True
    stop_itself: bool = False


def work(settings: Settings, orders: Orders) -> None:
    """Look up what is unknown, then upload whatever is pending: as `upload_worker` does."""
    clock = SystemClock()

    def dawdle(name: str) -> None:
        if name != "after sending":
            return
        if orders.stop_itself:
            # The rest of a lease that is being watched would be too long for a test to wait.
            if signal.getitimer(signal.ITIMER_REAL)[0] > 0:
                signal.setitimer(signal.ITIMER_REAL, REST_SECONDS)
            os.kill(os.getpid(), signal.SIGSTOP)
        clock.sleep(GAP_SECONDS)

    pipeline = Pipeline(lambda: settings, clock, dawdle)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    try:
        pipeline.uploads.resolve_unknown(orders.account_id)
        _uploader(pipeline, orders).run(orders.account_id, worker, now_due=False)
    except EcautoError as error:
        click.echo(f"{worker}: {type(error).__name__}: {error}", err=True)
        sys.exit(1)
    finally:
        pipeline.close()


def _uploader(pipeline: Pipeline, orders: Orders) -> Uploader:
    if orders.fenced:
        return pipeline.uploads.uploader(orders.account_id, KernelFence())
    uploader = pipeline.uploads.uploader(orders.account_id, NoFence())
    # So little time is asked for that there always is enough.
    return replace(uploader, call_timeout=timedelta(days=-1))
