"""Access tokens of a Shopify store: one that was set, or such as its app is given for a day."""

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from ecauto_pipeline.clients.http import Answer, JsonApi
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    EcautoError,
    Misconfigured,
    NoProof,
    Rejected,
)

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before it expires."""

LIFETIME = timedelta(hours=24)
"""How long a token lives at most, and when the answer does not tell."""

STOPPED = {402: "frozen", 423: "locked", 430: "refused for security reasons"}
"""What Shopify's status says about the store: a person must act there."""

TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105 - an address

_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

_TOKEN = re.compile(r"[!-~]+")
"""What may stand in a header."""


@dataclass(frozen=True, slots=True)
class ShopifyCredentials:
    """What a store is called with; the token wins when the app's id and secret are there too."""

    access_token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


class ShopifyTokens:
    """Access tokens of one store, shared by all threads; a refused one is replaced once.

    `read_credentials` gives the present settings: they are read again before giving up.
    """

    def __init__(
        self,
        store_id: str,
        read_credentials: Callable[[], ShopifyCredentials],
        api: JsonApi,
        clock: Clock,
    ) -> None:
        self._store_id = store_id
        self._read = read_credentials
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._credentials: ShopifyCredentials | None = None
        self._token = ""
        self._expires_at: datetime | None = None

    def access_token(self) -> str:
        """A token that is good for some minutes.

        Raises:
            Misconfigured: no credential is set.
            CredentialsRejected: Shopify refuses them, also after they were read again.
            AccountStopped: a person must act at the store.
            Unavailable: no answer.
        """
        with self._lock:
            before = self._known()
            try:
                return self._current(before)
            except CredentialsRejected:
                again = self._take(self._read())
                if again == before:
                    raise
            return self._current(again)

    def refused(self, token: str) -> bool:
        """Shopify refused this token; returns whether there is, or can be had, another one."""
        with self._lock:
            before = self._known()
            credentials = self._take(self._read())
            if credentials.access_token:
                return credentials.access_token != token
            if credentials != before or token == self._token:
                self._expires_at = None
            return True

    def fingerprint(self) -> str:
        """What tells the app from others of the same store, and nothing about its secrets."""
        with self._lock:
            known = self._known()
        app = known.access_token or known.client_id
        return hashlib.sha256(app.encode()).hexdigest()[:16]

    def _known(self) -> ShopifyCredentials:
        return self._credentials or self._take(self._read())

    def _take(self, credentials: ShopifyCredentials) -> ShopifyCredentials:
        """Use these from now on."""
        if not credentials.access_token and not (
            credentials.client_id and credentials.client_secret
        ):
            raise Misconfigured(
                f"ECAUTO_SHOPIFY__STORES: store {self._store_id} has neither an access_token nor a"
                " client_id and client_secret"
            )
        self._api.redactor.add(credentials.access_token, credentials.client_secret)
        self._credentials = credentials
        return credentials

    def _current(self, credentials: ShopifyCredentials) -> str:
        if credentials.access_token:
            return credentials.access_token
        now = self._clock.now()
        if self._expires_at is None or self._expires_at - now < RENEW_BEFORE:
            self._fetch(credentials, now)
        return self._token

    def _fetch(self, credentials: ShopifyCredentials, now: datetime) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        answer = self._api.send("POST", TOKEN_PATH, form=form)
        if answer.status != HTTPStatus.OK:
            raise self._error_for(answer)
        body = answer.object()
        token = body.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise NoProof(f"Shopify store {self._store_id}: an answer without an access token")
        self._api.redactor.add(token)
        self._token = token
        self._expires_at = now + _lifetime(body.get("expires_in"))

    def _error_for(self, answer: Answer) -> EcautoError:
        body = answer.body or {}
        words = body.get("error_description") or body.get("error") or ""
        said = self._api.shown(f"HTTP {answer.status} {words}")
        if answer.status in _REFUSED:
            return CredentialsRejected(
                f"ECAUTO_SHOPIFY__STORES: Shopify does not accept the client_id and client_secret"
                f" of store {self._store_id} ({said}); the app must be installed in the store, and"
                " both must belong to the same organisation"
            )
        if answer.status in STOPPED:
            return stopped(self._store_id, answer.status)
        return Rejected(f"Shopify store {self._store_id} gives no access token ({said})")


def stopped(store_id: str, status: int) -> AccountStopped:
    """The error for a status that only a person can change."""
    return AccountStopped(
        f"Shopify store {store_id} is {STOPPED[status]} (HTTP {status}): settle it in Shopify's"
        " admin; nothing is read from it until then"
    )


def _lifetime(seconds: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
        return LIFETIME
    return timedelta(seconds=min(seconds, int(LIFETIME.total_seconds())))
