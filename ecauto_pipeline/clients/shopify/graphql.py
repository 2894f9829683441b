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
from ecauto_pipeline.clients.shopify.entities.columns import ChildLayout
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
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
            # A range in another order than the list's is slow, up to a time-out.
            "sortKey": "UPDATED_AT" if is_window else "ID",
        }
        listing = _Listing(PAGE[entity], variables)
        until = None if LAYOUTS[entity].searches_until else window.until
        for answer, nodes in self._all(listing, entity.value):
            page = read_page(entity, Shape.NODE, nodes, withheld=answer.withheld)
            yield self.completed(entity, page)
            if until is None or listing.first < TELLING:
                continue
            # A search without an upper bound would go on to all that changed meanwhile.
            if page.records and all(record.updated_at >= until for record in page.records):
                return

    def completed(self, entity: Entity, page: Page) -> Page:
        """The page with all children of all its records; without those that are gone meanwhile."""
        children = LAYOUTS[entity].children
        if children is None or children.connection in page.withheld:
            return page
        if all(record.children_complete for record in page.records):
            return page
        parts = [
            Page([record]) if record.children_complete else self._whole(entity, children, record)
            for record in page.records
        ]
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
        # A number that is not exact would be taken for records that are missing.
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
        type_name = LAYOUTS[entity].type_name.upper()
        listing = _Listing(DELETIONS, {"query": deletions_text(entity, since)})
        pages = self._all(listing, "events")
        try:
            for event in (event for _, nodes in pages for event in objects(nodes)):
                # Shopify ignores filters that it does not know, so others may come.
                if event.get("subjectType") == type_name and event.get("action") == "destroy":
                    deleted_at = timestamp(event.get("createdAt"), "createdAt")
                    yield Deletion(id_from_gid(event.get("subjectId"), "subjectId"), deleted_at)
        except AccessDenied as error:
            raise Rejected(str(error), "ACCESS_DENIED") from None
        except Unreadable as error:
            raise NoProof(f"Shopify gives an event that cannot be read ({error})") from None

    def _whole(self, entity: Entity, children: ChildLayout, record: Record) -> Page:
        """The record with all its children; empty when it is gone.

        One that never holds still is given without: as it changed, the next increment brings it.
        """
        gid = f"gid://shopify/{LAYOUTS[entity].type_name}/{record.id}"
        for _ in range(MOST_RESTARTS):
            listing = _Listing(WHOLE[entity], {"id": gid})
            whole: Mapping[str, Any] = {}
            listed: list[object] = []
            withheld: frozenset[str] = frozenset()
            while not whole or listing.after is not None:
                answer = self._page(listing)
                if answer.data.get("node", whole) is None:
                    return Page(())
                node = mapping(answer.data.get("node"))
                whole = whole or node
                if node.get("updatedAt") != whole.get("updatedAt"):
                    break
                listed += listing.take(node.get(children.connection))
                withheld |= answer.withheld
            else:
                node = with_children(children, whole, listed)
                return read_page(entity, Shape.NODE, [node], withheld=withheld)
        return Page([record])

    def _all(self, listing: "_Listing", root: str) -> Iterator[tuple[GraphqlAnswer, list[object]]]:
        """The answers, and the nodes in each."""
        yield self._some(listing, root)
        while (cursor := listing.after) is not None:
            answer, nodes = self._some(listing, root)
            for _ in range(MOST_EMPTY_PAGES - 1):
                if nodes:
                    break
                listing.after = cursor
                answer, nodes = self._some(listing, root)
            yield answer, nodes

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
    children: ChildLayout, node: Mapping[str, Any], listed: Sequence[object]
) -> dict[str, Any]:
    """The node with all its children, as if they had come on one page."""
    return {**node, children.connection: {"nodes": listed, "pageInfo": {"hasNextPage": False}}}


def ids_from(nodes: Sequence[object]) -> list[int]:
    """The ids of nodes that hold nothing else.

    Raises:
        NoProof: one of them holds none.
    """
    try:
        return [id_from_gid(mapping(node).get("id")) for node in nodes]
    except Unreadable as error:
        raise NoProof(f"Shopify gives a record without its id ({error})") from None
