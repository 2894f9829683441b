"""A store's token is the one set, or its app's own: fetched in time, replaced once, never shown."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ecauto_pipeline.clients.access_tokens import RENEW_BEFORE
from ecauto_pipeline.clients.shopify.tokens import TOKEN_PATH, ShopifyCredentials
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    Misconfigured,
    NoProof,
    Rejected,
)
from ecauto_pipeline_tests.clients.shopify.rig import OWN_APP, SECRET, STATIC, TOKEN, Rig, rigged
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import (
    Scripted,
    ScriptedServer,
    answer,
    refusal,
    scripted_server,
)

FETCHED = "shpat_fetched_canary_00112233"
DAY = timedelta(seconds=86399)


def granted(token: str = FETCHED, expires_in: object = 86399) -> Scripted:
    return answer({"access_token": token, "scope": "read_orders", "expires_in": expires_in})


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def rig(server: ScriptedServer, clock: FakeClock, tmp_path: Path) -> Iterator[Rig]:
    with rigged(server.url, clock, tmp_path, OWN_APP) as rig:
        yield rig


@pytest.mark.parametrize(
    "credentials", [STATIC, ShopifyCredentials(TOKEN, OWN_APP.client_id, OWN_APP.client_secret)]
)
def test_a_token_that_is_set_wins(
    server: ScriptedServer, rig: Rig, credentials: ShopifyCredentials
) -> None:
    rig.settings[0] = credentials
    assert rig.tokens.access_token() == TOKEN
    assert server.received == []


def test_an_apps_token_is_fetched_once_and_kept(server: ScriptedServer, rig: Rig) -> None:
    server.will(granted())
    assert [rig.tokens.access_token() for _ in range(3)] == [FETCHED] * 3
    (request,) = server.received
    assert (request.method, request.path) == ("POST", TOKEN_PATH)
    assert request.form == {
        "grant_type": "client_credentials",
        "client_id": "app-one",
        "client_secret": SECRET,
    }


def test_a_token_is_renewed_shortly_before_its_end(
    server: ScriptedServer, rig: Rig, clock: FakeClock
) -> None:
    server.will(granted(), granted("another_token"))
    rig.tokens.access_token()
    clock.advance(seconds=(DAY - RENEW_BEFORE).total_seconds())
    assert rig.tokens.access_token() == FETCHED
    clock.advance(seconds=1)
    assert rig.tokens.access_token() == "another_token"


@pytest.mark.parametrize("expires_in", [None, "soon", True, 0, -5, 10**12])
def test_a_lifetime_that_makes_no_sense_is_a_day(
    server: ScriptedServer, rig: Rig, clock: FakeClock, expires_in: object
) -> None:
    server.will(granted(expires_in=expires_in), granted("another_token"))
    rig.tokens.access_token()
    clock.advance(hours=23, seconds=3000)
    assert rig.tokens.access_token() == FETCHED
    clock.advance(hours=1)
    assert rig.tokens.access_token() == "another_token"


def test_a_refused_token_is_replaced(server: ScriptedServer, rig: Rig) -> None:
    server.will(granted(), granted("another_token"))
    token = rig.tokens.access_token()
    assert rig.tokens.refused(token)
    assert rig.tokens.access_token() == "another_token"
    assert rig.tokens.refused(token), "somebody else has replaced it"
    assert rig.tokens.access_token() == "another_token"


def test_a_refused_token_that_was_set_is_looked_up_again(rig: Rig) -> None:
    rig.settings[0] = STATIC
    assert not rig.tokens.refused(rig.tokens.access_token())
    rig.settings[0] = ShopifyCredentials("shpat_new_token")
    assert rig.tokens.refused(TOKEN)
    assert rig.tokens.access_token() == "shpat_new_token"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_secret_is_looked_up_again_once(
    server: ScriptedServer, rig: Rig, status: int
) -> None:
    server.will(refusal("invalid_client", "no such app", status))
    with pytest.raises(CredentialsRejected, match=r"store main \(HTTP \d+ no such app\)"):
        rig.tokens.access_token()

    def correct(_: object) -> Scripted:
        rig.settings[0] = ShopifyCredentials(client_id="app-two", client_secret="another-secret")
        return refusal("invalid_client", "no such app", status)

    server.will(correct, granted())
    assert rig.tokens.access_token() == FETCHED
    assert [request.form["client_id"] for request in server.received] == [
        "app-one",
        "app-one",
        "app-two",
    ]


def test_a_token_set_after_a_refusal_is_used(server: ScriptedServer, rig: Rig) -> None:
    def set_token(_: object) -> Scripted:
        rig.settings[0] = STATIC
        return refusal("invalid_client", status=401)

    server.will(set_token)
    assert rig.tokens.access_token() == TOKEN


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer({"error": "frozen"}, 402), AccountStopped),
        (answer({"error": "gone"}, 404), Rejected),
        (answer({"scope": ""}), NoProof),
        (granted("two\nlines"), NoProof),
        (Scripted(b"<html>"), NoProof),
    ],
)
def test_other_answers_give_no_token(
    server: ScriptedServer, rig: Rig, given: Scripted, expected: type[Exception]
) -> None:
    server.will(given)
    with pytest.raises(expected):
        rig.tokens.access_token()


@pytest.mark.parametrize(
    "credentials", [ShopifyCredentials(), ShopifyCredentials(client_id="app-one")]
)
def test_missing_credentials_name_the_setting(rig: Rig, credentials: ShopifyCredentials) -> None:
    rig.settings[0] = credentials
    with pytest.raises(Misconfigured, match="ECAUTO_SHOPIFY__STORES: store main"):
        rig.tokens.access_token()


def test_no_secret_can_be_shown(server: ScriptedServer, rig: Rig) -> None:
    server.will(granted())
    rig.tokens.access_token()
    shown = rig.http.shown(f"{FETCHED} {SECRET}")
    assert FETCHED not in shown
    assert SECRET not in shown
    assert SECRET not in repr(OWN_APP)
    assert TOKEN not in repr(STATIC)


def test_words_of_a_refusal_hold_no_secret(server: ScriptedServer, rig: Rig) -> None:
    server.will(refusal("invalid_client", f"the secret {SECRET} is wrong", 401))
    with pytest.raises(CredentialsRejected) as refused:
        rig.tokens.access_token()
    assert SECRET not in str(refused.value)


def test_the_fingerprint_stays_with_the_app_and_tells_nothing(
    server: ScriptedServer, rig: Rig
) -> None:
    of_app = rig.tokens.fingerprint()
    server.will(granted())
    rig.tokens.access_token()
    assert rig.tokens.fingerprint() == of_app
    rig.settings[0] = STATIC
    rig.tokens.refused("")
    of_token = rig.tokens.fingerprint()
    assert of_token != of_app
    assert of_token not in TOKEN
    assert TOKEN not in of_token
