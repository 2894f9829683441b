"""Bringing the database to the revision that this program speaks."""

from pathlib import Path

import sqlalchemy as sa

from ecauto_pipeline.errors import DatabaseUnusable
from ecauto_pipeline.storage import database, locks

HEAD = "0003"
"""The newest revision; a test keeps it equal to the newest migration script."""

_MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(engine: sa.Engine) -> None:
    """Create or migrate all tables; processes that start at once take turns.

    Raises:
        DatabaseUnusable: the database cannot be opened, belongs to another program, or comes from
            a newer version of this one.
    """
    if current_revision(engine) == HEAD:
        return
    with locks.exclusive(engine, "migrations"):
        revision = current_revision(engine)
        if revision == HEAD:
            return
        from alembic import command  # noqa: PLC0415 - costs 0.2 s, and is needed once per upgrade
        from alembic.config import Config  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision is not None and revision not in known:
            raise DatabaseUnusable(
                f"{_shown(engine)} is at revision {revision}, newer than this program ({HEAD}):"
                " update ecauto_pipeline"
            )
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)


def current_revision(engine: sa.Engine) -> str | None:
    """The revision the database is at; None when it is empty.

    Raises:
        DatabaseUnusable: it cannot be opened, or holds tables of another program.
    """
    with (
        database.usable(f"{_shown(engine)} cannot be used"),
        database.reading(engine).connect() as connection,
    ):
        names = set(sa.inspect(connection).get_table_names())
        if "alembic_version" in names:
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if "products" in names:
        raise DatabaseUnusable(
            f"{_shown(engine)} is a v1.0 database: keep it, and take it over with"
            " `ecauto import-v1 PATH` into another one (ECAUTO_DATABASE_URL)"
        )
    return None


def _shown(engine: sa.Engine) -> str:
    return f"database {engine.url.render_as_string(hide_password=True)}"
