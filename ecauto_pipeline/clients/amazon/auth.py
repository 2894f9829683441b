"""Login with Amazon: the one source of access tokens for a selling account."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clients.json_body import text
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import CredentialsRejected, Misconfigured, NoProof, Unavailable

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before it expires (LWA's live for an hour)."""

LIFETIME_SECONDS = 3600
"""How long a token lives when the answer does not tell."""

_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(frozen=True, slots=True)
class AmazonCredentials:
    """What a selling account is called with; never shown."""

    refresh_token: str = field(repr=False)
    app_id: str = field(repr=False)
    client_secret: str = field(repr=False)

    def fingerprint(self) -> str:
        """Names the selling account in its quotas without telling its credentials."""
        account = f"{self.app_id}/{self.refresh_token}".encode()
        return hashlib.blake2b(account, digest_size=4).hexdigest()

    def missing(self) -> list[str]:
        """The names of the settings that are empty."""
        named = {
            "SP_API_REFRESH_TOKEN": self.refresh_token,
            "LWA_APP_ID": self.app_id,
            "LWA_CLIENT_SECRET": self.client_secret,
        }
        return [name for name, value in named.items() if not value]


class LwaTokens:
    """Access tokens, shared by all threads; a refused one is replaced once.

    `read_credentials` reads them from their source: again before giving up, since a client secret
    must be rotated every 180 days.
    """

    def __init__(
        self, read_credentials: Callable[[], AmazonCredentials], api: JsonApi, clock: Clock
    ) -> None:
        self._read = read_credentials
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._expires_at: datetime | None = None

    def access_token(self) -> str:
        """A token that is good for some minutes.

        Raises:
            Misconfigured: a credential is not set.
            CredentialsRejected: Amazon refuses them, also after they were read again.
            Unavailable: no answer.
        """
        with self._lock:
            now = self._clock.now()
            if self._expires_at is None or self._expires_at - now < RENEW_BEFORE:
                self._renew(now)
            return self._token

    def refused(self, token: str) -> None:
        """The API did not accept this token: the next one asked for is a new one."""
        with self._lock:
            if token == self._token:
                self._expires_at = None

    def _renew(self, now: datetime) -> None:
        credentials = self._read()
        if missing := credentials.missing():
            raise Misconfigured(f"{', '.join(missing)}: not set; see .env.example")
        try:
            answer = self._fetch(credentials)
        except CredentialsRejected:
            again = self._read()
            if again == credentials:
                raise
            answer = self._fetch(again)
        self._token = answer["access_token"]
        self._expires_at = now + timedelta(seconds=answer["expires_in"])

    def _fetch(self, credentials: AmazonCredentials) -> dict[str, Any]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.refresh_token,
            "client_id": credentials.app_id,
            "client_secret": credentials.client_secret,
        }
        answer = self._api.send("POST", "/auth/o2/token", form=form)
        body = answer.body or {}
        if answer.status in _REFUSED and "error" in body:
            raise CredentialsRejected(_remedy(self._api.shown(body["error"])))
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"Login with Amazon: HTTP {answer.status}")
        token = text(body.get("access_token"))
        if token is None or not (token.isascii() and token.isprintable()):
            raise NoProof("Login with Amazon: an answer without a token")
        return {"access_token": token, "expires_in": _lifetime(body.get("expires_in"))}


def _lifetime(seconds: object) -> int:
    """What the answer says, if it makes sense: a longer life is found out by a refusal."""
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
        return LIFETIME_SECONDS
    return min(seconds, LIFETIME_SECONDS)


def _remedy(error: str) -> str:
    if error == "invalid_grant":
        return (
            "SP_API_REFRESH_TOKEN: Amazon does not accept it (invalid_grant);"
            " authorise the application again in Seller Central"
        )
    return (
        f"LWA_APP_ID or LWA_CLIENT_SECRET: Amazon does not accept them ({error});"
        " a client secret expires after 180 days"
    )
