"""Clients of the sandbox, as plain as can be."""

from collections.abc import Sequence
from typing import Any

import httpx

from ecauto_pipeline.sandbox.base_shop.state import ShopSeed
from ecauto_pipeline_tests.children import PATIENCE_SECONDS

MARKETPLACE = "A1VC38T7YXB528"


class AmazonCaller:
    """Calls Amazon's operations with an access token."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)
        self.renew()

    def renew(self) -> None:
        """Get another access token."""
        form = {
            "grant_type": "refresh_token",
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "token",
        }
        answer = self.http.post("/auth/o2/token", data=form).json()
        self.http.headers["x-amz-access-token"] = answer["access_token"]

    def search(self, asins: Sequence[str], **options: str) -> httpx.Response:
        """Search the catalog by ASIN."""
        query = {
            "marketplaceIds": MARKETPLACE,
            "identifiersType": "ASIN",
            "identifiers": ",".join(asins),
            **options,
        }
        return self.http.get("/catalog/2022-04-01/items", params=query)

    def item(self, asin: str, **options: str) -> httpx.Response:
        """One item of the catalog."""
        query = {"marketplaceIds": MARKETPLACE, **options}
        return self.http.get(f"/catalog/2022-04-01/items/{asin}", params=query)

    def competitive(self, asins: Sequence[str]) -> httpx.Response:
        """Competitive prices of up to 20."""
        query = {"MarketplaceId": MARKETPLACE, "ItemType": "Asin", "Asins": ",".join(asins)}
        return self.http.get("/products/pricing/v0/competitivePrice", params=query)

    def offers(self, asin: str, condition: str = "New") -> httpx.Response:
        """The offers for one ASIN."""
        query = {"MarketplaceId": MARKETPLACE, "ItemCondition": condition}
        return self.http.get(f"/products/pricing/v0/items/{asin}/offers", params=query)

    def batch(self, asins: Sequence[str]) -> httpx.Response:
        """The offers for up to 20."""
        requests = [
            {
                "uri": f"/products/pricing/v0/items/{asin}/offers",
                "method": "GET",
                "MarketplaceId": MARKETPLACE,
                "ItemCondition": "New",
                "CustomerType": "Consumer",
            }
            for asin in asins
        ]
        path = "/batches/products/pricing/v0/itemOffers"
        return self.http.post(path, json={"requests": requests})

    def payloads(self, asins: Sequence[str]) -> dict[str, Any]:
        """The bodies of a batch, by ASIN."""
        responses = self.batch(asins).json()["responses"]
        return {each["request"]["Asin"]: each["body"] for each in responses}


class ShopCaller:
    """Calls BASE for one account."""

    def __init__(self, url: str, shop: ShopSeed) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS)
        self.shop = shop
        self.refresh_token = shop.refresh_token

    def refresh(self, refresh_token: str | None = None) -> httpx.Response:
        """Exchange the refresh token, and use the new pair if there is one."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.shop.client_id,
            "client_secret": self.shop.client_secret,
            "refresh_token": refresh_token or self.refresh_token,
        }
        response = self.http.post("/1/oauth/token", data=form)
        if response.status_code == 200:
            self.refresh_token = response.json()["refresh_token"]
            self.http.headers["authorization"] = f"Bearer {response.json()['access_token']}"
        return response

    def get(self, path: str, **query: str | int) -> httpx.Response:
        """Read."""
        return self.http.get(f"/1/{path}", params=query)

    def post(self, path: str, **form: str | int) -> httpx.Response:
        """Write with a form."""
        return self.http.post(f"/1/{path}", data=form)

    def add(self, **form: str | int) -> httpx.Response:
        """Add an item."""
        return self.post("items/add", **{"title": "品", "price": 1980, "stock": 1, **form})
