"""Lists of a Shopify store over REST, which Shopify calls legacy and still serves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx

from ecauto_pipeline.clients.shopify.api import ShopifyApi
from ecauto_pipeline.clients.shopify.graphql import MOST_EMPTY_PAGES, ShopifyGraphql, smaller_helps
from ecauto_pipeline.clients.shopify.records import read_page
from ecauto_pipeline.domain.shopify.mirror import EVERYTHING, Entity, Page, Shape, Window
from ecauto_pipeline.errors import NoProof, Unavailable

MOST_RECORDS = 250
"""The most that Shopify gives at once."""


class ShopifyRest:
    """What one store has; records with more children than REST gives are read over GraphQL."""

    def __init__(self, api: ShopifyApi, graphql: ShopifyGraphql) -> None:
        self._api = api
        self._graphql = graphql

    def pages(self, entity: Entity, window: Window = EVERYTHING) -> Iterator[Page]:
        """Every record of the window at least once, all children included.

        Raises:
            NoProof: the listing does not come to an end, or is none.
        """
        # Ascending: what changes meanwhile moves to the end, and nothing is skipped.
        query = {**_filters(entity, window), "order": "updated_at asc", "limit": str(MOST_RECORDS)}
        address: str | None = str(httpx.URL(f"{entity}.json", params=query))
        seen: set[str] = set()
        while address is not None:
            seen.add(address)
            bodies, address = self._some(entity, address, promised=len(seen) > 1)
            if address is not None and (not bodies or address in seen):
                raise NoProof("Shopify's list does not come to an end: a page leads nowhere")
            yield self._graphql.completed(entity, read_page(entity, Shape.BODY, bodies))

    def count(self, entity: Entity, window: Window = EVERYTHING) -> int:
        """How many records a listing would give.

        Raises:
            NoProof: the answer holds no number.
        """
        body, _ = self._api.rest(f"{entity}/count.json", _filters(entity, window))
        number = body.get("count")
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoProof(f"Shopify does not say how many {entity} there are")
        return number

    def _some(
        self, entity: Entity, address: str, *, promised: bool
    ) -> tuple[list[object], str | None]:
        """A page's bodies; one that was promised and holds nothing is asked for again."""
        for _ in range(MOST_EMPTY_PAGES - 1 if promised else 0):
            body, following = self._page(address)
            if bodies := _bodies(entity, body):
                return bodies, following
        body, following = self._page(address)
        return _bodies(entity, body), following

    def _page(self, address: str) -> tuple[dict[str, Any], str | None]:
        """A page and the address of the next one; smaller if the server cannot give as much."""
        limit = MOST_RECORDS
        while True:
            try:
                return self._api.rest(address)
            except Unavailable as error:
                limit = _limit(address, limit) // 2
                if limit < 1 or not smaller_helps(error):
                    raise
            address = str(httpx.URL(address).copy_set_param("limit", limit))


def _limit(address: str, otherwise: int) -> int:
    """The size of the page at an address."""
    limit = httpx.URL(address).params.get("limit", "")
    return int(limit) if limit.isdecimal() else otherwise


def _filters(entity: Entity, window: Window) -> dict[str, str]:
    """The window as REST wants it; without a status only open orders would come."""
    wanted = {
        "updated_at_min": window.since,
        # To the second, and rather one too late.
        "updated_at_max": window.until and window.until + timedelta(microseconds=999_999),
        "created_at_min": window.created_since,
    }
    filters = {name: _text(moment) for name, moment in wanted.items() if moment is not None}
    return {**filters, "status": "any"} if entity is Entity.ORDERS else filters


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _bodies(entity: Entity, body: dict[str, Any]) -> list[object]:
    bodies = body.get(entity.value)
    if not isinstance(bodies, list):
        raise NoProof(f"Shopify's answer holds no list of {entity}")
    return cast("list[object]", bodies)
