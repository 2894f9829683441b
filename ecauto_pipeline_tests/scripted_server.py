"""An HTTP server on loopback that answers what a test tells it to."""

import json
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in its body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Scripted:
    """An answer to give; `drop` closes the connection instead, before or in the body."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    drop: bool = False
    before_body: Callable[[], None] = lambda: None


def answer(body: object, status: int = 200, **headers: str) -> Scripted:
    """An answer in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(json.dumps(body, ensure_ascii=False).encode(), status, named)


def refusal(error: str, description: str | None = None, status: int = 400) -> Scripted:
    """An error as BASE gives it."""
    return answer({"error": error, "error_description": description}, status)


class ScriptedServer:
    """Gives the answers of `script` one after the other, and remembers what it was asked."""

    def __init__(self) -> None:
        self.script: list[Scripted | Callable[[Received], Scripted]] = []
        self.received: list[Received] = []
        self.unexpected: list[Received] = []
        self._lock = threading.Lock()
        self.url = ""

    def will(self, *answers: Scripted | Callable[[Received], Scripted]) -> None:
        """Give these answers next."""
        self.script.extend(answers)

    def asked(self, path: str) -> list[Received]:
        """The requests for a path."""
        return [each for each in self.received if each.path == path]

    def take(self, request: Received) -> Scripted:
        """The answer to a request."""
        with self._lock:
            self.received.append(request)
            if not self.script:
                self.unexpected.append(request)
                return answer({"error": "unexpected", "error_description": request.path}, 418)
            entry = self.script.pop(0)
        return entry if isinstance(entry, Scripted) else entry(request)


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Say nothing."""

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Received(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                dict(parse_qsl(body.decode(), keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                body,
            )
            self._send(server.take(request))

        def _send(self, scripted: Scripted) -> None:
            if scripted.drop:
                self.close_connection = True
                return
            self.send_response(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(scripted.body)))
            self.end_headers()
            self.wfile.flush()
            scripted.before_body()
            self.wfile.write(scripted.body)

    return Handler


@contextmanager
def scripted_server(script: Iterable[Scripted] = ()) -> Generator[ScriptedServer]:
    """A server that listens while the context is open."""
    server = ScriptedServer()
    server.will(*script)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
