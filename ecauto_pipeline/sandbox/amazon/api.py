"""Amazon's Selling Partner API: tokens, catalog, prices and offers."""

import base64
import binascii
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.amazon.catalog import MARKETPLACE, PARTS, catalog_item
from ecauto_pipeline.sandbox.amazon.prices import ItemCondition, competitive_price, item_offers
from ecauto_pipeline.sandbox.amazon.products import Kind, Product
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.draw import draw, token
from ecauto_pipeline.sandbox.faults import THROTTLED
from ecauto_pipeline.sandbox.quotas import AMAZON_ALLOWANCES, TokenBuckets
from ecauto_pipeline.sandbox.wire import Request, Response, json_response, mapping, sequence

ACCOUNT = "amazon"
LWA = "lwa/token"
OPERATIONS = (LWA, *AMAZON_ALLOWANCES)

MOST_ASINS = 20
DEFAULT_PAGE = 10
TOKEN_LIFE = timedelta(hours=1)

ASIN = re.compile(r"[0-9]{9}[0-9X]|[A-Z][A-Z0-9]{9}")
OFFERS_URI = re.compile(r"/products/pricing/v0/items/([^/]+)/offers")

ROUTES = (
    ("POST", re.compile(r"/auth/o2/token"), LWA),
    ("GET", re.compile(r"/catalog/2022-04-01/items"), "searchCatalogItems"),
    ("GET", re.compile(r"/catalog/2022-04-01/items/[^/]+"), "getCatalogItem"),
    ("GET", re.compile(r"/products/pricing/v0/competitivePrice"), "getCompetitivePricing"),
    ("GET", OFFERS_URI, "getItemOffers"),
    ("POST", re.compile(r"/batches/products/pricing/v0/itemOffers"), "getItemOffersBatch"),
)


@dataclass(frozen=True, slots=True)
class AmazonCredentials:
    """The ones that are valid."""

    client_id: str
    client_secret: str
    refresh_token: str


@dataclass
class Refused(Exception):
    """An answer other than 200."""

    status: int
    code: str
    message: str
    details: str = ""


class AmazonApi:
    """Answers Amazon's calls about a world."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        rate_multiplier: float = 1.0,
        credentials: AmazonCredentials | None = None,
        accept_any_asin: bool = False,
    ) -> None:
        self._world = world
        self._clock = clock
        self._credentials = credentials
        self._accept_any_asin = accept_any_asin
        self._buckets = TokenBuckets(clock, rate_multiplier)
        self._expiries: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._operations: Mapping[str, Callable[[Request], object]] = {
            "searchCatalogItems": self._search_catalog_items,
            "getCatalogItem": self._get_catalog_item,
            "getCompetitivePricing": self._get_competitive_pricing,
            "getItemOffers": self._get_item_offers,
            "getItemOffersBatch": self._get_item_offers_batch,
        }

    def operation_of(self, request: Request) -> str:
        """The name of the operation, or "unknown"."""
        for method, path, operation in ROUTES:
            if request.method == method and path.fullmatch(request.path):
                return operation
        return "unknown"

    def account_of(self, request: Request) -> str:
        """Whose call it is: all are one seller's."""
        return ACCOUNT

    def expire_tokens(self) -> None:
        """Let all access tokens have expired by now."""
        with self._lock:
            now = self._clock.now()
            self._expiries = dict.fromkeys(self._expiries, now)

    def answer(self, operation: str, request: Request) -> Response:
        """The response to a call."""
        if operation == LWA:
            return self._grant(request.form())
        response = self._checked(operation, request)
        number = draw(2**62, operation, self._clock.now(), request.path)
        response = response.with_headers(("x-amzn-RequestId", f"{number:016x}"))
        if operation in AMAZON_ALLOWANCES and response.status in {200, 400, 404}:
            rate = self._buckets.rate(operation)
            return response.with_headers(("x-amzn-RateLimit-Limit", f"{rate:g}"))
        return response

    def _checked(self, operation: str, request: Request) -> Response:
        serve = self._operations.get(operation)
        if serve is None:
            unknown = Refused(404, "NotFound", f"The path {request.path} does not exist.")
            return json_response(404, errors(unknown))
        try:
            self._authorize(request)
            if not self._buckets.take(operation):
                return THROTTLED
            return json_response(200, serve(request))
        except Refused as refused:
            return json_response(refused.status, errors(refused))

    def _grant(self, form: Mapping[str, str]) -> Response:
        if refusal := self._lwa_refusal(form):
            return refusal
        now = self._clock.now()
        with self._lock:
            access_token = "Atza|" + token(350, "lwa", now, len(self._expiries))
            self._expiries[access_token] = now + TOKEN_LIFE
        return json_response(
            200,
            {
                "access_token": access_token,
                "refresh_token": form["refresh_token"],
                "token_type": "bearer",
                "expires_in": int(TOKEN_LIFE.total_seconds()),
            },
        )

    def _lwa_refusal(self, form: Mapping[str, str]) -> Response | None:
        if form.get("grant_type") != "refresh_token":
            return _lwa_error(
                400, "unsupported_grant_type", "The authorization grant type is not supported"
            )
        if not {"client_id", "client_secret", "refresh_token"} <= form.keys():
            return _lwa_error(400, "invalid_request", "The request is missing a required parameter")
        valid = self._credentials
        if valid is None:
            return None
        if (form["client_id"], form["client_secret"]) != (valid.client_id, valid.client_secret):
            return _lwa_error(401, "invalid_client", "Client authentication failed")
        if form["refresh_token"] != valid.refresh_token:
            return _lwa_error(400, "invalid_grant", INVALID_GRANT)
        return None

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("x-amz-access-token")
        if not given:
            raise _unauthorized("Access token is missing in the request header.")
        expiry = self._expiries.get(given)
        if expiry is None:
            raise _unauthorized("The access token you provided is revoked, malformed or invalid.")
        if expiry <= self._clock.now():
            raise _unauthorized("The access token you provided has expired.")

    def _product(self, asin: str) -> Product | None:
        if not ASIN.fullmatch(asin):
            return None
        known = self._world.ensure(asin) if self._accept_any_asin else self._world.find(asin)
        return None if known and known.kind is Kind.NOT_FOUND else known

    def _search_catalog_items(self, request: Request) -> object:
        query = request.query
        _require_marketplace(query.get("marketplaceIds"))
        asins = list(dict.fromkeys(query.get("identifiers", "").split(",")))
        if query.get("identifiersType") != "ASIN" or len(asins) > MOST_ASINS:
            raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
        if not all(ASIN.fullmatch(asin) for asin in asins):
            raise _invalid("Invalid 'asin' provided.")
        included = _included(query)
        found = [product for asin in asins if (product := self._product(asin))]
        found.sort(key=lambda product: draw(2**62, "shuffled", product.asin))
        return _page(query, [catalog_item(product, included) for product in found])

    def _get_catalog_item(self, request: Request) -> object:
        _require_marketplace(request.query.get("marketplaceIds"))
        included = _included(request.query)
        asin = request.path.rpartition("/")[2]
        product = self._product(asin)
        if product is None:
            message = f"Requested item '{asin}' not found in marketplace(s) {MARKETPLACE}."
            raise Refused(404, "NotFound", message)
        return catalog_item(product, included)

    def _get_competitive_pricing(self, request: Request) -> object:
        query = request.query
        _require_marketplace(query.get("MarketplaceId"))
        asins = query.get("Asins", "").split(",")
        if query.get("ItemType") != "Asin" or not 1 <= len(asins) <= MOST_ASINS:
            raise _invalid("Invalid Input")
        if not all(ASIN.fullmatch(asin) for asin in asins):
            raise _invalid("Invalid Input")
        return {"payload": [competitive_price(self._product(asin), asin) for asin in asins]}

    def _get_item_offers(self, request: Request) -> object:
        asin = request.path.split("/")[5]
        return self._offers(asin, request.query)

    def _get_item_offers_batch(self, request: Request) -> object:
        entries = [mapping(entry) for entry in sequence(request.json().get("requests"))]
        if not 1 <= len(entries) <= MOST_ASINS:
            raise _invalid("Invalid Input")
        wanted = {(str(entry.get("uri")), str(entry.get("ItemCondition"))) for entry in entries}
        if len(wanted) < len(entries):
            raise _invalid("Duplicate requests submitted. Cannot run batch request.")
        if not all(OFFERS_URI.fullmatch(uri) for uri, _ in wanted):
            raise _invalid("Invalid Input")
        entries.sort(key=lambda entry: draw(2**62, "batch", entry["uri"]))
        return {"responses": [self._batch_element(entry) for entry in entries]}

    def _batch_element(self, entry: Mapping[str, object]) -> object:
        asin = str(entry["uri"]).split("/")[5]
        given = {key: str(value) for key, value in entry.items() if value is not None}
        try:
            status, reason, body = 200, "OK", self._offers(asin, given)
        except Refused as refused:
            status, reason, body = 400, "Bad Request", errors(refused)
        names = ("MarketplaceId", "ItemCondition", "CustomerType")
        now = self._clock.now().astimezone(UTC)
        return {
            "status": {"statusCode": status, "reasonPhrase": reason},
            "headers": {
                "x-amzn-RequestId": f"{draw(2**62, asin, now):016x}",
                "Date": f"{now:%a, %d %b %Y %H:%M:%S GMT}",
            },
            "body": body,
            "request": {"Asin": asin, **{name: given[name] for name in names if name in given}},
        }

    def _offers(self, asin: str, given: Mapping[str, str]) -> object:
        _require_marketplace(given.get("MarketplaceId"))
        condition = _condition(given.get("ItemCondition"))
        product = self._product(asin)
        if product is None:
            raise _invalid(f"{asin} is an invalid ASIN for marketplace {MARKETPLACE}")
        return {"payload": item_offers(product, condition, self._clock.now())}


INVALID_GRANT = (
    "The request has an invalid grant parameter : refresh_token. "
    "User may have revoked or didn't grant the permission."
)


def errors(refused: Refused) -> object:
    """Amazon's error body."""
    error = {"code": refused.code, "message": refused.message, "details": refused.details}
    return {"errors": [error]}


def _lwa_error(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})


def _unauthorized(details: str) -> Refused:
    message = "Access to requested resource is denied."
    return Refused(403, "Unauthorized", message, details)


def _invalid(message: str) -> Refused:
    return Refused(400, "InvalidInput", message)


def _require_marketplace(given: str | None) -> None:
    if not given:
        raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
    if given != MARKETPLACE:
        raise _unauthorized("The marketplaces you provided are not valid for region.")


def _condition(given: str | None) -> ItemCondition:
    if given == "New":
        return "New"
    if given == "Used":
        return "Used"
    raise _invalid("Invalid Input")


def _included(query: Mapping[str, str]) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(query.get("includedData", "summaries").split(",")))
    if not set(parts) <= PARTS.keys():
        raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
    return parts


def _page(query: Mapping[str, str], items: list[dict[str, object]]) -> object:
    size = query.get("pageSize", str(DEFAULT_PAGE))
    if not size.isdecimal() or not 1 <= int(size) <= MOST_ASINS:
        raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
    start = _start(query.get("pageToken"))
    end = start + int(size)
    tokens: dict[str, str] = {}
    if end < len(items):
        tokens["nextToken"] = _page_token(end)
    if start:
        tokens["previousToken"] = _page_token(max(0, start - int(size)))
    pagination = {"pagination": tokens} if tokens else {}
    return {"numberOfResults": len(items), **pagination, "items": items[start:end]}


def _page_token(start: int) -> str:
    return base64.urlsafe_b64encode(f"from {start}".encode()).decode()


def _start(page_token: str | None) -> int:
    if page_token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(page_token).removeprefix(b"from "))
    except (ValueError, binascii.Error):
        raise _invalid("Invalid 'pageToken' provided.") from None
