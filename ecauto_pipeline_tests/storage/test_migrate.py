"""A database is brought to the revision of this program, or refused with one clear line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from ecauto_pipeline.errors import DatabaseUnusable
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.shopify.tables import metadata
from ecauto_pipeline_tests.children import at_once


@pytest.fixture
def empty(empty_url: str) -> Iterator[sa.Engine]:
    engine = database.open_engine(empty_url)
    yield engine
    engine.dispose()


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def refusal(engine: sa.Engine) -> str:
    """What `upgrade` says about a database it does not want: a single line."""
    with pytest.raises(DatabaseUnusable) as caught:
        migrate.upgrade(engine)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_database_gets_every_table(empty: sa.Engine) -> None:
    assert migrate.current_revision(empty) is None
    migrate.upgrade(empty)
    assert migrate.current_revision(empty) == migrate.HEAD
    assert set(sa.inspect(empty).get_table_names()) >= set(metadata.tables)


def test_a_second_upgrade_changes_nothing(engine: sa.Engine) -> None:
    begun: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        begun.append(statement.split(maxsplit=1)[0])

    migrate.upgrade(engine)
    assert set(begun) <= {"PRAGMA", "BEGIN", "SELECT"}


def upgrade(url: str) -> None:
    engine = database.open_engine(url)
    migrate.upgrade(engine)
    engine.dispose()


@pytest.mark.process
def test_two_processes_may_upgrade_at_once(empty_url: str) -> None:
    at_once(2, upgrade, empty_url)
    engine = database.open_engine(empty_url)
    assert migrate.current_revision(engine) == migrate.HEAD
    engine.dispose()


def test_a_newer_database_is_refused(engine: sa.Engine) -> None:
    run(engine, "UPDATE alembic_version SET version_num = '9999'")
    message = refusal(engine)
    assert "9999" in message
    assert "update ecauto_pipeline" in message


def test_a_database_of_v1_is_refused_and_left_alone(empty: sa.Engine) -> None:
    run(empty, "CREATE TABLE products (asin VARCHAR(10) PRIMARY KEY)")
    assert "ecauto import-v1" in refusal(empty)
    assert sa.inspect(empty).get_table_names() == ["products"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all\n" * 100)
    engine = database.open_engine(f"sqlite:///{path}")
    assert "file is not a database" in refusal(engine)
    engine.dispose()


def test_a_password_is_not_shown() -> None:
    engine = database.open_engine("postgresql://somebody:secret@127.0.0.1:1/nowhere")
    with pytest.raises(DatabaseUnusable) as caught:
        migrate.upgrade(engine)
    message = str(caught.value)
    assert "somebody:***@" in message
    assert "secret" not in message


def test_the_migrations_and_the_tables_agree(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        # SQLite gives defaults back as other text than was written.
        options = {"compare_server_default": engine.dialect.name == "postgresql"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert scripts.get_heads() == [migrate.HEAD]
