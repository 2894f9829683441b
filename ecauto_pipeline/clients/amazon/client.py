"""Amazon SP-API: python-amazon-sp-api for what is asked, and strictness for what comes back.

That library answers an HTML error page, an empty 429 or truncated JSON with an empty payload and no
exception, and reads an answer of any length for any time. Here each of them raises.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from sp_api.api.catalog_items.catalog_items_2022_04_01 import CatalogItemsV20220401
from sp_api.api.products.products_v0 import ProductsV0
from sp_api.base.client import Client

from ecauto_pipeline.clients.amazon import answers as amazon_answers
from ecauto_pipeline.clients.amazon.auth import LwaTokens
from ecauto_pipeline.clients.http import Answer, JsonApi, TooLong, retrying
from ecauto_pipeline.clients.json_body import objects
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.facts import CatalogItem, CompetitivePrice, ItemOffers
from ecauto_pipeline.domain.amazon.operations import (
    COMPETITIVE_PRICING,
    ITEM_OFFERS,
    ITEM_OFFERS_BATCH,
    SEARCH_CATALOG,
)
from ecauto_pipeline.errors import (
    CredentialsRejected,
    NoProof,
    Rejected,
    Throttled,
    Unavailable,
)

_T = TypeVar("_T")

BATCH = 20
"""The most ASINs that one request of any of the batch operations takes."""


class _AccessRefused(Exception):
    """The access token was not accepted; the reason is Amazon's own."""


class AmazonClient:
    """The four operations the caches live on, each within its own quota.

    `account` names the selling account in the quota's bucket; `calls` counts what was sent.
    """

    def __init__(
        self,
        api: JsonApi,
        tokens: LwaTokens,
        pacer: Pacer,
        clock: Clock,
        *,
        marketplace_id: str,
        account: str,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._pacer = pacer
        self._clock = clock
        self._chance = chance
        self._bucket = f"{api.host}/{account}"
        self._catalog = _Catalog(api, marketplace_id, tokens)
        self._products = _Products(api, marketplace_id, tokens)
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
        return self._ask(
            SEARCH_CATALOG, self._catalog.search, amazon_answers.catalog_items_from, asins, until
        )

    def competitive_prices(
        self, asins: Sequence[str], until: datetime | None = None
    ) -> dict[str, CompetitivePrice]:
        """New buy-box prices and numbers of offers by ASIN, at most 20; raises likewise."""
        return self._ask(
            COMPETITIVE_PRICING,
            self._products.competitive,
            amazon_answers.competitive_prices_from,
            asins,
            until,
        )

    def offers_batch(
        self, asins: Sequence[str], until: datetime | None = None
    ) -> dict[str, ItemOffers]:
        """The new offers by ASIN, at most 20 different ones; raises likewise."""
        return self._ask(
            ITEM_OFFERS_BATCH,
            self._products.offers_batch,
            amazon_answers.item_offers_batch_from,
            asins,
            until,
        )

    def offers(self, asin: str, until: datetime | None = None) -> dict[str, ItemOffers]:
        """The new offers of one ASIN, from a quota of its own; raises likewise."""

        def read(body: dict[str, Any]) -> dict[str, ItemOffers]:
            found = amazon_answers.item_offers_from(body)
            return {found.asin: found}

        return self._ask(ITEM_OFFERS, self._products.offers, read, [asin], until)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _ask(
        self,
        operation: str,
        send: Callable[[Sequence[str]], Answer],
        read: Callable[[dict[str, Any]], dict[str, _T]],
        asins: Sequence[str],
        until: datetime | None,
    ) -> dict[str, _T]:
        """What `read` makes of the answer, by ASIN; one that proves nothing is asked for again."""

        def attempt() -> dict[str, _T]:
            try:
                return read(self._once(operation, lambda: send(asins), until))
            except _AccessRefused:
                pass  # The token source was told; one more try, with a new token.
            try:
                return read(self._once(operation, lambda: send(asins), until))
            except _AccessRefused as refused:
                raise CredentialsRejected(
                    f"Amazon refuses {operation} with a new token as well: {refused}; check the"
                    " application's roles (Product Listing, Pricing) and SP_API_REFRESH_TOKEN"
                ) from None

        try:
            return retrying(self._clock, self._chance, but_not=(TooLong,))(attempt)
        except Rejected:
            if len(asins) == 1:
                return {}
        # One ASIN that Amazon does not like fails all 20: halve until it stands alone.
        middle = len(asins) // 2
        first = self._ask(operation, send, read, asins[:middle], until)
        return first | self._ask(operation, send, read, asins[middle:], until)

    def _once(
        self, operation: str, send: Callable[[], Answer], until: datetime | None
    ) -> dict[str, Any]:
        self._tokens.access_token()  # Renewed now, if at all: not between the turn and the call.
        bucket = self.bucket(operation)
        turn = self._pacer.wait_turn(bucket, until)
        self.calls[operation] += 1
        sent_at = self._clock.now()
        try:
            answer = send()
        except Throttled as throttled:
            self._pacer.throttled(turn, throttled.retry_after)
            raise Throttled("the quota is used up", throttled.retry_after) from None
        self._pacer.answered(turn, sent_at, self._clock.now())
        # Sent with most answers, and never to be relied on.
        with suppress(ValueError):
            rate = float(answer.headers.get("x-amzn-RateLimit-Limit", ""))
            if 0 < rate < float("inf"):
                self._pacer.learned(bucket, rate)
        return answer.object()


def _problem(body: Mapping[str, Any]) -> str:
    first = next(iter(objects(body.get("errors"))), body)
    parts = (first.get("code"), first.get("message"), first.get("details"))
    return " ".join(str(part) for part in parts if part)[:300] or "no reason given"


class _Ours(Client):
    """What both of the library's classes are given: our way to send instead of theirs.

    Of the library remain the operations: their addresses, methods and parameters. Its own beginning
    is left out: that reads the environment, and opens connections of which none is used.
    """

    def __init__(self, api: JsonApi, marketplace_id: str, tokens: LwaTokens) -> None:
        self.marketplace_id = marketplace_id
        self._api = api
        self._tokens = tokens

    def _request(self, path: str, *, data: Any = None, params: Any = None, **_: object) -> Any:
        """An answer that says what was asked.

        Raises:
            _AccessRefused: the access token was not accepted; the token source knows.
            Rejected: Amazon does not like what was asked.
            Throttled: the quota is used up.
            Unavailable: no answer, or one that proves nothing.
        """
        query = dict[str, str](params)
        method = query.pop("method", "GET")
        token = self._tokens.access_token()
        headers = {
            "User-Agent": "ecauto-pipeline/2.0 (Language=Python)",
            "x-amz-access-token": token,
        }
        answer = self._api.send(method, path, query=query, document=data, headers=headers)
        body, status = answer.body or {}, answer.status
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            self._tokens.refused(token)
            raise _AccessRefused(_problem(body))
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND} and body.get("errors"):
            raise Rejected(_problem(body), str(status))
        if status != HTTPStatus.OK:
            raise Unavailable(f"HTTP {status}")
        if not body:
            raise NoProof("HTTP 200 without a JSON object")
        if body.get("errors"):
            raise NoProof(f"HTTP 200 with an error: {_problem(body)}")
        return answer


class _Catalog(_Ours, CatalogItemsV20220401):
    """Catalog Items 2022-04-01."""

    def search(self, asins: Sequence[str]) -> Any:
        """Items by ASIN; `pageSize` is 10 unless told."""
        return self.search_catalog_items(
            identifiers=",".join(asins),
            identifiersType="ASIN",
            marketplaceIds=self.marketplace_id,
            includedData="summaries,attributes,classifications,images",
            pageSize=str(BATCH),
        )


class _Products(_Ours, ProductsV0):
    """Product Pricing v0."""

    def competitive(self, asins: Sequence[str]) -> Any:
        """Competitive prices by ASIN."""
        return self.get_competitive_pricing_for_asins(
            list(asins), MarketplaceId=self.marketplace_id
        )

    def offers(self, asins: Sequence[str]) -> Any:
        """The new offers of the one ASIN that this operation takes."""
        return self.get_item_offers(asins[0], "New", MarketplaceId=self.marketplace_id)

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
