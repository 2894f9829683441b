"""One Shopify store: what is read from it, by whichever way."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx

from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clients.json_body import mapping
from ecauto_pipeline.clients.rate_limit import RateStore
from ecauto_pipeline.clients.shopify.api import ShopifyApi, ShopifyShop
from ecauto_pipeline.clients.shopify.bulk import ShopifyBulk, Staging
from ecauto_pipeline.clients.shopify.graphql import ShopifyGraphql
from ecauto_pipeline.clients.shopify.pacing import ShopifyPacing
from ecauto_pipeline.clients.shopify.rest import ShopifyRest
from ecauto_pipeline.clients.shopify.tokens import ShopifyCredentials, ShopifyTokens
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import (
    EVERYTHING,
    Deletion,
    Entity,
    Page,
    Transport,
    Window,
)
from ecauto_pipeline.errors import NoProof
from ecauto_pipeline.settings.redaction import Redactor

SCOPES_PATH = "/admin/oauth/access_scopes.json"


class ShopifyClient:
    """Customers, products and orders of one store; the connections are closed with it."""

    def __init__(
        self, api: ShopifyApi, folder: Path, stage: Callable[[Path], Staging], clock: Clock
    ) -> None:
        self._api = api
        self._graphql = ShopifyGraphql(api)
        self._rest = ShopifyRest(api, self._graphql)
        self._bulk = ShopifyBulk(api, folder, stage, clock)

    def scopes(self) -> frozenset[str]:
        """What the token may do, such as `read_orders`.

        Raises:
            NoProof: the answer holds no scopes.
            Rejected: the shop does not tell.
        """
        body, _ = self._api.rest(SCOPES_PATH)
        listed = body.get("access_scopes")
        if not isinstance(listed, list):
            raise NoProof("Shopify's answer holds no scopes")
        return frozenset(str(mapping(scope).get("handle")) for scope in cast("list[Any]", listed))

    def pages(
        self, entity: Entity, window: Window = EVERYTHING, transport: Transport = Transport.GRAPHQL
    ) -> Iterator[Page]:
        """Every record of the window at least once, all children included.

        Raises:
            NoProof: the listing does not come to an end, or is not what it should be.
        """
        if transport is Transport.BULK:
            return self._bulk.pages(entity, window)
        if transport is Transport.REST:
            return self._rest.pages(entity, window)
        return self._graphql.pages(entity, window)

    def bulk_pages(
        self,
        entity: Entity,
        window: Window = EVERYTHING,
        *,
        resume: str | None = None,
        started: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Page]:
        """Every record of the window once, by a bulk operation that outlives this process.

        `started` is told its id; with that as `resume` it is waited for instead of a new one.

        Raises:
            NoProof: the file is not what Shopify says it is; nothing of it was given.
            Unavailable: the operation failed, or does not come to an end.
        """
        return self._bulk.pages(entity, window, resume=resume, started=started)

    def count(
        self, entity: Entity, window: Window = EVERYTHING, transport: Transport | None = None
    ) -> int | None:
        """How many records a listing would give; None when Shopify does not know exactly."""
        if transport is Transport.REST:
            return self._rest.count(entity, window)
        return self._graphql.count(entity, window)

    def ids(self, entity: Entity, transport: Transport | None = None) -> Iterator[list[int]]:
        """The ids of all records there are; over REST they would come with all the rest."""
        return (self._bulk if transport is Transport.BULK else self._graphql).ids(entity)

    def deletions(self, entity: Entity, since: datetime) -> Iterator[Deletion]:
        """What was deleted since, as the store's events tell it.

        Raises:
            Rejected: the store does not tell.
        """
        return self._graphql.deletions(entity, since)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


def open_shopify(  # noqa: PLR0913 - all it touches is handed in
    http: httpx.Client,
    shop: ShopifyShop,
    read_credentials: Callable[[], ShopifyCredentials],
    rates: RateStore,
    clock: Clock,
    *,
    folder: Path,
    stage: Callable[[Path], Staging],
    redactor: Redactor | None = None,
    on_wait: Callable[[str, float], None] | None = None,
    chance: Callable[[], float] = random.random,
) -> ShopifyClient:
    """The client of a store, put together; it owns the connections from now on."""
    json_api = JsonApi(http, shop.endpoint, clock, redactor)
    tokens = ShopifyTokens(shop.store_id, read_credentials, json_api, clock)
    pacing = ShopifyPacing(rates, clock, on_wait)
    api = ShopifyApi(shop, json_api, tokens, pacing, clock, chance)
    return ShopifyClient(api, folder, stage, clock)
