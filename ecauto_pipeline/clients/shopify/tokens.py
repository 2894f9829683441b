"""Access tokens of a Shopify store: one that was set, or such as its app is given for a day."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from ecauto_pipeline.clients.access_tokens import AccessToken, AccessTokens, granted
from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    Misconfigured,
    Rejected,
)

LIFETIME = timedelta(hours=24)
"""How long a token lives."""

STOPPED = {402: "frozen", 423: "locked", 430: "refused for security reasons"}
"""What Shopify's status says about the store: a person must act there."""

TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105 - an address

_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(frozen=True, slots=True)
class ShopifyCredentials:
    """What a store is called with; the token wins when the app's id and secret are there too."""

    access_token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


class ShopifyTokens(AccessTokens[ShopifyCredentials]):
    """Access tokens of one store."""

    def __init__(
        self,
        store_id: str,
        read_credentials: Callable[[], ShopifyCredentials],
        api: JsonApi,
        clock: Clock,
    ) -> None:
        super().__init__(self._read_again, clock)
        self._store_id = store_id
        self._settings = read_credentials
        self._api = api
        self._known: ShopifyCredentials | None = None

    def refused(self, token: str) -> bool:
        """Shopify refused this token; whether there is, or can be had, another one."""
        return self._read_again().access_token != token and super().refused(token)

    def fingerprint(self) -> str:
        """What tells the app from others of the same store, and nothing about its secrets."""
        known = self._known or self._read_again()
        app = known.access_token or known.client_id
        return hashlib.sha256(app.encode()).hexdigest()[:16]

    def fetched(self, credentials: ShopifyCredentials) -> AccessToken:
        """The token that is set, which has no end; else one that the app is given for a day."""
        if credentials.access_token:
            return AccessToken(credentials.access_token, datetime.max.replace(tzinfo=UTC))
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        sent_at = self._clock.now()
        answer = self._api.send("POST", TOKEN_PATH, form=form)
        if answer.status == HTTPStatus.OK:
            return granted(self._api, answer, sent_at, LIFETIME)
        if answer.status in STOPPED:
            raise stopped(self._store_id, answer.status)
        body = answer.body or {}
        words = body.get("error_description") or body.get("error") or ""
        said = self._api.shown(f"HTTP {answer.status} {words}")
        if answer.status in _REFUSED:
            raise CredentialsRejected(
                f"ECAUTO_SHOPIFY__STORES: Shopify does not accept the client_id and client_secret"
                f" of store {self._store_id} ({said}); the app must be installed in the store, and"
                " both must belong to the same organisation"
            )
        raise Rejected(f"Shopify store {self._store_id} gives no access token ({said})")

    def _read_again(self) -> ShopifyCredentials:
        """The present ones, checked."""
        credentials = self._settings()
        if not credentials.access_token and not (
            credentials.client_id and credentials.client_secret
        ):
            raise Misconfigured(
                f"ECAUTO_SHOPIFY__STORES: store {self._store_id} has neither an access_token nor a"
                " client_id and client_secret"
            )
        self._api.redactor.add(credentials.access_token, credentials.client_secret)
        self._known = credentials
        return credentials


def stopped(store_id: str, status: int) -> AccountStopped:
    """The error for a status that only a person can change."""
    return AccountStopped(
        f"Shopify store {store_id} is {STOPPED[status]} (HTTP {status}): settle it in Shopify's"
        " admin; nothing is read from it until then"
    )
