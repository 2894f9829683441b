"""Without credentials: the sandbox, and a demonstration v1.0 database to take over."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.sandbox.demo.listings import demo_shops
from ecauto_pipeline.sandbox.demo.stores import demo_shopify_shops
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.server import Sandbox, demo_sandbox
from ecauto_pipeline.settings.environment import set_environment

PORT = 8765
RATE_MULTIPLIER = 20
"""The demonstration runs at twenty times the real quotas, so that it ends in seconds."""

FOLDER = "demonstration"
"""Below the data folder: the sandbox's memory, and the v1.0 folder that is taken over."""


def sandbox_environment(url: str, multiplier: float) -> dict[str, str]:
    """The settings that lead to a sandbox; they stand in for the real ones of one process."""
    return {
        "ECAUTO_AMAZON__ENDPOINT": url,
        "ECAUTO_AMAZON__LWA_ENDPOINT": url,
        "ECAUTO_BASE__ENDPOINT": url,
        "ECAUTO_RATE_MULTIPLIER": str(multiplier),
        "SP_API_REFRESH_TOKEN": "sandbox-refresh-token",
        "LWA_APP_ID": "sandbox-application",
        "LWA_CLIENT_SECRET": "sandbox-client-secret",
    }


def sandbox_accounts() -> dict[str, str]:
    """The setting that names the sandbox's BASE shops, with the credentials they were made with."""
    accounts = [
        {
            "id": shop.account_id,
            "client_id": shop.client_id,
            "client_secret": shop.client_secret,
            "redirect_uri": "http://localhost:8000/callback",
            "refresh_token": shop.refresh_token,
        }
        for shop in demo_shops()
    ]
    return {"ECAUTO_BASE__ACCOUNTS": json.dumps(accounts)}


def sandbox_stores(url: str) -> dict[str, str]:
    """The setting that names the sandbox's Shopify stores."""
    stores = [
        {
            "id": shop.store_id,
            "shop_domain": shop.shop_domain,
            "endpoint": url,
            "access_token": shop.access_token or "",
            "client_id": shop.client_id or "",
            "client_secret": shop.client_secret or "",
        }
        for shop in demo_shopify_shops()
    ]
    return {"ECAUTO_SHOPIFY__STORES": json.dumps(stores)}


@contextmanager
def demonstration(data_dir: Path) -> Generator[Path]:
    """A sandbox that this process's settings lead to; gives the v1.0 folder to take over."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _sandbox(str(folder / "sandbox.db")) as sandbox:
        write_demo_v1(folder / "v1", sandbox.world)
        environment = sandbox_environment(sandbox.url, RATE_MULTIPLIER)
        set_environment(environment | sandbox_stores(sandbox.url))
        yield folder / "v1"


def refuse_demonstration_data(data_dir: Path) -> None:
    """Keep real shops apart from a database that was made for the demonstration.

    Raises:
        Misconfigured: the data folder holds the demonstration.
    """
    if (data_dir / FOLDER).exists():
        raise Misconfigured(
            f"{data_dir} holds the demonstration, which must not meet real shops: remove it, or set"
            " ECAUTO_DATA_DIR to another folder"
        )


def _sandbox(state: str) -> Sandbox:
    try:
        return demo_sandbox(PORT, rate_multiplier=RATE_MULTIPLIER, state=state)
    except OSError:  # Somebody else listens there: any free port will do.
        return demo_sandbox(0, rate_multiplier=RATE_MULTIPLIER, state=state)
