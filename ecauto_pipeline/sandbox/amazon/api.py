"""Amazon's Selling Partner API: tokens, catalog, prices and offers."""

import base64
import binascii
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.amazon.catalog import MARKETPLACE, PARTS, catalog_item
from ecauto_pipeline.sandbox.amazon.prices import competitive_price, item_offers
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
# Whoever asks for 20 ASINs without a page size gets the half of them.
DEFAULT_PAGE = 10
TOKEN_LIFE = timedelta(hours=1)

ASIN = re.compile(r"[0-9]{9}[0-9X]|[A-Z][A-Z0-9]{9}")
OFFERS_URI = re.compile(r"/products/pricing/v0/items/([^/]+)/offers")

TOLD_AGAIN = ("MarketplaceId", "ItemCondition", "CustomerType")
"""What of each request in a batch is told with its response."""

INVALID_GRANT = (
    "The request has an invalid grant parameter : refresh_token. "
    "User may have revoked or didn't grant the permission."
)
MALFORMED = "The access token you provided is revoked, malformed or invalid."

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
        number = draw(2**62, operation, self._clock.now(), request.path)
        request_id = ("x-amzn-RequestId", f"{number:016x}")
        if operation not in AMAZON_ALLOWANCES:
            unknown = Refused(404, "NotFound", f"The path {request.path} does not exist.")
            return json_response(404, errors(unknown)).with_headers(request_id)
        given = request.headers.get("x-amz-access-token")
        expiry = self._expiries.get(given or "")
        try:
            if not given:
                raise _unauthorized("Access token is missing in the request header.")
            if expiry is None:
                raise _unauthorized(MALFORMED)
            if expiry <= self._clock.now():
                raise _unauthorized("The access token you provided has expired.")
            granted = self._buckets.take(operation)
            response = (
                json_response(200, self._served(operation, request)) if granted else THROTTLED
            )
        except Refused as refused:
            response = json_response(refused.status, errors(refused))
        response = response.with_headers(request_id)
        # A throttled or unauthorized answer never names the rate.
        if response.status not in {200, 400, 404}:
            return response
        return response.with_headers(
            ("x-amzn-RateLimit-Limit", f"{self._buckets.rate(operation):g}")
        )

    def _grant(self, form: Mapping[str, str]) -> Response:
        valid = self._credentials
        if form.get("grant_type") != "refresh_token":
            return _lwa_error(
                400, "unsupported_grant_type", "The authorization grant type is not supported"
            )
        if not {"client_id", "client_secret", "refresh_token"} <= form.keys():
            return _lwa_error(400, "invalid_request", "The request is missing a required parameter")
        if valid and (form["client_id"], form["client_secret"]) != (
            valid.client_id,
            valid.client_secret,
        ):
            return _lwa_error(401, "invalid_client", "Client authentication failed")
        if valid and form["refresh_token"] != valid.refresh_token:
            return _lwa_error(400, "invalid_grant", INVALID_GRANT)
        now = self._clock.now()
        with self._lock:
            # About as long as Amazon's, so that what keeps them has to have the room.
            access_token = "Atza|" + token(350, "lwa", now, len(self._expiries))
            self._expiries[access_token] = now + TOKEN_LIFE
        return json_response(
            200,
            {
                "access_token": access_token,
                # Unlike BASE's it is good for ever, also after it was used.
                "refresh_token": form["refresh_token"],
                "token_type": "bearer",
                "expires_in": int(TOKEN_LIFE.total_seconds()),
            },
        )

    def _product(self, asin: str) -> Product | None:
        if not ASIN.fullmatch(asin):
            return None
        known = self._world.ensure(asin) if self._accept_any_asin else self._world.find(asin)
        return None if known and known.kind is Kind.NOT_FOUND else known

    def _served(self, operation: str, request: Request) -> object:
        query = request.query
        match operation:
            case "searchCatalogItems":
                return self._found(query)
            case "getCatalogItem":
                _require_marketplace(query.get("marketplaceIds"))
                included = _included(query)
                asin = request.path.rpartition("/")[2]
                product = self._product(asin)
                if product is None:
                    message = f"Requested item '{asin}' not found in marketplace(s) {MARKETPLACE}."
                    raise Refused(404, "NotFound", message)
                return catalog_item(product, included)
            case "getCompetitivePricing":
                _require_marketplace(query.get("MarketplaceId"))
                asins = query.get("Asins", "").split(",")
                if query.get("ItemType") != "Asin" or not 1 <= len(asins) <= MOST_ASINS:
                    raise _invalid("Invalid Input")
                if not all(ASIN.fullmatch(each) for each in asins):
                    raise _invalid("Invalid Input")
                return {"payload": [competitive_price(self._product(each), each) for each in asins]}
            case "getItemOffers":
                return self._offers(request.path.split("/")[5], query)
            case _:
                return self._batch(
                    [mapping(each) for each in sequence(request.json().get("requests"))]
                )

    def _found(self, query: Mapping[str, str]) -> object:
        """A page of the items with the ASINs that are named."""
        _require_marketplace(query.get("marketplaceIds"))
        asins = list(dict.fromkeys(query.get("identifiers", "").split(",")))
        if query.get("identifiersType") != "ASIN" or len(asins) > MOST_ASINS:
            raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
        # One malformed ASIN fails the whole request.
        if not all(ASIN.fullmatch(asin) for asin in asins):
            raise _invalid("Invalid 'asin' provided.")
        included = _included(query)
        found = [product for asin in asins if (product := self._product(asin))]
        # Unknown ASINs are simply absent, and the others come in an order of Amazon's own.
        found.sort(key=lambda product: draw(2**62, "shuffled", product.asin))
        items = [catalog_item(product, included) for product in found]
        size = query.get("pageSize", str(DEFAULT_PAGE))
        if not size.isdecimal() or not 1 <= int(size) <= MOST_ASINS:
            raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
        start = 0
        if "pageToken" in query:
            try:
                start = int(base64.urlsafe_b64decode(query["pageToken"]).removeprefix(b"from "))
            except (ValueError, binascii.Error):
                raise _invalid("Invalid 'pageToken' provided.") from None
        end = start + int(size)
        starts: dict[str, int] = {}
        if end < len(items):
            starts["nextToken"] = end
        if start:
            starts["previousToken"] = max(0, start - int(size))
        tokens = {
            name: base64.urlsafe_b64encode(f"from {each}".encode()).decode()
            for name, each in starts.items()
        }
        pagination = {"pagination": tokens} if tokens else {}
        return {"numberOfResults": len(items), **pagination, "items": items[start:end]}

    def _batch(self, entries: list[dict[str, object]]) -> object:
        """The offers for each request of a batch, which may fail on its own."""
        if not 1 <= len(entries) <= MOST_ASINS:
            raise _invalid("Invalid Input")
        wanted = {(str(entry.get("uri")), str(entry.get("ItemCondition"))) for entry in entries}
        if len(wanted) < len(entries):
            raise _invalid("Duplicate requests submitted. Cannot run batch request.")
        if not all(OFFERS_URI.fullmatch(uri) for uri, _ in wanted):
            raise _invalid("Invalid Input")
        # The responses come in another order: a client has to read what each is about.
        entries.sort(key=lambda entry: draw(2**62, "batch", entry["uri"]))
        responses: list[object] = []
        for entry in entries:
            asin = str(entry["uri"]).split("/")[5]
            given = {key: str(value) for key, value in entry.items() if value is not None}
            told = {name: given[name] for name in TOLD_AGAIN if name in given}
            try:
                status, reason, body = 200, "OK", self._offers(asin, given)
            except Refused as refused:
                status, reason, body = 400, "Bad Request", errors(refused)
            now = self._clock.now().astimezone(UTC)
            response = {
                "status": {"statusCode": status, "reasonPhrase": reason},
                "headers": {
                    "x-amzn-RequestId": f"{draw(2**62, asin, now):016x}",
                    "Date": f"{now:%a, %d %b %Y %H:%M:%S GMT}",
                },
                "body": body,
                "request": {"Asin": asin, **told},
            }
            responses.append(response)
        return {"responses": responses}

    def _offers(self, asin: str, given: Mapping[str, str]) -> object:
        _require_marketplace(given.get("MarketplaceId"))
        condition = given.get("ItemCondition")
        if condition not in ("New", "Used"):
            raise _invalid("Invalid Input")
        product = self._product(asin)
        if product is None:
            raise _invalid(f"{asin} is an invalid ASIN for marketplace {MARKETPLACE}")
        return {"payload": item_offers(product, condition, self._clock.now())}


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


def _included(query: Mapping[str, str]) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(query.get("includedData", "summaries").split(",")))
    if not set(parts) <= set(PARTS):
        raise _invalid("Request has missing or invalid parameters and cannot be parsed.")
    return parts
