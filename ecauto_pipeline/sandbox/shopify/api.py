"""Shopify's Admin API: routes a call to its store, checks who calls, counts the limits."""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.faults import FIXED, FaultKind
from ecauto_pipeline.sandbox.quotas import SHOPIFY_PLANS, PointBucket
from ecauto_pipeline.sandbox.shopify.auth import ShopifyAuthority
from ecauto_pipeline.sandbox.shopify.records import ENTITIES
from ecauto_pipeline.sandbox.shopify.rest import NOT_FOUND, TOO_MANY, Rest
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import HTML, Request, Response, json_response

if TYPE_CHECKING:
    from ecauto_pipeline.sandbox.shopify.graphql.bulk import BulkDesk
    from ecauto_pipeline.sandbox.shopify.graphql.execution import Graphql

ADMIN = "/admin/"
FILES = "/bulk-files/"
PREFIXES = (ADMIN, FILES)
# Four a year, each served for a year.
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
API_PATH = re.compile(r"/admin/api/([^/]+)/(.+)\.json")
ROOT_FIELD = re.compile(r"^[^{]*\{\s*(?:\w+\s*:\s*)?(\w+)")
OPERATIONS = tuple(
    f"shopify/{name}" for name in (*ENTITIES, "count", "events", "graphql", "bulk", "oauth")
)
VERSION_HEADER = "X-Shopify-API-Version"

WRONG_TOKEN = json_response(
    401,
    {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"},
)
# The files lie with another host, behind an address that is signed: no token belongs there.
TOKEN_AT_STORAGE = Response(
    400,
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>InvalidArgument</Code></Error>",
    "application/xml",
)
FIXED_HERE = {
    **FIXED,
    FaultKind.THROTTLE_429: TOO_MANY,
    FaultKind.THROTTLE_429_EMPTY: Response(429).with_headers(("Retry-After", "2.0")),
}
"""The answers to calls that a fault strikes, where they are not those of Amazon."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Where one store is served."""

    shop: ShopifyShop
    rest: Rest
    points: PointBucket
    folder: Path


class ShopifyApi:
    """Answers the calls to a number of stores."""

    def __init__(
        self, shops: Iterable[ShopifyShop], clock: Clock, *, rate_multiplier: float = 1.0
    ) -> None:
        self.shops: Mapping[str, ShopifyShop] = {shop.store_id: shop for shop in shops}
        self._authority = ShopifyAuthority(self.shops.values(), clock)
        self._folder = TemporaryDirectory(prefix="sandbox-bulk-") if self.shops else None
        folder = Path(self._folder.name if self._folder else "")
        self._counters = {
            shop.store_id: Counter(
                shop,
                Rest(shop, PointBucket(clock, SHOPIFY_PLANS[shop.plan].rest, rate_multiplier)),
                PointBucket(clock, SHOPIFY_PLANS[shop.plan].graphql, rate_multiplier),
                folder,
            )
            for shop in self.shops.values()
        }
        self._lock = threading.Lock()
        self._desks: dict[str, BulkDesk] = {}

    def close(self) -> None:
        """End the bulk operations and remove their files."""
        for desk in self._desks.values():
            desk.close()
        if self._folder is not None:
            self._folder.cleanup()

    def operation_of(self, request: Request) -> str:
        """The name of the operation, or "unknown"."""
        if request.path.startswith(FILES):
            return "shopify/bulk"
        if request.path.startswith("/admin/oauth/"):
            return "shopify/oauth"
        name = _name(request).partition("/")
        known = name[2] == "count" and name[0] in ENTITIES
        operation = f"shopify/{'count' if known else name[0]}"
        return operation if operation in OPERATIONS else "unknown"

    def place_of(self, request: Request) -> str:
        """The path; of a GraphQL call with the first field that is asked for behind a #."""
        if _name(request) != "graphql":
            return request.path
        match = ROOT_FIELD.match(str(request.json().get("query", "")))
        return f"{request.path}#{match[1]}" if match else request.path

    def account_of(self, request: Request) -> str | None:
        """The id of the store that a call is about."""
        if request.path.startswith(FILES):
            return self._owner(request)
        shop = self._authority.shop_of(request) or self._authority.client_of(request)
        return shop.store_id if shop else None

    def expire_tokens(self) -> None:
        """Let all access tokens that were issued have expired by now."""
        self._authority.expire_tokens()

    def answer(self, operation: str, request: Request, *, empty: bool = False) -> Response:
        """The response to a call; with `empty` lists hold nothing, whatever there is."""
        if operation == "shopify/bulk":
            return self._file(request)
        if request.path == "/admin/oauth/access_token" and request.method == "POST":
            return self._authority.grant(request)
        match = API_PATH.fullmatch(request.path)
        # For a version that is no longer served the oldest that is answers, and says so.
        version = match[1] if match and match[1] in VERSIONS else VERSIONS[0]
        shop = self._authority.shop_of(request)
        if shop is None:
            return WRONG_TOKEN.with_headers((VERSION_HEADER, version))
        if request.path == "/admin/oauth/access_scopes.json":
            scopes = [{"handle": scope} for scope in sorted(shop.scopes)]
            return json_response(200, {"access_scopes": scopes})
        counter = self._counters[shop.store_id]
        address = f"http://{request.headers.get('host', '')}"
        if operation == "shopify/graphql" and request.method == "POST":
            response = self._graphql(counter).answer(request, address + FILES, empty=empty)
        elif operation == "unknown" or request.method != "GET":
            response = NOT_FOUND
        else:
            api = f"{address}/admin/api/{version}"
            response = counter.rest.answer(_name(request), request, api, empty=empty)
        return response.with_headers((VERSION_HEADER, version))

    def _graphql(self, counter: Counter) -> "Graphql":
        # graphql-core takes most of a second to import: whoever asks by REST only need not wait.
        from ecauto_pipeline.sandbox.shopify.graphql.bulk import BulkDesk  # noqa: PLC0415
        from ecauto_pipeline.sandbox.shopify.graphql.execution import Graphql  # noqa: PLC0415

        with self._lock:
            store_id = counter.shop.store_id
            desk = self._desks.get(store_id) or BulkDesk(counter.shop, counter.folder)
            self._desks[store_id] = desk
        return Graphql(counter.shop, counter.points, desk)

    def _owner(self, request: Request) -> str | None:
        secret = request.path.removeprefix(FILES).partition("/")[0]
        with self._lock:
            desks = dict(self._desks)
        return next((store_id for store_id, desk in desks.items() if desk.file(secret)), None)

    def _file(self, request: Request) -> Response:
        """A bulk operation's file; the storage refuses whoever brings a token along."""
        if {"x-shopify-access-token", "authorization"} & set(request.headers):
            return TOKEN_AT_STORAGE
        owner = self._owner(request)
        if owner is None:
            return Response(404, b"<html><body>Not Found</body></html>", HTML)
        secret = request.path.removeprefix(FILES).partition("/")[0]
        path = self._desks[owner].file(secret)
        size = path.stat().st_size if path else 0
        return Response(200, content_type="application/jsonl", file=path, size=size)


def _name(request: Request) -> str:
    match = API_PATH.fullmatch(request.path)
    return match[2] if match else ""
