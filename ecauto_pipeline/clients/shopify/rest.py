"""Lists of a Shopify store over REST, which Shopify calls legacy and still serves."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import cast

import httpx

from ecauto_pipeline.clients.shopify.api import ShopifyApi
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
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
            # A page that the one before promised is asked for again when it holds nothing.
            tries = MOST_EMPTY_PAGES if seen else 1
            seen.add(address)
            bodies, following = self._page(entity, address)
            while not bodies and (tries := tries - 1):
                bodies, following = self._page(entity, address)
            if following is not None and (not bodies or following in seen):
                raise NoProof("Shopify's list does not come to an end: a page leads nowhere")
            yield self._graphql.completed(entity, read_page(entity, Shape.BODY, bodies))
            address = following

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

    def _page(self, entity: Entity, address: str) -> tuple[list[object], str | None]:
        """A page's bodies and the address of the next one; smaller if the server cannot more."""
        limit = MOST_RECORDS
        while True:
            try:
                body, following = self._api.rest(address)
                break
            except Unavailable as error:
                url = httpx.URL(address)
                asked = url.params.get("limit", "")
                limit = (int(asked) if asked.isdecimal() else limit) // 2
                if limit < 1 or not smaller_helps(error):
                    raise
            address = str(url.copy_set_param("limit", limit))
        bodies = body.get(entity.value)
        if not isinstance(bodies, list):
            raise NoProof(f"Shopify's answer holds no list of {entity}")
        return cast("list[object]", bodies), following


def _filters(entity: Entity, window: Window) -> dict[str, str]:
    """The window as REST wants it."""
    wanted = {
        "updated_at_min": window.since,
        # To the second, and rather one too late.
        "updated_at_max": window.until and window.until + timedelta(microseconds=999_999),
        "created_at_min": window.created_since,
    }
    return {
        **{
            name: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            for name, moment in wanted.items()
            if moment is not None
        },
        **LAYOUTS[entity].body_filters,
    }
