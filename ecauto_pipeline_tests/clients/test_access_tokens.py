"""What all marketplaces' access tokens have in common."""

from datetime import timedelta
from typing import Any

import pytest

from ecauto_pipeline.clients.access_tokens import (
    RENEW_BEFORE,
    AccessToken,
    AccessTokens,
    granted,
    with_credentials,
)
from ecauto_pipeline.clients.http import Answer, JsonApi, open_http
from ecauto_pipeline.errors import CredentialsRejected, EcautoError, NoProof
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

HOUR = timedelta(hours=1)
TOKEN = "Atza|canary-0123456789"


@pytest.fixture
def api(clock: FakeClock) -> JsonApi:
    return JsonApi(open_http(), "http://127.0.0.1:9", clock)


@pytest.mark.parametrize(
    ("told", "lifetime"),
    [(60, timedelta(minutes=1)), (3600, HOUR), (7200, HOUR), (10**18, HOUR), (None, HOUR)]
    + [(odd, HOUR) for odd in ("60", True, 0, -1, 60.0, [60])],
)
def test_a_token_lives_as_long_as_told_and_no_longer_than_usual(
    api: JsonApi, told: Any, lifetime: timedelta
) -> None:
    answer = Answer(200, {"access_token": TOKEN, "expires_in": told})
    assert granted(api, answer, MIDDAY, HOUR) == AccessToken(TOKEN, MIDDAY + lifetime)


@pytest.mark.parametrize("token", [None, "", 7, "two words", "two\nlines", "鍵"])
def test_what_no_header_can_hold_is_no_token(api: JsonApi, token: object) -> None:
    with pytest.raises(NoProof, match=r"127\.0\.0\.1:9: .* without an access token"):
        granted(api, Answer(200, {"access_token": token}), MIDDAY, HOUR)


def test_a_token_is_never_shown(api: JsonApi) -> None:
    token = granted(api, Answer(200, {"access_token": TOKEN}), MIDDAY, HOUR)
    assert TOKEN not in repr(token)
    assert TOKEN not in api.shown(f"the token {TOKEN} is no more")


class Scripted(AccessTokens[str]):
    """Gives the tokens of a script, an hour each, and fails where it says so."""

    def __init__(self, clock: FakeClock, *script: str | EcautoError) -> None:
        super().__init__(lambda: "credentials", clock)
        self.script = list(script)

    def fetched(self, credentials: str) -> AccessToken:
        found = self.script.pop(0)
        if isinstance(found, EcautoError):
            raise found
        return AccessToken(found, self._clock.now() + HOUR)


def test_a_token_is_kept_until_shortly_before_it_ends(clock: FakeClock) -> None:
    tokens = Scripted(clock, "a", "b")
    assert tokens.access_token() == "a"
    clock.advance(seconds=(HOUR - RENEW_BEFORE).total_seconds())
    assert tokens.access_token() == "a"
    clock.advance(seconds=1)
    assert tokens.access_token() == "b"


def test_a_refused_token_is_replaced_once(clock: FakeClock) -> None:
    tokens = Scripted(clock, "a", "b")
    assert tokens.access_token() == "a"
    for _ in range(2):
        assert tokens.refused("a")
        assert tokens.access_token() == "b"


def test_a_token_that_could_not_be_had_is_asked_for_again(clock: FakeClock) -> None:
    tokens = Scripted(clock, NoProof("nothing"), "a")
    with pytest.raises(NoProof):
        tokens.access_token()
    assert tokens.access_token() == "a"


def _ask(credentials: str) -> str:
    if credentials == "good":
        return "a token"
    raise CredentialsRejected(credentials)


def test_refused_credentials_are_read_again_once() -> None:
    assert with_credentials("old", lambda: "good", _ask) == "a token"
    with pytest.raises(CredentialsRejected, match="newer"):
        with_credentials("old", lambda: "newer", _ask)


def test_the_same_credentials_are_not_tried_twice() -> None:
    asked: list[str] = []

    def ask(credentials: str) -> str:
        asked.append(credentials)
        return _ask(credentials)

    with pytest.raises(CredentialsRejected):
        with_credentials("old", lambda: "old", ask)
    assert asked == ["old"]
