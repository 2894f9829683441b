"""The clock, and an empty database of each kind."""

import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline_tests.children import adopt_orphans, end_strays
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.postgres import PostgresServer, postgres_server

LONG = ("ui", "process", "chaos")
"""Markers of tests that take long, longest first."""

# How long an example takes tells of the machine only.
settings.register_profile("anywhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")


def pytest_sessionstart() -> None:
    adopt_orphans()
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that: those
    # that are to be interrupted would never hear of it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest tests come first, so that no worker is left with one at the end."""
    longest: dict[Path, int] = {}
    for item in items:
        ranks = [rank for rank, name in enumerate(LONG) if item.get_closest_marker(name)]
        longest[item.path] = min([*ranks, longest.get(item.path, len(LONG))])
    items.sort(key=lambda item: longest[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A test leaves no process behind; its last fixtures have been closed by now."""
    try:
        yield
    finally:
        if strays := end_strays():
            raise AssertionError(f"{item.nodeid} left running: {strays}")


@pytest.fixture
def clock() -> FakeClock:
    """Midday in Japan, until somebody waits."""
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session."""
    with postgres_server() as server:
        yield server


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
        with request.getfixturevalue("postgres").empty_database() as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database, for processes that open it themselves."""
    if backend == "sqlite":
        path = tmp_path / "ecauto.sqlite"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        with request.getfixturevalue("postgres").migrated_database() as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A migrated database."""
    engine = database.open_engine(url)
    yield engine
    engine.dispose()
