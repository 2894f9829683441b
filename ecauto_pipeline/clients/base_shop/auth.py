"""BASE's OAuth 2: access tokens, and the care that single-use refresh tokens need.

A refresh whose answer is lost may have used up the refresh token; the old one is tried once more,
and then a person must connect the shop again.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Protocol
from urllib.parse import urlencode

from ecauto_pipeline.clients.access_tokens import RENEW_BEFORE, granted, with_credentials
from ecauto_pipeline.clients.http import Answer, JsonApi
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.accounts import AccountState, Shop, Tokens
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    Deferred,
    EcautoError,
    ItemGone,
    Misconfigured,
    NoProof,
    NotSent,
    NotServed,
    Rejected,
    Throttled,
    Unavailable,
)

SCOPES = "read_users read_items write_items"
"""`read_users` tells which shop a token is for; orders hold personal data, not needed here."""

LAST_USE_BEFORE = timedelta(seconds=30)
"""How long an access token is used on when its refresh's answer was lost."""

SECOND_TRY_AFTER = timedelta(seconds=10)
LIFETIME = timedelta(hours=1)
"""How long BASE's access tokens live."""

MAX_REFUSALS = 5
"""Access tokens that BASE gave and then refused, one after another, before the account stops."""


class TokenRefused(Unavailable):
    """BASE does not accept the access token."""

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.token = token


class TokenStore(Protocol):
    """Where tokens are kept, for all processes."""

    def tokens(self, account_id: str) -> Tokens | None:
        """What is stored."""
        ...

    def save_tokens(self, account_id: str, tokens: Tokens) -> None:
        """Store them for good before returning."""
        ...

    def set_refresh_started(self, account_id: str, at: datetime | None) -> None:
        """Note that a refresh is under way."""
        ...

    def set_state(self, account_id: str, state: AccountState, reason: str = "") -> None:
        """Note whether the account may be used."""
        ...

    def lock(self, account_id: str) -> AbstractContextManager[None]:
        """Keep all others from refreshing."""
        ...


_NOT_SPENT = (NotSent, NotServed, Throttled, Deferred, Misconfigured, Rejected)
"""After these the refresh token is still good: the call was not carried out."""


class Verdict(Enum):
    """What an error of BASE's calls for."""

    TOKEN = auto()
    REAUTHORISE = auto()
    RESTRICTED = auto()
    CLIENT = auto()
    LIMIT = auto()
    GONE = auto()
    TRANSIENT = auto()
    REJECTED = auto()


_VERDICTS: tuple[tuple[str, str, Verdict], ...] = (
    ("invalid_request", "アクセストークン", Verdict.TOKEN),
    ("invalid_token", "", Verdict.TOKEN),
    ("invalid_request", "リフレッシュトークン", Verdict.REAUTHORISE),
    ("invalid_grant", "", Verdict.REAUTHORISE),
    ("invalid_scope", "", Verdict.REAUTHORISE),
    ("access_denied", "https", Verdict.REJECTED),
    ("access_denied", "POST", Verdict.REJECTED),
    ("access_denied", "", Verdict.RESTRICTED),
    ("invalid_request", "client_id", Verdict.CLIENT),
    ("unauthorized_client", "", Verdict.CLIENT),
    ("invalid_client", "", Verdict.CLIENT),
    ("auth_error", "", Verdict.CLIENT),
    ("hour_api_limit", "", Verdict.LIMIT),
    ("day_api_limit", "", Verdict.LIMIT),
    ("exceed_daily_limit", "", Verdict.LIMIT),
    ("bad_item_id", "", Verdict.GONE),
    ("no_item", "", Verdict.GONE),
    ("db_error", "", Verdict.TRANSIENT),
    ("server_error", "", Verdict.TRANSIENT),
)
"""The same code means different things: `invalid_request` is told apart by its description."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that BASE answered with."""

    code: str
    words: str

    @property
    def said(self) -> str:
        """BASE's own words, for a message."""
        return f"{self.code}: {self.words}" if self.words else self.code

    @property
    def verdict(self) -> Verdict:
        """What it calls for."""
        for code, part, verdict in _VERDICTS:
            if self.code == code and part in self.words:
                return verdict
        return Verdict.REJECTED


_PASSING: Mapping[Verdict, Callable[[str], EcautoError]] = {
    Verdict.TOKEN: TokenRefused,
    Verdict.LIMIT: Deferred,
    Verdict.TRANSIENT: Unavailable,
}

_ErrorFor = Callable[[Refusal], EcautoError]


def refusal(answer: Answer, api: JsonApi) -> Refusal | None:
    """The error in an answer, whatever its status; None when it holds none.

    Raises:
        NoProof: it is not JSON, or a failure that does not say which.
    """
    if answer.status == 401 and "error" not in (answer.body or {}):  # noqa: PLR2004
        return Refusal("invalid_token", "HTTP 401")
    body = answer.object()
    if body.get("error"):
        return Refusal(api.shown(body["error"]), api.shown(body.get("error_description")))
    if not 200 <= answer.status < 300:  # noqa: PLR2004
        raise NoProof(f"{api.host} failed (HTTP {answer.status}) and does not say why")
    return None


def authorize_url(endpoint: str, account: Account, state: str) -> str:
    """Where the shop's owner allows this program to act; BASE sends `state` back with the code."""
    query = {
        "response_type": "code",
        "client_id": account.client_id,
        "redirect_uri": account.redirect_uri,
        "scope": SCOPES,
        "state": state,
    }
    return f"{endpoint.rstrip('/')}/1/oauth/authorize?{urlencode(query)}"


def shop_from(body: Mapping[str, Any]) -> Shop:
    """The shop in an answer to users/me.

    Raises:
        NoProof: it names none.
    """
    match body:
        case {"user": {"shop_id": str() | int() as shop_id, **user}} if shop_id:
            return Shop(str(shop_id), str(user.get("shop_name", "")), str(user.get("shop_url", "")))
        case _:
            raise NoProof("users/me does not say which shop it is")


class BaseTokens:
    """The access token of one account, refreshed in time, by one process at a time.

    `reload` reads the account's credentials from their source again, for when BASE refuses them.
    """

    def __init__(
        self,
        account: Account,
        store: TokenStore,
        api: JsonApi,
        clock: Clock,
        reload: Callable[[], Account | None] = lambda: None,
    ) -> None:
        self._account = account
        self._store = store
        self._api = api
        self._clock = clock
        self._reload = reload
        self._refused = ""
        self._refusals = 0
        api.redactor.add(account.client_secret, account.seed_refresh_token)

    def access_token(self) -> str:
        """A token that is good for some minutes at least.

        Raises:
            AccountStopped: a person must act; the message says how.
            CredentialsRejected: BASE does not accept the client id and secret.
            Unavailable: BASE cannot be asked for one now.
        """
        tokens = self._known()
        if tokens.state is AccountState.OK and self._usable(tokens):
            return tokens.access_token
        with self._store.lock(self._account.id):
            tokens = self._known()
            if tokens.state is not AccountState.OK:
                raise self._stopped(tokens.state, tokens.state_reason)
            return tokens.access_token if self._usable(tokens) else self._refreshed(tokens)

    def refused(self, token: str) -> None:
        """BASE refused this token: the next one will be another."""
        self._refused = token
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS:
            raise self.stop(
                AccountState.NEEDS_REAUTH, "BASE refuses the access tokens that it has just given"
            )

    def accepted(self) -> None:
        """BASE accepted a token."""
        self._refusals = 0

    def stop(self, state: AccountState, reason: str) -> AccountStopped:
        """Let nobody use the account until a person has acted; returns what to raise."""
        self._store.set_state(self._account.id, state, reason)
        return self._stopped(state, reason)

    def error_for(self, refused: Refusal) -> EcautoError:
        """The error to raise; the account is stopped if BASE's answer means that."""
        message = f"BASE account {self._account.label}: {refused.said}"
        match refused.verdict:
            case Verdict.REAUTHORISE:
                return self.stop(AccountState.NEEDS_REAUTH, f"BASE says {refused.said}")
            case Verdict.RESTRICTED:
                return self.stop(AccountState.RESTRICTED, f"BASE says {refused.said}")
            case Verdict.CLIENT:
                return CredentialsRejected(
                    f"BASE does not accept the client_id and client_secret of account"
                    f" {self._account.label} ({refused.said}): correct them in the settings"
                    " (ECAUTO_BASE__ACCOUNTS)"
                )
            case Verdict.GONE:
                return ItemGone(message, refused.code)
            case Verdict.REJECTED:
                return Rejected(message, refused.code)
            case verdict:
                return _PASSING[verdict](message)

    def connect(self, code: str, redirect_uri: str = "") -> Shop:
        """Exchange an authorisation code for tokens; the shop is the one they are for.

        Raises:
            Misconfigured: somebody has logged in to another shop than before; nothing is stored.
            Rejected: BASE does not accept the code.
        """
        self._api.redactor.add(code)
        started = self._clock.now()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri or self._account.redirect_uri,
        }
        answer = self._granted(form, self._login_refused)
        tokens = replace(self._tokens_from(answer, Tokens(), started), scope=SCOPES)
        me = self._api.send("GET", "/1/users/me", token=tokens.access_token)
        if refused := refusal(me, self._api):
            raise self._login_refused(refused)
        shop = shop_from(me.object())
        with self._store.lock(self._account.id):
            known = self._store.tokens(self._account.id) or Tokens()
            if known.shop_id not in {"", shop.id}:
                raise Misconfigured(
                    f"account {self._account.label} belongs to the shop {known.shop_id}, but the"
                    f" login was for the shop {shop.id}: log in to BASE as {known.shop_id} and run"
                    f" `ecauto base connect {self._account.id}` again; nothing was changed"
                )
            self._store.save_tokens(self._account.id, replace(tokens, shop_id=shop.id))
        return shop

    def _known(self) -> Tokens:
        tokens = self._store.tokens(self._account.id) or Tokens()
        if not tokens.refresh_token:
            tokens = replace(tokens, refresh_token=self._account.seed_refresh_token)
        self._api.redactor.add(*tokens.secrets)
        return tokens

    def _usable(self, tokens: Tokens) -> bool:
        if tokens.expires_at is None or tokens.access_token in {"", self._refused}:
            return False
        margin = LAST_USE_BEFORE if tokens.refresh_started_at else RENEW_BEFORE
        return tokens.expires_at - self._clock.now() > margin

    def _refreshed(self, tokens: Tokens) -> str:
        """A new access token; the lock is held."""
        if not tokens.refresh_token:
            raise self._stopped(AccountState.NEEDS_REAUTH, "it was never connected")
        if tokens.refresh_started_at is None:
            tokens = replace(tokens, refresh_started_at=self._clock.now())
            self._store.save_tokens(self._account.id, tokens)
            try:
                return self._refresh(tokens)
            except _NOT_SPENT:
                self._store.set_refresh_started(self._account.id, None)
                raise
            except Unavailable:
                # The answer is lost: the old access token may still do for a while.
                if self._usable(tokens):
                    return tokens.access_token
        return self._last_try(tokens)

    def _last_try(self, tokens: Tokens) -> str:
        """The answer to a refresh is lost; if this try is cut short, none may follow."""
        lost = "BASE's answer to the last refresh was lost, and with it the new refresh token"
        since = self._clock.now() - (tokens.refresh_started_at or self._clock.now())
        self._clock.sleep(min(SECOND_TRY_AFTER, SECOND_TRY_AFTER - since).total_seconds())
        stopped = self.stop(AccountState.NEEDS_REAUTH, lost)
        try:
            return self._refresh(tokens)
        except _NOT_SPENT:
            self._store.set_state(self._account.id, AccountState.OK)
            raise
        except Unavailable:
            raise stopped from None

    def _refresh(self, old: Tokens) -> str:
        """Spend the refresh token; the new pair is stored before anybody uses it."""
        sent_at = self._clock.now()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": old.refresh_token,
            "redirect_uri": self._account.redirect_uri,
        }
        answer = self._granted(form, self.error_for)
        new = self._tokens_from(answer, old, sent_at)
        self._store.save_tokens(self._account.id, new)
        return new.access_token

    def _granted(self, form: Mapping[str, str], error_for: _ErrorFor) -> Answer:
        """BASE's answer to the token call; new client credentials are looked for once."""

        def ask(account: Account) -> Answer:
            client = {"client_id": account.client_id, "client_secret": account.client_secret}
            answer = self._api.send("POST", "/1/oauth/token", form={**form, **client})
            if refused := refusal(answer, self._api):
                raise error_for(refused)
            return answer

        def read_again() -> Account:
            self._account = self._reload() or self._account
            self._api.redactor.add(self._account.client_secret)
            return self._account

        return with_credentials(self._account, read_again, ask)

    def _tokens_from(self, answer: Answer, old: Tokens, sent_at: datetime) -> Tokens:
        access = granted(self._api, answer, sent_at, LIFETIME)
        refresh = answer.object().get("refresh_token")
        if not isinstance(refresh, str) or not refresh:
            raise NoProof("the answer to the token call holds no refresh token")
        self._api.redactor.add(refresh)
        return Tokens(
            access_token=access.value,
            refresh_token=refresh,
            previous_refresh_token=old.refresh_token,
            obtained_at=sent_at,
            expires_at=access.expires_at,
            scope=old.scope,
            shop_id=old.shop_id,
        )

    def _login_refused(self, refused: Refusal) -> EcautoError:
        """A login that came to nothing says nothing about the tokens that are there."""
        if refused.verdict is Verdict.CLIENT:
            return self.error_for(refused)
        return Rejected(
            f"BASE does not accept the login for account {self._account.label} ({refused.said}):"
            f" run `ecauto base connect {self._account.id}` again",
            refused.code,
        )

    def _stopped(self, state: AccountState, reason: str) -> AccountStopped:
        label, connect = self._account.label, f"`ecauto base connect {self._account.id}`"
        if state is AccountState.RESTRICTED:
            return AccountStopped(
                f"BASE has restricted the shop of account {label} ({reason}). Nothing is sent for"
                f" it any more. Settle it with BASE's support, then run {connect}"
            )
        return AccountStopped(
            f"Account {label} must be connected to BASE again ({reason}). Nothing is sent for it"
            f" until then. Run {connect} and log in to that shop"
        )
