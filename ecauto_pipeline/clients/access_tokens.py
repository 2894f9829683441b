"""Access tokens: read from an answer, kept until shortly before they end, renewed once for all."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from ecauto_pipeline.clients.http import Answer, JsonApi
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import CredentialsRejected, NoProof

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before its end: whoever asks for one may have to wait for a turn."""

_SENDABLE = re.compile(r"[!-~]+")
"""What may stand in a header."""

_C = TypeVar("_C")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, and when it ends."""

    value: str = field(repr=False)
    expires_at: datetime


def granted(api: JsonApi, answer: Answer, sent_at: datetime, longest: timedelta) -> AccessToken:
    """The token in the answer to a call of that time; no message will show it.

    It lives for `longest` when the answer does not tell, or tells no number: that it has ended
    earlier is found out by a refusal.

    Raises:
        NoProof: there is none.
    """
    body = answer.object()
    token, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not _SENDABLE.fullmatch(token):
        raise NoProof(f"{api.host}: an answer without an access token")
    api.redactor.add(token)
    if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
        longest = timedelta(seconds=min(seconds, longest.total_seconds()))
    return AccessToken(token, sent_at + longest)


def with_credentials(known: _C, read: Callable[[], _C], ask: Callable[[_C], _T]) -> _T:
    """What `ask` gives; refused credentials are read from their source once before giving up.

    Raises:
        CredentialsRejected: they are refused, and no others are to be had, or these as well.
    """
    try:
        return ask(known)
    except CredentialsRejected:
        again = read()
        if again == known:
            raise
    return ask(again)


class AccessTokens(ABC, Generic[_C]):
    """One account's token, shared by all threads; a refused one is replaced once.

    `read_credentials` gives the present settings: they are read anew for each token, and again
    before giving up.
    """

    def __init__(self, read_credentials: Callable[[], _C], clock: Clock) -> None:
        self._read = read_credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._token: AccessToken | None = None

    def access_token(self) -> str:
        """A token that is good for some minutes.

        Raises:
            Misconfigured: no credentials are set.
            CredentialsRejected: they are refused, also after they were read again.
            AccountStopped: a person must act.
            Unavailable: no answer.
        """
        with self._lock:
            now = self._clock.now()
            if self._token is None or self._token.expires_at - now < RENEW_BEFORE:
                self._token = with_credentials(self._read(), self._read, self.fetched)
            return self._token.value

    def refused(self, token: str) -> bool:
        """The API did not accept this token; whether there is, or can be had, another one."""
        with self._lock:
            # Other threads may have replaced it meanwhile.
            if self._token and self._token.value == token:
                self._token = None
        return True

    @abstractmethod
    def fetched(self, credentials: _C) -> AccessToken:
        """A new token for these credentials, see `access_token` for what it raises."""
