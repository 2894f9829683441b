"""Login with Amazon: the one source of access tokens for a selling account."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus

from ecauto_pipeline.clients.access_tokens import AccessToken, AccessTokens, granted
from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import CredentialsRejected, Misconfigured, Unavailable

LIFETIME = timedelta(hours=1)
"""How long LWA's tokens live."""

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


class LwaTokens(AccessTokens[AmazonCredentials]):
    """Access tokens of a selling account; its client secret must be rotated every 180 days."""

    def __init__(
        self, read_credentials: Callable[[], AmazonCredentials], api: JsonApi, clock: Clock
    ) -> None:
        super().__init__(read_credentials, clock)
        self._api = api

    def fetched(self, credentials: AmazonCredentials) -> AccessToken:
        """A new token for the refresh token, which stays the same."""
        if missing := credentials.missing():
            raise Misconfigured(f"{', '.join(missing)}: not set; see .env.example")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.refresh_token,
            "client_id": credentials.app_id,
            "client_secret": credentials.client_secret,
        }
        sent_at = self._clock.now()
        answer = self._api.send("POST", "/auth/o2/token", form=form)
        body = answer.body or {}
        if answer.status in _REFUSED and "error" in body:
            said = self._api.shown(body["error"])
            if said == "invalid_grant":
                raise CredentialsRejected(
                    "SP_API_REFRESH_TOKEN: Amazon does not accept it (invalid_grant);"
                    " authorise the application again in Seller Central"
                )
            raise CredentialsRejected(
                f"LWA_APP_ID or LWA_CLIENT_SECRET: Amazon does not accept them ({said});"
                " a client secret expires after 180 days"
            )
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"Login with Amazon: HTTP {answer.status}")
        return granted(self._api, answer, sent_at, LIFETIME)
