"""One HTTP call to a JSON API: sent once, bounded, its failures told as our errors."""

import random
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, cast

import httpx
import orjson
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
)

from ecauto_pipeline.clients.json_body import parsed
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import NoProof, NotSent, NotServed, Throttled, Unavailable
from ecauto_pipeline.settings.redaction import Redactor

CONNECT_SECONDS = 10
READ_SECONDS = 30
WHOLE_ANSWER = timedelta(seconds=120)
"""Servers that send a byte now and then would never run into the time-out for reading."""

MAX_BYTES = 32 * 1024 * 1024
"""A hundred items with long descriptions are below one megabyte."""

MAX_TRIES = 5

SHOWN_CHARACTERS = 200
"""How much of a marketplace's own words goes into a message."""


_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class TooLong(NoProof):
    """The answer is longer than is read: asking for less may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer below HTTP 500; `body` is None when it is not a JSON object."""

    status: int
    body: dict[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name, in any case."""

    def object(self) -> dict[str, Any]:
        """The JSON object.

        Raises:
            NoProof: the answer is something else: an error page, nothing, or half of it.
        """
        if self.body is None:
            raise NoProof(f"the answer (HTTP {self.status}) is not the JSON it should be")
        return self.body


class JsonApi:
    """Calls one server. Nothing is ever sent to another one: redirects are not followed."""

    def __init__(
        self, http: httpx.Client, endpoint: str, clock: Clock, redactor: Redactor | None = None
    ) -> None:
        self._http = http
        self._clock = clock
        self.endpoint = endpoint.rstrip("/")
        self.host = httpx.URL(endpoint).netloc.decode()
        self.redactor = redactor or Redactor()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send the call once; `form` or the JSON `document` is its body, `token` its bearer token.

        Raises:
            NotSent: the server was not reached.
            Throttled: it answered HTTP 429.
            TooLong: its answer is too long.
            NoProof: its answer is a redirection.
            Unavailable: it did not answer, or only that it failed.
        """
        until = self._clock.now() + WHOLE_ANSWER
        sent = {"Accept": "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        content = None
        if document is not None:
            sent["Content-Type"] = "application/json"
            content = orjson.dumps(document)
        with (
            _our_errors(self.host),
            self._http.stream(
                method,
                f"{self.endpoint}{path}",
                params=query,
                data=form,
                content=content,
                headers=sent,
                follow_redirects=False,
            ) as response,
        ):
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > MAX_BYTES:
                    raise TooLong(f"{self.host} sends more than {MAX_BYTES} bytes")
                if self._clock.now() > until:
                    raise Unavailable(f"{self.host} sends its answer too slowly")
        return _answer(response, bytes(received))

    def lines(self, url: str) -> Iterator[bytes]:
        """The lines of a file that may be on another server, see `lines_of`."""
        return lines_of(self._http, url)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def shown(self, words: object) -> str:
        """The server's own words, fit for a message: one line, short, without secrets."""
        line = " ".join(str(words or "").split())
        return self.redactor.redact(line)[:SHOWN_CHARACTERS]


def lines_of(http: httpx.Client, url: str) -> Iterator[bytes]:
    """The lines of a file of any length, as they come; nothing but the address is sent.

    Raises:
        NotSent: the server was not reached.
        NoProof: it answered with something else than the file, or a line is too long.
        Unavailable: it did not answer, or broke off.
    """
    host = httpx.URL(url).netloc.decode()
    with _our_errors(host), http.stream("GET", url, follow_redirects=False) as response:
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"{host} failed (HTTP {response.status_code})")
        if response.status_code != HTTPStatus.OK:
            raise NoProof(f"{host} does not give the file (HTTP {response.status_code})")
        rest = bytearray()
        for chunk in response.iter_bytes():
            rest += chunk
            if b"\n" in chunk:
                *lines, tail = bytes(rest).split(b"\n")
                yield from lines
                rest = bytearray(tail)
            elif len(rest) > MAX_BYTES:
                raise TooLong(f"{host} sends a line of more than {MAX_BYTES} bytes")
        if rest:
            yield bytes(rest)


@contextmanager
def _our_errors(host: str) -> Generator[None]:
    """What went wrong between us and the host, as one of our errors."""
    try:
        yield
    except _NOT_SENT as error:
        raise NotSent(f"{host} cannot be reached ({type(error).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{host} did not answer ({type(error).__name__})") from None


def open_http(read_seconds: float = READ_SECONDS) -> httpx.Client:
    """A connection pool with our time-outs."""
    return httpx.Client(
        timeout=httpx.Timeout(read_seconds, connect=min(read_seconds, CONNECT_SECONDS)),
        follow_redirects=False,
        headers={"User-Agent": "ecauto_pipeline/2"},
    )


def retrying(
    clock: Clock,
    chance: Callable[[], float] = random.random,
    *,
    but_not: tuple[type[Unavailable], ...] = (),
) -> Retrying:
    """Up to five tries, 1, 2, 4 and 8 seconds apart and a random part of a second more.

    Only for calls that may be made twice. Failures that may pass are tried again (`Unavailable`),
    unless they are of a kind that the caller answers otherwise.
    """

    def pause(state: RetryCallState) -> float:
        return float(2 ** (state.attempt_number - 1)) + chance()

    return Retrying(
        sleep=clock.sleep,
        wait=pause,
        stop=stop_after_attempt(MAX_TRIES),
        retry=retry_if_exception_type(Unavailable) & retry_if_not_exception_type(but_not),
        reraise=True,
    )


def _answer(response: httpx.Response, content: bytes) -> Answer:
    """The answer, unless its status says all."""
    status = response.status_code
    host = response.url.netloc.decode()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        # Believed when it is a sane number of seconds; Shopify sends "2.0".
        wait = _SECONDS.fullmatch(response.headers.get("Retry-After", "")[:6])
        raise Throttled(f"{host} asks for fewer calls", float(wait[0]) if wait else None)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise NotServed(f"{host} is not available now (HTTP 503)")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{host} failed (HTTP {status})")
    if response.has_redirect_location or response.is_redirect:
        raise NoProof(f"{host} redirects (HTTP {status}) instead of answering")
    body = parsed(content)
    known = cast("dict[str, Any]", body) if isinstance(body, dict) else None
    return Answer(status, known, response.headers)
