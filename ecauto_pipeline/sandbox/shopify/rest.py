"""Shopify's REST Admin API: lists page by page, counts, single records, events."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from math import ceil
from urllib.parse import urlencode

from ecauto_pipeline.sandbox.quotas import PointBucket
from ecauto_pipeline.sandbox.shopify.bodies import body_of, gid, moment
from ecauto_pipeline.sandbox.shopify.lists import Asked, Listed, Position, Range, Sort, Wanted
from ecauto_pipeline.sandbox.shopify.records import ENTITIES, Record
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

# Published, as is that a page_info may be joined by limit and fields only.
DEFAULT_ROWS = 50
MOST_ROWS = 250
WITH_PAGE_INFO = frozenset({"limit", "fields", "page_info"})
SORTS = {"updated_at": Sort.UPDATED, "created_at": Sort.CREATED, "id": Sort.ID}
PAST = {"create": "created", "destroy": "destroyed"}
EVENT_SUBJECTS = frozenset({"product", "order"})
"""Events about customers are told by GraphQL only."""

SCOPES = {entity: f"read_{entity}" for entity in ENTITIES}

NOT_FOUND = json_response(404, {"errors": "Not Found"})
# The seconds come as a fraction, although they are a whole number.
TOO_MANY = json_response(
    429,
    {
        "errors": "Exceeded 2 calls per second for api client. "
        "Reduce request rates to resume uninterrupted service."
    },
).with_headers(("Retry-After", "2.0"))


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
    """Answers REST's calls to one store, as many as its bucket lets through."""

    shop: ShopifyShop
    bucket: PointBucket

    def answer(self, name: str, request: Request, address: str, *, empty: bool) -> Response:
        """The response to a GET of what is called `name`, such as customers/count.

        `address` is where the API is, with its version; `empty` lists nothing, whatever there is.
        """
        granted = self.bucket.take(1)
        used = ceil(self.bucket.size - self.bucket.level() - 1e-9)
        load = ("X-Shopify-Shop-Api-Call-Limit", f"{used}/{int(self.bucket.size)}")
        if not granted:
            return TOO_MANY.with_headers(load)
        scope = SCOPES.get(name.partition("/")[0])
        if scope is not None and scope not in self.shop.scopes:
            message = f"[API] This action requires merchant approval for {scope} scope."
            return json_response(403, {"errors": message}).with_headers(load)
        try:
            return self._served(name, request.query, address, empty=empty).with_headers(load)
        except BadRequest as error:
            return json_response(400, {"errors": str(error)}).with_headers(load)

    def _served(
        self, name: str, query: Mapping[str, str], address: str, *, empty: bool
    ) -> Response:
        entity, _, rest = name.partition("/")
        if name == "events":
            return self._events(query, f"{address}/events.json", empty=empty)
        if entity not in ENTITIES:
            return NOT_FOUND
        if not rest:
            return self._list(entity, query, f"{address}/{name}.json", empty=empty)
        if rest == "count":
            return json_response(
                200, {"count": self.shop.count(entity, self._wanted(entity, query))}
            )
        record = self.shop.record(entity, int(rest)) if rest.isdecimal() else None
        if record is None or not self.shop.sees(entity, record):
            return NOT_FOUND
        with self.shop.lock:
            body = _only(query, body_of(self.shop, entity, record))
        return json_response(200, {entity.removesuffix("s"): body})

    def _list(self, entity: str, query: Mapping[str, str], url: str, *, empty: bool) -> Response:
        place, limit = _place(query), _limit(query)
        # Without a wish the last come first, but behind an id that was named.
        sort, descending = Sort.ID, "since_id" not in place.query
        if "order" in place.query:
            name, _, direction = place.query["order"].strip().partition(" ")
            sort, descending = SORTS.get(name, Sort.ID), direction.strip().lower() == "desc"
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
        # Who does not ask for any status gets the open orders only.
        status = query.get("status", "open")
        by_status = entity == "orders" and status != "any"
        return Wanted(
            updated=self._times(query, "updated_at"),
            created=self._times(query, "created_at"),
            ids=Range(low=int(since) + 1) if since.isdecimal() else Range(),
            only=frozenset(map(int, ids)) if "ids" in query else None,
            matches=partial(_has_status, status) if by_status else None,
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
        bodies: list[Record] = []
        for event in page:
            description = f"{event.subject_type} was {PAST[event.verb]}."
            body: Record = {
                "id": event.id,
                "subject_id": event.subject_id,
                "created_at": moment(self.shop, event.created_at),
                "subject_type": event.subject_type,
                "verb": event.verb,
                "arguments": [],
                "body": None,
                "message": description,
                "author": "Shopify",
                "description": description,
                "path": None,
                "admin_graphql_api_id": gid("BasicEvent", event.id),
            }
            bodies.append(_only(query, body))
        rows: list[tuple[Position, Record]] = [((event.id, event.id), {}) for event in page]
        listed = Listed(rows, more=bool(page) and len(events) > limit)
        only_forward = replace(place, after=None)
        return _linked(json_response(200, {"events": bodies}), query, url, only_forward, listed)


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


def _has_status(status: str, order: Record) -> bool:
    """Whether that is the order's status; any unknown word means the open ones."""
    if status in {"closed", "cancelled"}:
        return order[f"{status}_at"] is not None
    return order["closed_at"] is None and order["cancelled_at"] is None


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
