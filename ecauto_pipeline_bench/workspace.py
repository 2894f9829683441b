"""A pipeline with so many products, in a folder of its own, beside a sandbox."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import sqlalchemy as sa
from pydantic import SecretStr

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.settings.amazon import AmazonSettings
from ecauto_pipeline.settings.base_shop import BaseAccount, BaseShopSettings
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline.wiring.pipeline import Pipeline

ACCOUNTS = ("shop_1", "shop_2")

Cached = Literal["nothing", "aged", "fresh"]


@contextmanager
def pipeline_with(
    asins: Sequence[str],
    url: str = "http://127.0.0.1:9",
    *,
    rate_multiplier: float = 1,
    listed: bool = False,
    cached: Cached = "nothing",
) -> Generator[Pipeline]:
    """Products of which so much is cached, listed on two accounts if wanted."""
    with TemporaryDirectory(prefix="ecauto-bench-") as folder:
        settings = _settings(Path(folder), url, rate_multiplier)
        pipeline = Pipeline(lambda: settings)
        try:
            _fill(pipeline, asins, listed=listed, cached=cached)
            yield pipeline
        finally:
            pipeline.close()


def _settings(folder: Path, url: str, rate_multiplier: float) -> Settings:
    return Settings(
        data_dir=folder,
        rate_multiplier=rate_multiplier,
        amazon=AmazonSettings(endpoint=url, lwa_endpoint=url),
        base=BaseShopSettings(
            endpoint=url, accounts=tuple(BaseAccount(id=account) for account in ACCOUNTS)
        ),
        sp_api_refresh_token=SecretStr("bench-refresh-token"),
        lwa_app_id=SecretStr("bench-application"),
        lwa_client_secret=SecretStr("bench-client-secret"),
    )


def _fill(pipeline: Pipeline, asins: Sequence[str], *, listed: bool, cached: Cached) -> None:
    now = pipeline.clock.now()
    rows = [_product(asin, number, now, cached) for number, asin in enumerate(asins)]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.insert(products), rows)
        if listed:
            connection.execute(
                sa.insert(listings),
                [_listing(asin, number, now) for number, asin in enumerate(asins)],
            )


def _product(asin: str, number: int, now: datetime, cached: Cached) -> dict[str, object]:
    """Ages are spread over ten hours, so that a tenth is within the stock's one."""
    at = now - timedelta(minutes=number % 600 if cached == "aged" else 0)
    known: dict[str, object] = {
        "amazon_price_jpy": 1000,
        "amazon_in_stock": True,
        "catalog_updated_at": at,
        "classification_updated_at": at,
        "price_updated_at": at,
        "stock_updated_at": at,
    }
    row: dict[str, object] = {
        "asin": asin,
        "shard": shard_of(asin),
        "created_at": now,
        "updated_at": now,
    }
    return row if cached == "nothing" else row | known


def _listing(asin: str, number: int, now: datetime) -> dict[str, object]:
    return {
        "asin": asin,
        "platform": "base",
        "account_id": ACCOUNTS[number % len(ACCOUNTS)],
        "platform_item_id": str(126_000_000 + number),
        "sku": f"b-{asin}-1",
        "selling_price": 1300,
        "status": "listed",
        "visibility": "public",
        "last_sold_at": now if number % 20 == 0 else None,
        "last_viewed_at": now if number % 5 == 0 else None,
        "created_at": now,
        "updated_at": now,
    }
