"""The demonstration v1.0 folder and the shops that agree with it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.base_shop.state import Item
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS, demo_items, demo_listings, demo_shops
from ecauto_pipeline.sandbox.demo.v1 import DATABASE, DELETED_ASIN, write_demo_v1
from ecauto_pipeline.sandbox.server import demo_sandbox
from ecauto_pipeline_tests.sandbox.callers import ShopCaller


@pytest.fixture(scope="module")
def world() -> World:
    return World(count=411)


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("v1")
    write_demo_v1(folder, world)
    return folder


@pytest.fixture
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


COLUMNS = {
    "products": "asin title_ja title_en description_ja description_en category brand images "
    "amazon_price_jpy amazon_in_stock last_fetched_at created_at updated_at",
    "listings": "id asin platform account_id platform_item_id sku selling_price currency "
    "in_stock_quantity status visibility listed_at updated_at",
    "upload_queue": "id asin platform account_id scheduled_time priority status retry_count "
    "error_message created_at processed_at",
    "account_configs": "id platform name category_filter daily_upload_limit rate_limit_per_hour "
    "active credentials created_at updated_at",
    "ebay_listing_metadata": "sku listing_id offer_id category_id policy_payment_id "
    "policy_return_id policy_fulfillment_id item_specifics merchant_location_key created_at "
    "updated_at",
}


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_columns_of_version_1(database: sqlite3.Connection, table: str) -> None:
    rows = database.execute("select name from pragma_table_info(?)", (table,))
    assert [row["name"] for row in rows] == COLUMNS[table].split()


def listed(database: sqlite3.Connection) -> dict[str, sqlite3.Row]:
    rows = database.execute("select * from listings where status = 'listed'")
    return {row["platform_item_id"]: row for row in rows}


def test_shops_and_database_agree(database: sqlite3.Connection, world: World) -> None:
    rows = listed(database)
    items = {
        str(item.item_id): (account_id, item)
        for account_id, items in demo_items(world).items()
        for item in items
    }
    assert rows.keys() == items.keys()
    for item_id, (account_id, item) in items.items():
        row = rows[item_id]
        assert (row["account_id"], row["sku"]) == (account_id, item.identifier)
        assert (row["selling_price"], row["in_stock_quantity"]) == (item.price, item.stock)
        assert row["visibility"] == ("public" if item.visible else "hidden")


def test_the_first_asins_are_five_and_six(database: sqlite3.Connection) -> None:
    rows = database.execute("select asin, account_id from listings order by id limit 11")
    assert [tuple(row) for row in rows] == [
        (asin, ACCOUNTS[0] if number < 5 else ACCOUNTS[1])
        for number, asin in enumerate(FIRST_ASINS)
    ]


def test_a_moderate_share_has_changed_since(world: World) -> None:
    listings = demo_listings(world)
    truths = [(listing, world.truth(listing.product.asin)) for listing in listings]
    repriced = sum(t.price_jpy not in {None, listing.amazon_price_jpy} for listing, t in truths)
    flipped = sum(t.in_stock not in {None, listing.amazon_in_stock} for listing, t in truths)
    assert repriced / len(listings) == pytest.approx(0.14, abs=0.06)
    assert flipped / len(listings) == pytest.approx(0.05, abs=0.03)


def test_a_changed_price_is_worth_a_change_on_base(world: World) -> None:
    for listing in demo_listings(world):
        now = world.truth(listing.product.asin).price_jpy
        if now is not None and now != listing.amazon_price_jpy:
            assert abs(now * 1.3 - listing.selling_price) > 100


def test_some_listings_wait(database: sqlite3.Connection) -> None:
    waiting = database.execute(
        "select platform_item_id, listed_at from listings where status = 'pending'"
    ).fetchall()
    assert len(waiting) == 8
    assert {tuple(row) for row in waiting} == {(None, None)}
    rows = database.execute("select status, count(*) from upload_queue group by status")
    queue = dict(tuple(row) for row in rows)
    assert queue == {"success": 12, "failed": 1, "pending": 2, "uploading": 1}


def test_times_are_naive_and_japanese(database: sqlite3.Connection) -> None:
    row = database.execute("select last_fetched_at, created_at from products").fetchone()
    assert all(datetime.fromisoformat(text).tzinfo is None for text in row)
    assert row["last_fetched_at"] == "2025-12-13T21:30:00.250000"


def test_accounts_and_tokens_are_the_shops(folder: Path) -> None:
    accounts = folder / "platforms/base/accounts"
    config: Any = json.loads((accounts / "account_config.json").read_text("utf-8"))
    for account, shop in zip(config["accounts"], demo_shops(), strict=True):
        assert account["credentials"]["client_secret"] == shop.client_secret
        path = accounts / "tokens" / f"{shop.account_id}_token.json"
        assert json.loads(path.read_text("utf-8"))["refresh_token"] == shop.refresh_token


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_world_gives_the_same_bytes_however_far_it_moved(
    folder: Path, tmp_path: Path
) -> None:
    world = World(count=411)
    world.move(3)
    write_demo_v1(tmp_path, world)
    assert contents(tmp_path) == contents(folder)


def test_a_deleted_item_is_only_there_if_asked_for(
    database: sqlite3.Connection, world: World, tmp_path: Path
) -> None:
    count = "select count(*) from listings where asin = ?"
    assert database.execute(count, (DELETED_ASIN,)).fetchone()[0] == 0
    path = write_demo_v1(tmp_path, world, further=5, deleted_item=True)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(count, (DELETED_ASIN,)).fetchone()[0] == 1


def test_the_demonstration_sandbox_holds_the_items() -> None:
    with demo_sandbox(asins=60) as sandbox:
        shop = ShopCaller(sandbox.url, demo_shops()[1])
        assert shop.refresh().status_code == 200
        told = shop.get("items", limit=100).json()["items"]
        shop.http.close()
    expected: tuple[Item, ...] = demo_items(World(count=60))[ACCOUNTS[1]]
    assert [item["item_id"] for item in told] == [item.item_id for item in expected]
    assert told[0]["item_id"] > 2**31
