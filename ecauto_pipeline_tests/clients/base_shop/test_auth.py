"""Access tokens of BASE: refreshed in time, once, and never in a loop."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.base_shop.auth import MAX_REFUSALS, SCOPES, authorize_url
from ecauto_pipeline.domain.base_shop.accounts import AccountState, Tokens
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    EcautoError,
    Misconfigured,
    NoProof,
    NotSent,
    NotServed,
    Rejected,
    Throttled,
    Unavailable,
)
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline_tests.children import at_once
from ecauto_pipeline_tests.clients.base_shop.rig import (
    ACCOUNT,
    OTHER_SEED,
    SEED,
    Rig,
    other_credentials,
    refresh_and_use,
    rigged,
)
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import (
    Received,
    Scripted,
    ScriptedServer,
    answer,
    refusal,
    scripted_server,
)

TOKEN = "oauth/token"
TOKEN_PATH = "/1/oauth/token"

PAIR = answer(
    {
        "access_token": "access-1-0123456789",
        "token_type": "bearer",
        "expires_in": 3600,
        "refresh_token": "refresh-1-0123456789",
    }
)

LOST = [
    Scripted(drop=True),
    Scripted(b"<html>", 502),
    Scripted(b""),
    Scripted(PAIR.body[:40]),
    answer({"token_type": "bearer"}),
    answer({"access_token": "not\nfor a header", "refresh_token": "refresh"}),
    refusal("server_error", "DB error"),
]


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(World(count=1), (SEED, OTHER_SEED), clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def rig(engine: sa.Engine, sandbox: Sandbox, clock: FakeClock) -> Iterator[Rig]:
    with rigged(engine, sandbox.url, clock) as rig:
        yield rig


@pytest.fixture
def scripted(engine: sa.Engine, server: ScriptedServer, clock: FakeClock) -> Iterator[Rig]:
    with rigged(engine, server.url, clock) as rig:
        yield rig


def stored(rig: Rig) -> Tokens:
    tokens = rig.store.tokens(rig.account.id)
    assert tokens is not None
    return tokens


def shop_of(rig: Rig, token: str) -> str:
    body = rig.api.send("GET", "/1/users/me", token=token).object()
    return body["user"]["shop_id"]


def test_the_first_use_takes_the_seed(rig: Rig) -> None:
    assert shop_of(rig, rig.tokens().access_token()) == SEED.shop_id
    assert stored(rig).previous_refresh_token == SEED.refresh_token
    assert stored(rig).refresh_started_at is None


def test_a_fresh_token_is_used_on(rig: Rig, sandbox: Sandbox) -> None:
    token = rig.tokens().access_token()
    rig.clock.advance(seconds=54 * 60)
    assert rig.tokens().access_token() == token
    assert sandbox.calls(TOKEN) == 1


def test_a_token_is_refreshed_five_minutes_before_it_expires(rig: Rig, sandbox: Sandbox) -> None:
    token = rig.tokens().access_token()
    rig.clock.advance(seconds=55 * 60)
    newer = rig.tokens().access_token()
    assert newer != token
    assert shop_of(rig, newer) == SEED.shop_id
    assert sandbox.calls(TOKEN) == 2


def test_a_refused_token_is_replaced_once(rig: Rig, sandbox: Sandbox) -> None:
    tokens = rig.tokens()
    old = tokens.access_token()
    tokens.refused(old)
    assert tokens.access_token() != old
    assert tokens.access_token() == stored(rig).access_token
    assert sandbox.calls(TOKEN) == 2


def test_a_token_that_another_process_refreshed_is_taken_over(rig: Rig, sandbox: Sandbox) -> None:
    mine, theirs = rig.tokens(), rig.tokens()
    old = mine.access_token()
    theirs.refused(old)
    newer = theirs.access_token()
    mine.refused(old)
    assert mine.access_token() == newer
    assert sandbox.calls(TOKEN) == 2


@pytest.mark.process
def test_processes_that_refresh_at_once_send_one_refresh(engine: sa.Engine, url: str) -> None:
    with Sandbox(World(count=1), (SEED,)) as sandbox:
        at_once(3, refresh_and_use, url, sandbox.url)
        assert sandbox.calls(TOKEN) == 1
        assert sandbox.calls("users/me", status=200) == 3


def test_the_refresh_is_noted_before_it_is_sent_and_names_the_redirect_uri(
    scripted: Rig, server: ScriptedServer
) -> None:
    noted: list[Tokens] = []

    def look(_: Received) -> Scripted:
        noted.append(stored(scripted))
        return PAIR

    server.will(look)
    assert scripted.tokens().access_token() == "access-1-0123456789"
    assert noted[0].refresh_started_at == scripted.clock.now()
    assert noted[0].refresh_token == SEED.refresh_token
    assert server.received[0].form == {
        "grant_type": "refresh_token",
        "refresh_token": SEED.refresh_token,
        "redirect_uri": ACCOUNT.redirect_uri,
        "client_id": ACCOUNT.client_id,
        "client_secret": ACCOUNT.client_secret,
    }


@pytest.mark.parametrize(
    "kind", [FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER, FaultKind.EMPTY_BODY]
)
def test_a_lost_answer_after_rotation_is_tried_once_more_and_then_a_person_must_act(
    rig: Rig, sandbox: Sandbox, kind: FaultKind
) -> None:
    sandbox.faults.replace([Fault(TOKEN, kind, times=1)])
    tokens = rig.tokens()
    with pytest.raises(AccountStopped) as raised:
        tokens.access_token()
    assert "one (本店)" in str(raised.value)
    assert "ecauto base connect one" in str(raised.value)
    assert stored(rig).state is AccountState.NEEDS_REAUTH
    for again in (tokens, rig.tokens()):
        with pytest.raises(AccountStopped, match="ecauto base connect one"):
            again.access_token()
    assert sandbox.calls(TOKEN) == 2


def test_a_shop_under_maintenance_locks_nobody_out(rig: Rig, sandbox: Sandbox) -> None:
    sandbox.faults.replace([Fault(TOKEN, FaultKind.ERROR_503_HTML, times=5)])
    for _ in range(5):
        with pytest.raises(NotServed):
            rig.tokens().access_token()
    assert shop_of(rig, rig.tokens().access_token()) == SEED.shop_id
    assert stored(rig).state is AccountState.OK


def test_a_refresh_that_never_arrived_is_made_up_for(rig: Rig, sandbox: Sandbox) -> None:
    sandbox.faults.replace([Fault(TOKEN, FaultKind.DROP_BEFORE, times=1)])
    assert shop_of(rig, rig.tokens().access_token()) == SEED.shop_id
    assert sandbox.calls(TOKEN) == 2
    assert stored(rig).refresh_started_at is None
    assert rig.clock.slept == [10]


@pytest.mark.parametrize("lost", LOST)
def test_two_lost_answers_end_it(scripted: Rig, server: ScriptedServer, lost: Scripted) -> None:
    server.will(lost, lost)
    for _ in range(3):
        with pytest.raises(AccountStopped, match="answer to the last refresh was lost"):
            scripted.tokens().access_token()
    assert len(server.received) == 2


def test_while_the_old_token_lasts_the_second_try_waits(rig: Rig, sandbox: Sandbox) -> None:
    tokens = rig.tokens()
    old = tokens.access_token()
    rig.clock.advance(seconds=56 * 60)
    sandbox.faults.replace([Fault(TOKEN, FaultKind.DROP_BEFORE, times=1)])
    assert tokens.access_token() == old
    assert rig.tokens().access_token() == old
    assert sandbox.calls(TOKEN) == 2
    rig.clock.advance(seconds=4 * 60)
    assert tokens.access_token() != old
    assert sandbox.calls(TOKEN) == 3


class Killed(BaseException):
    """The end of a process."""


class KilledWhenSaving(AccountStore):
    """A store whose process is killed when the new pair is to be saved."""

    def save_tokens(self, account_id: str, tokens: Tokens) -> None:
        """Die instead."""
        if tokens.refresh_started_at is None:
            raise Killed
        super().save_tokens(account_id, tokens)


def test_a_crash_between_refresh_and_save_is_said_plainly(
    rig: Rig, sandbox: Sandbox, engine: sa.Engine
) -> None:
    with pytest.raises(Killed):
        rig.tokens(store=KilledWhenSaving(engine, Cipher(), rig.clock, "base")).access_token()
    with pytest.raises(AccountStopped, match="ecauto base connect one"):
        rig.tokens().access_token()
    assert sandbox.calls(TOKEN) == 2


def test_a_crash_before_the_refresh_arrived_is_recovered(rig: Rig) -> None:
    started = Tokens(refresh_token=SEED.refresh_token, refresh_started_at=rig.clock.now())
    rig.store.save_tokens("one", started)
    rig.clock.advance(hours=1)
    assert shop_of(rig, rig.tokens().access_token()) == SEED.shop_id
    assert stored(rig).state is AccountState.OK
    assert rig.clock.slept == []


def test_a_crash_in_the_second_try_allows_no_third(
    rig: Rig, sandbox: Sandbox, engine: sa.Engine
) -> None:
    started = Tokens(refresh_token=SEED.refresh_token, refresh_started_at=rig.clock.now())
    rig.store.save_tokens("one", started)
    with pytest.raises(Killed):
        rig.tokens(store=KilledWhenSaving(engine, Cipher(), rig.clock, "base")).access_token()
    with pytest.raises(AccountStopped, match="lost"):
        rig.tokens().access_token()
    assert sandbox.calls(TOKEN) == 1


def test_an_unreachable_server_uses_up_no_try(engine: sa.Engine, clock: FakeClock) -> None:
    with scripted_server() as server:
        endpoint = server.url
    with rigged(engine, endpoint, clock) as rig:
        for _ in range(3):
            with pytest.raises(NotSent):
                rig.tokens().access_token()
        assert stored(rig).refresh_started_at is None
        rig.store.set_refresh_started("one", clock.now())
        for _ in range(3):
            with pytest.raises(NotSent):
                rig.tokens().access_token()
        assert stored(rig).state is AccountState.OK


def test_a_refresh_that_is_throttled_uses_up_no_try(scripted: Rig, server: ScriptedServer) -> None:
    busy = Scripted(b"", 429, {"Retry-After": "7"})
    server.will(busy, busy, busy, PAIR)
    for _ in range(3):
        with pytest.raises(Throttled) as raised:
            scripted.tokens().access_token()
        assert raised.value.retry_after == 7
    assert scripted.tokens().access_token() == "access-1-0123456789"


@pytest.mark.parametrize(
    ("error", "description", "state"),
    [
        ("invalid_request", "不正なリフレッシュトークンです。", AccountState.NEEDS_REAUTH),
        (
            "invalid_request",
            "リフレッシュトークンの有効期限が切れています。",
            AccountState.NEEDS_REAUTH,
        ),
        ("invalid_grant", None, AccountState.NEEDS_REAUTH),
        ("access_denied", "利用が制限されているユーザーです", AccountState.RESTRICTED),
        ("access_denied", "ユーザーが存在しません。", AccountState.RESTRICTED),
    ],
)
def test_what_only_a_person_can_settle_stops_the_account(
    scripted: Rig,
    server: ScriptedServer,
    error: str,
    description: str | None,
    state: AccountState,
) -> None:
    server.will(refusal(error, description))
    for _ in range(2):
        with pytest.raises(AccountStopped, match="ecauto base connect one"):
            scripted.tokens().access_token()
    assert stored(scripted).state is state
    assert len(server.received) == 1


def test_other_refusals_leave_the_account_and_its_journal_alone(
    scripted: Rig, server: ScriptedServer
) -> None:
    server.will(refusal("invalid_request", "不正なパラメーターです。"))
    with pytest.raises(Rejected, match="不正なパラメーターです。"):
        scripted.tokens().access_token()
    assert stored(scripted).state is AccountState.OK
    assert stored(scripted).refresh_started_at is None


def test_client_credentials_are_read_again_before_giving_up(rig: Rig, sandbox: Sandbox) -> None:
    tokens = rig.tokens(account=other_credentials(), reload=lambda: ACCOUNT)
    assert shop_of(rig, tokens.access_token()) == SEED.shop_id
    assert sandbox.calls(TOKEN) == 2


def test_credentials_that_stay_wrong_are_named(rig: Rig, sandbox: Sandbox) -> None:
    tokens = rig.tokens(account=other_credentials(), reload=other_credentials)
    with pytest.raises(CredentialsRejected, match=r"one \(本店\)") as raised:
        tokens.access_token()
    assert "wrong-client-secret" not in str(raised.value)
    assert sandbox.calls(TOKEN) == 1
    assert stored(rig).state is AccountState.OK


def test_an_account_that_was_never_connected_is_told_how(rig: Rig, sandbox: Sandbox) -> None:
    with pytest.raises(AccountStopped, match=r"never connected.*ecauto base connect one"):
        rig.tokens(account=replace(ACCOUNT, seed_refresh_token="")).access_token()
    assert sandbox.calls(TOKEN) == 0


def test_tokens_that_are_always_refused_stop_the_account(rig: Rig, sandbox: Sandbox) -> None:
    tokens = rig.tokens()
    for _ in range(MAX_REFUSALS - 1):
        tokens.refused(tokens.access_token())
    with pytest.raises(AccountStopped, match="just given"):
        tokens.refused(tokens.access_token())
    assert sandbox.calls(TOKEN) == MAX_REFUSALS


def _code(rig: Rig, sandbox: Sandbox, account_id: str = "one") -> str:
    """What the shop's owner brings back from BASE."""
    seed = SEED if account_id == "one" else OTHER_SEED
    url = authorize_url(sandbox.url, replace(rig.account, client_id=seed.client_id), "state-1")
    location = httpx.get(url, follow_redirects=False).headers["Location"]
    query = parse_qs(urlsplit(location).query)
    assert query["state"] == ["state-1"]
    return query["code"][0]


def test_the_owner_is_sent_to_base_with_everything_it_asks_for(rig: Rig) -> None:
    url = authorize_url("https://api.thebase.in/", rig.account, "xyz")
    assert url.startswith("https://api.thebase.in/1/oauth/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": [ACCOUNT.client_id],
        "redirect_uri": [ACCOUNT.redirect_uri],
        "scope": [SCOPES],
        "state": ["xyz"],
    }


def test_connecting_stores_tokens_and_shop_and_frees_the_account(
    rig: Rig, sandbox: Sandbox
) -> None:
    rig.store.set_state("one", AccountState.NEEDS_REAUTH, "lost")
    tokens = rig.tokens()
    assert tokens.connect(_code(rig, sandbox), ACCOUNT.redirect_uri).id == SEED.shop_id
    assert stored(rig).shop_id == SEED.shop_id
    assert stored(rig).scope == SCOPES
    assert shop_of(rig, tokens.access_token()) == SEED.shop_id


def test_connecting_the_wrong_shop_is_refused_and_changes_nothing(
    rig: Rig, sandbox: Sandbox
) -> None:
    rig.tokens().connect(_code(rig, sandbox))
    before = stored(rig)
    wrong = replace(ACCOUNT, client_id=OTHER_SEED.client_id, client_secret=OTHER_SEED.client_secret)
    with pytest.raises(Misconfigured, match=r"shop-one.*shop-two.*ecauto base connect one"):
        rig.tokens(account=wrong).connect(_code(rig, sandbox, "two"))
    assert stored(rig) == before


@pytest.mark.parametrize(
    "script",
    [
        [refusal("invalid_request", "不正な認可コードです。")],
        [refusal("invalid_grant")],
        [refusal("access_denied", "利用が制限されているユーザーです")],
        [PAIR, refusal("invalid_scope", "スコープが無効です。")],
        [PAIR, answer({"user": {}})],
        [PAIR, Scripted(drop=True)],
    ],
)
def test_a_login_that_fails_leaves_the_tokens_that_are_there(
    scripted: Rig, server: ScriptedServer, script: list[Scripted]
) -> None:
    working = Tokens(
        access_token="working-0123456789",
        refresh_token="refresh-0123456789",
        expires_at=scripted.clock.now() + timedelta(hours=1),
    )
    scripted.store.save_tokens("one", working)
    server.will(*script)
    with pytest.raises((Rejected, NoProof, Unavailable)):
        scripted.tokens().connect("code-0123456789")
    assert stored(scripted) == working


def test_no_error_shows_a_secret(scripted: Rig, server: ScriptedServer) -> None:
    echo = f"{SEED.refresh_token} {ACCOUNT.client_secret} access_token=abcdef0123456789"
    server.will(
        refusal("invalid_request", echo),
        refusal("invalid_grant", echo),
    )
    tokens = scripted.tokens()
    shown = repr(tokens) + repr(scripted.api) + repr(scripted.account)
    for _ in range(2):
        with pytest.raises(EcautoError) as raised:
            tokens.access_token()
        shown += str(raised.value) + repr(raised.value)
    shown += stored(scripted).state_reason
    for secret in (SEED.refresh_token, ACCOUNT.client_secret, "abcdef0123456789"):
        assert secret not in shown
