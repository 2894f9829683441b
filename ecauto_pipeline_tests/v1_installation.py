"""A v1.0 installation to take over: its tables as it made them, its files as it named them."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

PRODUCTS = """
CREATE TABLE products (
    asin TEXT PRIMARY KEY, title_ja TEXT, title_en TEXT, description_ja TEXT, description_en TEXT,
    category TEXT, brand TEXT, images TEXT, amazon_price_jpy INTEGER, amazon_in_stock BOOLEAN,
    last_fetched_at TIMESTAMP, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
"""

LISTINGS = """
CREATE TABLE listings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, asin TEXT, platform TEXT, account_id TEXT,
    platform_item_id TEXT, sku TEXT UNIQUE, selling_price REAL, currency TEXT DEFAULT 'JPY',
    in_stock_quantity INTEGER DEFAULT 0, status TEXT DEFAULT 'pending',
    visibility TEXT DEFAULT 'public', listed_at TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (asin) REFERENCES products(asin));
CREATE UNIQUE INDEX idx_listings_asin_platform_account_unique
    ON listings(asin, platform, account_id);
"""

QUEUE = """
CREATE TABLE upload_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, asin TEXT, platform TEXT, account_id TEXT,
    scheduled_time TIMESTAMP, priority INTEGER DEFAULT 0, status TEXT DEFAULT 'pending',
    retry_count INTEGER DEFAULT 0, error_message TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, processed_at TIMESTAMP,
    FOREIGN KEY (asin) REFERENCES products(asin));
CREATE UNIQUE INDEX idx_queue_asin_platform_account_unique
    ON upload_queue(asin, platform, account_id);
"""

REST = """
CREATE TABLE account_configs (
    id TEXT PRIMARY KEY, platform TEXT, name TEXT, category_filter TEXT,
    daily_upload_limit INTEGER DEFAULT 1000, rate_limit_per_hour INTEGER DEFAULT 50,
    active BOOLEAN DEFAULT 1, credentials TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE ebay_listing_metadata (
    sku TEXT PRIMARY KEY, listing_id TEXT, offer_id TEXT, category_id TEXT, policy_payment_id TEXT,
    policy_return_id TEXT, policy_fulfillment_id TEXT, item_specifics TEXT,
    merchant_location_key TEXT DEFAULT 'JP_LOCATION',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (sku) REFERENCES listings(sku));
"""

SCHEMA = PRODUCTS + LISTINGS + QUEUE + REST

ACCOUNT = "base_account_1"

STRATEGY = """
default_strategy: tiered_markup
strategies:
  simple_markup: {markup_ratio: 1.35, min_price_diff: 120, round_to: 10}
  tiered_markup:
    tiers:
      - {max_price: 1000, markup_ratio: 1.4}
      - {max_price: null, markup_ratio: 1.2}
    min_price_diff: 100
    round_to: 10
  ebay_custom: {shipping_cost: 4000}
platform_overrides:
  base: {strategy: STRATEGY}
safety: {min_selling_price: 500, max_selling_price: 100000, max_markup_ratio: 2.0}
"""


class V1Installation:
    """A v1.0 folder that a test fills."""

    def __init__(self, folder: Path, schema: str = SCHEMA) -> None:
        self.folder = folder
        self.database = folder / "inventory/data/master.db"
        self.database.parent.mkdir(parents=True)
        with closing(self.connect()) as connection:
            connection.executescript(schema)

    def connect(self) -> sqlite3.Connection:
        """A connection such as v1.0 itself opens."""
        return sqlite3.connect(self.database)

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert rows as they are."""
        for row in rows:
            marks = ", ".join("?" * len(row))
            statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
            self.fill(statement, [tuple(row.values())])

    def add_products(self, *asins: str) -> None:
        """Products of which nothing else matters."""
        self.add("products", *({"asin": asin, "title_ja": f"商品 {asin}"} for asin in asins))

    def fill(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert many rows at once."""
        with closing(self.connect()) as connection, connection:
            connection.executemany(statement, rows)

    def write(self, path: str, content: object) -> Path:
        """A file in the folder; anything but text becomes JSON."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, encoding="utf-8")
        return file

    def write_accounts(self, *accounts: object) -> Path:
        """The account file."""
        content = {"owners": [{"id": "owner_01", "proxy_id": "p"}], "accounts": list(accounts)}
        return self.write("platforms/base/accounts/account_config.json", content)

    def write_tokens(self, account_id: str, obtained_at: str) -> Path:
        """A token file, as v1.0 writes it."""
        tokens = {
            "access_token": f"access {obtained_at}",
            "token_type": "bearer",
            "expires_in": 3600,
            "refresh_token": f"refresh {obtained_at}",
            "obtained_at": obtained_at,
            "expires_at": "2025-12-01T22:44:53.264999",
        }
        return self.write(f"platforms/base/accounts/tokens/{account_id}_token.json", tokens)

    def write_strategy(self, name: str) -> Path:
        """The pricing file, with this strategy for BASE."""
        return self.write("config/pricing_strategy.yaml", STRATEGY.replace("STRATEGY", name))


def listing(asin: str, **values: Any) -> dict[str, Any]:
    """A row of listings."""
    return {
        "asin": asin,
        "platform": "base",
        "account_id": ACCOUNT,
        "sku": f"sku-{asin}",
        "selling_price": 1300.0,
        **values,
    }


def queued(asin: str, status: str, **values: Any) -> dict[str, Any]:
    """A row of upload_queue."""
    return {
        "asin": asin,
        "platform": "base",
        "account_id": ACCOUNT,
        "scheduled_time": "2025-12-01 09:00:00",
        "status": status,
        **values,
    }


def asins(count: int) -> list[str]:
    """That many ASINs."""
    return [f"B{number:09d}" for number in range(count)]


def add_production_numbers(v1: V1Installation) -> None:
    """What an installation in use held, in its proportions."""
    names = asins(2087)
    v1.fill("INSERT INTO products (asin) VALUES (?)", [(asin,) for asin in names])
    v1.fill(
        "INSERT INTO listings (asin, platform, account_id, sku, selling_price, status,"
        " platform_item_id) VALUES (?, 'base', 'base_account_1', ?, 1980.0, ?, ?)",
        (
            (asin, f"s-{asin}", "listed", str(place))
            if place < 191
            else (asin, f"s-{asin}", "pending", None)
            for place, asin in enumerate(names)
        ),
    )
    # 2,087 listings less 1,885 leaves 202 with a queue row; the other 75 rows have no listing of
    # that account any more.
    places = [(asin, "base_account_1") for asin in [*names[3:191], *names[191:205]]]
    places += [(asin, "base_account_2") for asin in names[:75]]
    statuses = ["success"] * 188 + ["success"] * 8 + ["uploading"] + ["failed"] * 5
    statuses += ["success"] * 33 + ["failed"] * 42
    v1.fill(
        "INSERT INTO upload_queue (asin, platform, account_id, status) VALUES (?, 'base', ?, ?)",
        [(*place, status) for place, status in zip(places, statuses, strict=True)],
    )
