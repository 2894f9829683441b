"""BASE's items over real HTTP: against the sandbox, and against scripted answers."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.base_shop.auth import Refusal, TokenRefused, Verdict
from ecauto_pipeline.clients.base_shop.client import CALLS_PER_DAY, BaseShopClient, item_from
from ecauto_pipeline.domain.base_shop.accounts import AccountState, Tokens
from ecauto_pipeline.domain.shops.changes import Item
from ecauto_pipeline.errors import (
    AccountStopped,
    CredentialsRejected,
    Deferred,
    EcautoError,
    ItemGone,
    NoProof,
    Rejected,
    Throttled,
    Unavailable,
)
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop import state as base_shop_state
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.rate_buckets import RateWindows
from ecauto_pipeline_tests.clients.base_shop.rig import ACCOUNT, SEED, Rig, rigged
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.places import CONTRACTS
from ecauto_pipeline_tests.scripted_server import (
    Received,
    Scripted,
    ScriptedServer,
    answer,
    refusal,
    scripted_server,
)

TOKEN = "oauth/token"
ITEMS = 250

BODIES = CONTRACTS / "base"

NODE: dict[str, Any] = {
    "item_id": 1,
    "title": "Tシャツ",
    "price": 4900,
    "stock": 3,
    "visible": 1,
    "identifier": "abcd-1234",
    "modified": 1414731174,
}


@pytest.fixture
def backend() -> str:
    """One database will do: tokens and budgets are tested with each of them on their own."""
    return "sqlite"


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    items = [
        base_shop_state.Item(
            title=f"item {number}", price=1000 + number, stock=1, visible=number % 2
        )
        for number in range(ITEMS)
    ]
    with Sandbox(World(count=1), (SEED,), {"one": items}, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def rig(engine: sa.Engine, sandbox: Sandbox, clock: FakeClock) -> Iterator[Rig]:
    with rigged(engine, sandbox.url, clock) as rig:
        yield rig


@pytest.fixture
def client(rig: Rig) -> BaseShopClient:
    return rig.client()


@pytest.fixture
def scripted(engine: sa.Engine, server: ScriptedServer, clock: FakeClock) -> Iterator[Rig]:
    """An account with a good token, so that only what a test is about is asked for."""
    with rigged(engine, server.url, clock) as rig:
        rig.store.save_tokens("one", good_tokens(clock))
        yield rig


def good_tokens(clock: FakeClock) -> Tokens:
    return Tokens(
        access_token="access-0123456789",
        refresh_token="refresh-0123456789",
        obtained_at=clock.now(),
        expires_at=clock.now() + timedelta(days=2),
    )


def first_item(sandbox: Sandbox) -> str:
    return str(sandbox.items("one")[0].item_id)


def test_all_items_are_listed_once_hidden_ones_too(
    client: BaseShopClient, sandbox: Sandbox
) -> None:
    items = list(client.items())
    assert [item.item_id for item in items] == [str(each.item_id) for each in sandbox.items("one")]
    assert [item.price_jpy for item in items] == [1000 + number for number in range(ITEMS)]
    assert sum(item.visible for item in items) == ITEMS // 2
    assert client.calls == {"items": 3}
    assert sandbox.calls("items") == 3


def test_an_item_is_read_by_its_id(client: BaseShopClient, sandbox: Sandbox) -> None:
    assert client.item(first_item(sandbox)).title == "item 0"


def test_an_item_that_is_not_there_is_gone(client: BaseShopClient) -> None:
    with pytest.raises(ItemGone, match="商品が見つかりませんでした。") as raised:
        client.item("999")
    assert raised.value.code == "no_item"
    with pytest.raises(ItemGone, match="bad_item_id"):
        client.edit("999", stock=0)


@pytest.mark.parametrize("item_id", ["", "../users/me", "1?x=1", "１", "1/2"])
def test_what_is_no_item_id_is_not_sent(
    client: BaseShopClient, sandbox: Sandbox, item_id: str
) -> None:
    for call in (lambda: client.item(item_id), lambda: client.edit(item_id, stock=1)):
        with pytest.raises(Rejected, match="no item id"):
            call()
    assert sandbox.calls() == 0


def test_an_edit_changes_only_what_is_asked(client: BaseShopClient, sandbox: Sandbox) -> None:
    item_id = first_item(sandbox)
    before = client.item(item_id)
    after = client.edit(item_id, price_jpy=2980)
    assert replace(after, modified_at=None) == replace(before, price_jpy=2980, modified_at=None)
    after = client.edit(item_id, visible=True, stock=0)
    assert (after.price_jpy, after.visible, after.stock) == (2980, True, 0)
    assert client.edit(item_id, visible=False).visible is False


def test_an_edit_of_nothing_is_a_mistake(client: BaseShopClient, sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="nothing"):
        client.edit(first_item(sandbox))


def test_the_shop_tells_who_it_is(client: BaseShopClient) -> None:
    assert client.me().id == SEED.shop_id


def test_an_expired_token_is_replaced_and_the_call_made_again(
    client: BaseShopClient, sandbox: Sandbox
) -> None:
    client.me()
    sandbox.expire_tokens("base")
    assert client.me().id == SEED.shop_id
    assert sandbox.calls(TOKEN) == 2
    assert client.calls == {"users/me": 3}


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.ERROR_503_HTML,
        FaultKind.DROP_BEFORE,
        FaultKind.DROP_AFTER,
        FaultKind.ERROR_AFTER,
        FaultKind.EMPTY_BODY,
        FaultKind.TRUNCATED_JSON,
        FaultKind.BASE_ERROR,
        FaultKind.THROTTLE_429_EMPTY,
    ],
)
def test_failures_that_pass_are_survived(
    client: BaseShopClient, sandbox: Sandbox, kind: FaultKind
) -> None:
    sandbox.faults.replace([Fault("items/edit", kind, times=4)])
    assert client.edit(first_item(sandbox), price_jpy=777).price_jpy == 777
    assert client.calls == {"items/edit": 5}


def test_retries_end_after_five_tries_with_growing_pauses(
    client: BaseShopClient, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.faults.replace([Fault("items", FaultKind.ERROR_503_HTML)])
    with pytest.raises(Unavailable, match="HTTP 503"):
        list(client.items())
    assert sandbox.calls("items") == 5
    assert [pause for pause in clock.slept if pause >= 1] == [1, 2, 4, 8]


def test_a_listing_that_breaks_off_is_no_proof(client: BaseShopClient, sandbox: Sandbox) -> None:
    sandbox.faults.replace([Fault("items", FaultKind.TRUNCATED_JSON, after=1)])
    with pytest.raises(NoProof):
        list(client.items())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"{}",
        b'{"items": null}',
        b'{"items": {}}',
        b'{"items": [1]}',
        b'{"items": [{}]}',
        b"[]",
        b"null",
        b'{"items": [',
        b'{"items": [{"item_id": 1.5, "title": "", "price": 1, "stock": 1, "visible": 1}]}',
        b'{"items": [{"item_id": 1, "title": "", "price": NaN, "stock": 1, "visible": 1}]}',
        b'{"items": [{"item_id": 1, "title": "", "price": 1, "stock": 1, "visible": 2}]}',
        b'{"items": [{"item_id": 1, "title": "", "price": 1%s, "stock": 1, "visible": 1}]}'
        % (b"0" * 19),
        b"[" * 100_000,
    ],
)
def test_a_200_that_is_no_listing_is_no_proof(
    scripted: Rig, server: ScriptedServer, body: bytes
) -> None:
    server.will(*[Scripted(body)] * 5)
    with pytest.raises(NoProof):
        list(scripted.client().items())


def _page(*numbers: int) -> Scripted:
    return answer({"items": [{**NODE, "item_id": number} for number in numbers]})


def test_items_that_shift_to_the_next_page_come_once(scripted: Rig, server: ScriptedServer) -> None:
    server.will(_page(*range(100)), _page(*range(98, 120)))
    assert [item.item_id for item in scripted.client().items()] == [str(n) for n in range(120)]
    assert [each.query["offset"] for each in server.received] == ["0", "100"]


def test_a_full_last_page_is_followed_by_an_empty_one(
    scripted: Rig, server: ScriptedServer
) -> None:
    server.will(_page(*range(100)), _page())
    assert len(list(scripted.client().items(newest_first=True))) == 100
    assert server.received[1].query == {
        "order": "created",
        "sort": "desc",
        "limit": "100",
        "max_image_no": "1",
        "offset": "100",
    }


def test_a_listing_that_repeats_itself_ends(scripted: Rig, server: ScriptedServer) -> None:
    server.will(_page(*range(100)), _page(*range(100)))
    with pytest.raises(NoProof, match="same items again"):
        list(scripted.client().items())


def _called(numbers: range, *names: int) -> Scripted:
    """A page of items, of which those are called by their number."""
    nodes = [{**NODE, "item_id": n, "identifier": f"b-{n}" if n in names else ""} for n in numbers]
    return answer({"items": nodes})


@pytest.mark.parametrize(
    ("thorough", "found"), [(False, ["7", "499"]), (True, ["7", "499", "500"])]
)
def test_a_look_up_goes_back_five_pages_unless_it_is_thorough(
    scripted: Rig, server: ScriptedServer, found: list[str], *, thorough: bool
) -> None:
    pages = [_called(range(n, n + 100), 7, 8, 499, 500) for n in range(0, 500, 100)]
    server.will(*pages, *([_called(range(500, 501), 500)] if thorough else []))
    items = scripted.client().look_up({"b-7", "b-499", "b-500"}, thorough=thorough)
    assert [item.item_id for item in items] == found
    assert {each.query["order"] for each in server.received} == {"created"}
    assert len(server.received) == (6 if thorough else 5)


def test_ids_beyond_the_floats_stay_exact(scripted: Rig, server: ScriptedServer) -> None:
    server.will(_page(2**53 + 1, 2**63 - 1))
    items = list(scripted.client().items())
    assert [item.item_id for item in items] == ["9007199254740993", "9223372036854775807"]


def test_an_item_is_read_from_what_base_documents() -> None:
    assert item_from(NODE) == Item(
        "1",
        "abcd-1234",
        "Tシャツ",
        4900,
        3,
        visible=True,
        modified_at=datetime(2014, 10, 31, 4, 52, 54, tzinfo=UTC),
    )
    del (bare := dict(NODE))["identifier"], bare["modified"]
    assert item_from(bare) == replace(item_from(NODE), identifier=None, modified_at=None)
    text = {**NODE, "item_id": "1", "price": "4900", "stock": "3", "visible": "1"}
    assert item_from(text) == item_from(NODE)


@pytest.mark.parametrize("name", ["items", "items_edit", "items_detail"])
def test_the_official_examples_are_read(name: str) -> None:
    path = BODIES / f"off19_{name}.json"
    if not path.exists():
        pytest.skip("the contracts are not here")
    body = json.loads(path.read_text("utf-8"))["body"]
    for node in body.get("items") or [body["item"]]:
        assert item_from(node).item_id == str(node["item_id"])


@pytest.mark.parametrize("key", ["item_id", "price", "stock", "visible"])
@pytest.mark.parametrize("value", [None, "x", "", 1.0, [], {}])
def test_an_item_without_its_essentials_is_no_proof(key: str, value: object) -> None:
    with pytest.raises(NoProof):
        item_from({**NODE, key: value})


def test_an_edit_that_base_ignores_is_rejected(scripted: Rig, server: ScriptedServer) -> None:
    server.will(answer({"item": NODE}))
    with pytest.raises(Rejected, match=r"not applied: stock 9 \(is 3\)") as raised:
        scripted.client().edit("1", price_jpy=4900, stock=9)
    assert raised.value.code == "not_applied"
    assert server.received[0].form == {"item_id": "1", "price": "4900", "stock": "9"}
    assert server.received[0].headers["authorization"] == "Bearer access-0123456789"


def test_an_answer_about_another_item_is_no_proof(scripted: Rig, server: ScriptedServer) -> None:
    server.will(*[answer({"item": {**NODE, "item_id": 2}})] * 5)
    with pytest.raises(NoProof, match="item 2 instead of 1"):
        scripted.client().item("1")


def _documented() -> list[tuple[str, str | None]]:
    """Every error that BASE documents, and those that others have met."""
    pairs: list[tuple[str, str | None]] = [
        ("invalid_request", "アクセストークンが無効です。"),
        ("invalid_request", "アクセストークンが不正です。"),
        ("exceed_daily_limit", None),
        ("invalid_grant", None),
        ("access_denied", "利用が制限されているユーザーです"),
        ("never_heard_of", None),
    ]
    path = BODIES / "errors" / "off19_errors_flat.json"
    if path.exists():
        flat = json.loads(path.read_text("utf-8"))["errors"]
        pairs += [(each["error"], each["error_description"]) for each in flat]
    return pairs


EXPECTED: dict[Verdict, type[EcautoError]] = {
    Verdict.TOKEN: TokenRefused,
    Verdict.REAUTHORISE: AccountStopped,
    Verdict.RESTRICTED: AccountStopped,
    Verdict.CLIENT: CredentialsRejected,
    Verdict.LIMIT: Deferred,
    Verdict.GONE: ItemGone,
    Verdict.TRANSIENT: Unavailable,
    Verdict.REJECTED: Rejected,
}


@pytest.mark.parametrize("status", [200, 400, 403, 401])
def test_every_documented_error_is_one_of_ours(
    scripted: Rig, server: ScriptedServer, clock: FakeClock, status: int
) -> None:
    for code, words in _documented():
        expected = EXPECTED[Refusal(code, words or "").verdict]
        server.script[:] = [refusal(code, words, status)] * 5
        if expected is TokenRefused:
            fresh = {"access_token": "access-next", "refresh_token": "refresh-next"}
            server.script.insert(1, answer(fresh))
        with pytest.raises(EcautoError) as raised:
            scripted.client().me()
        assert type(raised.value) is expected, code
        if isinstance(raised.value, Rejected):
            assert raised.value.code == code
            assert (words or code) in str(raised.value)
        clock.advance(days=1)
        scripted.store.save_tokens("one", good_tokens(clock))
    server.script.clear()


def test_a_restricted_shop_is_left_alone(scripted: Rig, server: ScriptedServer) -> None:
    server.will(refusal("access_denied", "利用が制限されているユーザーです"))
    for _ in range(2):
        with pytest.raises(AccountStopped, match="BASE's support"):
            scripted.client().me()
    tokens = scripted.store.tokens("one")
    assert tokens
    assert tokens.state is AccountState.RESTRICTED
    assert len(server.received) == 1


def test_a_token_refused_again_right_after_a_refresh_is_not_tried_a_third_time(
    scripted: Rig, server: ScriptedServer
) -> None:
    refused = refusal("invalid_request", "アクセストークンが不正です。")
    fresh = answer({"access_token": "access-next", "refresh_token": "refresh-next"})
    server.will(refused, fresh, refused)
    with pytest.raises(Unavailable, match="アクセストークンが不正です。"):
        scripted.client().me()
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Scripted(b"", 403), NoProof),
        (Scripted(b"<html>", 404), NoProof),
        (answer({"message": "?"}, 404), NoProof),
        (Scripted(b"", 500), Unavailable),
        (Scripted(b"", 302, {"Location": "http://127.0.0.1:9/"}), NoProof),
        (Scripted(b"", 429, {"Retry-After": "2"}), Throttled),
        (Scripted(b"", 429, {"Retry-After": "soon"}), Throttled),
    ],
)
def test_other_http_failures_are_retried_and_then_told(
    scripted: Rig, server: ScriptedServer, script: Scripted, kind: type[EcautoError]
) -> None:
    server.will(*[script] * 5)
    with pytest.raises(kind):
        scripted.client().me()
    assert len(server.received) == 5


def test_a_bare_401_means_a_refused_token(scripted: Rig, server: ScriptedServer) -> None:
    fresh = answer({"access_token": "access-next", "refresh_token": "refresh-next"})
    server.will(Scripted(b"", 401), fresh, answer({"user": {"shop_id": "shop"}}))
    assert scripted.client().me().id == "shop"
    assert server.received[-1].headers["authorization"] == "Bearer access-next"


def test_a_redirection_gets_no_token(scripted: Rig, server: ScriptedServer) -> None:
    with scripted_server() as elsewhere:
        server.will(*[Scripted(b"", 302, {"Location": elsewhere.url})] * 5)
        with pytest.raises(NoProof, match="redirects"):
            scripted.client().me()
        assert elsewhere.received == []


def test_an_answer_that_trickles_in_is_given_up(
    scripted: Rig, server: ScriptedServer, clock: FakeClock
) -> None:
    def stall() -> None:
        clock.advance(seconds=121)

    server.will(*[Scripted(b"{}", before_body=stall)] * 5)
    with pytest.raises(Unavailable, match="too slowly"):
        scripted.client().me()


def test_an_endless_answer_is_given_up(scripted: Rig, server: ScriptedServer) -> None:
    server.will(*[Scripted(b" " * (33 * 1024 * 1024))] * 5)
    with pytest.raises(NoProof, match="more than"):
        scripted.client().me()


def test_the_hour_is_used_up_and_begins_again(rig: Rig, sandbox: Sandbox, clock: FakeClock) -> None:
    client = rig.client(account=replace(ACCOUNT, calls_per_hour=3))
    for _ in range(3):
        client.me()
    for _ in range(2):
        with pytest.raises(Deferred, match=r"this hour are used up.* 2026-11-20 13:00 JST"):
            client.me()
    assert sandbox.calls("users/me") == 3
    clock.advance(hours=1)
    assert client.me().id == SEED.shop_id


def test_the_day_is_used_up_and_begins_again_at_midnight_in_japan(
    rig: Rig, clock: FakeClock
) -> None:
    client = rig.client()
    today = datetime(2026, 11, 19, 15, tzinfo=UTC)
    windows = RateWindows(rig.engine, clock)
    assert windows.take(f"{rig.api.host}/one/day", today, CALLS_PER_DAY, CALLS_PER_DAY - 1)
    client.me()
    with pytest.raises(Deferred, match=r"this day are used up.* 2026-11-21 00:00 JST"):
        client.me()
    clock.advance(hours=12)
    assert client.me().id == SEED.shop_id


def test_processes_share_the_hour(rig: Rig) -> None:
    account = replace(ACCOUNT, calls_per_hour=2)
    rig.client(account=account).me()
    rig.client(account=account).me()
    with pytest.raises(Deferred):
        rig.client(account=account).me()


@pytest.mark.parametrize("code", ["hour_api_limit", "day_api_limit"])
def test_a_limit_that_base_reports_stops_all_calls_until_it_passes(
    scripted: Rig, server: ScriptedServer, clock: FakeClock, code: str
) -> None:
    clock.advance(seconds=600)
    server.will(refusal(code, "1時間のAPIの利用回数を超えました。"))
    for _ in range(2):
        with pytest.raises(Deferred, match="used up"):
            scripted.client().me()
    clock.advance(days=1)
    server.will(answer({"user": {"shop_id": "shop"}}))
    assert scripted.client().me().id == "shop"


def test_a_limit_reported_right_after_the_full_hour_is_the_last_hours(
    scripted: Rig, server: ScriptedServer, clock: FakeClock
) -> None:
    clock.advance(seconds=5)
    server.will(refusal("hour_api_limit"), answer({"user": {"shop_id": "shop"}}))
    with pytest.raises(Deferred):
        scripted.client().me()
    assert scripted.client().me().id == "shop"


def test_calls_are_paced_gently(client: BaseShopClient, clock: FakeClock) -> None:
    began = clock.now()
    for _ in range(30):
        client.me()
    assert clock.now() - began > timedelta(seconds=2)


def test_no_call_waits_beyond_the_end_of_the_run(rig: Rig, sandbox: Sandbox) -> None:
    client = rig.client()
    client.until = rig.clock.now() - timedelta(seconds=1)
    with pytest.raises(Deferred):
        client.me()
    assert sandbox.calls("users/me") == 0


def test_no_secret_is_logged_or_shown(
    rig: Rig, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client = rig.client()
    list(client.items())
    sandbox.faults.replace([Fault("items", FaultKind.ERROR_503_HTML)])
    with suppress(Unavailable):
        list(client.items())
    tokens = rig.store.tokens("one")
    assert tokens
    shown = f"{caplog.text} {client!r} {tokens!r} {rig.account!r}"
    for secret in (*tokens.secrets, ACCOUNT.client_secret):
        assert secret not in shown


def test_a_token_echoed_by_the_shop_does_not_reach_the_message(
    scripted: Rig, server: ScriptedServer
) -> None:
    def echo(request: Received) -> Scripted:
        return refusal("validation_error", request.headers["authorization"])

    calls: list[Callable[[BaseShopClient], object]] = [
        BaseShopClient.me,
        lambda client: client.item("1"),
        lambda client: client.edit("1", stock=1),
    ]
    for call in calls:
        server.will(echo)
        with pytest.raises(Rejected) as raised:
            call(scripted.client())
        assert "access-0123456789" not in repr(raised.value)
