"""Keeping secrets out of text: messages, tracebacks, log records."""

import json
import logging
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "[secret]"
"""What is shown instead."""

SHORTEST_SECRET = 6
"""Shorter strings occur by chance; hiding them would make messages unreadable."""

CHATTY_LOGGERS = (
    "hpack",
    "httpcore",
    "httpx",
    "requests",
    "sp_api",
    "sp_api.asyncio.base.client",
    "sp_api.base.client",
    "urllib3",
)
"""These write addresses, headers or bodies when asked for more than warnings."""

_LOOKS_SECRET = re.compile(
    r"(?P<key>(?:access_token|refresh_token|client_secret|x-amz-access-token)"
    r"[\"']?\s*[:=]\s*[\"']?|authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+|bearer\s+(?=\S{16}))"
    r"(?P<value>[^\s\"'&,;})\]]{6,})",
    re.IGNORECASE,
)
"""Secrets that nobody has named yet, by what stands before them."""


class Redactor:
    """Knows secrets, which may become more at run time, and hides them in any text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these too from now on, as they are, URL-encoded, JSON-encoded and in base64."""
        forms = {form for secret in secrets for form in _forms(secret)}
        with self._lock:
            if forms <= self._forms:
                return
            self._forms |= forms
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """The text without any secret."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        return _LOOKS_SECRET.sub(rf"\g<key>{HIDDEN}", text)


class RedactingFilter(logging.Filter):
    """Lets every record pass, without secrets in its message, arguments and exception."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record where it holds a secret."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit the message are for `logging` to complain about.
            message = f"{record.msg} {record.args!r}"
        if (shown := self._redactor.redact(message)) != message:
            record.msg, record.args = shown, ()
        # Formatters would write the exception anew: without it, they write `exc_text`.
        if isinstance(record.exc_info, tuple):
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            if (shown := self._redactor.redact(text)) != text:
                record.exc_text, record.exc_info = shown, None
        elif record.exc_text:
            record.exc_text = self._redactor.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redactor.redact(record.stack_info)
        return True


def install(redactor: Redactor) -> Callable[[], None]:
    """Hide secrets in all records of all loggers from now on; returns what undoes it.

    Records are rewritten as they are made, so that handlers which are added later, or to loggers
    that do not propagate, see no secrets either; the handlers of now look once more, at what was
    added to the record meanwhile.
    """
    hide = RedactingFilter(redactor)
    make = logging.getLogRecordFactory()

    def made(*args: object, **named: object) -> logging.LogRecord:
        record = make(*args, **named)
        hide.filter(record)
        return record

    root = logging.getLogger()
    filtered: list[logging.Filterer] = [root, *root.handlers]
    for filterer in filtered:
        filterer.addFilter(hide)
    logging.setLogRecordFactory(made)
    quieten()

    def undo() -> None:
        for filterer in filtered:
            filterer.removeFilter(hide)
        logging.setLogRecordFactory(make)

    return undo


def quieten() -> None:
    """Let no library log what it sends and receives."""
    for name in CHATTY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < SHORTEST_SECRET:
        return
    yield from {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    for before in range(3):
        # With other text ahead, base64 comes out in three ways, by its length modulo 3 bytes; a
        # digit is 6 bits, and only those that the secret alone decides are the same in all texts.
        padded = bytes(before) + secret.encode()
        encoded = b64encode(padded).decode()[-(-8 * before // 6) : 8 * len(padded) // 6]
        if len(encoded) >= SHORTEST_SECRET:
            yield encoded
            yield encoded.translate(str.maketrans("+/", "-_"))
