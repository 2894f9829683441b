"""Webhooks by real HTTP."""

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from ecauto_pipeline.domain.shopify.webhook_signature import signature
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.processes.webhook_server import HOST, MOST_BYTES, PATH, WebhookServer
from ecauto_pipeline.settings.shopify import ShopifyStore
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

BODY = '{"id": 706405506930370084, "email": "bob@example.com", "note": "ありがとう"}'.encode()


def a_store(store_id: str, client_secret: str, *webhook_secrets: str) -> ShopifyStore:
    return ShopifyStore(
        id=store_id,
        shop_domain=f"{store_id}.myshopify.com",
        client_id="id",
        client_secret=SecretStr(client_secret),
        webhook_secrets=tuple(SecretStr(secret) for secret in webhook_secrets),
    )


STORES = (a_store("tokyo", "of tokyo"), a_store("osaka", "of osaka", "new", "old"))
WITHOUT_SECRET = ShopifyStore(
    id="kyoto", shop_domain="kyoto.myshopify.com", access_token=SecretStr("token")
)


@pytest.fixture
def inbox(engine: sa.Engine, clock: FakeClock) -> WebhookInbox:
    return WebhookInbox(engine, clock)


@pytest.fixture
def server(inbox: WebhookInbox, clock: FakeClock) -> Iterator[WebhookServer]:
    with WebhookServer([*STORES, WITHOUT_SECRET], inbox, clock) as server:
        yield server


@pytest.fixture
def client(server: WebhookServer) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"http://{HOST}:{server.port}", trust_env=False, timeout=PATIENCE_SECONDS
    ) as client:
        yield client


def headers(
    body: bytes = BODY, /, *, prefix: str = "X-Shopify-", signer: str = "of tokyo", **others: str
) -> dict[str, str]:
    """What Shopify sends with a body; `others` replace or, when empty, remove."""
    usual = {
        "Hmac-Sha256": signature(body, signer),
        "Topic": "customers/update",
        "Shop-Domain": "tokyo.myshopify.com",
        "API-Version": "2026-10",
        "Webhook-Id": "b54557e4",
        "Triggered-At": "2026-11-20T02:59:58.877041743Z",
    }
    named = usual | {name.replace("_", "-"): value for name, value in others.items()}
    return {prefix + name: value for name, value in named.items() if value}


def test_a_webhook_is_stored_as_it_came(client: httpx.Client, inbox: WebhookInbox) -> None:
    answer = client.post(PATH, content=BODY, headers=headers())
    assert answer.status_code == 200
    assert inbox.pending(10) == [
        ReceivedWebhook(
            webhook_id="b54557e4",
            store_id="tokyo",
            topic="customers/update",
            api_version="2026-10",
            triggered_at=datetime(2026, 11, 20, 2, 59, 58, 877041, UTC),
            body=BODY.decode(),
            received_at=MIDDAY,
        )
    ]


@pytest.mark.parametrize("prefix", ["X-Shopify-", "x-shopify-", "Shopify-", "shopify-"])
def test_headers_come_in_any_spelling(
    client: httpx.Client, inbox: WebhookInbox, prefix: str
) -> None:
    assert client.post(PATH, content=BODY, headers=headers(prefix=prefix)).status_code == 200
    assert inbox.pending_count() == 1


def test_a_repetition_is_answered_alike_and_stored_once(
    client: httpx.Client, inbox: WebhookInbox
) -> None:
    for _ in range(3):
        assert client.post(PATH, content=BODY, headers=headers()).status_code == 200
    assert inbox.pending_count() == 1


@pytest.mark.parametrize("secret", ["new", "old"])
def test_the_old_secret_counts_beside_the_new_one(
    client: httpx.Client, inbox: WebhookInbox, secret: str
) -> None:
    sent = headers(signer=secret, Shop_Domain="OSAKA.myshopify.com")
    assert client.post(PATH, content=BODY, headers=sent).status_code == 200
    assert [webhook.store_id for webhook in inbox.pending(10)] == ["osaka"]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (BODY.replace(b"bob", b"rob"), headers()),
        (BODY + b"\n", headers()),
        (b"", headers()),
        (BODY, headers(Hmac_Sha256="")),
        (BODY, headers(Hmac_Sha256="bm90IGl0")),
        (BODY, headers(signer="of osaka")),
        (BODY, headers(signer="of osaka", Shop_Domain="osaka.myshopify.com")),
        (BODY, headers(Shop_Domain="osaka.myshopify.com")),
        (BODY, headers(Shop_Domain="nara.myshopify.com")),
        (BODY, headers(Shop_Domain="kyoto.myshopify.com", signer="token")),
    ],
    ids=[
        *("altered", "longer", "empty", "unsigned", "made up", "of another shop"),
        *("the client secret where there are others", "for another shop"),
        *("of nobody", "for a shop without secret"),
    ],
)
def test_what_the_shop_has_not_signed_is_refused_and_not_stored(
    client: httpx.Client, inbox: WebhookInbox, body: bytes, sent: dict[str, str]
) -> None:
    assert client.post(PATH, content=body, headers=sent).status_code == 401
    assert inbox.pending_count() == 0


@pytest.mark.parametrize("name", ["Topic", "Shop_Domain", "Webhook_Id"])
@pytest.mark.parametrize("value", ["", "x" * 101])
def test_without_its_headers_a_webhook_is_not_stored(
    client: httpx.Client, inbox: WebhookInbox, name: str, value: str
) -> None:
    sent = headers(BODY, **{name: value})
    assert client.post(PATH, content=BODY, headers=sent).status_code == 400
    assert inbox.pending_count() == 0


@pytest.mark.parametrize(
    "triggered", ["", "yesterday", "2026-11-20T02:59:58", "0001-01-01T00:00+23:59"]
)
def test_a_time_that_cannot_be_read_is_left_out(
    client: httpx.Client, inbox: WebhookInbox, triggered: str
) -> None:
    sent = headers(Triggered_At=triggered, API_Version="")
    assert client.post(PATH, content=BODY, headers=sent).status_code == 200
    [webhook] = inbox.pending(10)
    assert (webhook.triggered_at, webhook.api_version) == (None, None)


@pytest.mark.parametrize("path", ["/", "/webhooks", f"{PATH}/x", "/health"])
def test_another_path_is_not_found(client: httpx.Client, inbox: WebhookInbox, path: str) -> None:
    assert client.post(path, content=BODY, headers=headers()).status_code == 404
    assert inbox.pending_count() == 0


def test_health_is_told_and_nothing_else(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    assert client.get(PATH).status_code == 404


def test_a_body_may_have_five_megabytes_and_no_more(
    client: httpx.Client, inbox: WebhookInbox
) -> None:
    for size, status in ((MOST_BYTES, 200), (MOST_BYTES + 1, 413)):
        body = b" " * size
        sent = headers(body, Webhook_Id=str(size))
        assert client.post(PATH, content=body, headers=sent).status_code == status
    assert [webhook.webhook_id for webhook in inbox.pending(10)] == [str(MOST_BYTES)]


def test_a_body_of_unknown_length_is_refused(client: httpx.Client, inbox: WebhookInbox) -> None:
    assert client.post(PATH, content=iter([BODY]), headers=headers()).status_code == 411
    assert inbox.pending_count() == 0


@pytest.mark.parametrize("length", ["-1", "1e3", "²"])
def test_a_length_that_is_none_is_refused(server: WebhookServer, length: str) -> None:
    connection = HTTPConnection(HOST, server.port)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Length", length.encode())
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_a_body_that_is_cut_off_is_not_stored(server: WebhookServer, inbox: WebhookInbox) -> None:
    connection = HTTPConnection(HOST, server.port)
    connection.putrequest("POST", PATH)
    for name, value in (headers() | {"Content-Length": str(len(BODY))}).items():
        connection.putheader(name, value)
    connection.endheaders(BODY[:-1])
    assert connection.sock is not None
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.getresponse().status == 401
    connection.close()
    assert inbox.pending_count() == 0


def test_neither_answers_nor_lines_show_what_was_sent(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "ecauto_pipeline")
    answers = [
        client.post(PATH, content=BODY, headers=headers()),
        client.post(PATH, content=BODY + b" ", headers=headers()),
        client.post("/bob@example.com", content=BODY, headers=headers()),
        client.request("BOB", "/"),
    ]
    shown = [answer.text + str(answer.headers) for answer in answers]
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ecauto")]
    assert lines == [
        "tokyo: 'customers/update' came",
        "refused a webhook that no configured store has signed",
    ]
    assert "bob@" not in "".join([*shown, *lines, *capfd.readouterr()])


def test_a_webhook_that_cannot_be_stored_is_not_acknowledged(
    client: httpx.Client, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_inbox RENAME TO elsewhere")
    assert client.post(PATH, content=BODY, headers=headers()).status_code == 503
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("ecauto")]
    assert line.startswith("a webhook could not be stored: ")
    assert "bob@" not in caplog.text


class BrokenInbox(WebhookInbox):
    """Fails as nobody foresaw."""

    def put(self, webhook: ReceivedWebhook) -> bool:
        raise ValueError(webhook.body)


def test_what_nobody_foresaw_is_not_acknowledged_either(
    engine: sa.Engine,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebhookServer(STORES, BrokenInbox(engine, clock), clock) as server:
        url = f"http://{HOST}:{server.port}{PATH}"
        with (
            httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as client,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            client.post(url, content=BODY, headers=headers())
    assert "a request could not be answered: ValueError" in caplog.text
    assert "bob@" not in "".join([caplog.text, *capfd.readouterr()])


def test_it_listens_on_loopback_only_and_frees_its_port(
    inbox: WebhookInbox, clock: FakeClock
) -> None:
    with WebhookServer(STORES, inbox, clock) as server:
        assert server.url == f"http://127.0.0.1:{server.port}{PATH}"
        with (
            pytest.raises(Misconfigured, match="--port"),
            WebhookServer(STORES, inbox, clock, server.port),
        ):
            pass
        port = server.port
    with WebhookServer(STORES, inbox, clock, port) as again:
        assert again.port == port


def test_without_any_secret_it_does_not_start(inbox: WebhookInbox, clock: FakeClock) -> None:
    server = WebhookServer([WITHOUT_SECRET], inbox, clock)
    with pytest.raises(Misconfigured, match="webhook_secrets"):
        server.start()
