"""A call has its turn, its token and its version; what goes wrong is told so that one can act."""

from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.clients.http import MAX_BYTES, TooLong
from ecauto_pipeline.clients.rate_limit import PACING
from ecauto_pipeline.clients.shopify.api import (
    FIRST_GUESS,
    MOST_THROTTLES,
    AccessDenied,
    TooExpensive,
)
from ecauto_pipeline.clients.shopify.tokens import ShopifyCredentials
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    EcautoError,
    Misconfigured,
    NoProof,
    NotSent,
    Rejected,
    Throttled,
    Unavailable,
)
from ecauto_pipeline_tests.clients.shopify.rig import (
    GRAPHQL_PATH,
    OWN_APP,
    TOKEN,
    Rig,
    cost,
    data,
    error,
    rest_path,
    rigged,
)
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import (
    Received,
    Scripted,
    ScriptedServer,
    answer,
    scripted_server,
)

QUERY = "query ($first: Int!) { customers(first: $first) { nodes { id } } }"
FOUND: dict[str, Any] = {"customers": {"nodes": []}}
THROTTLED = error("THROTTLED", "Throttled")


def ask(rig: Rig, first: int = 250) -> Any:
    return rig.api.graphql(QUERY, {"first": first}).data


def test_a_query_is_sent_with_the_token_in_shopifys_header(
    server: ScriptedServer, rig: Rig
) -> None:
    server.will(data(FOUND))
    assert ask(rig) == FOUND
    (request,) = server.received
    assert (request.method, request.path) == ("POST", GRAPHQL_PATH)
    assert request.document == {"query": QUERY, "variables": {"first": 250}}
    assert request.headers["x-shopify-access-token"] == TOKEN
    assert "authorization" not in request.headers


def test_a_resource_is_read_with_its_query(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({"orders": []}))
    assert rig.api.rest("orders.json", {"status": "any"}) == ({"orders": []}, None)
    (request,) = server.received
    assert (request.method, request.path) == ("GET", rest_path("orders.json"))
    assert request.query == {"status": "any"}
    assert request.headers["x-shopify-access-token"] == TOKEN


@pytest.mark.parametrize("before", ["", '<{url}/admin/previous?page_info=b>; rel="previous", '])
def test_the_next_page_is_where_the_link_says(
    server: ScriptedServer, rig: Rig, before: str
) -> None:
    following = f"{server.url}{rest_path('orders.json')}?limit=250&page_info=a%2Bb"
    link = before.replace("{url}", server.url) + f'<{following}>; rel="next"'
    server.will(answer({"orders": []}, Link=link), answer({"orders": []}))
    _, url = rig.api.rest("orders.json")
    assert url is not None
    assert url == following
    assert rig.api.rest(url)[1] is None
    assert server.received[1].query == {"limit": "250", "page_info": "a+b"}


def test_a_previous_page_is_no_next_one(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({}, Link=f'<{server.url}/a>; rel="previous"'))
    assert rig.api.rest("orders.json")[1] is None


def test_nothing_is_sent_to_another_server(server: ScriptedServer, rig: Rig) -> None:
    port = server.url.rpartition(":")[2]
    with scripted_server() as foreign:
        for url in (
            foreign.url,
            f"https://127.0.0.1:{port}",
            f"http://localhost:{port}",
            f"http://127.0.0.1:{port}@{foreign.url.removeprefix('http://')}",
            "http://[",
        ):
            with pytest.raises(NoProof, match="names a next page"):
                rig.api.rest(f"{url}/admin/api/2026-10/orders.json?page_info=a")
        assert foreign.received == []
    assert server.received == []
    assert rig.clock.slept == [], "there is nothing to try again"


def test_a_redirection_is_not_followed(server: ScriptedServer, rig: Rig) -> None:
    with scripted_server() as foreign:
        moved = Scripted(b"", 302, {"Location": foreign.url})
        server.will(*[moved] * 5)
        with pytest.raises(NoProof, match="redirects"):
            rig.api.rest("orders.json")
        assert foreign.received == []


def test_a_file_is_fetched_without_any_token(server: ScriptedServer, rig: Rig) -> None:
    with scripted_server([Scripted(b'{"id": 1}\n{"id": 2}')]) as files:
        assert list(rig.api.file_lines(f"{files.url}/file?sig=abc")) == [b'{"id": 1}', b'{"id": 2}']
    (request,) = files.received
    assert not [name for name in request.headers if "token" in name or name == "authorization"]
    assert TOKEN not in str(request)


def test_a_line_without_an_end_is_not_read_to_it(rig: Rig) -> None:
    endless = Scripted(b"x" * (MAX_BYTES + 1))
    with scripted_server([endless]) as files, pytest.raises(TooLong):
        list(rig.api.file_lines(files.url))


@pytest.mark.parametrize("url", ["http://storage.example/file", "ftp://127.0.0.1/file", "http://["])
def test_a_file_is_fetched_over_https_or_from_this_machine(rig: Rig, url: str) -> None:
    with pytest.raises(NoProof, match="not https"):
        rig.api.file_lines(url)


@pytest.mark.parametrize("kind", ["graphql", "rest"])
def test_another_version_than_the_configured_is_refused(
    server: ScriptedServer, rig: Rig, kind: str
) -> None:
    other = data({**FOUND, "orders": []}, version="2026-01")
    server.will(other)
    with pytest.raises(Misconfigured) as wrong:
        ask(rig) if kind == "graphql" else rig.api.rest("orders.json")
    for named in ("ECAUTO_SHOPIFY__STORES", "store main", "2026-10", "2026-01"):
        assert named in str(wrong.value)


def test_an_address_without_version_may_be_served_by_any(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({"access_scopes": []}, X_Shopify_API_Version="2026-01"))
    assert rig.api.rest("/admin/oauth/access_scopes.json")[0] == {"access_scopes": []}
    assert server.received[0].path == "/admin/oauth/access_scopes.json"


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (401, CredentialsRejected, "ECAUTO_SHOPIFY__STORES.*store main"),
        (403, CredentialsRejected, "store main.*may lack a scope"),
        (402, AccountStopped, "store main is frozen"),
        (423, AccountStopped, "store main is locked"),
        (430, AccountStopped, "security"),
        (404, Rejected, "HTTP 404"),
        (400, Rejected, "HTTP 400 no such thing"),
    ],
)
@pytest.mark.parametrize("kind", ["graphql", "rest"])
def test_a_refusal_says_what_to_do(
    server: ScriptedServer,
    rig: Rig,
    kind: str,
    status: int,
    expected: type[EcautoError],
    words: str,
) -> None:
    server.will(answer({"errors": f"no such thing; {TOKEN}"}, status))
    with pytest.raises(expected, match=words) as refused:
        ask(rig) if kind == "graphql" else rig.api.rest("orders.json")
    assert TOKEN not in str(refused.value)
    assert len(server.received) == 1


def test_a_refused_token_that_was_changed_is_read_again(server: ScriptedServer, rig: Rig) -> None:
    def rotate(_: Received) -> Scripted:
        rig.settings[0] = ShopifyCredentials("shpat_rotated")
        return answer({"errors": "invalid token"}, 401)

    server.will(rotate, data(FOUND))
    assert ask(rig) == FOUND
    assert server.received[1].headers["x-shopify-access-token"] == "shpat_rotated"


def test_a_refused_token_of_the_app_is_fetched_again_once(
    server: ScriptedServer, clock: FakeClock, tmp_path: Path
) -> None:
    refused = answer({"errors": "invalid token"}, 401)
    tokens = [answer({"access_token": f"shpat_number_{number}"}) for number in range(3)]
    with rigged(server.url, clock, tmp_path, OWN_APP) as rig:
        server.will(tokens[0], refused, tokens[1], data(FOUND))
        assert ask(rig) == FOUND
        server.will(refused, tokens[2], refused)
        with pytest.raises(CredentialsRejected):
            ask(rig)
    assert server.received[3].headers["x-shopify-access-token"] == "shpat_number_1"


@pytest.mark.parametrize(
    "failure", [Scripted(b"", 500), Scripted(b"", 503), Scripted(b"", 540), Scripted(drop=True)]
)
def test_failures_that_may_pass_are_tried_again(
    server: ScriptedServer, rig: Rig, failure: Scripted
) -> None:
    server.will(failure, failure, data(FOUND))
    assert ask(rig) == FOUND
    assert rig.clock.slept == [1, 2]
    server.will(*[failure] * 5)
    with pytest.raises(Unavailable):
        ask(rig)


def test_a_server_that_is_not_there_is_not_reached(clock: FakeClock, tmp_path: Path) -> None:
    with (
        scripted_server() as gone,
        rigged(gone.url.replace("127.0.0.1", "127.0.0.2"), clock, tmp_path) as rig,
        pytest.raises(NotSent),
    ):
        ask(rig)


@pytest.mark.parametrize("kind", ["graphql", "rest"])
def test_a_call_that_came_too_early_waits_as_long_as_is_asked(
    server: ScriptedServer, rig: Rig, kind: str
) -> None:
    server.will(Scripted(b"", 429, {"Retry-After": "2.0"}), data({"orders": []}))
    rig.api.rest("orders.json") if kind == "rest" else ask(rig)
    assert sum(rig.clock.slept) >= 2
    assert rig.waits[0][1] >= 2
    assert rig.waits[0][0].endswith(f"/{kind}")


@pytest.mark.parametrize(
    "refusal", [Scripted(b"", 429), data(None, THROTTLED), data(None, THROTTLED, price=cost(9, 0))]
)
def test_nobody_is_put_off_for_ever(server: ScriptedServer, rig: Rig, refusal: Scripted) -> None:
    server.will(*[refusal] * MOST_THROTTLES)
    with pytest.raises(Throttled):
        ask(rig)


def test_a_refusal_for_lack_of_points_waits_for_what_is_missing(
    server: ScriptedServer, rig: Rig
) -> None:
    server.will(data(None, THROTTLED, price=cost(300, 106)), data(FOUND))
    assert ask(rig) == FOUND
    assert rig.clock.slept == [pytest.approx((300 - 106) / (100 * PACING), abs=1e-3)]


def test_a_refusal_that_explains_nothing_waits_a_second(server: ScriptedServer, rig: Rig) -> None:
    server.will(data(None, THROTTLED), data(FOUND))
    ask(rig)
    assert sum(rig.clock.slept) >= 1


def test_budgets_are_learned_from_the_answers(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        data(FOUND, price=cost(57, 19943, actual=57, rate=1000, size=20000)),
        answer({"orders": []}, X_Shopify_Shop_Api_Call_Limit="1/400"),
    )
    ask(rig)
    rig.api.rest("orders.json")
    assert rig.buckets() == {"graphql": (1000 * PACING, 20000), "rest": (20 * PACING, 400)}


def test_the_price_of_a_query_is_known_from_its_answer(server: ScriptedServer, rig: Rig) -> None:
    """Of 2,000 points 100 are left: enough for a query that costs 57, not for one of 431."""
    server.will(
        data(FOUND, price=cost(431, 2000, actual=0)),
        data(FOUND, price=cost(57, 100, actual=57)),
        data(FOUND, price=cost(57, 100, actual=0)),
        data(FOUND),
    )
    ask(rig, 250)
    ask(rig, 100)
    ask(rig, 100)
    assert rig.clock.slept == []
    ask(rig, 250)
    assert rig.clock.slept == [pytest.approx(331 / (100 * PACING), abs=1e-3)]


def test_points_that_a_query_did_not_need_come_back(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[data(FOUND, price=cost(900, 1990, actual=10))] * 9)
    for _ in range(9):
        ask(rig)
    assert rig.clock.slept == []


def test_a_query_that_is_new_is_guessed_modestly(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[data(FOUND)] * 21)
    for first in range(1, 21):
        ask(rig, first)
    assert rig.clock.slept == []
    ask(rig, 21)
    assert rig.clock.slept == [pytest.approx(FIRST_GUESS / (100 * PACING), abs=1e-3)]


def test_what_may_not_be_seen_is_told_beside_the_rest(server: ScriptedServer, rig: Rig) -> None:
    denied = [
        error("ACCESS_DENIED", "not approved", "customers", "nodes", number, "firstName")
        for number in range(2)
    ]
    server.will(data(FOUND, *denied, error("ACCESS_DENIED", "no", "customers", "nodes", 0, "note")))
    found = rig.api.graphql(QUERY, {})
    assert found.data == FOUND
    assert found.withheld == {"firstName", "note"}


@pytest.mark.parametrize("found", [None, {"customers": None}])
def test_what_may_not_be_seen_at_all_is_an_error(
    server: ScriptedServer, rig: Rig, found: dict[str, Any] | None
) -> None:
    words = f"Access denied for customers. Required access: `read_customers` ({TOKEN})"
    server.will(data(found, error("ACCESS_DENIED", words, "customers")))
    with pytest.raises(AccessDenied, match=r"store main .*read_customers") as denied:
        ask(rig)
    assert isinstance(denied.value, CredentialsRejected)
    assert TOKEN not in str(denied.value)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("MAX_COST_EXCEEDED", TooExpensive),
        ("SHOP_INACTIVE", AccountStopped),
        ("undefinedField", Rejected),
        ("", Rejected),
    ],
)
def test_other_errors_are_not_tried_again(
    server: ScriptedServer, rig: Rig, code: str, expected: type[EcautoError]
) -> None:
    server.will(data(None, error(code, f"cannot; {TOKEN}")))
    with pytest.raises(expected) as refused:
        ask(rig)
    assert TOKEN not in str(refused.value)


def test_an_error_beside_data_is_not_overlooked(server: ScriptedServer, rig: Rig) -> None:
    server.will(data(FOUND, error("undefinedField"), error("ACCESS_DENIED")))
    with pytest.raises(Rejected):
        ask(rig)


def test_an_error_in_words_only_is_one(server: ScriptedServer, rig: Rig) -> None:
    server.will(answer({"data": FOUND, "errors": "something"}))
    with pytest.raises(Rejected, match="something"):
        ask(rig)


def test_a_failure_within_shopify_is_tried_again(server: ScriptedServer, rig: Rig) -> None:
    failure = data(FOUND, error("INTERNAL_SERVER_ERROR"))
    server.will(failure, data(FOUND))
    assert ask(rig) == FOUND
    server.will(*[failure] * 5)
    with pytest.raises(Unavailable, match="failed within"):
        ask(rig)


@pytest.mark.parametrize("body", [b"{}", b'{"data": null}', b'{"data": {}}', b"<html>", b"[]", b""])
def test_an_answer_without_data_proves_nothing(
    server: ScriptedServer, rig: Rig, body: bytes
) -> None:
    server.will(*[Scripted(body)] * 5)
    with pytest.raises(NoProof):
        ask(rig)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_a_resource_that_is_no_json_proves_nothing(
    server: ScriptedServer, rig: Rig, body: bytes
) -> None:
    server.will(*[Scripted(body)] * 5)
    with pytest.raises(NoProof):
        rig.api.rest("orders.json")
