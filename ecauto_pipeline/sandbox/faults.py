"""Faults on request: which calls go wrong, and how."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.draw import draw
from ecauto_pipeline.sandbox.wire import HTML, JSON, Response, json_response, mapping, sequence

GRAIN = 1_000_000
"""How finely shares are told apart."""


class FaultKind(StrEnum):
    """What can go wrong."""

    THROTTLE_429 = "throttle_429"
    THROTTLE_429_EMPTY = "throttle_429_empty"
    ERROR_503_HTML = "error_503_html"
    ERROR_500_ERRORS_EMPTY = "error_500_errors_empty"
    EMPTY_BODY = "empty_body"
    TRUNCATED_JSON = "truncated_json"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    ERROR_AFTER = "error_after"
    SLOW = "slow"
    BASE_ERROR = "base_error"
    BODY = "body"
    THROTTLED_200 = "throttled_200"
    INTERNAL_ERROR_200 = "internal_error_200"
    EMPTY_PAGE = "empty_page"


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule: which calls, what happens to them, how often."""

    match: str
    """An operation's name, or a regular expression searched for in the path."""
    kind: FaultKind
    share: float = 1.0
    times: int | None = None
    after: int = 0
    account: str | None = None
    seconds: float = 1.0
    error: str = "server_error"
    error_description: str = "DB error"
    status: int | None = None
    """Of base_error (else 400) and of body (else 200)."""
    text: str = ""
    content_type: str = JSON


def fault_from(document: object) -> Fault:
    """A rule from its JSON form.

    Raises:
        ValueError: a member is unknown or missing, there is no such kind, or the expression is bad.
    """
    members = mapping(document)
    unknown = set(members) - set(Fault.__slots__)
    if unknown or not {"match", "kind"} <= set(members):
        raise ValueError(f"a fault needs match and kind, and knows no {sorted(unknown)}: {members}")
    try:
        re.compile(str(members["match"]))
    except re.error as error:
        raise ValueError(f"match is no regular expression: {error}") from error
    return Fault(**{**members, "kind": FaultKind(str(members["kind"]))})  # pyright: ignore[reportArgumentType]


def faults_from(document: object) -> tuple[Fault, ...]:
    """The rules of a list, or of an object with a list `rules`."""
    # Either form is taken: a file reads better with a name around its list.
    rules = mapping(document).get("rules", document)
    return tuple(fault_from(rule) for rule in sequence(rules))


def read_faults(path: Path) -> tuple[Fault, ...]:
    """The rules of a JSON file."""
    return faults_from(json.loads(path.read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Strikes:
    """How often a rule matched, and how often it struck."""

    matched: int = 0
    struck: int = 0


class Faults:
    """The rules in force; the first that strikes decides."""

    def __init__(self, rules: Iterable[Fault], operations: Iterable[str], seed: int = 1) -> None:
        self._operations = frozenset(operations)
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: list[tuple[Fault, Strikes]] = []
        self.replace(rules)

    def replace(self, rules: Iterable[Fault]) -> None:
        """Forget all rules and take these; their counts start at nothing."""
        with self._lock:
            self._rules = [(rule, Strikes()) for rule in rules]

    def strikes(self) -> tuple[tuple[Fault, Strikes], ...]:
        """The rules with what they did."""
        with self._lock:
            return tuple(self._rules)

    def strike(self, operation: str, path: str, account: str | None) -> Fault | None:
        """The rule that this call falls to, if any."""
        with self._lock:
            for number, (rule, counts) in enumerate(self._rules):
                matches = (
                    rule.match == operation
                    if rule.match in self._operations
                    else re.search(rule.match, path) is not None
                )
                if not matches or rule.account not in {None, account}:
                    continue
                matched, struck = counts.matched, counts.struck
                due = matched >= rule.after and (rule.times is None or struck < rule.times)
                # Drawn by the count, so that the same calls meet the same faults again.
                lot = draw(GRAIN, self._seed, number, matched)
                strikes_now = due and lot < rule.share * GRAIN
                self._rules[number] = (rule, Strikes(matched + 1, struck + strikes_now))
                if strikes_now:
                    return rule
        return None


UNSERVED = frozenset(
    {
        FaultKind.THROTTLE_429,
        FaultKind.THROTTLE_429_EMPTY,
        FaultKind.ERROR_503_HTML,
        FaultKind.ERROR_500_ERRORS_EMPTY,
        FaultKind.DROP_BEFORE,
        FaultKind.BASE_ERROR,
        FaultKind.BODY,
        FaultKind.THROTTLED_200,
        FaultKind.INTERNAL_ERROR_200,
    }
)
"""The call is not carried out. Under all others it is, so a write is done whatever comes back."""

INTERNAL_FAILURE = {
    "code": "InternalFailure",
    "message": "We encountered an internal error. Please try again.",
    "details": "",
}
QUOTA_EXCEEDED = {
    "message": "You exceeded your quota for the requested resource.",
    "code": "QuotaExceeded",
    "details": "",
}
# Amazon tells with it neither when to come back nor the rate.
THROTTLED = json_response(429, {"errors": [QUOTA_EXCEEDED]}).with_headers(
    ("x-amzn-ErrorType", "TooManyRequestsException"), ("x-amz-apigw-id", "sandbox")
)
UNAVAILABLE = Response(
    503, b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>", HTML
)
# Shopify's GraphQL answers 200 and has what went wrong in the body.
THROTTLED_200 = json_response(
    200,
    {
        "errors": [
            {
                "message": "Throttled",
                "extensions": {
                    "code": "THROTTLED",
                    "documentation": "https://shopify.dev/api/usage/rate-limits",
                },
            }
        ],
        "extensions": {
            "cost": {
                "requestedQueryCost": 57,
                "actualQueryCost": None,
                "throttleStatus": {
                    "maximumAvailable": 2000.0,
                    "currentlyAvailable": 7,
                    "restoreRate": 100.0,
                },
            }
        },
    },
)
INTERNAL_ERROR_200 = json_response(
    200,
    {
        "errors": [
            {
                "message": "Internal error. Looks like something went wrong on our end.",
                "extensions": {"code": "INTERNAL_SERVER_ERROR"},
            }
        ]
    },
)


FIXED: Mapping[FaultKind, Response] = {
    FaultKind.THROTTLE_429: THROTTLED,
    FaultKind.THROTTLE_429_EMPTY: Response(429),
    FaultKind.ERROR_503_HTML: UNAVAILABLE,
    FaultKind.ERROR_500_ERRORS_EMPTY: json_response(500, {"errors": []}),
    FaultKind.ERROR_AFTER: json_response(500, {"errors": [INTERNAL_FAILURE]}),
    FaultKind.THROTTLED_200: THROTTLED_200,
    FaultKind.INTERNAL_ERROR_200: INTERNAL_ERROR_200,
}
"""Answers that do not depend on the rule; the kinds that drop the connection have none."""


def play(
    fault: Fault,
    serve: Callable[[], Response],
    clock: Clock,
    fixed: Mapping[FaultKind, Response] = FIXED,
) -> Response | None:
    """What the client gets under a fault; None if the connection is closed without an answer.

    An empty page is made by whoever serves.
    """
    match fault.kind:
        case FaultKind.BASE_ERROR:
            body = {"error": fault.error, "error_description": fault.error_description}
            return json_response(fault.status or 400, body)
        case FaultKind.BODY:
            return Response(fault.status or 200, fault.text.encode(), fault.content_type)
        case FaultKind.SLOW | FaultKind.EMPTY_PAGE:
            if fault.kind is FaultKind.SLOW:
                clock.sleep(fault.seconds)
            return serve()
        case FaultKind.EMPTY_BODY:
            return replace(serve(), body=b"", size=0)
        case FaultKind.TRUNCATED_JSON:
            whole = serve()
            half = whole.body[: len(whole.body) // 2]
            return replace(whole, body=half, size=whole.size // 2)
        case _:
            if fault.kind not in UNSERVED:
                serve()
            return fixed.get(fault.kind)
