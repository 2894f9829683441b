"""The events of a Shopify store that a list asks for."""

from collections.abc import Collection, Mapping
from typing import Any

from ecauto_pipeline.sandbox.shopify.graphql.nodes import Slice, position
from ecauto_pipeline.sandbox.shopify.graphql.search import TERM, terms, wanted
from ecauto_pipeline.sandbox.shopify.lists import Wanted
from ecauto_pipeline.sandbox.shopify.shop import Event, ShopifyShop

KINDS = ("action", "subject_type")


def find_events(
    shop: ShopifyShop,
    found: Wanted,
    verbs: Collection[str] = (),
    subjects: Collection[str] = (),
) -> list[Event]:
    """The events of these kinds, oldest first; no kinds named: of all."""
    return [
        event
        for event in shop.events()
        if found.created.holds(event.created_at)
        and found.ids.holds(event.id)
        and (not verbs or event.verb in verbs)
        and (not subjects or event.subject_type.lower() in subjects)
    ]


def event_slice(
    shop: ShopifyShop, arguments: Mapping[str, Any]
) -> tuple[Slice, list[dict[str, str]]]:
    """A page of GraphQL's list of events, and the warnings about its search."""
    query = arguments.get("query") or ""
    rest = (match[0] for match in TERM.finditer(query) if match["name"] not in KINDS)
    found, warnings = wanted(" ".join(rest), names=("created_at", "id"))
    events = find_events(shop, found, _values(query, "action"), _values(query, "subject_type"))
    if arguments["reverse"]:
        events.reverse()
    if arguments.get("after"):
        last = position(arguments["after"])[1]
        events = [each for each in events if _follows(each, last, arguments["reverse"])]
    rows = events[: arguments["first"]]
    end = (rows[-1].id, rows[-1].id) if rows else None
    more = len(events) > len(rows)
    return Slice([("BasicEvent", event) for event in rows], end, more), warnings


def _values(query: str, name: str) -> list[str]:
    return [term.value.lower() for term in terms(query) if term.name == name]


def _follows(event: Event, last: int, reverse: object) -> bool:
    return event.id < last if reverse else event.id > last
