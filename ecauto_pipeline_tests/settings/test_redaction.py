"""No secret gets out in text."""

import io
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.settings.redaction import CHATTY_LOGGERS, HIDDEN, Redactor, install

SECRET = "s3cr/t+&ключ 値!"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a handler of the root writes, while `SECRET` is hidden."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    undo = install(Redactor([SECRET]))
    yield stream
    undo()
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        urlencode({"token": SECRET}),
        b64encode(SECRET.encode()).decode(),
        urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_form(form: str) -> None:
    shown = Redactor([SECRET]).redact(f"before {form} after")
    assert HIDDEN in shown
    assert SECRET not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.text(max_size=8), st.text(min_size=12, max_size=40), st.text(max_size=8))
def test_base64_of_a_text_around_the_secret_is_hidden(before: str, secret: str, after: str) -> None:
    encoded = b64encode(f"{before}{secret}{after}".encode()).decode()
    assert HIDDEN in Redactor([secret]).redact(encoded)


def test_secrets_can_be_added_and_the_longest_is_hidden_whole() -> None:
    redactor = Redactor(["abcdef"])
    redactor.add("abcdefghi")
    assert redactor.redact("abcdefghi abcdef") == f"{HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("short", ["", "a", "12345"])
def test_short_strings_are_never_hidden(short: str) -> None:
    assert Redactor([short]).redact("a 12345 b") == "a 12345 b"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer 0123456789abcdef",
        "{'authorization': 'Bearer 0123456789abcdef'}",
        "access_token=0123456789abcdef&x=1",
        '{"refresh_token": "0123456789abcdef"}',
        "client_secret: 0123456789abcdef",
        "x-amz-access-token: 0123456789abcdef",
    ],
)
def test_what_stands_where_secrets_stand_is_hidden(text: str) -> None:
    assert "0123456789abcdef" not in Redactor().redact(text)


def test_ordinary_text_stays_as_it_is() -> None:
    text = "the bearer of a refresh_token must reconnect; basic understanding; 商品 123456789"
    assert Redactor([SECRET]).redact(text) == text


def test_messages_and_arguments_carry_no_secret(log: io.StringIO) -> None:
    logging.getLogger("any").warning("got %s and %d", SECRET, 7)
    logging.getLogger("any").warning(f"got {SECRET}")  # noqa: G004 - others do write it so
    assert log.getvalue() == f"got {HIDDEN} and 7\ngot {HIDDEN}\n"


def test_exceptions_carry_no_secret(log: io.StringIO) -> None:
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("any").exception("failed")
    assert SECRET not in log.getvalue()
    assert f"ValueError: invalid literal for int() with base 10: '{HIDDEN}'" in log.getvalue()


def test_a_record_that_cannot_be_formatted_carries_no_secret(log: io.StringIO) -> None:
    logging.getLogger("any").warning("%d", SECRET)
    assert SECRET not in log.getvalue()


def test_loggers_with_handlers_of_their_own_are_covered(log: io.StringIO) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("apart")
    logger.propagate = False
    logger.addHandler(handler := logging.StreamHandler(stream))
    logger.warning("got %s", SECRET)
    logger.removeHandler(handler)
    assert stream.getvalue() == f"got {HIDDEN}\n"


def test_arguments_without_secrets_stay_arguments(log: io.StringIO) -> None:
    record = logging.getLogger("any").makeRecord("n", logging.INFO, "f", 1, "%s", ("x",), None)
    assert record.args == ("x",)


def test_libraries_that_log_headers_are_quiet(log: io.StringIO) -> None:
    for name in CHATTY_LOGGERS:
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_undoing_leaves_nothing_behind() -> None:
    before = logging.getLogRecordFactory()
    filters = list(logging.getLogger().filters)
    install(Redactor([SECRET]))()
    assert logging.getLogRecordFactory() is before
    assert logging.getLogger().filters == filters
