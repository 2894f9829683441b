"""BASE's OAuth 2: authorisation codes, and refresh tokens that work once."""

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.base_shop.state import (
    ACCESS_LIFE,
    CODE_LIFE,
    SCOPES,
    Code,
    Grant,
    ShopState,
)
from ecauto_pipeline.sandbox.wire import Request, Response, json_response


@dataclass
class Refused(Exception):
    """An error of BASE's; always HTTP 400."""

    error: str
    description: str


# What BASE really says (December 2025); its documentation has it another way.
BAD_ACCESS_TOKEN = ("invalid_request", "アクセストークンが不正です。")
BAD_REFRESH_TOKEN = "不正なリフレッシュトークンです。"  # noqa: S105 - a message
OLD_REFRESH_TOKEN = "リフレッシュトークンの有効期限が切れています。"  # noqa: S105 - a message
BAD_CODE = "不正な認可コードです。"
OLD_CODE = "認可コードの有効期限が切れています。"
UNKNOWN_CLIENT = "クライアントが見つかりませんでした。"
BAD_PARAMETER = "不正なパラメーターです。"


class ShopAuthority:
    """Gives out and checks tokens."""

    def __init__(self, state: ShopState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def authorize(self, request: Request) -> Response:
        """Send the shop's owner back at once, as if they had agreed.

        `sandbox_account` in the query chooses among shops that share a client.
        """
        query = request.query
        if query.get("response_type") != "code" or not query.get("redirect_uri"):
            raise Refused("invalid_request", BAD_PARAMETER)
        shops = [
            shop
            for shop in self._state.shops()
            if shop.client_id == query.get("client_id")
            and query.get("sandbox_account", shop.account_id) == shop.account_id
        ]
        if not shops:
            raise Refused("unauthorized_client", UNKNOWN_CLIENT)
        redirect_uri = query["redirect_uri"]
        scope = query.get("scope", "read_users")
        if not set(scope.split()) <= {*SCOPES.split(), "read_users_mail", "write_orders"}:
            raise Refused("invalid_scope", "スコープが無効です。")
        expires_at = (self._clock.now() + CODE_LIFE).timestamp()
        code = Code(shops[0].account_id, redirect_uri, scope, expires_at, spent=False)
        answer = {"code": self._state.add_code(code)}
        if "state" in query:
            answer["state"] = query["state"]
        joint = "&" if "?" in redirect_uri else "?"
        location = f"{redirect_uri}{joint}{urlencode(answer)}"
        return Response(302, headers=(("Location", location),))

    def grant(self, request: Request) -> Response:
        """Exchange a code or a refresh token for a pair of tokens."""
        form, now = request.form(), self._clock.now()
        accounts = self._accounts_of_client(request)
        match form.get("grant_type"):
            case "refresh_token":
                old = self._state.grant_of_refresh(form.get("refresh_token", ""))
                if old is None or old.spent or old.account_id not in accounts:
                    raise Refused("invalid_request", BAD_REFRESH_TOKEN)
                if old.refresh_expires_at <= now.timestamp():
                    raise Refused("invalid_request", OLD_REFRESH_TOKEN)
                # It works once: whoever loses the answer has to be authorised again by a person.
                self._state.spend_refresh(old.refresh_token)
            case "authorization_code":
                text = form.get("code", "")
                old = self._state.code(text)
                if old is None or old.spent or old.account_id not in accounts:
                    raise Refused("invalid_request", BAD_CODE)
                if old.expires_at <= now.timestamp():
                    raise Refused("invalid_request", OLD_CODE)
                if form.get("redirect_uri") != old.redirect_uri:
                    raise Refused("invalid_request", BAD_PARAMETER)
                self._state.spend_code(text)
            case _:
                raise Refused("invalid_request", "不正なgrant_typeです。")
        grant = self._state.grant(old.account_id, old.scope, now)
        return json_response(
            200,
            {
                # BASE does not tell the scope: who needs it keeps the one that was asked for.
                "access_token": grant.access_token,
                "token_type": "bearer",
                "expires_in": int(ACCESS_LIFE.total_seconds()),
                "refresh_token": grant.refresh_token,
            },
        )

    def grant_of(self, request: Request) -> Grant | None:
        """The grant a call's access token came with, still valid or not."""
        kind, _, access_token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        return self._state.grant_of_access(access_token.strip())

    def check(self, request: Request, scope: str) -> Grant:
        """The valid grant of a call.

        Raises:
            Refused: the access token is missing, unknown, too old or of too small a scope.
        """
        grant = self.grant_of(request)
        if grant is None or grant.access_expires_at <= self._clock.now().timestamp():
            raise Refused(*BAD_ACCESS_TOKEN)
        if scope not in grant.scope.split():
            raise Refused("invalid_scope", "スコープが無効です。")
        return grant

    def _accounts_of_client(self, request: Request) -> list[str]:
        """The accounts whose client calls; it names itself in a header or in the form."""
        form = request.form()
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            with suppress(binascii.Error, UnicodeDecodeError):
                client_id, _, client_secret = base64.b64decode(encoded).decode().partition(":")
        if not client_id or not client_secret:
            raise Refused("invalid_request", "client_idもしくはclient_secretがありません。")
        accounts = [
            shop.account_id
            for shop in self._state.shops()
            if (shop.client_id, shop.client_secret) == (client_id, client_secret)
        ]
        if not accounts:
            raise Refused("unauthorized_client", UNKNOWN_CLIENT)
        return accounts
