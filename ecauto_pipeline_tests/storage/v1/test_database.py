"""A v1.0 database is read whole, and nothing about it changes."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from ecauto_pipeline.errors import DatabaseUnusable, Misconfigured
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.v1.database import open_v1_database
from ecauto_pipeline_tests.v1_installation import LISTINGS, PRODUCTS, V1Installation


@pytest.fixture
def v1(tmp_path: Path) -> V1Installation:
    """An installation with three products."""
    v1 = V1Installation(tmp_path / "ecauto v1 #100%")
    v1.add_products("B000000001", "B000000002", "B000000003")
    return v1


def asins_in(path: Path) -> list[str]:
    with open_v1_database(path) as database:
        return [row["asin"] for row in database.rows("products")]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_rows_are_read_by_column(v1: V1Installation) -> None:
    with open_v1_database(v1.database) as database:
        first = next(database.rows("products"))
    assert first["asin"] == "B000000001"
    assert first["title_ja"] == "商品 B000000001"
    assert first["amazon_in_stock"] is None


@pytest.mark.parametrize("journal_mode", ["delete", "persist", "wal"])
def test_neither_the_file_nor_its_folder_changes(v1: V1Installation, journal_mode: str) -> None:
    with closing(v1.connect()) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("INSERT INTO products (asin) VALUES ('B000000004')")
        connection.commit()
    before = snapshot(v1.database.parent)
    assert len(asins_in(v1.database)) == 4
    assert snapshot(v1.database.parent) == before


def test_what_is_only_in_the_write_ahead_log_is_read(v1: V1Installation, tmp_path: Path) -> None:
    with closing(v1.connect()) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("INSERT INTO products (asin) VALUES ('B000000004')")
        connection.commit()
        before = snapshot(v1.database.parent)
        assert set(before) == {"master.db", "master.db-wal", "master.db-shm"}
        assert "B000000004" in asins_in(v1.database)
        assert snapshot(v1.database.parent) == before


def test_a_log_without_its_index_is_read(v1: V1Installation, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(v1.connect()) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("INSERT INTO products (asin) VALUES ('B000000004')")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{v1.database}{suffix}", copy / f"master.db{suffix}")
    before = snapshot(copy)
    assert "B000000004" in asins_in(copy / "master.db")
    assert snapshot(copy) == before


def test_an_open_transaction_of_v1_is_not_seen(v1: V1Installation) -> None:
    v1.fill("INSERT INTO products (asin) VALUES (?)", ((f"A{n}",) for n in range(5000)))
    with closing(v1.connect()) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("UPDATE products SET brand = 'half done'")
        assert Path(f"{v1.database}-journal").stat().st_size
        before = snapshot(v1.database.parent)
        with open_v1_database(v1.database) as database:
            assert {row["brand"] for row in database.rows("products")} == {None}
        assert snapshot(v1.database.parent) == before
        connection.rollback()


def test_a_database_in_a_folder_without_write_permission_is_read(v1: V1Installation) -> None:
    with closing(v1.connect()) as connection:
        connection.execute("PRAGMA journal_mode = wal")
    v1.database.parent.chmod(0o555)
    assert len(asins_in(v1.database)) == 3
    v1.database.parent.chmod(0o755)


def test_older_tables_and_columns_may_be_missing(tmp_path: Path) -> None:
    v1 = V1Installation(tmp_path / "v1", "CREATE TABLE products (ASIN TEXT);" + LISTINGS)
    v1.add("products", {"asin": "B000000001"})
    with open_v1_database(v1.database) as database:
        assert list(database.rows("products")) == [{"asin": "B000000001"}]
        assert list(database.rows("account_configs")) == []


def test_text_that_is_not_utf_8_does_not_stop_the_reading(v1: V1Installation) -> None:
    v1.fill("INSERT INTO products (asin, brand) VALUES (?, CAST(x'83' AS TEXT))", [("B4",)])
    with open_v1_database(v1.database) as database:
        assert [row["brand"] for row in database.rows("products")][-1] == "\ufffd"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not a SQLite database"),
        (b"SQLite format 3\x00" + b"\xff" * 4096, "cannot be read"),
    ],
)
def test_what_is_no_database_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "master.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable, match=problem) as raised, open_v1_database(path):
        pass
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DatabaseUnusable, match="No such file"),
        open_v1_database(tmp_path / "master.db"),
    ):
        pass
    assert not (tmp_path / "master.db").exists()


def test_a_truncated_database_is_refused(v1: V1Installation) -> None:
    v1.fill("INSERT INTO products (asin, brand) VALUES (?, ?)", ((n, "x" * 999) for n in range(99)))
    whole = v1.database.read_bytes()
    v1.database.write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(DatabaseUnusable, match=r"damaged|malformed") as raised,
        open_v1_database(v1.database),
    ):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("schema", "missing"),
    [
        ("CREATE TABLE other (x);", "lacks products, listings"),
        (PRODUCTS, "lacks listings"),
        (
            PRODUCTS + "CREATE TABLE listings (id INTEGER PRIMARY KEY, asin TEXT, platform TEXT);",
            "lacks listings.account_id",
        ),
    ],
)
def test_a_database_without_its_tables_is_refused(
    tmp_path: Path, schema: str, missing: str
) -> None:
    v1 = V1Installation(tmp_path / "v1", schema)
    with pytest.raises(DatabaseUnusable, match=missing), open_v1_database(v1.database):
        pass


def test_our_own_database_is_refused(tmp_path: Path) -> None:
    engine = database.open_engine(f"sqlite:///{tmp_path / 'master.db'}")
    migrate.upgrade(engine)
    with (
        pytest.raises(Misconfigured, match="of this program"),
        open_v1_database(tmp_path / "master.db"),
    ):
        pass
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM products")) == 0


def test_the_connection_cannot_write(v1: V1Installation) -> None:
    with open_v1_database(v1.database) as database, pytest.raises(sqlite3.OperationalError):
        database.connection.execute("DELETE FROM products")
