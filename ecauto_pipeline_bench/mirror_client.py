"""Our mirror of one store's customers, as a process of its own.

`python -m ecauto_pipeline_bench.mirror_client TRANSPORT URL TOKEN DATABASE FOLDER`.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.settings.shopify import ShopifySettings, ShopifyStore
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline.wiring.opened import Opened
from ecauto_pipeline.wiring.shopify import Mirrors
from ecauto_pipeline_bench.usage import tell

STORE = "bench"


def main(transport: Any, url: str, token: str, address: str, folder: str) -> None:
    """Mirror all customers, and print what it took."""
    store = ShopifyStore(
        id=STORE,
        shop_domain="bench.myshopify.com",
        endpoint=url,
        transport=transport,
        access_token=SecretStr(token),
    )
    settings = Settings(
        data_dir=Path(folder), database_url=address, shopify=ShopifySettings(stores=(store,))
    )
    opened = Opened(lambda: settings, SystemClock())
    mirrors = Mirrors(opened)
    report = mirrors.sync.sync(STORE, Entity.CUSTOMERS, Silent())
    mirrors.close()
    opened.close()
    tell(rows=report.mirror_count, seconds=report.seconds, problems=report.problems)


if __name__ == "__main__":
    main(*sys.argv[1:])
