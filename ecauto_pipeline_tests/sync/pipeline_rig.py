"""The whole program but for Dagster, opened on a sandbox, for tests."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.sandbox.base_shop.state import ShopSeed
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.amazon import AmazonSettings
from ecauto_pipeline.settings.base_shop import BaseAccount, BaseShopSettings
from ecauto_pipeline.settings.loading import load_settings
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline.sync.amazon.report import RefreshReport
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

SHOPS = tuple(
    ShopSeed(name, f"shop-{name}", f"client-{name}", f"client-secret-{name}", f"first-{name}")
    for name in ("one", "two")
)

OLD_PRICE = 777
"""What version 1.0 believed; no product of a sandbox costs that."""


@dataclass(slots=True)
class PipelineRig:
    """A pipeline and the marketplaces it talks to, by the same clock."""

    pipeline: Pipeline
    sandbox: Sandbox
    clock: FakeClock

    def refresh(
        self, scope: Scope | None = None, progress: Progress | None = None
    ) -> RefreshReport:
        """Fetch what is due."""
        plan = self.pipeline.amazon.refresh_plan(scope or Scope())
        return self.pipeline.amazon.refresher.refresh(plan, progress or Silent())

    def add(self, asins: Iterable[str], **product: Any) -> None:
        """Add products as version 1.0 left them, unless told."""
        dates = {"created_at": MIDDAY, "updated_at": MIDDAY}
        left = {"amazon_price_jpy": OLD_PRICE, "amazon_in_stock": True}
        rows = [{"asin": a, "shard": shard_of(a), **dates, **left, **product} for a in asins]
        with self.pipeline.engine.begin() as connection:
            connection.execute(sa.insert(products), rows)

    def enlist(self, asins: Iterable[str], account_id: str = "one", **listing: Any) -> None:
        """Put products on a shop."""
        dates = {"created_at": MIDDAY, "updated_at": MIDDAY}
        shop = {"platform": "base", "account_id": account_id, "status": "listed"}
        rows = [{"asin": asin, **shop, **dates, **listing} for asin in asins]
        with self.pipeline.engine.begin() as connection:
            connection.execute(sa.insert(listings), rows)

    def rows(self, table: sa.Table = products) -> list[Mapping[str, Any]]:
        """All rows of a table, in order of their keys."""
        query = sa.select(table).order_by(*table.primary_key)
        with self.pipeline.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def facts(self) -> dict[str, Mapping[str, Any]]:
        """All products by ASIN."""
        return {row["asin"]: row for row in self.rows()}


@contextmanager
def pipeline_rigged(
    sandbox: Sandbox,
    url: str,
    data_dir: Path,
    clock: FakeClock,
    *,
    amazon: Mapping[str, Any] | None = None,
    shops: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Generator[PipelineRig]:
    """A pipeline on a sandbox; `amazon` and `shops` (by account) change those settings."""
    accounts = tuple(
        BaseAccount.model_validate(
            {
                "id": shop.account_id,
                "client_id": shop.client_id,
                "client_secret": shop.client_secret,
                "refresh_token": shop.refresh_token,
                **(shops or {}).get(shop.account_id, {}),
            }
        )
        for shop in SHOPS
    )
    endpoints = {"endpoint": sandbox.url, "lwa_endpoint": sandbox.url}
    loaded = load_settings(
        data_dir=data_dir,
        database_url=url,
        sp_api_refresh_token="Atzr|the-refresh-token",
        lwa_app_id="the-app-id",
        lwa_client_secret="the-client-secret",
        amazon=AmazonSettings.model_validate({**endpoints, **(amazon or {})}),
        base=BaseShopSettings(endpoint=sandbox.url, accounts=accounts),
        **{"rate_multiplier": 1000, **settings},
    )
    pipeline = Pipeline(lambda: loaded, clock)
    try:
        yield PipelineRig(pipeline, sandbox, clock)
    finally:
        pipeline.close()
