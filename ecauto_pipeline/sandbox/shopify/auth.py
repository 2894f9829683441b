"""Who may call a Shopify store: its access tokens."""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.draw import token
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

# A second less than a day, as Shopify tells it; there is no refresh token, one asks again.
TOKEN_SECONDS = 86_399


class ShopifyAuthority:
    """Issues access tokens and knows whose they are."""

    def __init__(self, shops: Iterable[ShopifyShop], clock: Clock) -> None:
        self._shops = tuple(shops)
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[ShopifyShop, datetime]] = {}

    def shop_of(self, request: Request) -> ShopifyShop | None:
        """The store whose valid access token came with a call."""
        given = request.headers.get("x-shopify-access-token")
        if given is None:
            return None
        for shop in self._shops:
            if shop.access_token == given:
                return shop
        with self._lock:
            shop, until = self._issued.get(given, (None, None))
        return shop if until is not None and self._clock.now() < until else None

    def client_of(self, request: Request) -> ShopifyShop | None:
        """The store that a call for a token is about; the host decides between several."""
        fields = request.form() or {name: str(value) for name, value in request.json().items()}
        found = [
            shop
            for shop in self._shops
            if shop.client_id is not None and shop.client_id == fields.get("client_id")
        ]
        # The real host is that of the store; on loopback it tells nothing, and the client decides.
        label = request.headers.get("host", "").partition(".")[0]
        named = [shop for shop in found if shop.shop_domain.partition(".")[0] == label]
        return next(iter(named or found), None)

    def grant(self, request: Request) -> Response:
        """The response to a call for an access token."""
        fields = request.form() or {name: str(value) for name, value in request.json().items()}
        if fields.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "The grant type is not supported.")
        shop = self.client_of(request)
        if shop is None or shop.client_secret != fields.get("client_secret"):
            return _refused("invalid_client", "Client authentication failed.")
        with self._lock:
            number = len(self._issued)
            issued = f"shpca_{token(32, 'issued', shop.store_id, shop.seed, number)}"
            until = self._clock.now() + timedelta(seconds=TOKEN_SECONDS)
            self._issued[issued] = (shop, until)
        scope = ",".join(sorted(shop.scopes))
        body = {"access_token": issued, "scope": scope, "expires_in": TOKEN_SECONDS}
        return json_response(200, body)

    def expire_tokens(self) -> None:
        """Let all tokens that were issued have expired; those of old custom apps never do."""
        now = self._clock.now()
        with self._lock:
            self._issued = {given: (shop, now) for given, (shop, _) in self._issued.items()}


def _refused(error: str, description: str) -> Response:
    return json_response(400, {"error": error, "error_description": description})
