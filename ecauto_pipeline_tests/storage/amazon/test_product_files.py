"""The file cache behind the database."""

import hashlib
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from ecauto_pipeline.storage.amazon.product_files import ProductFiles
from ecauto_pipeline_tests.fakes import MIDDAY

ASIN = "B0FGQJ45HW"

ROW: dict[str, Any] = {
    "asin": ASIN,
    "title_ja": "木製まな板 🎁",
    "title_en": None,
    "description_ja": "一行目\n二行目",
    "description_en": None,
    "category": "ホーム&キッチン > 調理器具",
    "brand": "和み堂",
    "images": ["https://x/1.jpg", "https://x/2.jpg"],
    "amazon_price_jpy": 1980,
    "amazon_points": 20,
    "amazon_in_stock": True,
    "catalog_updated_at": MIDDAY - timedelta(days=1),
    "classification_updated_at": None,
    "price_updated_at": MIDDAY,
    "stock_updated_at": MIDDAY + timedelta(microseconds=1),
    "last_fetched_at": MIDDAY,
}

V1_FILE = {
    "asin": ASIN,
    "title_ja": "木製まな板",
    "price": 1980,
    "in_stock": False,
    "cached_at": "2025-12-13T21:30:00",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "amazon_products"


@pytest.fixture
def files(folder: Path) -> ProductFiles:
    return ProductFiles(folder)


def test_what_was_written_is_read(files: ProductFiles) -> None:
    files.write([ROW])
    assert files.read(ASIN) == ROW


def test_a_product_of_which_nothing_is_known_is_kept_too(files: ProductFiles) -> None:
    empty = dict.fromkeys(ROW) | {"asin": ASIN}
    files.write([empty])
    assert files.read(ASIN) == empty


def test_columns_that_are_not_cached_do_not_matter(files: ProductFiles) -> None:
    files.write([ROW | {"shard": "09", "amazon_status": "buy-box offer"}])
    assert files.read(ASIN) == ROW


def test_a_file_keeps_the_keys_of_version_1(files: ProductFiles, folder: Path) -> None:
    files.write([ROW])
    stored = orjson.loads((folder / f"{ASIN}.json").read_bytes())
    assert stored["price"] == stored["price_jpy"] == 1980
    assert stored["in_stock"] is True
    assert stored.keys() >= V1_FILE.keys()


def test_there_is_no_file_before_the_first(files: ProductFiles, folder: Path) -> None:
    assert files.read(ASIN) is None
    assert not folder.exists()


def test_the_newest_is_read(files: ProductFiles) -> None:
    files.write([ROW])
    files.write([ROW | {"amazon_price_jpy": 2480}])
    assert files.read(ASIN) == ROW | {"amazon_price_jpy": 2480}


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def instead(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _: content


def edited(**members: Any) -> Callable[[bytes], bytes]:
    return lambda content: orjson.dumps({**orjson.loads(content), **members})


def without(name: str) -> Callable[[bytes], bytes]:
    return lambda content: orjson.dumps(
        {key: value for key, value in orjson.loads(content).items() if key != name}
    )


@pytest.mark.parametrize(
    "spoil",
    [
        half,
        instead(b""),
        instead(b"[]"),
        instead(b"null"),
        instead(b"\xff{}"),
        instead(orjson.dumps(V1_FILE)),
        edited(price_jpy=1),
        edited(in_stock=False),
        edited(asin="B07YV55TNL"),
        edited(stock_updated_at="2030-01-01T00:00:00+00:00"),
        edited(checksum=None),
        edited(checksum=["x"]),
        edited(extra=1),
        without("checksum"),
        without("price"),
        without("asin"),
    ],
)
def test_a_file_that_is_not_as_written_is_ignored_and_rewritten(
    files: ProductFiles, folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    files.write([ROW])
    path = folder / f"{ASIN}.json"
    path.write_bytes(spoil(path.read_bytes()))
    assert files.read(ASIN) is None
    files.write([ROW])
    assert files.read(ASIN) == ROW


def test_a_file_of_another_version_of_the_program_is_ignored(
    files: ProductFiles, folder: Path
) -> None:
    files.write([ROW])
    path = folder / f"{ASIN}.json"
    stored = orjson.loads(path.read_bytes())
    del stored["checksum"], stored["points"]

    stored["checksum"] = hashlib.blake2b(
        orjson.dumps(stored, option=orjson.OPT_SORT_KEYS), digest_size=8
    ).hexdigest()
    path.write_bytes(orjson.dumps(stored))
    assert files.read(ASIN) is None


def test_a_file_of_another_product_is_ignored(files: ProductFiles, folder: Path) -> None:
    files.write([ROW])
    (folder / f"{ASIN}.json").rename(folder / "B07YV55TNL.json")
    assert files.read("B07YV55TNL") is None


def test_nothing_but_whole_files_is_left_behind(files: ProductFiles, folder: Path) -> None:
    files.write([ROW, ROW | {"asin": "B07YV55TNL"}])
    assert sorted(path.name for path in folder.iterdir()) == ["B07YV55TNL.json", f"{ASIN}.json"]


def test_a_file_that_another_process_is_writing_is_left_alone(
    files: ProductFiles, folder: Path
) -> None:
    files.write([ROW])
    others = folder / f"{ASIN}.tmp"
    others.write_bytes(b"half")
    files.write([ROW])
    assert others.read_bytes() == b"half"
    assert files.read(ASIN) == ROW


def test_a_reader_meets_a_whole_file_while_many_write(files: ProductFiles) -> None:
    files.write([ROW])
    rows = [ROW | {"amazon_price_jpy": price} for price in range(100)]
    writers = [threading.Thread(target=files.write, args=(rows,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert files.read(ASIN) is not None
    for writer in writers:
        writer.join()
    assert files.read(ASIN) == rows[-1]


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file, not a folder")
    files = ProductFiles(in_the_way / "amazon_products")
    files.write([ROW])
    assert files.read(ASIN) is None
    in_the_way.unlink()
    files.write([ROW])
    assert files.read(ASIN) == ROW


def test_a_folder_in_place_of_a_file_is_no_file(files: ProductFiles, folder: Path) -> None:
    (folder / f"{ASIN}.json").mkdir(parents=True)
    files.write([ROW])
    assert files.read(ASIN) is None
