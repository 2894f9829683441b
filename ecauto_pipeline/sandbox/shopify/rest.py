"""Shopify's REST Admin API: lists page by page, counts, single records, events."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ecauto_pipeline.sandbox.shopify.bodies import body_of, gid, moment
from ecauto_pipeline.sandbox.shopify.lists import Asked, Listed, Position, Range, Sort, Wanted
from ecauto_pipeline.sandbox.shopify.records import ENTITIES, Record
from ecauto_pipeline.sandbox.shopify.shop import Event, ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

DEFAULT_ROWS = 50
MOST_ROWS = 250
WITH_PAGE_INFO = frozenset({"limit", "fields", "page_info"})
SORTS = {"updated_at": Sort.UPDATED, "created_at": Sort.CREATED, "id": Sort.ID}
PAST = {"create": "created", "destroy": "destroyed"}
EVENT_SUBJECTS = frozenset({"product", "order"})
"""Events about customers are told by GraphQL only."""

NOT_FOUND = json_response(404, {"errors": "Not Found"})


class BadRequest(Exception):
    """A parameter that REST does not take; the message is the answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: the query of the first page, a position, and whether to go back."""

    query: Mapping[str, str]
    after: Position | None = None
    back: bool = False

    def page_info(self) -> str:
        """What a client gets of it."""
        members = {"query": dict(self.query), "after": self.after, "back": self.back}
        return base64.urlsafe_b64encode(json.dumps(members).encode()).decode()


@dataclass(frozen=True, slots=True)
class Rest:
    """Answers REST's calls to one store."""

    shop: ShopifyShop

    def answer(self, name: str, request: Request, address: str, *, empty: bool) -> Response:
        """The response to a GET of what is called `name`, such as customers/count.

        `address` is where the API is, with its version; `empty` lists nothing, whatever there is.
        """
        entity, _, rest = name.partition("/")
        try:
            if name == "events":
                return self._events(request.query, f"{address}/events.json", empty=empty)
            if entity not in ENTITIES:
                return NOT_FOUND
            if rest == "count":
                found = self._wanted(entity, request.query)
                return json_response(200, {"count": self.shop.count(entity, found)})
            if rest:
                return self._one(entity, rest, request.query)
            return self._list(entity, request.query, f"{address}/{name}.json", empty=empty)
        except BadRequest as error:
            return json_response(400, {"errors": str(error)})

    def _one(self, entity: str, number: str, query: Mapping[str, str]) -> Response:
        record = self.shop.record(entity, int(number)) if number.isdecimal() else None
        if record is None or not self.shop.sees(entity, record):
            return NOT_FOUND
        with self.shop.lock:
            body = _only(query, body_of(self.shop, entity, record))
        return json_response(200, {entity.removesuffix("s"): body})

    def _list(self, entity: str, query: Mapping[str, str], url: str, *, empty: bool) -> Response:
        place, limit = _place(query), _limit(query)
        sort, descending = _sort(place.query)
        found = self._wanted(entity, place.query)
        asked = Asked(found, sort, descending is not place.back, place.after, limit)
        listed = self.shop.page(entity, asked)
        rows = [] if empty else listed.rows[:: -1 if place.back else 1]
        with self.shop.lock:
            bodies = [_only(query, body_of(self.shop, entity, record)) for _, record in rows]
        response = json_response(200, {entity: bodies})
        return (
            response if empty else _linked(response, query, url, place, replace(listed, rows=rows))
        )

    def _wanted(self, entity: str, query: Mapping[str, str]) -> Wanted:
        ids = [each for each in query.get("ids", "").split(",") if each.strip().isdecimal()]
        since = query.get("since_id", "")
        return Wanted(
            updated=self._times(query, "updated_at"),
            created=self._times(query, "created_at"),
            ids=Range(low=int(since) + 1) if since.isdecimal() else Range(),
            only=frozenset(map(int, ids)) if "ids" in query else None,
            matches=STATUSES.get(query.get("status", "open"), _is_open)
            if entity == "orders"
            else None,
        )

    def _times(self, query: Mapping[str, str], name: str) -> Range:
        return Range(self._moment(query, f"{name}_min"), self._moment(query, f"{name}_max"))

    def _moment(self, query: Mapping[str, str], name: str) -> int | None:
        """A time in a query; one that names no offset is the shop's."""
        if name not in query:
            return None
        try:
            # An offset's plus sign that was not escaped has become a blank.
            at = datetime.fromisoformat(query[name].strip().replace(" ", "+"))
        except ValueError:
            raise BadRequest(f"{name} is invalid") from None
        return int((at if at.tzinfo else at.replace(tzinfo=self.shop.timezone)).timestamp())

    def _events(self, query: Mapping[str, str], url: str, *, empty: bool) -> Response:
        place, limit = _place(query), _limit(query)
        subjects = {each.strip().lower() for each in place.query.get("filter", "").split(",")}
        told = EVENT_SUBJECTS & subjects if place.query.get("filter") else EVENT_SUBJECTS
        verb = place.query.get("verb")
        found = self._wanted("events", place.query)
        events = self.shop.events(found, {verb} if verb else (), told or {"none"})
        if place.after is not None:
            events = [event for event in events if event.id > place.after[1]]
        page = [] if empty else events[:limit]
        bodies = [_only(query, _event(self.shop, event)) for event in page]
        rows: list[tuple[Position, Record]] = [((event.id, event.id), {}) for event in page]
        listed = Listed(rows, more=bool(page) and len(events) > limit)
        only_forward = replace(place, after=None)
        return _linked(json_response(200, {"events": bodies}), query, url, only_forward, listed)


def _event(shop: ShopifyShop, event: Event) -> dict[str, Any]:
    subject = event.subject_type
    description = f"{subject} was {PAST[event.verb]}."
    return {
        "id": event.id,
        "subject_id": event.subject_id,
        "created_at": moment(shop, event.created_at),
        "subject_type": subject,
        "verb": event.verb,
        "arguments": [],
        "body": None,
        "message": description,
        "author": "Shopify",
        "description": description,
        "path": None,
        "admin_graphql_api_id": gid("BasicEvent", event.id),
    }


def _place(query: Mapping[str, str]) -> Place:
    """What is asked for, whether by a query or by the page_info of another page."""
    if "page_info" not in query:
        return Place(query)
    unfit = set(query) - WITH_PAGE_INFO
    if unfit:
        raise BadRequest(f"page_info cannot be combined with {', '.join(sorted(unfit))}")
    try:
        members = json.loads(base64.urlsafe_b64decode(query["page_info"]))
        value, last_id = members["after"]
        return Place(members["query"], (value, last_id), members["back"])
    except (KeyError, TypeError, ValueError):
        raise BadRequest("page_info is invalid") from None


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_ROWS))
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROWS:
        raise BadRequest("limit must be between 1 and 250")
    return int(text)


def _sort(query: Mapping[str, str]) -> tuple[Sort, bool]:
    """What is sorted by, and whether the last comes first, as it does without a wish."""
    if "order" not in query:
        return Sort.ID, "since_id" not in query
    name, _, direction = query["order"].strip().partition(" ")
    return SORTS.get(name, Sort.ID), direction.strip().lower() == "desc"


def _is_open(order: Record) -> bool:
    return order["closed_at"] is None and order["cancelled_at"] is None


def _is_closed(order: Record) -> bool:
    return order["closed_at"] is not None


def _is_cancelled(order: Record) -> bool:
    return order["cancelled_at"] is not None


STATUSES = {"any": None, "closed": _is_closed, "cancelled": _is_cancelled}
"""The orders that a status means; None stands for all, and any other word for the open ones."""


def _only(query: Mapping[str, str], body: Record) -> Record:
    """The fields that are asked for."""
    if not query.get("fields"):
        return body
    names = {name.strip() for name in query["fields"].split(",")}
    return {name: value for name, value in body.items() if name in names}


def _linked(
    response: Response, query: Mapping[str, str], url: str, place: Place, listed: Listed
) -> Response:
    """The response with the addresses of the pages before and behind it."""
    if not listed.rows:
        return response
    kept = {name: query[name] for name in ("limit", "fields") if name in query}
    first, last = listed.rows[0][0], listed.rows[-1][0]
    earlier = listed.more if place.back else place.after is not None
    later = place.back or listed.more
    places: Sequence[tuple[str, bool, Place]] = (
        ("previous", earlier, replace(place, after=first, back=True)),
        ("next", later, replace(place, after=last, back=False)),
    )
    links = [
        f'<{url}?{urlencode({**kept, "page_info": each.page_info()})}>; rel="{relation}"'
        for relation, there, each in places
        if there
    ]
    return response.with_headers(("Link", ", ".join(links))) if links else response
