"""Lists of a Shopify store over GraphQL: records page by page, counts, ids, deletions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from ecauto_pipeline.clients.http import TooLong
from ecauto_pipeline.clients.json_body import mapping, objects
from ecauto_pipeline.clients.shopify.api import (
    AccessDenied,
    GraphqlAnswer,
    ShopifyApi,
    TooExpensive,
)
from ecauto_pipeline.clients.shopify.queries import (
    COUNT,
    DELETIONS,
    IDS,
    PAGE,
    WHOLE,
    deletions_text,
    search_text,
)
from ecauto_pipeline.clients.shopify.records import read_page
from ecauto_pipeline.clients.shopify.values import Unreadable, id_from_gid, timestamp
from ecauto_pipeline.domain.shopify.mirror import (
    EVERYTHING,
    Deletion,
    Entity,
    Page,
    Record,
    Shape,
    Window,
)
from ecauto_pipeline.errors import NoProof, NotSent, Rejected, Throttled, Unavailable

MOST_NODES = 250
"""The most that Shopify gives at once: a page's cost hardly grows with its size."""

MOST_RESTARTS = 5
"""How often a record that changes while its children are read is begun again."""

MOST_EMPTY_PAGES = 3
"""How often a page is asked for that the one before promised, and that holds nothing."""

TELLING = 50
"""On a page of that many not all can have changed between being listed and being read."""

CHILDREN = {Entity.PRODUCTS: ("Product", "variants"), Entity.ORDERS: ("Order", "lineItems")}
"""The type in an entity's global ids, and the connection that holds its children."""


class ShopifyGraphql:
    """What one store has; lists go on with smaller pages when the server cannot give large ones."""

    def __init__(self, api: ShopifyApi) -> None:
        self._api = api

    def pages(self, entity: Entity, window: Window = EVERYTHING) -> Iterator[Page]:
        """Every record of the window at least once, all children included.

        Customers may come that changed after it: their search knows no upper bound.

        Raises:
            NoProof: the listing does not come to an end, or is none.
        """
        is_window = window.since is not None or window.until is not None
        variables = {
            "query": search_text(entity, window),
            "sortKey": "UPDATED_AT" if is_window else "ID",
        }
        listing = _Listing(PAGE[entity], variables)
        for answer, nodes in self._all(listing, entity.value):
            page = read_page(entity, Shape.NODE, nodes, withheld=answer.withheld)
            yield self.completed(entity, page)
            if entity is Entity.CUSTOMERS and listing.first >= TELLING and _is_late(page, window):
                return

    def completed(self, entity: Entity, page: Page) -> Page:
        """The page with all children of all its records; without those that are gone meanwhile."""
        hidden = entity in CHILDREN and CHILDREN[entity][1] in page.withheld
        if hidden or all(record.children_complete for record in page.records):
            return page
        parts = [self._completed(entity, record) for record in page.records]
        return Page(
            records=[record for part in parts for record in part.records],
            bad=[*page.bad, *(bad for part in parts for bad in part.bad)],
            withheld=page.withheld.union(*(part.withheld for part in parts)),
        )

    def count(self, entity: Entity, window: Window = EVERYTHING) -> int | None:
        """How many records a listing would give; None when Shopify only says "at least".

        Raises:
            NoProof: the answer holds no number.
        """
        variables = {"query": search_text(entity, window)}
        counted = mapping(self._api.graphql(COUNT[entity], variables).data.get(f"{entity}Count"))
        number = counted.get("count")
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoProof(f"Shopify does not say how many {entity} there are")
        return None if counted.get("precision") == "AT_LEAST" else number

    def ids(self, entity: Entity) -> Iterator[list[int]]:
        """The ids of all records there are.

        Raises:
            NoProof: the listing does not come to an end, or is none.
        """
        for _, nodes in self._all(_Listing(IDS[entity]), entity.value):
            yield ids_from(nodes)

    def deletions(self, entity: Entity, since: datetime) -> Iterator[Deletion]:
        """What was deleted since, as the store's events tell it.

        Raises:
            Rejected: the store does not tell.
            NoProof: the listing does not come to an end, or is none.
        """
        listing = _Listing(DELETIONS, {"query": deletions_text(entity, since)})
        try:
            for _, nodes in self._all(listing, "events"):
                yield from _deletions(entity, nodes)
        except AccessDenied as error:
            raise Rejected(str(error), "ACCESS_DENIED") from None

    def _completed(self, entity: Entity, record: Record) -> Page:
        """The record with all its children.

        One that never holds still is given without: as it changed, the next increment brings it.
        """
        if not record.children_complete:
            for _ in range(MOST_RESTARTS):
                if (page := self._whole(entity, record.id)) is not None:
                    return page
        return Page([record])

    def _whole(self, entity: Entity, record_id: int) -> Page | None:
        """A record with all its children; empty when it is gone, None when it changed meanwhile."""
        kind, connection = CHILDREN[entity]
        listing = _Listing(WHOLE[entity], {"id": f"gid://shopify/{kind}/{record_id}"})
        whole: Mapping[str, Any] = {}
        children: list[object] = []
        withheld: frozenset[str] = frozenset()
        while not whole or listing.after is not None:
            answer = self._page(listing)
            if answer.data.get("node", whole) is None:
                return Page(())
            node = mapping(answer.data.get("node"))
            whole = whole or node
            if node.get("updatedAt") != whole.get("updatedAt"):
                return None
            children += listing.take(node.get(connection))
            withheld |= answer.withheld
        node = with_children(entity, whole, children)
        return read_page(entity, Shape.NODE, [node], withheld=withheld)

    def _all(self, listing: "_Listing", root: str) -> Iterator[tuple[GraphqlAnswer, list[object]]]:
        """The answers, and the nodes in each."""
        yield self._some(listing, root)
        while listing.after is not None:
            yield self._promised(listing, root)

    def _promised(self, listing: "_Listing", root: str) -> tuple[GraphqlAnswer, list[object]]:
        """A page that the one before promised; when it holds nothing it is asked for again."""
        cursor = listing.after
        for _ in range(MOST_EMPTY_PAGES - 1):
            answer, nodes = self._some(listing, root)
            if nodes:
                return answer, nodes
            listing.after = cursor
        return self._some(listing, root)

    def _some(self, listing: "_Listing", root: str) -> tuple[GraphqlAnswer, list[object]]:
        answer = self._page(listing)
        return answer, listing.take(answer.data.get(root))

    def _page(self, listing: "_Listing") -> GraphqlAnswer:
        """The next answer, smaller if the server cannot give as much."""
        while True:
            try:
                return self._api.graphql(listing.document, listing.asked())
            except (TooExpensive, Unavailable) as error:
                if listing.first == 1 or not smaller_helps(error):
                    raise
            listing.first //= 2


@dataclass(slots=True)
class _Listing:
    """How far a list is read."""

    document: str
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    first: int = MOST_NODES
    after: str | None = None
    seen: set[str] = field(default_factory=set[str])

    def asked(self) -> dict[str, Any]:
        """The variables of the next page."""
        return {**self.variables, "first": self.first, "after": self.after}

    def take(self, connection: object) -> list[object]:
        """The nodes of a page; `after` is where the next one begins, None behind the last."""
        page = mapping(connection)
        nodes, info = page.get("nodes"), mapping(page.get("pageInfo"))
        more, cursor = info.get("hasNextPage"), info.get("endCursor")
        if not isinstance(nodes, list) or not isinstance(more, bool):
            raise NoProof("Shopify's answer holds no list")
        self.after = None
        if more:
            if not nodes or not isinstance(cursor, str) or cursor in self.seen:
                raise NoProof("Shopify's list does not come to an end: a page leads nowhere")
            self.seen.add(cursor)
            self.after = cursor
        return cast("list[object]", nodes)


def smaller_helps(error: Exception) -> bool:
    """Whether a smaller page may succeed where this one failed."""
    if isinstance(error, TooExpensive | TooLong):
        return True
    passing = NotSent | Throttled | NoProof
    return isinstance(error, Unavailable) and not isinstance(error, passing)


def with_children(
    entity: Entity, node: Mapping[str, Any], children: Sequence[object]
) -> dict[str, Any]:
    """The node with all its children, as if they had come on one page."""
    _, connection = CHILDREN[entity]
    return {**node, connection: {"nodes": children, "pageInfo": {"hasNextPage": False}}}


def ids_from(nodes: Sequence[object]) -> list[int]:
    """The ids of nodes that hold nothing else.

    Raises:
        NoProof: one of them holds none.
    """
    try:
        return [id_from_gid(mapping(node).get("id")) for node in nodes]
    except Unreadable as error:
        raise NoProof(f"Shopify gives a record without its id ({error})") from None


def _deletions(entity: Entity, nodes: Sequence[object]) -> Iterator[Deletion]:
    """Those of the entity; Shopify ignores filters that it does not know, so others may come."""
    kind = entity.value.removesuffix("s").upper()
    for event in objects(nodes):
        if event.get("subjectType") == kind and event.get("action") == "destroy":
            try:
                deleted_at = timestamp(event.get("createdAt"), "createdAt")
                yield Deletion(id_from_gid(event.get("subjectId"), "subjectId"), deleted_at)
            except Unreadable as error:
                raise NoProof(f"Shopify gives an event that cannot be read ({error})") from None


def _is_late(page: Page, window: Window) -> bool:
    """Whether all of the page's records changed behind the window."""
    until = window.until
    if until is None or not page.records:
        return False
    return all(record.updated_at >= until for record in page.records)
