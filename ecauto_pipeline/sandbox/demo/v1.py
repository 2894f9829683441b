"""A folder as version 1.0 left it: its database, its accounts, its tokens."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.demo.listings import (
    FURTHER_ASINS,
    LEFT_AT,
    DemoListing,
    demo_listings,
    demo_shops,
)
from ecauto_pipeline.sandbox.draw import token

DATABASE = "inventory/data/master.db"
ACCOUNT_CONFIG = "platforms/base/accounts/account_config.json"
TOKENS = "platforms/base/accounts/tokens"

# Column for column what version 1.0 creates, so that a takeover is tried on the real thing.
SCHEMA = """
CREATE TABLE products (
    asin TEXT PRIMARY KEY, title_ja TEXT, title_en TEXT, description_ja TEXT,
    description_en TEXT, category TEXT, brand TEXT, images TEXT, amazon_price_jpy INTEGER,
    amazon_in_stock BOOLEAN, last_fetched_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE listings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, asin TEXT, platform TEXT, account_id TEXT,
    platform_item_id TEXT, sku TEXT UNIQUE, selling_price REAL, currency TEXT DEFAULT 'JPY',
    in_stock_quantity INTEGER DEFAULT 0, status TEXT DEFAULT 'pending',
    visibility TEXT DEFAULT 'public', listed_at TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (asin) REFERENCES products(asin)
);
CREATE INDEX idx_listings_asin ON listings(asin);
CREATE INDEX idx_listings_platform_account ON listings(platform, account_id);
CREATE INDEX idx_listings_status ON listings(status);
CREATE UNIQUE INDEX idx_listings_asin_platform_account_unique
    ON listings(asin, platform, account_id);
CREATE TABLE upload_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, asin TEXT, platform TEXT, account_id TEXT,
    scheduled_time TIMESTAMP, priority INTEGER DEFAULT 0, status TEXT DEFAULT 'pending',
    retry_count INTEGER DEFAULT 0, error_message TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, processed_at TIMESTAMP,
    FOREIGN KEY (asin) REFERENCES products(asin)
);
CREATE INDEX idx_queue_scheduled
    ON upload_queue(platform, account_id, scheduled_time, status);
CREATE UNIQUE INDEX idx_queue_asin_platform_account_unique
    ON upload_queue(asin, platform, account_id);
CREATE TABLE account_configs (
    id TEXT PRIMARY KEY, platform TEXT, name TEXT, category_filter TEXT,
    daily_upload_limit INTEGER DEFAULT 1000, rate_limit_per_hour INTEGER DEFAULT 50,
    active BOOLEAN DEFAULT 1, credentials TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE ebay_listing_metadata (
    sku TEXT PRIMARY KEY, listing_id TEXT, offer_id TEXT, category_id TEXT,
    policy_payment_id TEXT, policy_return_id TEXT, policy_fulfillment_id TEXT,
    item_specifics TEXT, merchant_location_key TEXT DEFAULT 'JP_LOCATION',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (sku) REFERENCES listings(sku)
);
"""

OWNER = {"id": "owner_01", "name": "デモ法人", "proxy_id": "proxy_01", "description": ""}
QUEUE_OF_WAITING = (
    ("pending", 0, None),
    ("pending", 0, None),
    ("failed", 3, "商品の登録に失敗しました: validation_error"),
    # Left behind by a crash: nobody knows whether the item is on BASE.
    ("uploading", 0, None),
)
"""Queue rows (status, retry_count, error_message) of the listings not uploaded, as far as any."""
DONE_IN_QUEUE = 12
"""So many of the uploaded listings still have their queue row."""

DELETED_ASIN = "B000DELETE"
"""Of the listing, if asked for, whose item somebody deleted on BASE."""


def write_demo_v1(
    folder: Path, world: World, *, further: int = FURTHER_ASINS, deleted_item: bool = False
) -> Path:
    """Write a v1.0 folder that agrees with `demo_items` of the same world; returns the database."""
    listings = demo_listings(world, further)
    database = folder / DATABASE
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
        _add_products(connection, listings)
        _add_listings(connection, listings)
        if deleted_item:
            _add_deleted(connection, listings[0])
        connection.commit()
    accounts: list[object] = []
    for shop in demo_shops():
        account = {
            "id": shop.account_id,
            "owner_id": OWNER["id"],
            "name": shop.shop_id,
            "description": "",
            "active": True,
            "daily_upload_limit": 1000,
            "rate_limit_per_hour": 50,
            "credentials": {
                "client_id": shop.client_id,
                "client_secret": shop.client_secret,
                "redirect_uri": "http://localhost:8000/callback",
            },
        }
        accounts.append(account)
        tokens = {
            "access_token": token(32, "access", shop.account_id),
            "token_type": "bearer",
            "expires_in": 3600,
            "refresh_token": shop.refresh_token,
            "obtained_at": _text(LEFT_AT),
            "expires_at": _text(LEFT_AT + timedelta(hours=1)),
            "scope": "read_items write_items read_orders",
        }
        _write_json(folder / TOKENS / f"{shop.account_id}_token.json", tokens)
    _write_json(folder / ACCOUNT_CONFIG, {"owners": [OWNER], "accounts": accounts})
    return database


def _add_products(connection: sqlite3.Connection, listings: Sequence[DemoListing]) -> None:
    """The accounts, and the products with what version 1.0 knew of them."""
    left_at = _text(LEFT_AT)
    for shop in demo_shops():
        connection.execute(
            "insert into account_configs (id, platform, name, category_filter, credentials, "
            "created_at, updated_at) values (?, 'base', ?, '[]', '{}', ?, ?)",
            (shop.account_id, shop.shop_id, left_at, left_at),
        )
    for listing in listings:
        product = listing.product
        connection.execute(
            "insert into products (asin, title_ja, description_ja, category, brand, images, "
            "amazon_price_jpy, amazon_in_stock, last_fetched_at, created_at, updated_at) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                product.asin,
                product.title,
                product.description,
                " > ".join(name for name, _ in product.category.path),
                product.brand,
                orjson.dumps(product.images).decode(),
                listing.amazon_price_jpy,
                int(listing.amazon_in_stock),
                left_at,
                _text(listing.listed_at - timedelta(minutes=10)),
                left_at,
            ),
        )


def _add_listings(connection: sqlite3.Connection, listings: Sequence[DemoListing]) -> None:
    """The listings, and the queue rows of those that wait and of some that are done."""
    for listing in listings:
        uploaded = listing.item_id is not None
        connection.execute(
            "insert into listings (asin, platform, account_id, platform_item_id, sku, "
            "selling_price, in_stock_quantity, status, visibility, listed_at, updated_at) "
            "values (?, 'base', ?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                listing.product.asin,
                listing.account_id,
                str(listing.item_id) if uploaded else None,
                listing.sku,
                float(listing.selling_price),
                "listed" if uploaded else "pending",
                "hidden" if uploaded and not listing.visible else "public",
                _text(listing.listed_at) if uploaded else None,
                _text(LEFT_AT),
            ),
        )
    done = [listing for listing in listings if listing.item_id is not None][-DONE_IN_QUEUE:]
    waiting = [listing for listing in listings if listing.item_id is None]
    rows = [
        *((listing, "success", 0, None, listing.listed_at) for listing in done),
        *(
            (listing, status, retries, message, LEFT_AT if status == "failed" else None)
            for listing, (status, retries, message) in zip(waiting, QUEUE_OF_WAITING, strict=False)
        ),
    ]
    for listing, status, retries, message, processed_at in rows:
        connection.execute(
            "insert into upload_queue (asin, platform, account_id, scheduled_time, priority, "
            "status, retry_count, error_message, created_at, processed_at) "
            "values (?, 'base', ?, ?, 5, ?, ?, ?, ?, ?)",
            (
                listing.product.asin,
                listing.account_id,
                _text(listing.listed_at),
                status,
                retries,
                message,
                _text(listing.listed_at - timedelta(minutes=5)),
                _text(processed_at) if processed_at else None,
            ),
        )


def _add_deleted(connection: sqlite3.Connection, like: DemoListing) -> None:
    connection.execute(
        "insert into products (asin, title_ja, amazon_price_jpy, amazon_in_stock, "
        "last_fetched_at, created_at, updated_at) values (?, ?, 1980, 1, ?, ?, ?)",
        (DELETED_ASIN, "削除された商品", *[_text(LEFT_AT)] * 3),
    )
    connection.execute(
        "insert into listings (asin, platform, account_id, platform_item_id, sku, selling_price, "
        "in_stock_quantity, status, visibility, listed_at, updated_at) "
        "values (?, 'base', ?, '125999999', ?, 2574.0, 1, 'listed', 'public', ?, ?)",
        (
            DELETED_ASIN,
            like.account_id,
            f"b-{DELETED_ASIN}-{like.listed_at:%Y%m%d%H%M%S}",
            _text(like.listed_at),
            _text(LEFT_AT),
        ),
    )


def _text(time: datetime) -> str:
    """The time on a clock in Japan, without a zone, as version 1.0 wrote it."""
    return time.replace(tzinfo=None).isoformat()


def _write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
