"""Access tokens of Login with Amazon over real HTTP."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ecauto_pipeline.clients.access_tokens import RENEW_BEFORE
from ecauto_pipeline.clients.amazon.auth import AmazonCredentials, LwaTokens
from ecauto_pipeline.clients.http import MAX_BYTES, WHOLE_ANSWER, JsonApi, TooLong, open_http
from ecauto_pipeline.errors import CredentialsRejected, Misconfigured, NoProof, Unavailable
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.clients.amazon.rig import ACCEPTED, CREDENTIALS
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import Scripted, ScriptedServer, answer

LWA = "lwa/token"
PATH = "/auth/o2/token"
TOKEN = {"access_token": "Atza|one", "token_type": "bearer", "expires_in": 3600}

Open = Callable[..., LwaTokens]


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(World(count=1), clock=clock, amazon_credentials=ACCEPTED) as sandbox:
        yield sandbox


@pytest.fixture
def open_tokens(clock: FakeClock) -> Iterator[Open]:
    """Makes a source of tokens for an endpoint and credentials, one per time they are read."""
    with open_http() as http:

        def make(endpoint: str, *credentials: AmazonCredentials) -> LwaTokens:
            left = list(credentials or [CREDENTIALS])

            def read() -> AmazonCredentials:
                return left.pop(0) if len(left) > 1 else left[0]

            return LwaTokens(read, JsonApi(http, endpoint, clock), clock)

        yield make


def test_a_token_is_kept_until_shortly_before_its_end(
    sandbox: Sandbox, open_tokens: Open, clock: FakeClock
) -> None:
    tokens = open_tokens(sandbox.url)
    first = tokens.access_token()
    clock.advance(seconds=(timedelta(hours=1) - RENEW_BEFORE).total_seconds())
    assert tokens.access_token() == first
    clock.advance(seconds=1)
    assert tokens.access_token() != first
    assert sandbox.calls(LWA) == 2


def test_what_is_sent_is_a_form(server: ScriptedServer, open_tokens: Open) -> None:
    server.will(answer(TOKEN))
    assert open_tokens(server.url).access_token() == "Atza|one"
    (request,) = server.asked(PATH)
    assert request.form == {
        "grant_type": "refresh_token",
        "refresh_token": CREDENTIALS.refresh_token,
        "client_id": CREDENTIALS.app_id,
        "client_secret": CREDENTIALS.client_secret,
    }


def test_threads_share_one_token(sandbox: Sandbox, open_tokens: Open) -> None:
    tokens = open_tokens(sandbox.url)
    seen: list[str] = []
    threads = [
        threading.Thread(target=lambda: seen.append(tokens.access_token())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert sandbox.calls(LWA) == 1


def test_a_refused_token_is_replaced_once(sandbox: Sandbox, open_tokens: Open) -> None:
    tokens = open_tokens(sandbox.url)
    first = tokens.access_token()
    tokens.refused(first)
    second = tokens.access_token()
    tokens.refused(first)
    assert tokens.access_token() == second
    assert second != first
    assert sandbox.calls(LWA) == 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (replace(CREDENTIALS, refresh_token="Atzr|revoked"), "SP_API_REFRESH_TOKEN"),
        (replace(CREDENTIALS, client_secret="expired-secret"), "LWA_CLIENT_SECRET"),
        (replace(CREDENTIALS, app_id="another-app"), "LWA_APP_ID"),
    ],
)
def test_refused_credentials_name_their_setting(
    sandbox: Sandbox, open_tokens: Open, wrong: AmazonCredentials, named: str
) -> None:
    with pytest.raises(CredentialsRejected, match=named) as raised:
        open_tokens(sandbox.url, wrong).access_token()
    for secret in (wrong.refresh_token, wrong.client_secret, wrong.app_id):
        assert secret not in str(raised.value)
    assert sandbox.calls(LWA) == 1


def test_a_rotated_secret_is_read_before_giving_up(sandbox: Sandbox, open_tokens: Open) -> None:
    tokens = open_tokens(sandbox.url, replace(CREDENTIALS, client_secret="expired"), CREDENTIALS)
    assert tokens.access_token()
    assert sandbox.calls(LWA) == 2


def test_a_wrong_new_secret_is_refused_as_well(sandbox: Sandbox, open_tokens: Open) -> None:
    old, new = (replace(CREDENTIALS, client_secret=secret) for secret in ("old", "newer"))
    with pytest.raises(CredentialsRejected):
        open_tokens(sandbox.url, old, new).access_token()
    assert sandbox.calls(LWA) == 2


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"refresh_token": ""}, "SP_API_REFRESH_TOKEN"),
        ({"app_id": "", "client_secret": ""}, "LWA_APP_ID, LWA_CLIENT_SECRET"),
    ],
)
def test_a_missing_credential_is_named_and_nothing_is_sent(
    sandbox: Sandbox, open_tokens: Open, missing: dict[str, str], named: str
) -> None:
    with pytest.raises(Misconfigured, match=f"^{named}: not set"):
        open_tokens(sandbox.url, replace(CREDENTIALS, **missing)).access_token()
    assert sandbox.calls(LWA) == 0


@pytest.mark.parametrize(
    "scripted",
    [
        Scripted(drop=True),
        Scripted(b"<html>503</html>", 503),
        Scripted(b"", 429),
        Scripted(b"", 400),
        Scripted(b"not gzip", 200, {"Content-Encoding": "gzip"}),
        answer({"message": "Forbidden"}, 403),
        answer({"error": "server_error"}, 500),
    ],
)
def test_trouble_at_amazon_says_nothing_about_the_credentials(
    server: ScriptedServer, open_tokens: Open, scripted: Scripted
) -> None:
    server.will(scripted, answer(TOKEN))
    tokens = open_tokens(server.url)
    with pytest.raises(Unavailable):
        tokens.access_token()
    assert tokens.access_token() == "Atza|one"


def test_an_answer_without_an_end_is_not_read_to_the_end(
    server: ScriptedServer, open_tokens: Open
) -> None:
    server.will(Scripted(answer(TOKEN).body + b" " * MAX_BYTES))
    with pytest.raises(TooLong):
        open_tokens(server.url).access_token()


def test_an_answer_that_trickles_is_not_waited_for(
    server: ScriptedServer, open_tokens: Open, clock: FakeClock
) -> None:
    def trickle() -> None:
        clock.advance(seconds=WHOLE_ANSWER.total_seconds() + 1)

    server.will(replace(answer(TOKEN), before_body=trickle))
    with pytest.raises(Unavailable, match="too slowly"):
        open_tokens(server.url).access_token()


@pytest.mark.parametrize(
    "scripted",
    [
        Scripted(b""),
        Scripted(b'{"access_token": "Atza|o'),
        Scripted(b"<html>"),
        answer([]),
        answer({}),
        answer({**TOKEN, "access_token": ""}),
        answer({**TOKEN, "access_token": 7}),
        answer({**TOKEN, "access_token": "Atza|\n"}),
        answer({**TOKEN, "access_token": "Atza|🎁"}),
    ],
)
def test_an_answer_without_a_token_is_no_proof(
    server: ScriptedServer, open_tokens: Open, scripted: Scripted
) -> None:
    server.will(scripted)
    with pytest.raises(NoProof):
        open_tokens(server.url).access_token()


@pytest.mark.parametrize("seconds", [None, "3600", "soon", -1, 0, True, 10**18, [3600]])
def test_an_odd_lifetime_is_taken_for_an_hour(
    server: ScriptedServer, open_tokens: Open, clock: FakeClock, seconds: Any
) -> None:
    server.will(answer({**TOKEN, "expires_in": seconds}), answer({**TOKEN, "access_token": "two"}))
    tokens = open_tokens(server.url)
    tokens.access_token()
    clock.advance(seconds=3000)
    assert tokens.access_token() == "Atza|one"
    clock.advance(seconds=301)
    assert tokens.access_token() == "two"


def test_no_credential_is_shown() -> None:
    shown = repr(CREDENTIALS) + str(CREDENTIALS)
    for secret in (CREDENTIALS.refresh_token, CREDENTIALS.app_id, CREDENTIALS.client_secret):
        assert secret not in shown
