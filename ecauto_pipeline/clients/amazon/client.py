"""Amazon SP-API: python-amazon-sp-api for what is sent, and strictness for what comes back.

That library answers an HTML error page, an empty 429 or truncated JSON with an empty payload and no
exception. Here each of them raises.
"""

import random
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity
from sp_api.api.catalog_items.catalog_items_2022_04_01 import CatalogItemsV20220401
from sp_api.api.products.products_v0 import ProductsV0
from sp_api.base.client import Client
from sp_api.base.credential_provider import FromCodeCredentialProvider

from ecauto_pipeline.clients.amazon import answers as amazon_answers
from ecauto_pipeline.clients.amazon.auth import LwaTokens
from ecauto_pipeline.clients.json_body import mapping, objects, parsed
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.facts import CatalogItem, CompetitivePrice, ItemOffers
from ecauto_pipeline.errors import (
    CredentialsRejected,
    NoProof,
    Rejected,
    Throttled,
    Unavailable,
)

Answer = TypeVar("Answer")

BATCH = 20
"""The most ASINs that one request of any of the batch operations takes."""

TIMEOUT_SECONDS = 30
ATTEMPTS = 6
"""Tries for one request, the throttled ones included."""

SEARCH_CATALOG = "searchCatalogItems"
COMPETITIVE_PRICING = "getCompetitivePricing"
ITEM_OFFERS = "getItemOffers"
ITEM_OFFERS_BATCH = "getItemOffersBatch"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request of an operation, not to be sent after `until`."""

    operation: str
    send: Callable[[], dict[str, Any]]
    until: datetime | None


class _AccessRefused(Exception):
    """The access token was not accepted; `reason` is Amazon's own."""


class AmazonClient:
    """The four operations the caches live on, each within its own quota.

    `account` names the selling account in the quota's bucket; `calls` counts what was sent.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        marketplace_id: str,
        account: str,
        tokens: LwaTokens,
        pacer: Pacer,
        clock: Clock,
        jitter: random.Random,
    ) -> None:
        self._tokens = tokens
        self._pacer = pacer
        self._clock = clock
        self._jitter = jitter
        self._bucket = f"{urlsplit(endpoint).netloc}/{account}"
        verify = ssl.create_default_context()
        self._catalog = _Catalog(endpoint, marketplace_id, tokens, verify)
        self._products = _Products(endpoint, marketplace_id, tokens, verify)
        self.calls: Counter[str] = Counter()

    def configure_quota(self, operation: str, per_second: float, burst: float) -> None:
        """What the usage plan of an operation allows."""
        self._pacer.configure(self.bucket(operation), per_second, burst)

    def bucket(self, operation: str) -> str:
        """The name of the operation's quota."""
        return f"{self._bucket}/{operation}"

    def search_catalog(
        self, asins: Sequence[str], until: datetime | None = None
    ) -> dict[str, CatalogItem]:
        """The catalog's items by ASIN, at most 20; an ASIN it does not know is not in the answer.

        Raises:
            Deferred: the turn would come after `until`.
            Unavailable: no usable answer, also after several tries.
            CredentialsRejected: Amazon does not accept them.
        """

        def send(some: Sequence[str]) -> dict[str, CatalogItem]:
            call = _Call(SEARCH_CATALOG, lambda: self._catalog.search(some), until)
            return self._ask(call, amazon_answers.catalog_items_from)

        return _without_the_malformed(send, asins)

    def competitive_prices(
        self, asins: Sequence[str], until: datetime | None = None
    ) -> dict[str, CompetitivePrice]:
        """New buy-box prices and numbers of offers by ASIN, at most 20; raises likewise."""

        def send(some: Sequence[str]) -> dict[str, CompetitivePrice]:
            call = _Call(COMPETITIVE_PRICING, lambda: self._products.competitive(some), until)
            return self._ask(call, amazon_answers.competitive_prices_from)

        return _without_the_malformed(send, asins)

    def offers_batch(
        self, asins: Sequence[str], until: datetime | None = None
    ) -> dict[str, ItemOffers]:
        """The new offers by ASIN, at most 20 different ones; raises likewise."""

        def send(some: Sequence[str]) -> dict[str, ItemOffers]:
            call = _Call(ITEM_OFFERS_BATCH, lambda: self._products.offers_batch(some), until)
            return self._ask(call, amazon_answers.item_offers_batch_from)

        return _without_the_malformed(send, asins)

    def offers(self, asin: str, until: datetime | None = None) -> dict[str, ItemOffers]:
        """The new offers of one ASIN, from a quota of its own; raises likewise."""

        def send(some: Sequence[str]) -> dict[str, ItemOffers]:
            call = _Call(ITEM_OFFERS, lambda: self._products.offers(some[0]), until)
            answer = self._ask(call, amazon_answers.item_offers_from)
            return {answer.asin: answer}

        return _without_the_malformed(send, [asin])

    def close(self) -> None:
        """Close the connections."""
        self._catalog.close()
        self._products.close()

    def _ask(self, call: _Call, read: Callable[[dict[str, Any]], Answer]) -> Answer:
        """What `read` makes of the answer; one that proves nothing is asked for again."""

        def attempt() -> Answer:
            return read(self._send_once(call))

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            retry=tenacity.retry_if_exception_type(Unavailable),
            wait=self._backoff,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        """1, 2, 4 … 60 s with full jitter; after a 429 the quota's bucket makes everyone wait."""
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, Throttled):
            return 0
        return self._jitter.uniform(0.5, 1) * min(2 ** (state.attempt_number - 1), 60)

    def _send_once(self, call: _Call) -> dict[str, Any]:
        try:
            return self._send_in_turn(call)
        except _AccessRefused:
            pass  # The client told the token source; one more try, with a new token.
        try:
            return self._send_in_turn(call)
        except _AccessRefused as refused:
            raise CredentialsRejected(
                f"Amazon refuses {call.operation} with a new token as well: {refused}; check the"
                " application's roles (Product Listing, Pricing) and SP_API_REFRESH_TOKEN"
            ) from None

    def _send_in_turn(self, call: _Call) -> dict[str, Any]:
        self._tokens.access_token()  # Renewed now, if at all: not between the turn and the call.
        bucket = self.bucket(call.operation)
        turn = self._pacer.wait_turn(bucket, call.until)
        self.calls[call.operation] += 1
        sent_at = self._clock.now()
        try:
            body = call.send()
        except Throttled as throttled:
            self._pacer.throttled(turn, throttled.retry_after)
            raise
        except httpx.HTTPError as error:
            raise Unavailable(f"{call.operation}: {type(error).__name__}") from None
        self._pacer.answered(turn, sent_at, self._clock.now())
        if rate := _learned_rate(body.pop(_RATE, None)):
            self._pacer.learned(bucket, rate)
        return body


def _without_the_malformed(
    send: Callable[[Sequence[str]], dict[str, Answer]], asins: Sequence[str]
) -> dict[str, Answer]:
    """One ASIN that Amazon does not like fails all 20: halve until it stands alone."""
    try:
        return send(asins)
    except Rejected:
        if len(asins) == 1:
            return {}
    middle = len(asins) // 2
    first = _without_the_malformed(send, asins[:middle])
    return first | _without_the_malformed(send, asins[middle:])


_RATE = "x-amzn-RateLimit-Limit"
_TOKEN = "x-amz-access-token"  # noqa: S105 - the header's name


def _learned_rate(header: str | None) -> float | None:
    try:
        rate = float(header or "")
    except ValueError:
        return None
    return rate if 0 < rate < float("inf") else None


class _Strict(Client):
    """What both of the library's classes are given: our tokens, our address, our strictness."""

    def __init__(
        self, endpoint: str, marketplace_id: str, tokens: LwaTokens, verify: ssl.SSLContext
    ) -> None:
        place: Any = SimpleNamespace(endpoint=endpoint, marketplace_id=marketplace_id, region="")
        options: dict[str, Any] = {
            "credentials": {"lwa_app_id": "unused", "lwa_client_secret": "unused"},
            "credential_providers": (FromCodeCredentialProvider,),
            "auth_token_client_class": _NoTokens,
            "timeout": TIMEOUT_SECONDS,
            "verify": verify,
        }
        super().__init__(place, **options)
        # SP_API_DEFAULT_MARKETPLACE would override what was just given.
        self.endpoint = endpoint
        self.marketplace_id = marketplace_id
        self._tokens = tokens

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {
            "user-agent": "ecauto-pipeline/2.0 (Language=Python)",
            _TOKEN: self._tokens.access_token(),
            "content-type": "application/json",
            "accept": "application/json",
        }

    def _check_response(self, res: httpx.Response, *_: object, **__: object) -> Any:
        """The JSON object of a 200, beside the rate that came with it; all else raises."""
        try:
            body = _answer(res)
        except _AccessRefused:
            # Other threads may have been given a newer one meanwhile.
            self._tokens.refused(res.request.headers[_TOKEN])
            raise
        return body | {_RATE: res.headers.get(_RATE)}


class _Catalog(_Strict, CatalogItemsV20220401):
    """Catalog Items 2022-04-01."""

    def search(self, asins: Sequence[str]) -> Any:
        """Items by ASIN; `pageSize` is 10 unless told."""
        return self.search_catalog_items(
            identifiers=",".join(asins),
            identifiersType="ASIN",
            marketplaceIds=self.marketplace_id,
            includedData="summaries,attributes,classifications,images",
            pageSize=BATCH,
        )


class _Products(_Strict, ProductsV0):
    """Product Pricing v0."""

    def competitive(self, asins: Sequence[str]) -> Any:
        """Competitive prices by ASIN."""
        return self.get_competitive_pricing_for_asins(
            list(asins), MarketplaceId=self.marketplace_id
        )

    def offers(self, asin: str) -> Any:
        """The new offers of one ASIN."""
        return self.get_item_offers(asin, "New", MarketplaceId=self.marketplace_id)

    def offers_batch(self, asins: Sequence[str]) -> Any:
        """The new offers of several ASINs; plain dicts, since the library's classes send nulls."""
        return self.get_item_offers_batch(
            [
                {
                    "uri": f"/products/pricing/v0/items/{asin}/offers",
                    "method": "GET",
                    "MarketplaceId": self.marketplace_id,
                    "ItemCondition": "New",
                    "CustomerType": "Consumer",
                }
                for asin in asins
            ]
        )


class _NoTokens:
    """Stands where the library would open a token client, and a connection pool, of its own."""

    def __init__(self, **_: object) -> None:
        """Takes what the library hands over, and keeps nothing."""


def _answer(response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled("the quota is used up", _seconds(response.headers.get("retry-after")))
    body = mapping(parsed(response.content))
    if status in {401, 403}:
        raise _AccessRefused(_problem(body))
    if status in {400, 404} and body.get("errors"):
        raise Rejected(_problem(body), str(status))
    if status != HTTPStatus.OK:
        raise Unavailable(f"HTTP {status}")
    if not body:
        raise NoProof("HTTP 200 without a JSON object")
    if body.get("errors"):
        raise NoProof(f"HTTP 200 with an error: {_problem(body)}")
    return body


def _problem(body: dict[str, Any]) -> str:
    first = next(iter(objects(body.get("errors"))), body)
    parts = (first.get("code"), first.get("message"), first.get("details"))
    return " ".join(str(part) for part in parts if part)[:300] or "no reason given"


def _seconds(header: str | None) -> float | None:
    try:
        return float(header) if header else None
    except ValueError:
        return None
