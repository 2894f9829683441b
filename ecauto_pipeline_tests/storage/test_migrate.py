"""A database is brought to the revision of this program, or refused with one clear line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from ecauto_pipeline.errors import DatabaseUnusable
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.shopify.tables import metadata
from ecauto_pipeline.storage.tables import (
    account_checks,
    account_configs,
    account_tokens,
    decisions,
    shop_items,
)
from ecauto_pipeline_tests.children import at_once

MIGRATIONS = Path(migrate.__file__).with_name("migrations")

THEN = "2026-11-20 12:00:00"
DATES = {"created_at": THEN, "updated_at": THEN}
PRODUCT = {"asin": "A", **DATES}
OLD_ROWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("account_checks", {"account_id": "one", "checked_at": THEN}),
    (
        "account_configs",
        {"id": "one", "platform": "base", "name": "店", "category_filter": '["文房具"]', **DATES},
    ),
    ("account_configs", {"id": "two", "platform": "ebay", **DATES}),
    ("account_tokens", {"account_id": "one", "refresh_token": "single-use", "updated_at": THEN}),
    (
        "base_items",
        {"account_id": "one", "item_id": "77", "title": "題", "visible": True, "seen_at": THEN},
    ),
    ("products", {"shard": "00", **PRODUCT}),
    ("listings", {"id": 1, "platform": "base", "account_id": "one", **PRODUCT}),
    (
        "decisions",
        {
            "run_id": "r",
            "account_id": "one",
            "listing_id": 1,
            "asin": "A",
            "kind": "price",
            "rule": "x",
            "reason": "y",
            "dry_run": False,
            "outcome": "held",
            "decided_at": THEN,
        },
    ),
)
"""What revision 0002 may have kept."""


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


def upgrade_to(engine: sa.Engine, revision: str) -> None:
    """As an older version of this program left the database."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_what_was_kept_by_account_alone_is_base_s(empty: sa.Engine) -> None:
    upgrade_to(empty, "0002")
    with empty.begin() as connection:
        for name, values in OLD_ROWS:
            columns: list[sa.ColumnClause[Any]] = [sa.column(column) for column in values]
            table = sa.table(name, *columns)
            connection.execute(sa.insert(table).values(values))
    migrate.upgrade(empty)
    with empty.connect() as connection:
        configs = connection.execute(sa.select(account_configs).order_by("id")).mappings().all()
        tokens = connection.execute(sa.select(account_tokens)).mappings().one()
        checks = connection.execute(sa.select(account_checks)).mappings().one()
        decision = connection.execute(sa.select(decisions)).mappings().one()
        item = connection.execute(sa.select(shop_items)).mappings().one()
        view = connection.execute(sa.text("SELECT * FROM base_items")).mappings().one()
    assert [(row["platform"], row["id"]) for row in configs] == [("base", "one"), ("ebay", "two")]
    assert (configs[0]["category_filter"], configs[0]["name"]) == (["文房具"], "店")
    assert (configs[0]["active"], configs[0]["created_at"]) == (True, checks["checked_at"])
    assert (tokens["platform"], tokens["refresh_token"]) == ("base", "single-use")
    assert (checks["platform"], decision["platform"]) == ("base", "base")
    assert (item["platform"], item["item_id"], item["visible"]) == ("base", "77", True)
    assert set(view) == set(item) - {"platform"}
    assert (view["account_id"], view["item_id"], view["title"]) == ("one", "77", "題")


def test_the_migrations_and_the_tables_agree(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        # SQLite gives defaults back as other text than was written.
        options = {"compare_server_default": engine.dialect.name == "postgresql"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [migrate.HEAD]
