"""Receiving Shopify's webhooks: verify, store, answer; what they say is merged later.

Shopify waits five seconds for the answer, repeats a delivery eight times, then gives up.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.webhook_signature import is_signed
from ecauto_pipeline.domain.shopify.webhooks import ReceivedWebhook
from ecauto_pipeline.errors import Misconfigured, Unavailable
from ecauto_pipeline.settings.shopify import ShopifyStore
from ecauto_pipeline.storage.shopify.webhook_inbox import WebhookInbox

HOST = "127.0.0.1"
PATH = "/webhooks/shopify"
HEALTH = "/health"
MOST_BYTES = 5_000_000
LONGEST_NAME, LONGEST_VERSION = 100, 20
"""Characters of an id or a topic, and of a version, as many as the inbox takes."""

PATIENCE_SECONDS = 10
"""How long a client may be silent in the middle of a request."""

_CHUNK = 65_536
_MOST_DISCARDED = 4 * MOST_BYTES

_logger = logging.getLogger(__name__)


class WebhookServer:
    """Receives the webhooks of these stores while started, on this machine's loopback only.

    Whatever makes it reachable for Shopify, a tunnel or a reverse proxy, ends TLS and passes on
    bodies and `X-Shopify-…` headers untouched.
    """

    def __init__(
        self, stores: Iterable[ShopifyStore], inbox: WebhookInbox, clock: Clock, port: int = 0
    ) -> None:
        self._stores = {store.shop_domain.lower(): store for store in stores if _secrets(store)}
        self._inbox = inbox
        self._clock = clock
        self._port = port
        self._server: _Server | None = None

    def __enter__(self) -> "WebhookServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the port and answer from threads.

        Raises:
            Misconfigured: the port is taken, or no store has a secret to verify webhooks with.
        """
        if not self._stores:
            raise Misconfigured(
                "ECAUTO_SHOPIFY__STORES: no store has webhook_secrets or a client_secret, so that"
                " no webhook could be verified"
            )
        try:
            self._server = _Server(self._port, self)
        except OSError as error:
            raise Misconfigured(f"--port {self._port}: {error.strerror}") from None
        # Looks so often whether it is to stop: as long as close() may take.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait(self) -> None:
        """Serve until interrupted."""
        with suppress(KeyboardInterrupt):
            threading.Event().wait()

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.server_port if self._server else self._port

    @property
    def url(self) -> str:
        """Where webhooks are to be sent."""
        return f"http://{HOST}:{self.port}{PATH}"

    def receive(self, headers: Message, body: bytes) -> HTTPStatus:
        """Keep a webhook that one of the stores has signed; the status to answer with."""
        topic, webhook_id = _header(headers, "Topic"), _header(headers, "Webhook-Id")
        domain = _header(headers, "Shop-Domain")
        if not all(
            0 < len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()
            for name in (topic, webhook_id, domain)
        ):
            return HTTPStatus.BAD_REQUEST
        store = self._stores.get(domain.lower())
        given = _header(headers, "Hmac-Sha256")
        if store is None or not is_signed(body, given, _secrets(store)):
            _logger.warning("refused a webhook that no configured store has signed")
            return HTTPStatus.UNAUTHORIZED
        triggered_at: datetime | None = None
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(_header(headers, "Triggered-At"))
            triggered_at = moment.astimezone(UTC) if moment.tzinfo else None
        webhook = ReceivedWebhook(
            webhook_id=webhook_id,
            store_id=store.id,
            topic=topic.lower(),
            api_version=_header(headers, "API-Version")[:LONGEST_VERSION] or None,
            triggered_at=triggered_at,
            body=body.decode(errors="replace"),
            received_at=self._clock.now(),
        )
        try:
            is_new = self._inbox.put(webhook)
        except Unavailable as error:
            # Shopify sends it again when it is not acknowledged, for four hours.
            _logger.error("a webhook could not be stored: %s", error)  # noqa: TRY400
            return HTTPStatus.SERVICE_UNAVAILABLE
        came = "came" if is_new else "came again"
        _logger.info("%s: %r %s", webhook.store_id, webhook.topic, came)
        return HTTPStatus.OK


def _secrets(store: ShopifyStore) -> list[str]:
    """What the store's webhooks may be signed with."""
    secrets = store.webhook_secrets or (store.client_secret,)
    return [text for secret in secrets if (text := secret.get_secret_value())]


def _header(headers: Message, name: str) -> str:
    """A header of Shopify's, in the usual spelling or that of its newer events."""
    value = headers.get(f"X-Shopify-{name}") or headers.get(f"Shopify-{name}") or ""
    return str(value).strip()


class _Server(ThreadingHTTPServer):
    """A thread for each request."""

    def __init__(self, port: int, webhooks: WebhookServer) -> None:
        self.webhooks = webhooks
        super().__init__((HOST, port), _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say what went wrong, without what the request was about."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # the client has hung up
            _logger.error("a request could not be answered: %s", type(error).__name__)


class _Connection(BaseHTTPRequestHandler):
    """Answers one request."""

    server_version = "ecauto"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Tell that the server is there."""
        self._answer(HTTPStatus.OK if self.path == HEALTH else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Receive a webhook."""
        text = self.headers.get("Content-Length", "")
        # int() alone would take a sign, underscores and other scripts' digits.
        length = int(text) if text.isascii() and text.isdecimal() else None
        if self.path.partition("?")[0] != PATH:
            self._refuse(HTTPStatus.NOT_FOUND, length or 0)
        elif length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, 0)
        elif length > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, length)
        else:
            server = cast("_Server", self.server)
            self._answer(server.webhooks.receive(self.headers, self.rfile.read(length)))

    def _refuse(self, status: HTTPStatus, length: int) -> None:
        """Answer without having read the body; until it is gone the client may not listen."""
        left = min(length, _MOST_DISCARDED)
        while left > 0 and (chunk := self.rfile.read(min(left, _CHUNK))):
            left -= len(chunk)
        self._answer(status)

    def _answer(self, status: HTTPStatus) -> None:
        text = f"{status.phrase}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: what is worth a line is logged where it is decided."""
