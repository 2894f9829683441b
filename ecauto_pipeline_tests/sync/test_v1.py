"""What v1.0 had is here afterwards: every row, once, and nothing of ours is touched."""

import json
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.v1.report import ImportReport
from ecauto_pipeline.errors import DatabaseUnusable, Misconfigured
from ecauto_pipeline.settings.base_shop import PricingSettings
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.tables import (
    account_configs,
    account_tokens,
    ebay_listing_metadata,
    listings,
    metadata,
    products,
    upload_queue,
)
from ecauto_pipeline.storage.v1.additions import ImportStore
from ecauto_pipeline.sync.v1 import import_v1
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.v1_installation import (
    ACCOUNT,
    PRODUCTS,
    QUEUE,
    REST,
    SCHEMA,
    V1Installation,
    add_production_numbers,
    asins,
    listing,
    queued,
)

A, B, C = "B000000001", "B000000002", "B000000003"

OLD_LISTINGS = """
CREATE TABLE listings (
    id INTEGER PRIMARY KEY, asin TEXT, platform TEXT, account_id TEXT, platform_item_id TEXT,
    sku TEXT, selling_price REAL, status TEXT, listed_at TIMESTAMP);
CREATE TABLE upload_queue (
    id INTEGER PRIMARY KEY, asin TEXT, platform TEXT, account_id TEXT, scheduled_time TIMESTAMP,
    priority INTEGER, status TEXT, retry_count INTEGER, error_message TEXT);
"""
"""Before v1.0 had its unique constraints."""


class Takeover:
    """Our side: an empty database and data folder."""

    def __init__(self, engine: sa.Engine, clock: FakeClock, folder: Path) -> None:
        self.engine = engine
        self.clock = clock
        self.accounts = AccountStore(engine, Cipher("a passphrase"), clock, "base")
        self.toml_file = folder / "data" / "ecauto.toml"

    def run(self, source: V1Installation | Path, *, dry_run: bool = False) -> ImportReport:
        """Take it over."""
        return import_v1(
            source if isinstance(source, Path) else source.folder,
            ImportStore(self.engine),
            self.accounts,
            self.clock,
            toml_file=self.toml_file,
            dry_run=dry_run,
        )

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows, by key."""
        with self.engine.connect() as connection:
            query = sa.select(table).order_by(*table.primary_key)
            return [dict(row) for row in connection.execute(query).mappings()]

    def insert(self, table: sa.Table, *rows: dict[str, Any]) -> None:
        """Rows of our own."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(table), rows)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that the database holds."""
        return {table.name: self.rows(table) for table in metadata.sorted_tables}


@pytest.fixture
def ours(engine: sa.Engine, clock: FakeClock, tmp_path: Path) -> Takeover:
    """An empty database of each kind."""
    return Takeover(engine, clock, tmp_path)


@pytest.fixture
def v1(tmp_path: Path) -> V1Installation:
    """An installation whose tables are empty."""
    return V1Installation(tmp_path / "v1")


def our_product(asin: str, **values: Any) -> dict[str, Any]:
    times = {"created_at": MIDDAY, "updated_at": MIDDAY}
    return {"asin": asin, "shard": shard_of(asin), **times, **values}


def our_listing(asin: str, **values: Any) -> dict[str, Any]:
    times = {"created_at": MIDDAY, "updated_at": MIDDAY}
    return {"asin": asin, "platform": "base", "account_id": ACCOUNT, **times, **values}


def our_queued(asin: str, status: str, **values: Any) -> dict[str, Any]:
    place = {"asin": asin, "platform": "base", "account_id": ACCOUNT}
    return {**place, "status": status, "created_at": MIDDAY, **values}


def counts(report: ImportReport, table: str) -> tuple[int, int, int, int]:
    part = report.tables[table]
    return part.found, part.added, part.already_here, len(part.left_out)


def reasons(report: ImportReport, table: str) -> dict[str, str]:
    part = report.tables[table]
    return {remark.row: remark.reason for remark in (*part.changed, *part.left_out)}


def test_the_numbers_of_production_are_kept(ours: Takeover, v1: V1Installation) -> None:
    add_production_numbers(v1)
    before = (v1.database.read_bytes(), v1.database.stat().st_mtime_ns)
    report = ours.run(v1)
    assert (v1.database.read_bytes(), v1.database.stat().st_mtime_ns) == before
    assert [file.name for file in v1.database.parent.iterdir()] == ["master.db"]
    assert report.complete
    assert counts(report, "listings") == (2087, 2087, 0, 0)
    assert counts(report, "upload_queue") == (277, 277, 0, 0)
    with ours.engine.connect() as connection:
        assert tally(connection, listings) == {"pending": 1896, "listed": 191}
        assert tally(connection, upload_queue) == {"success": 229, "failed": 47, "unknown": 1}
        same_place = sa.and_(
            *(listings.c[name] == upload_queue.c[name] for name in ("asin", "account_id"))
        )
        joined = sa.select(sa.func.count()).select_from(
            listings.join(upload_queue, same_place, isouter=True)
        )
        assert connection.scalar(joined.where(upload_queue.c.id.is_(None))) == 1885
        lost = joined.where(upload_queue.c.status == "success", listings.c.status == "pending")
        assert connection.scalar(lost) == 8


def tally(connection: sa.Connection, table: sa.Table) -> dict[str, int]:
    query = sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
    return {row[0]: row[1] for row in connection.execute(query)}


def test_every_column_of_a_product_is_kept(ours: Takeover, v1: V1Installation) -> None:
    texts = {name: f"{name} の値" for name in ("title_ja", "title_en", "description_ja", "brand")}
    v1.add(
        "products",
        {
            "asin": A,
            **texts,
            "images": '["https://a/1.jpg", "https://a/2.jpg"]',
            "amazon_price_jpy": 1980,
            "amazon_in_stock": 0,
            "last_fetched_at": "2025-12-01T21:44:53.264999",
            "created_at": "2025-11-30 08:00:00",
            "updated_at": "2025-12-01T21:44:53+09:00",
        },
    )
    ours.run(v1)
    (product,) = ours.rows(products)
    fetched = datetime(2025, 12, 1, 12, 44, 53, 264999, tzinfo=UTC)
    assert product | texts == product
    assert product["shard"] == shard_of(A)
    assert product["images"] == ["https://a/1.jpg", "https://a/2.jpg"]
    assert (product["amazon_price_jpy"], product["amazon_in_stock"]) == (1980, False)
    assert product["last_fetched_at"] == fetched
    assert product["created_at"] == datetime(2025, 11, 29, 23, tzinfo=UTC)
    assert product["updated_at"] == fetched.replace(microsecond=0)


def test_nothing_v1_knew_of_amazon_counts_as_proof(ours: Takeover, v1: V1Installation) -> None:
    v1.add(
        "products",
        {"asin": A, "amazon_in_stock": 1, "last_fetched_at": "2025-12-01 21:44:53"},
    )
    ours.run(v1)
    (product,) = ours.rows(products)
    times = ("catalog_updated_at", "price_updated_at", "stock_updated_at")
    assert [product[name] for name in times] == [None, None, None]
    assert product["amazon_in_stock"] is True


@pytest.mark.parametrize(
    ("column", "value", "kept", "said"),
    [
        ("amazon_price_jpy", 0, None, "not above 0"),
        ("amazon_price_jpy", -5, None, "not above 0"),
        ("amazon_price_jpy", "abc", None, "not an amount"),
        ("amazon_price_jpy", 1980.4, 1980, "rounded"),
        ("amazon_in_stock", "perhaps", None, "neither true nor false"),
        ("images", "[broken", None, "not a JSON list"),
        ("images", '["https://a", 3]', ["https://a"], "no addresses"),
        ("images", '["\\ud800"]', ["\ufffd"], ""),
        ("last_fetched_at", "yesterday", None, "not a time"),
        ("last_fetched_at", "0001-01-01", None, "not a time"),
        ("title_ja", "a\x00b", "ab", "cleaned"),
        ("title_ja", b"\xe5\x95\x86", "商", "cleaned"),
        ("last_fetched_at", "", None, ""),
    ],
)
def test_a_value_that_cannot_be_kept_is_reported(
    ours: Takeover, v1: V1Installation, column: str, value: object, kept: object, said: str
) -> None:
    v1.add("products", {"asin": A, column: value})
    report = ours.run(v1)
    assert ours.rows(products)[0][column] == kept
    assert said in reasons(report, "products").get(A, "")
    assert bool(said) == bool(report.tables["products"].changed)


def test_a_malformed_asin_is_kept_and_an_unusable_one_reported(
    ours: Takeover, v1: V1Installation
) -> None:
    v1.add_products("b00test", "B0000000012345")
    v1.fill("INSERT INTO products (asin) VALUES (?)", [(None,), ("",)])
    report = ours.run(v1)
    assert [row["asin"] for row in ours.rows(products)] == ["b00test"]
    assert counts(report, "products") == (4, 1, 0, 3)
    assert reasons(report, "products") == {
        "b00test": "kept, though it is not an ASIN as Amazon writes them",
        "B0000000012345": "asin is longer than 10 characters",
        "row 3": "has no asin",
        "row 4": "has no asin",
    }


def test_a_listing_keeps_id_price_and_shop(ours: Takeover, v1: V1Installation) -> None:
    v1.add_products(A, B)
    v1.add(
        "listings",
        listing(
            A,
            id=77,
            selling_price=1980.1,
            platform_item_id="123",
            status="listed",
            visibility="hidden",
            listed_at="2025-12-01 09:00:00",
            updated_at="2025-12-02 09:00:00",
        ),
        listing(
            B,
            id=90,
            platform="ebay",
            sku=None,
            currency="USD",
            status="queued",
            visibility=None,
            in_stock_quantity=None,
        ),
    )
    report = ours.run(v1)
    first, second = ours.rows(listings)
    assert first["id"] == 77
    assert first["selling_price"] == Decimal("1980.1")
    assert (first["status"], first["visibility"]) == ("listed", "hidden")
    assert first["platform_item_id"] == "123"
    assert first["created_at"] == first["listed_at"] == datetime(2025, 12, 1, tzinfo=UTC)
    assert (second["platform"], second["sku"], second["currency"]) == ("ebay", None, "USD")
    assert (second["status"], second["visibility"]) == ("pending", "public")
    assert reasons(report, "listings") == {"90": "status queued is now pending"}


@pytest.mark.parametrize(("item", "status"), [("123", "listed"), (None, "delisted")])
def test_an_unknown_status_never_leads_to_an_upload(
    ours: Takeover, v1: V1Installation, item: str | None, status: str
) -> None:
    v1.add_products(A)
    v1.add("listings", listing(A, status="error", platform_item_id=item))
    report = ours.run(v1)
    assert ours.rows(listings)[0]["status"] == status
    assert reasons(report, "listings") == {"1": f"status 'error' is not known, and is now {status}"}


def test_a_missing_product_is_made(ours: Takeover, v1: V1Installation) -> None:
    v1.add("listings", listing(A))
    v1.add("upload_queue", queued(A, "success"), queued(B, "failed"))
    report = ours.run(v1)
    assert [row["asin"] for row in ours.rows(products)] == [A, B]
    assert (report.tables["products"].found, report.tables["products"].made) == (0, 2)
    assert reasons(report, "products").keys() == {A, B}
    assert counts(report, "listings") == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"asin": None}, "has no asin"),
        ({"asin": "B0000000012345"}, "asin is longer than 10 characters"),
        ({"platform": None}, "has no platform"),
        ({"account_id": "x" * 101}, "account_id is longer than 100 characters"),
    ],
)
def test_a_listing_or_queue_row_without_a_place_is_reported(
    ours: Takeover, v1: V1Installation, values: dict[str, Any], reason: str
) -> None:
    v1.add("listings", listing(A) | values)
    v1.add("upload_queue", queued(A, "success") | values)
    report = ours.run(v1)
    assert counts(report, "listings") == counts(report, "upload_queue") == (1, 0, 0, 1)
    assert reasons(report, "listings") == reasons(report, "upload_queue") == {"1": reason}
    assert not report.complete


def test_of_doubles_the_first_is_kept(ours: Takeover, tmp_path: Path) -> None:
    v1 = V1Installation(tmp_path / "v1", PRODUCTS + OLD_LISTINGS)
    v1.add_products(A, B, C)
    v1.add(
        "listings",
        listing(A, id=1, sku="s-1"),
        listing(A, id=2, sku="s-2"),
        listing(B, id=3, sku="s-1"),
        listing(C, id=4, sku=""),
        listing(C, id=5, sku="", account_id="base_account_2"),
    )
    report = ours.run(v1)
    assert [(row["id"], row["sku"]) for row in ours.rows(listings)] == [
        (1, "s-1"),
        (4, None),
        (5, None),
    ]
    left_out = report.tables["listings"].left_out
    assert [(remark.row, remark.detail) for remark in left_out] == [
        ("2", "1 is kept"),
        ("3", "1 is kept"),
    ]
    again = ours.run(v1)
    assert counts(again, "listings") == (5, 0, 3, 2)


def test_a_double_that_is_on_the_shop_is_not_uploaded_again(ours: Takeover, tmp_path: Path) -> None:
    v1 = V1Installation(tmp_path / "v1", PRODUCTS + OLD_LISTINGS)
    v1.add(
        "listings",
        listing(A, id=1, sku="s-1", status="pending"),
        listing(A, id=2, sku="s-2", status="listed", platform_item_id="123"),
    )
    report = ours.run(v1)
    (kept,) = ours.rows(listings)
    assert (kept["id"], kept["sku"]) == (1, "s-1")
    assert (kept["status"], kept["platform_item_id"]) == ("listed", "123")
    assert "stands for the item" in reasons(report, "listings")["1"]


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ("pending", "pending"),
        ("processing", "unknown"),
        ("uploading", "unknown"),
        ("success", "success"),
        ("completed", "success"),
        ("failed", "failed"),
        ("retrying", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_upload_under_way_is_never_pending(
    ours: Takeover, v1: V1Installation, theirs: str | None, kept: str
) -> None:
    v1.add(
        "upload_queue",
        queued(A, "")
        | {"id": 9, "status": theirs, "retry_count": 2, "error_message": "timeout", "priority": 20},
    )
    report = ours.run(v1)
    (row,) = ours.rows(upload_queue)
    assert (row["id"], row["status"]) == (9, kept)
    assert (row["retry_count"], row["error_message"], row["priority"]) == (2, "timeout", 20)
    assert row["scheduled_time"] == datetime(2025, 12, 1, tzinfo=UTC)
    assert bool(report.tables["upload_queue"].changed) == (theirs != kept)


def test_one_queue_row_of_a_place_waits_and_the_others_fail(ours: Takeover, tmp_path: Path) -> None:
    v1 = V1Installation(tmp_path / "v1", PRODUCTS + OLD_LISTINGS)
    v1.add(
        "upload_queue",
        queued(A, "success", id=1),
        queued(A, "pending", id=2),
        queued(A, "pending", id=3),
        queued(A, "uploading", id=4, error_message="timeout"),
        queued(B, "pending", id=5),
    )
    report = ours.run(v1)
    rows = {row["id"]: (row["status"], row["error_message"]) for row in ours.rows(upload_queue)}
    assert rows == {
        1: ("success", None),
        2: ("unknown", None),
        3: ("failed", "duplicate of queue row 2 (import)"),
        4: ("failed", "duplicate of queue row 2 (import); before: timeout"),
        5: ("pending", None),
    }
    assert {"3", "4"} <= reasons(report, "upload_queue").keys()
    assert counts(ours.run(v1), "upload_queue") == (5, 0, 5, 0)


def fill_everything(v1: V1Installation) -> None:
    v1.add_products(A, B)
    v1.add("listings", listing(A, id=5), listing(B, id=6, platform="ebay"), listing(C, id=8))
    v1.add("upload_queue", queued(A, "pending", id=3), queued(C, "uploading", id=4))
    v1.add("ebay_listing_metadata", {"sku": f"sku-{B}", "offer_id": "o-1"}, {"sku": None})
    v1.add("account_configs", {"id": "table_account", "platform": "base", "name": "店"})
    v1.add("account_configs", {"id": "ebay_main", "platform": "ebay"})
    credentials = {"client_id": "c", "client_secret": "s", "redirect_uri": "http://localhost"}
    v1.write_accounts({"id": ACCOUNT, "name": "本店", "credentials": credentials})
    v1.write_tokens(ACCOUNT, "2025-12-01T21:44:53.264999")
    v1.write_strategy("simple_markup")
    v1.write(".env", "REFRESH_TOKEN=secret-1\n# LWA_APP_ID=x\nexport LWA_CLIENT_SECRET='s-2'\n")


def test_a_second_import_changes_nothing(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    first = ours.run(v1)
    held, settings = ours.everything(), ours.toml_file.read_text(encoding="utf-8")
    ours.clock.advance(days=1)
    second = ours.run(v1)
    assert ours.everything() == held
    assert ours.toml_file.read_text(encoding="utf-8") == settings
    for name, table in second.tables.items():
        assert (table.added, table.made, table.changed) == (0, 0, []), name
        assert table.already_here == first.tables[name].added, name
        assert table.left_out == first.tables[name].left_out, name


def test_a_dry_run_reports_the_same_and_writes_nothing(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    before = ours.everything()
    dry = ours.run(v1, dry_run=True)
    assert ours.everything() == before
    assert not ours.toml_file.exists()
    wet = ours.run(v1)
    assert dry.as_dict() | {"dry_run": False} == wet.as_dict()
    assert "dry run" in dry.lines()[0]


def test_what_is_found_is_added_here_or_left_out(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    report = ours.run(v1)
    for name, table in report.tables.items():
        assert table.found == table.added + table.already_here + len(table.left_out), name
        if name not in {"account_configs", "account_tokens"}:
            here = len(ours.rows(metadata.tables[name]))
            assert here == table.added + table.made


def test_new_rows_are_numbered_after_the_old_ones(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    ours.run(v1)
    ours.insert(listings, our_listing(B))
    ours.insert(upload_queue, our_queued(B, "pending"))
    assert max(row["id"] for row in ours.rows(listings)) > 8
    assert max(row["id"] for row in ours.rows(upload_queue)) > 4


def test_a_row_of_ours_is_never_overwritten(ours: Takeover, v1: V1Installation) -> None:
    ours.insert(products, our_product(A, title_ja="ours", amazon_price_jpy=1))
    ours.insert(listings, our_listing(A, id=70, status="listed", platform_item_id="1"))
    before = (ours.rows(products), ours.rows(listings))
    v1.add_products(A)
    v1.add("listings", listing(A, id=5, status="pending"))
    report = ours.run(v1)
    assert (ours.rows(products), ours.rows(listings)) == before
    assert counts(report, "products") == counts(report, "listings") == (1, 0, 1, 0)


def test_a_row_whose_id_is_taken_gets_another(ours: Takeover, v1: V1Installation) -> None:
    ours.insert(products, our_product(A))
    ours.insert(listings, our_listing(A, id=5, sku="mine"))
    ours.insert(upload_queue, our_queued(A, "pending", id=3))
    v1.add("listings", listing(B, id=5), listing(C, id=9, sku="mine"))
    v1.add("upload_queue", queued(B, "pending", id=3), queued(A, "pending", id=4))
    report = ours.run(v1)
    assert {row["id"]: row["asin"] for row in ours.rows(listings)} == {5: A, 10: B}
    assert "new id" in reasons(report, "listings")["5"]
    assert "another listing here" in reasons(report, "listings")["9"]
    rows = {row["id"]: (row["asin"], row["status"]) for row in ours.rows(upload_queue)}
    assert rows == {3: (A, "pending"), 5: (B, "pending"), 4: (A, "failed")}
    again = ours.run(v1)
    assert counts(again, "listings") == (2, 0, 1, 1)
    assert counts(again, "upload_queue") == (2, 0, 2, 0)


def test_what_fails_halfway_leaves_nothing_behind(ours: Takeover, v1: V1Installation) -> None:
    v1.add_products(A)
    v1.add("listings", listing(A))
    with ours.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE upload_queue"))
    with pytest.raises(DBAPIError):
        ours.run(v1)
    assert ours.rows(products) == []


def test_accounts_and_tokens_are_kept_encrypted(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    report = ours.run(v1)
    account, other = ours.accounts.accounts([])
    assert (account.id, account.name, account.client_id) == (ACCOUNT, "本店", "c")
    assert (account.client_secret, account.redirect_uri) == ("s", "http://localhost")
    assert (other.id, other.name) == ("table_account", "店")
    tokens = ours.accounts.tokens(ACCOUNT)
    assert tokens is not None
    assert tokens.refresh_token == "refresh 2025-12-01T21:44:53.264999"
    assert tokens.obtained_at == datetime(2025, 12, 1, 12, 44, 53, 264999, tzinfo=UTC)
    assert tokens.expires_at == datetime(2025, 12, 1, 13, 44, 53, 264999, tzinfo=UTC)
    assert reasons(report, "account_configs") == {
        "table_account": "has no client_id or client_secret: set them in ECAUTO_BASE__ACCOUNTS",
        "ebay_main": "an account of ebay; only BASE accounts are kept",
    }
    stored = str([ours.rows(account_configs), ours.rows(account_tokens)])
    assert "refresh 2025" not in stored
    assert len(ours.rows(ebay_listing_metadata)) == 1


def test_newer_tokens_are_taken_and_older_ones_are_not(ours: Takeover, v1: V1Installation) -> None:
    for obtained_at, added in (
        ("2025-12-02T00:00:00", 1),
        ("2025-12-01T00:00:00", 0),
        ("2025-12-03T00:00:00", 1),
    ):
        v1.write_tokens(ACCOUNT, obtained_at)
        assert ours.run(v1, dry_run=True).tables["account_tokens"].added == added
        assert ours.run(v1).tables["account_tokens"].added == added
    tokens = ours.accounts.tokens(ACCOUNT)
    assert tokens is not None
    assert tokens.refresh_token == "refresh 2025-12-03T00:00:00"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"name": "x"}, "has no usable id"),
        ({"id": "a/b"}, "has no usable id"),
        ({"id": "a", "credentials": "gAAAAencrypted"}, "has credentials that are not JSON"),
        ({"id": "a", "credentials": [1]}, "credentials is not a table"),
    ],
)
def test_an_unusable_account_is_reported(
    ours: Takeover, v1: V1Installation, raw: dict[str, Any], reason: str
) -> None:
    v1.write_accounts(raw)
    report = ours.run(v1)
    assert list(reasons(report, "account_configs").values()) == [reason]
    assert ours.accounts.accounts([]) == []


def test_no_secret_is_in_the_report(ours: Takeover, v1: V1Installation) -> None:
    fill_everything(v1)
    v1.write("platforms/base/accounts/tokens/b_token.json", '{"refresh_token": "secret-3')
    report = ours.run(v1)
    text = json.dumps(report.as_dict()) + "\n".join(report.lines())
    for secret in ("secret-", "s-2", "refresh 2025", '"s"'):
        assert secret not in text
    assert "b_token.json: not read, it is broken in line 1" in text
    assert ".env: not copied; REFRESH_TOKEN, LWA_CLIENT_SECRET seen there" in text
    assert "owners and proxies are not carried over" in text


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("platforms/base/accounts/account_config.json", "{broken"),
        ("platforms/base/accounts/account_config.json", "[1]"),
        ("platforms/base/accounts/account_config.json", '{"accounts": 3}'),
        ("config/pricing_strategy.yaml", "a: [b"),
        ("config/pricing_strategy.yaml", "strategies: 3"),
        ("config/pricing_strategy.yaml", "default_strategy: ebay_custom"),
        ("config/pricing_strategy.yaml", "strategies: {simple_markup: {markup_ratio: -1}}"),
        ("config/pricing_strategy.yaml", "strategies: {simple_markup: {markup_ratio: .nan}}"),
        ("config/pricing_strategy.yaml", "default_strategy: tiered_markup"),
    ],
)
def test_a_broken_file_is_named_and_the_rest_goes_on(
    ours: Takeover, v1: V1Installation, path: str, content: str
) -> None:
    v1.add_products(A)
    v1.write(path, content)
    report = ours.run(v1)
    assert len(ours.rows(products)) == 1
    named = "pricing: not carried over" if "strateg" in content else str(v1.folder / path)
    assert any(note.startswith(named) for note in report.notes)
    assert not ours.toml_file.exists()


def test_missing_files_are_fine(ours: Takeover, v1: V1Installation) -> None:
    report = ours.run(v1)
    assert report.complete
    assert sum("not there" in note for note in report.notes) == 3


@pytest.mark.parametrize("place", ["data/master.db", "master.db"])
def test_the_database_is_found_and_may_be_named_itself(
    ours: Takeover, v1: V1Installation, tmp_path: Path, place: str
) -> None:
    v1.add_products(A)
    folder = tmp_path / "other"
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    v1.database.rename(folder / place)
    assert ours.run(folder).tables["products"].added == 1
    assert ours.run(folder / place).tables["products"].already_here == 1


def test_what_is_not_v1_is_refused(ours: Takeover, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="holds no v1"):
        ours.run(tmp_path)
    own = database.open_engine(f"sqlite:///{tmp_path / 'data' / 'master.db'}")
    migrate.upgrade(own)
    with pytest.raises(Misconfigured, match="of this program"):
        ours.run(tmp_path)


@pytest.mark.parametrize(
    ("strategy", "pricing"),
    [
        ("simple_markup", {"markup": 1.35, "min_difference_jpy": 120}),
        (
            "tiered_markup",
            {
                "markup": 1.2,
                "bands": [{"up_to_jpy": 1000, "markup": 1.4}, {"markup": 1.2}],
                "min_difference_jpy": 100,
            },
        ),
    ],
)
def test_the_pricing_of_v1_becomes_ours(
    ours: Takeover, v1: V1Installation, strategy: str, pricing: dict[str, Any]
) -> None:
    ours.toml_file.parent.mkdir()
    ours.toml_file.write_text("# mine\n[ttl]\nprice = '12h'  # twice a day\n", encoding="utf-8")
    v1.write_strategy(strategy)
    report = ours.run(v1)
    written = ours.toml_file.read_text(encoding="utf-8")
    assert "# mine\n" in written
    assert "# twice a day" in written
    expected: dict[str, Any] = pricing | {"round_to": 10, "floor_jpy": 500, "ceiling_jpy": 100000}
    assert tomllib.loads(written)["pricing"] == expected == report.pricing
    PricingSettings(**expected)
    assert [file.name for file in ours.toml_file.parent.iterdir()] == ["ecauto.toml"]
    assert any("differ by one step" in note for note in report.notes)


@pytest.mark.parametrize("content", ["[pricing]\nmarkup = 2\n", "not toml ["])
def test_settings_that_are_there_are_not_overwritten(
    ours: Takeover, v1: V1Installation, content: str
) -> None:
    ours.toml_file.parent.mkdir()
    ours.toml_file.write_text(content, encoding="utf-8")
    v1.write_strategy("simple_markup")
    report = ours.run(v1)
    assert ours.toml_file.read_text(encoding="utf-8") == content
    assert report.pricing is None
    assert any(note.startswith("pricing: ") for note in report.notes)


def test_the_report_reads_well(ours: Takeover, v1: V1Installation) -> None:
    v1.add_products(*asins(3))
    v1.fill("INSERT INTO listings (asin, status) VALUES (?, 'queued')", [(a,) for a in asins(7)])
    lines = ours.run(v1).lines()
    assert lines[1] == "products: 3 found, 3 added, 0 already here, 0 left out"
    assert lines[2] == "listings: 7 found, 0 added, 0 already here, 7 left out"
    assert lines[3] == "  left out 7: has no platform: 1, 2, 3, 4, 5, ..."


def test_tables_of_later_versions_are_optional(ours: Takeover, tmp_path: Path) -> None:
    without_rest = SCHEMA.replace(REST, "").replace(QUEUE, "")
    v1 = V1Installation(tmp_path / "v1", without_rest)
    v1.add_products(A)
    report = ours.run(v1)
    assert counts(report, "upload_queue") == (0, 0, 0, 0)
    assert counts(report, "products") == (1, 1, 0, 0)
