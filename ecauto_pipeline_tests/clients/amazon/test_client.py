"""Amazon's operations over real HTTP: against the sandbox, and against scripted answers."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ecauto_pipeline.clients.amazon.auth import AmazonCredentials
from ecauto_pipeline.clients.amazon.client import (
    BATCH,
    AmazonClient,
)
from ecauto_pipeline.clients.http import MAX_BYTES, MAX_TRIES, WHOLE_ANSWER, TooLong
from ecauto_pipeline.clients.rate_limit import PACING
from ecauto_pipeline.domain.amazon.facts import BuyFrom, judge_competitive_price, judge_offers
from ecauto_pipeline.domain.amazon.operations import (
    COMPETITIVE_PRICING,
    ITEM_OFFERS,
    ITEM_OFFERS_BATCH,
    SEARCH_CATALOG,
)
from ecauto_pipeline.errors import (
    CredentialsRejected,
    Deferred,
    EcautoError,
    NoProof,
    Throttled,
    Unavailable,
)
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings import redaction
from ecauto_pipeline_tests.clients.amazon.rig import (
    ACCEPTED,
    CREDENTIALS,
    MARKETPLACE,
    AmazonRig,
    amazon_rigged,
)
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import (
    Received,
    Scripted,
    ScriptedServer,
    answer,
    scripted_server,
)

LWA = "lwa/token"
ASIN = "B0FGQJ45HW"
SECRET = "Atza|scripted-access-token"

Call = Callable[[AmazonClient, list[str]], dict[str, Any]]

OPERATIONS: dict[str, Call] = {
    SEARCH_CATALOG: AmazonClient.search_catalog,
    COMPETITIVE_PRICING: AmazonClient.competitive_prices,
    ITEM_OFFERS_BATCH: AmazonClient.offers_batch,
    ITEM_OFFERS: lambda client, asins: client.offers(asins[0]),
}

EMPTY: dict[str, dict[str, Any]] = {
    SEARCH_CATALOG: {"items": []},
    COMPETITIVE_PRICING: {"payload": []},
    ITEM_OFFERS_BATCH: {"responses": []},
    ITEM_OFFERS: {"payload": {"ASIN": ASIN, "status": "NoBuyableOffers"}},
}
"""Answers that hold nothing, as they should look."""

each_operation = pytest.mark.parametrize("operation", OPERATIONS)


@pytest.fixture
def world() -> World:
    return World(count=40)


@pytest.fixture
def sandbox(world: World, clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(world, clock=clock, amazon_credentials=ACCEPTED) as sandbox:
        yield sandbox


@pytest.fixture
def rig(sandbox: Sandbox, clock: FakeClock) -> Iterator[AmazonRig]:
    with amazon_rigged(sandbox.url, clock) as rig:
        yield rig


@pytest.fixture
def client(rig: AmazonRig) -> AmazonClient:
    return rig.client


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.will(answer({"access_token": SECRET, "expires_in": 3600}))
        yield server
        assert server.unexpected == []


@pytest.fixture
def scripted(server: ScriptedServer, clock: FakeClock) -> Iterator[AmazonRig]:
    with amazon_rigged(server.url, clock) as rig:
        yield rig


def asked(server: ScriptedServer) -> list[Received]:
    """What was asked of the API, tokens apart."""
    return [each for each in server.received if each.path != "/auth/o2/token"]


def test_prices_of_20_come_in_one_call(
    client: AmazonClient, sandbox: Sandbox, world: World
) -> None:
    asins = list(world.asins[:BATCH])
    found = client.competitive_prices(asins)
    assert found.keys() == set(asins)
    for asin in world.of_kind(Kind.NORMAL)[:5]:
        verdict = judge_competitive_price(found[asin])
        assert (verdict.price_jpy, verdict.in_stock) == (world.truth(asin).price_jpy, True)
    assert sandbox.calls(COMPETITIVE_PRICING) == 1
    assert client.calls == {COMPETITIVE_PRICING: 1}


def test_offers_of_20_come_in_one_call(
    client: AmazonClient, sandbox: Sandbox, world: World
) -> None:
    asins = list(world.asins[:BATCH])
    found = client.offers_batch(asins)
    assert found.keys() == set(asins)
    for asin, offers in found.items():
        verdict, truth = judge_offers(offers, BuyFrom()), world.truth(asin)
        assert (verdict.price_jpy, verdict.in_stock) == (truth.price_jpy, truth.in_stock)
    assert sandbox.calls(ITEM_OFFERS_BATCH) == 1


def test_offers_of_one_come_alone(client: AmazonClient, world: World) -> None:
    (found,) = client.offers(ASIN).values()
    assert judge_offers(found, BuyFrom()).price_jpy == world.truth(ASIN).price_jpy


def test_all_20_of_the_catalog_come_on_one_page(
    client: AmazonClient, sandbox: Sandbox, world: World
) -> None:
    asins = list(world.asins[:BATCH])
    there = set(asins) - set(world.of_kind(Kind.NOT_FOUND))
    assert client.search_catalog(asins).keys() == there
    assert sandbox.calls(SEARCH_CATALOG) == 1


@each_operation
def test_each_request_is_as_amazon_wants_it(
    scripted: AmazonRig, server: ScriptedServer, operation: str
) -> None:
    server.will(answer(EMPTY[operation]))
    OPERATIONS[operation](scripted.client, [ASIN, "B07YV55TNL"])
    (request,) = asked(server)
    assert request.headers["host"] == server.url.removeprefix("http://")
    assert request.headers["x-amz-access-token"] == SECRET
    assert request.headers["user-agent"].startswith("ecauto-pipeline/")
    assert "authorization" not in request.headers


def test_a_search_names_its_asins_in_one_parameter(
    scripted: AmazonRig, server: ScriptedServer
) -> None:
    server.will(answer(EMPTY[SEARCH_CATALOG]))
    scripted.client.search_catalog([ASIN, "B07YV55TNL"])
    (request,) = asked(server)
    assert request.query == {
        "identifiers": f"{ASIN},B07YV55TNL",
        "identifiersType": "ASIN",
        "marketplaceIds": MARKETPLACE,
        "includedData": "summaries,attributes,classifications,images",
        "pageSize": "20",
    }


def test_a_sweep_names_its_asins_in_one_parameter(
    scripted: AmazonRig, server: ScriptedServer
) -> None:
    server.will(answer(EMPTY[COMPETITIVE_PRICING]))
    scripted.client.competitive_prices([ASIN, "B07YV55TNL"])
    (request,) = asked(server)
    assert request.query["Asins"] == f"{ASIN},B07YV55TNL"
    assert request.query["ItemType"] == "Asin"
    assert request.query["MarketplaceId"] == MARKETPLACE


def test_a_default_marketplace_of_the_library_overrides_nothing(
    server: ScriptedServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SP_API_DEFAULT_MARKETPLACE", "US")
    server.will(answer(EMPTY[COMPETITIVE_PRICING]))
    with amazon_rigged(server.url, clock) as rig:
        rig.client.competitive_prices([ASIN])
    assert asked(server)[0].query["MarketplaceId"] == MARKETPLACE


SPOILT: list[Scripted] = [
    Scripted(b"<html><h1>503</h1></html>", 503, {"Content-Type": "text/html"}),
    Scripted(b"<html>Bad Request</html>", 400, {"Content-Type": "text/html"}),
    answer({"errors": []}, 500),
    Scripted(b"", 500),
    Scripted(b"", 302, {"Location": "https://example.com/"}),
    Scripted(b""),
    Scripted(b'{"payload": [{"ASIN": "B0'),
    Scripted(b'"text"'),
    Scripted(b"\xff\xfe"),
    answer([]),
    answer({"errors": [{"code": "InternalFailure", "message": "try again"}]}),
    answer({"unexpected": True}),
    Scripted(b"not gzip", 200, {"Content-Encoding": "gzip"}),
    Scripted(drop=True),
]
"""Answers that prove nothing, whatever was asked."""


@pytest.mark.parametrize("operation", [SEARCH_CATALOG, ITEM_OFFERS_BATCH])
@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda spoilt: f"{spoilt.status} {spoilt.body!r}")
def test_what_proves_nothing_is_asked_again(
    scripted: AmazonRig, server: ScriptedServer, operation: str, spoilt: Scripted
) -> None:
    server.will(spoilt, spoilt, answer(EMPTY[operation]))
    OPERATIONS[operation](scripted.client, [ASIN])
    assert len(asked(server)) == 3
    assert scripted.client.calls == {operation: 3}


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda spoilt: f"{spoilt.status} {spoilt.body!r}")
def test_after_some_tries_that_is_the_answer(
    scripted: AmazonRig, server: ScriptedServer, spoilt: Scripted
) -> None:
    server.will(*[spoilt] * MAX_TRIES)
    with pytest.raises(Unavailable):
        scripted.client.competitive_prices([ASIN])
    assert len(asked(server)) == MAX_TRIES


def test_an_answer_without_an_end_is_not_read_to_the_end(
    scripted: AmazonRig, server: ScriptedServer
) -> None:
    endless = json.dumps(EMPTY[ITEM_OFFERS]).encode() + b" " * MAX_BYTES
    server.will(Scripted(endless))
    with pytest.raises(TooLong):
        scripted.client.offers(ASIN)
    assert len(asked(server)) == 1


def test_an_answer_that_trickles_is_not_waited_for(
    scripted: AmazonRig, server: ScriptedServer, clock: FakeClock
) -> None:
    def trickle() -> None:
        clock.advance(seconds=WHOLE_ANSWER.total_seconds() + 1)

    slow = replace(answer(EMPTY[ITEM_OFFERS]), before_body=trickle)
    server.will(*[slow] * MAX_TRIES)
    with pytest.raises(Unavailable, match="too slowly"):
        scripted.client.offers(ASIN)
    assert len(asked(server)) == MAX_TRIES


def test_pauses_grow_and_end(scripted: AmazonRig, server: ScriptedServer, clock: FakeClock) -> None:
    scripted.client.configure_quota(SEARCH_CATALOG, 1000, 1000)
    server.will(*[Scripted(status=503)] * MAX_TRIES)
    with pytest.raises(Unavailable, match="503"):
        scripted.client.search_catalog([ASIN])
    pauses = [slept for slept in clock.slept if slept > 0.4]
    assert len(pauses) == MAX_TRIES - 1
    for number, pause in enumerate(pauses):
        assert 2**number <= pause < 2**number + 1


@pytest.mark.parametrize("body", [b"", b'{"errors": [{"code": "QuotaExceeded"}]}'])
def test_a_429_makes_everybody_wait_and_is_tried_again(
    scripted: AmazonRig, server: ScriptedServer, clock: FakeClock, body: bytes
) -> None:
    server.will(Scripted(body, 429), answer(EMPTY[COMPETITIVE_PRICING]))
    before = clock.now()
    scripted.client.competitive_prices([ASIN])
    assert clock.now() - before >= timedelta(seconds=2)
    assert scripted.client.calls == {COMPETITIVE_PRICING: 2}


def test_what_a_429_asks_for_is_waited(
    scripted: AmazonRig, server: ScriptedServer, clock: FakeClock
) -> None:
    server.will(Scripted(b"", 429, {"Retry-After": "70"}), answer(EMPTY[ITEM_OFFERS]))
    before = clock.now()
    scripted.client.offers(ASIN)
    assert clock.now() - before >= timedelta(seconds=70)


@pytest.mark.parametrize("header", ["soon", "nan", "-5", ""])
def test_a_senseless_wish_is_ignored(
    scripted: AmazonRig, server: ScriptedServer, clock: FakeClock, header: str
) -> None:
    server.will(Scripted(b"", 429, {"Retry-After": header}), answer(EMPTY[ITEM_OFFERS]))
    before = clock.now()
    scripted.client.offers(ASIN)
    assert timedelta(seconds=2) <= clock.now() - before <= timedelta(seconds=10)


def test_a_429_for_ever_is_told_as_such(scripted: AmazonRig, server: ScriptedServer) -> None:
    server.will(*[Scripted(b"", 429)] * MAX_TRIES)
    with pytest.raises(Throttled):
        scripted.client.offers(ASIN)
    assert len(asked(server)) == MAX_TRIES


def test_a_block_is_of_one_operation_only(
    scripted: AmazonRig, server: ScriptedServer, clock: FakeClock
) -> None:
    server.will(*[Scripted(b"", 429)] * MAX_TRIES)
    with pytest.raises(Throttled):
        scripted.client.offers(ASIN)
    before = clock.now()
    server.will(answer(EMPTY[SEARCH_CATALOG]))
    scripted.client.search_catalog([ASIN])
    assert clock.now() == before


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.ERROR_503_HTML,
        FaultKind.THROTTLE_429,
        FaultKind.THROTTLE_429_EMPTY,
        FaultKind.ERROR_500_ERRORS_EMPTY,
        FaultKind.EMPTY_BODY,
        FaultKind.TRUNCATED_JSON,
        FaultKind.DROP_BEFORE,
        FaultKind.DROP_AFTER,
        FaultKind.ERROR_AFTER,
    ],
)
@pytest.mark.parametrize("operation", [COMPETITIVE_PRICING, ITEM_OFFERS])
def test_every_fault_passes(
    client: AmazonClient, sandbox: Sandbox, world: World, operation: str, kind: FaultKind
) -> None:
    sandbox.faults.replace([Fault(operation, kind, times=2)])
    found = OPERATIONS[operation](client, [ASIN])
    assert list(found) == [ASIN]
    assert sandbox.calls(operation) == 3


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.EMPTY_BODY])
def test_a_fault_for_a_token_passes_too(
    client: AmazonClient, sandbox: Sandbox, kind: FaultKind
) -> None:
    sandbox.faults.replace([Fault(LWA, kind, times=1)])
    assert client.offers(ASIN)
    assert (sandbox.calls(LWA), sandbox.calls(ITEM_OFFERS)) == (2, 1)


def test_an_expired_token_is_replaced_by_one_new_one(
    client: AmazonClient, sandbox: Sandbox
) -> None:
    client.offers(ASIN)
    sandbox.expire_tokens("amazon")
    assert client.offers(ASIN)
    assert sandbox.calls(LWA) == 2
    assert sandbox.calls(ITEM_OFFERS, status=403) == 1
    assert client.search_catalog([ASIN])
    assert sandbox.calls(LWA) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_new_token_refused_as_well_is_the_end(
    scripted: AmazonRig, server: ScriptedServer, status: int
) -> None:
    denied = {"code": "Unauthorized", "message": "Access denied.", "details": "no such role"}
    server.will(
        answer({"errors": [denied]}, status),
        answer({"access_token": "Atza|second-token", "expires_in": 3600}),
        answer({"errors": [denied]}, status),
    )
    with pytest.raises(CredentialsRejected, match="no such role") as raised:
        scripted.client.competitive_prices([ASIN])
    assert "SP_API_REFRESH_TOKEN" in str(raised.value)
    assert SECRET not in str(raised.value)
    sent = [each.headers["x-amz-access-token"] for each in asked(server)]
    assert sent == [SECRET, "Atza|second-token"]


def test_refused_credentials_are_not_tried_again(sandbox: Sandbox, clock: FakeClock) -> None:
    wrong = replace(CREDENTIALS, client_secret="expired-secret")
    with (
        amazon_rigged(sandbox.url, clock, lambda: wrong) as rig,
        pytest.raises(CredentialsRejected, match="LWA_CLIENT_SECRET"),
    ):
        rig.client.competitive_prices([ASIN])
    assert sandbox.calls() == sandbox.calls(LWA) == 1


def test_a_secret_rotated_meanwhile_is_used(sandbox: Sandbox, clock: FakeClock) -> None:
    left: list[AmazonCredentials] = [replace(CREDENTIALS, client_secret="expired"), CREDENTIALS]

    def read() -> AmazonCredentials:
        return left.pop(0) if len(left) > 1 else left[0]

    with amazon_rigged(sandbox.url, clock, read) as rig:
        assert rig.client.offers(ASIN)
    assert sandbox.calls(LWA) == 2


MALFORMED_ASIN = "not-an-asin"


@pytest.mark.parametrize("place", [0, 7, 19])
@pytest.mark.parametrize("operation", [SEARCH_CATALOG, COMPETITIVE_PRICING])
def test_a_malformed_asin_costs_only_itself(
    client: AmazonClient, world: World, operation: str, place: int
) -> None:
    asins = list(world.of_kind(Kind.NORMAL)[: BATCH - 1])
    asins.insert(place, MALFORMED_ASIN)
    found = OPERATIONS[operation](client, asins)
    assert found.keys() == set(asins) - {MALFORMED_ASIN}
    assert client.calls[operation] <= 2 * 5 + 1


def test_an_asin_refused_inside_a_batch_costs_only_itself(
    client: AmazonClient, world: World
) -> None:
    unknown = world.of_kind(Kind.NOT_FOUND)[0]
    found = client.offers_batch([ASIN, unknown])
    assert found[ASIN].status == "Success"
    assert found[unknown].status == "InvalidInput"
    assert client.calls == {ITEM_OFFERS_BATCH: 1}


@each_operation
def test_a_refused_asin_alone_is_not_in_the_answer(
    scripted: AmazonRig, server: ScriptedServer, operation: str
) -> None:
    server.will(answer({"errors": [{"code": "InvalidInput", "message": "Invalid"}]}, 400))
    assert OPERATIONS[operation](scripted.client, [ASIN]) == {}
    assert len(asked(server)) == 1


def test_quotas_are_side_by_side(
    client: AmazonClient, sandbox: Sandbox, clock: FakeClock, world: World
) -> None:
    asins = list(world.asins[:BATCH])
    before = clock.now()
    for call in OPERATIONS.values():
        call(client, asins)
    assert clock.now() == before
    client.offers_batch(asins)
    assert clock.now() - before >= timedelta(seconds=9)
    assert sandbox.calls(status=429) == 0


@each_operation
def test_the_published_rate_is_used_up_and_never_exceeded(
    client: AmazonClient, sandbox: Sandbox, clock: FakeClock, operation: str
) -> None:
    before = clock.now()
    for _ in range(12):
        OPERATIONS[operation](client, [ASIN])
    rate = {SEARCH_CATALOG: 2, ITEM_OFFERS_BATCH: 0.1}.get(operation, 0.5)
    took = (clock.now() - before).total_seconds()
    assert 10 / rate <= took <= 13 / rate
    assert sandbox.calls(status=429) == 0


@pytest.mark.parametrize(
    ("header", "rate"),
    [("5.0", 5), ("100", 20), ("0.9", 1), ("1.5", 1.5), ("nan", 2), ("0", 2), ("inf", 2), ("x", 2)],
)
def test_the_rate_that_an_answer_names_is_learned_within_reason(
    scripted: AmazonRig, server: ScriptedServer, header: str, rate: float
) -> None:
    # The published rate is 2, of which a little is left to late packets.
    scripted.client.configure_quota(SEARCH_CATALOG, 2, 2)
    server.will(answer(EMPTY[SEARCH_CATALOG], x_amzn_RateLimit_Limit=header))
    scripted.client.search_catalog([ASIN])
    assert scripted.rate(SEARCH_CATALOG) == pytest.approx(rate * PACING)


def test_a_turn_that_comes_too_late_is_deferred_and_nothing_is_sent(
    client: AmazonClient, sandbox: Sandbox, clock: FakeClock
) -> None:
    until = clock.now() + timedelta(seconds=5)
    client.offers_batch([ASIN], until)
    with pytest.raises(Deferred):
        client.offers_batch([ASIN], until)
    assert sandbox.calls(ITEM_OFFERS_BATCH) == 1
    clock.advance(seconds=60)
    with pytest.raises(Deferred):
        client.offers_batch([ASIN], until)


def test_no_secret_is_shown_anywhere(
    sandbox: Sandbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    with amazon_rigged(sandbox.url, clock) as rig:
        undo = redaction.install(redaction.Redactor())
        loggers = ("", *redaction.CHATTY_LOGGERS)
        levels = {name: logging.getLogger(name).level for name in loggers}
        for name in loggers:
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            for kind in (FaultKind.ERROR_503_HTML, FaultKind.DROP_AFTER, FaultKind.EMPTY_BODY):
                sandbox.faults.replace([Fault(ITEM_OFFERS, kind)])
                with pytest.raises(EcautoError) as raised:
                    rig.client.offers(ASIN)
                shown.append(repr(raised.value))
            sandbox.faults.replace([])
            assert rig.client.offers(ASIN)
            shown.append(repr(rig.client) + repr(rig.tokens))
            token = rig.tokens.access_token()
        finally:
            undo()
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
    shown += [f"{record.getMessage()} {record.args!r}" for record in caplog.records]
    assert len(caplog.records) > 20
    text = "\n".join(shown)
    for secret in (token, CREDENTIALS.refresh_token, CREDENTIALS.client_secret):
        assert secret not in text


def test_an_answer_of_another_shape_is_no_proof(
    scripted: AmazonRig, server: ScriptedServer
) -> None:
    server.will(*[answer({"payload": {}})] * MAX_TRIES)
    with pytest.raises(NoProof, match="without payload"):
        scripted.client.competitive_prices([ASIN])
