"""One Shopify store over the wire: its turn, its token, its version, its errors told as ours."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar, cast

import httpx

from ecauto_pipeline.clients.http import Answer, JsonApi, TooLong, retrying
from ecauto_pipeline.clients.json_body import mapping, objects
from ecauto_pipeline.clients.shopify.pacing import (
    STANDARD_GRAPHQL,
    STANDARD_REST,
    Budget,
    ShopifyPacing,
    graphql_cost,
    rest_budget,
)
from ecauto_pipeline.clients.shopify.tokens import STOPPED, ShopifyTokens, stopped
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    Misconfigured,
    NoProof,
    Rejected,
    Throttled,
    Unavailable,
)
from ecauto_pipeline.settings.value_types import is_loopback

FIRST_GUESS = 100.0
"""Points reserved for a GraphQL document until its first answer names them."""

MOST_THROTTLES = 50
"""How often in a row a call is put off before that goes up as an error."""

# The address of the page before may stand beside it, in either order.
_NEXT = re.compile(r'<(?P<url>[^<>]+)>\s*;[^,<]*\brel="?next\b')

_PERSON = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

_Kind = Literal["graphql", "rest"]

_T = TypeVar("_T")


class TooExpensive(Rejected):
    """The query costs more points than Shopify allows at once: a smaller page may do."""


class AccessDenied(CredentialsRejected):
    """The token may not see what was asked for."""


@dataclass(frozen=True, slots=True)
class ShopifyShop:
    """A store as the settings name it; `endpoint` is where its API answers."""

    store_id: str
    endpoint: str
    api_version: str


@dataclass(frozen=True, slots=True)
class GraphqlAnswer:
    """What a query gave; `withheld` names the fields that the token may not see."""

    data: Mapping[str, Any]
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Call:
    """One call; a query may stand in the path."""

    kind: _Kind
    method: Literal["GET", "POST"]
    path: str
    query: Mapping[str, str] | None = None
    document: Mapping[str, Any] | None = None


class ShopifyApi:
    """Calls one store; nothing that holds a token is ever sent to another host."""

    def __init__(
        self,
        shop: ShopifyShop,
        api: JsonApi,
        tokens: ShopifyTokens,
        pacing: ShopifyPacing,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.shop = shop
        self._api = api
        self._tokens = tokens
        self._pacing = pacing
        self._clock = clock
        self._chance = chance
        self._origin = _origin(httpx.URL(shop.endpoint))
        self._costs: dict[tuple[str, object], float] = {}

    def graphql(self, document: str, variables: Mapping[str, Any]) -> GraphqlAnswer:
        """The data that a query or mutation gives.

        Raises:
            TooExpensive: a smaller page may be allowed.
            Rejected: Shopify refuses the query.
            AccessDenied: the token may see nothing of what was asked for.
            CredentialsRejected, AccountStopped, Misconfigured: a person must act.
            Unavailable: no usable answer came, also after some tries.
        """
        return self._patiently(lambda: self._graphql(document, variables))

    def rest(
        self, path_or_url: str, query: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], str | None]:
        """The body of a resource or a list, and the address of the list's next page.

        A path that begins with `/` is not below the API's version.

        Raises:
            NoProof: the address leads to another server; nothing was sent.
            Rejected: Shopify refuses the call.
            CredentialsRejected, AccountStopped, Misconfigured: a person must act.
            Unavailable: no usable answer came, also after some tries.
        """
        if path_or_url.startswith("/"):
            path = path_or_url
        elif "://" not in path_or_url:
            path = f"/admin/api/{self.shop.api_version}/{path_or_url}"
        else:
            try:
                url = httpx.URL(path_or_url)
            except httpx.InvalidURL:
                raise NoProof(f"{self._named} names a next page at no address at all") from None
            if _origin(url) != self._origin:
                raise NoProof(f"{self._named} names a next page on another server: not followed")
            path = url.raw_path.decode()
        call = _Call("rest", "GET", path, query)
        return self._patiently(lambda: self._rest(call))

    def file_lines(self, url: str) -> Iterator[bytes]:
        """The lines of a file that Shopify has laid somewhere; no token is sent there.

        Raises:
            NoProof: the address is not safe, or the answer is not the file.
            Unavailable: no answer came, or only half of it.
        """
        try:
            scheme = httpx.URL(url).scheme
            # Nobody on the way can read along: https, or this machine.
            is_safe = scheme == "https" or (scheme == "http" and is_loopback(url))
        except (httpx.InvalidURL, ValueError):
            is_safe = False
        if not is_safe:
            raise NoProof(f"{self._named} names a file at an address that is not https")
        return self._api.lines(url)

    def shown(self, words: object) -> str:
        """Shopify's own words, fit for a message."""
        return self._api.shown(words)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def retried(self, attempt: Callable[[], _T]) -> _T:
        """What the attempt gives; failures that may pass are tried again."""
        return retrying(self._clock, self._chance, but_not=(Throttled, TooLong))(attempt)

    @property
    def _named(self) -> str:
        return f"Shopify store {self.shop.store_id}"

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        """Put the call off as long as Shopify asks for it."""
        for _ in range(MOST_THROTTLES - 1):
            with suppress(Throttled):
                return self.retried(attempt)
        return self.retried(attempt)

    def _rest(self, call: _Call) -> tuple[dict[str, Any], str | None]:
        bucket = self._bucket(call.kind)
        answer = self._sent(call, bucket, 1, STANDARD_REST)
        if budget := rest_budget(answer.headers):
            self._pacing.noted(bucket, budget)
        self._check(call, answer)
        following = _NEXT.search(answer.headers.get("Link", ""))
        return answer.object(), following["url"] if following else None

    def _graphql(self, document: str, variables: Mapping[str, Any]) -> GraphqlAnswer:
        path = f"/admin/api/{self.shop.api_version}/graphql.json"
        wanted = {"query": document, "variables": variables}
        call = _Call("graphql", "POST", path, document=wanted)
        # A query's price depends on the size of its page, and on nothing else that varies.
        priced = document, variables.get("first")
        bucket = self._bucket(call.kind)
        reserved = self._costs.get(priced, FIRST_GUESS)
        answer = self._sent(call, bucket, reserved, STANDARD_GRAPHQL)
        self._check(call, answer)
        body = answer.object()
        cost = graphql_cost(body)
        if cost.requested:
            self._costs[priced] = cost.requested
        if cost.budget:
            # Shopify takes what was requested too, and gives back what was not needed.
            self._pacing.noted(bucket, cost.budget, unused=reserved - (cost.actual or 0))
        errors = objects(body.get("errors"))
        if "THROTTLED" in _codes(errors):
            # The bucket knows by now what is missing, unless Shopify does not say so.
            if cost.budget is None or (cost.requested or 0) <= cost.budget.available:
                self._pacing.refused(bucket, None)
            raise Throttled(f"{self._named} asks for cheaper or fewer queries")
        return self._data(body, errors)

    def _data(self, body: Mapping[str, Any], errors: list[dict[str, Any]]) -> GraphqlAnswer:
        """What the body gives, unless it tells of an error: Shopify does so with HTTP 200."""
        data, codes = mapping(body.get("data")), _codes(errors)
        # Fields that the token may not see are null, beside an error for each.
        denied = set(codes) == {"ACCESS_DENIED"}
        if body.get("errors") and not (denied and any(each is not None for each in data.values())):
            said = self._api.shown(errors[0].get("message") if errors else body.get("errors"))
            if "INTERNAL_SERVER_ERROR" in codes:
                raise Unavailable(f"{self._named} failed within ({said})")
            if "MAX_COST_EXCEEDED" in codes:
                raise TooExpensive(f"{self._named}: {said}", "MAX_COST_EXCEEDED")
            if "SHOP_INACTIVE" in codes:
                raise AccountStopped(
                    f"{self._named} is not active ({said}): settle it in its admin"
                )
            if denied:
                raise AccessDenied(
                    f"ECAUTO_SHOPIFY__STORES: the token of store {self.shop.store_id} may not see"
                    f" what is mirrored; Shopify says: {said}"
                )
            raise Rejected(f"{self._named} refuses the query: {said}", codes[0] if codes else "")
        if not data:
            raise NoProof(f"{self._named}: the answer holds no data")
        withheld: set[str] = set()
        for path in [error.get("path") for error in errors]:
            steps = cast("list[object]", path) if isinstance(path, list) else []
            # The others are places in lists, and what lies on the way to the field.
            withheld.update([step for step in steps if isinstance(step, str)][-1:])
        return GraphqlAnswer(data, frozenset(filter(None, withheld)))

    def _sent(self, call: _Call, bucket: str, cost: float, at_first: Budget) -> Answer:
        """The answer to a call in its turn; a refused token is replaced once."""
        self._pacing.wait_turn(bucket, cost, at_first)
        try:
            token = self._tokens.access_token()
            answer = self._send(call, token)
            if answer.status in _PERSON and self._tokens.refused(token):
                answer = self._send(call, self._tokens.access_token())
        except Throttled as throttled:
            self._pacing.refused(bucket, throttled.retry_after)
            raise
        return answer

    def _send(self, call: _Call, token: str) -> Answer:
        return self._api.send(
            call.method,
            call.path,
            query=call.query,
            document=call.document,
            headers={"X-Shopify-Access-Token": token},
        )

    def _check(self, call: _Call, answer: Answer) -> None:
        """Let nothing pass but what the call asks for, in the version that it asks for."""
        # A version that is not supported any more is answered in the oldest that is, untold.
        served = answer.headers.get("X-Shopify-API-Version")
        is_versioned = call.path.startswith("/admin/api/")
        if is_versioned and served and served != self.shop.api_version:
            raise Misconfigured(
                f"ECAUTO_SHOPIFY__STORES: store {self.shop.store_id} has api_version"
                f" {self.shop.api_version}, but Shopify answers in version"
                f" {self._api.shown(served)}: set one that Shopify still supports"
            )
        if answer.status == HTTPStatus.OK:
            return
        body = answer.body or {}
        said = self._api.shown(
            f"HTTP {answer.status} {body.get('errors') or body.get('error') or ''}"
        )
        if answer.status in STOPPED:
            raise stopped(self.shop.store_id, answer.status)
        if answer.status in _PERSON:
            missing = answer.status == HTTPStatus.FORBIDDEN
            hint = "; it may lack a scope: grant it to the app" if missing else ""
            raise CredentialsRejected(
                f"ECAUTO_SHOPIFY__STORES: Shopify does not accept the token of store"
                f" {self.shop.store_id} ({said}){hint}"
            )
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise NoProof(f"{self._named} does not answer as it should (HTTP {answer.status})")
        raise Rejected(f"{self._named} refuses the call ({said})", str(answer.status))

    def _bucket(self, kind: _Kind) -> str:
        return f"{self._api.host}/{self._tokens.fingerprint()}/{kind}"


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port; the usual port is None."""
    return url.scheme, url.host, url.port


def _codes(errors: list[dict[str, Any]]) -> list[str]:
    return [str(mapping(error.get("extensions")).get("code") or "") for error in errors]
