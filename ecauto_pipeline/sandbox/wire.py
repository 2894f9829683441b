"""Requests and responses of HTTP/1.1, read from and written to a connection."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.client import responses
from io import BufferedIOBase
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

JSON = "application/json"
HTML = "text/html"
FORM = "application/x-www-form-urlencoded"
PART = 1 << 16
LONGEST_LINE = 65_537
"""As in http.server."""

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def form(self) -> dict[str, str]:
        """The fields of a form body; none if the body is anything else."""
        if not self.headers.get("content-type", "").startswith(FORM):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def document(self) -> object:
        """What a JSON body says; None if it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    def json(self) -> dict[str, object]:
        """The members of a JSON object body; none if the body is anything else."""
        return mapping(self.document())


@dataclass(frozen=True, slots=True)
class Response:
    """What a client gets: a body, or the first `size` bytes of a file."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    file: Path | None = None
    size: int = 0

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *headers))


def json_response(status: int, document: object) -> Response:
    """A response that carries a JSON document."""
    return Response(status, orjson.dumps(document))


def mapping(document: object) -> dict[str, object]:
    """A JSON object as a mapping; an empty one for anything else."""
    if not isinstance(document, dict):
        return {}
    return {str(key): value for key, value in document.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def sequence(document: object) -> list[object]:
    """A JSON array as a list; an empty one for anything else."""
    return list(document) if isinstance(document, list) else []  # pyright: ignore[reportUnknownArgumentType]


def read_request(stream: BufferedIOBase) -> Request | None:
    """The next request, or None when the client has hung up."""
    parts = stream.readline(LONGEST_LINE).decode("latin-1").split()
    # Who sends no proper line is taken for one who has hung up.
    if len(parts) != 3:  # noqa: PLR2004 - method, target, version
        return None
    headers: dict[str, str] = {}
    while line := stream.readline(LONGEST_LINE).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    target = urlsplit(parts[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    return Request(parts[0], unquote(target.path), query, headers, body)


def encode(response: Response) -> bytes:
    """The bytes of a response, head and body in one piece; a file is left out."""
    lines = [
        f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body) + response.size}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body


def file_parts(response: Response) -> Iterator[bytes]:
    """The bytes of a response's file, in pieces."""
    if response.file is None:
        return
    left = response.size
    with response.file.open("rb") as file:
        while left > 0 and (part := file.read(min(PART, left))):
            left -= len(part)
            yield part
