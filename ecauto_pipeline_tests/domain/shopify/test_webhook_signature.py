"""Who signed a webhook."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.shopify.webhook_signature import is_signed, signature

BODY = '{"id": 1, "note": "ありがとう"}'.encode()


def test_the_signature_is_the_one_that_shopify_documents() -> None:
    digest = hmac.new(b"secret", BODY, hashlib.sha256).digest()
    assert signature(BODY, "secret") == base64.b64encode(digest).decode()


def test_each_of_several_secrets_may_have_signed() -> None:
    for secret in ("old", "new"):
        assert is_signed(BODY, signature(BODY, secret), ["new", "old"])


@pytest.mark.parametrize(
    "given",
    [
        "",
        "anything",
        "é\x80",
        signature(BODY, "another"),
        signature(BODY + b" ", "secret"),
        signature(BODY, "secret").rstrip("="),
        signature(BODY, "secret").lower(),
    ],
)
def test_anything_else_is_no_signature(given: str) -> None:
    assert not is_signed(BODY, given, ["secret"])


def test_an_empty_secret_signs_nothing() -> None:
    assert not is_signed(BODY, signature(BODY, ""), ["", "secret"])
    assert not is_signed(BODY, signature(BODY, ""), [])


@given(st.binary(max_size=40), st.binary(max_size=40), st.text(min_size=1))
def test_a_signature_fits_its_own_body_only(body: bytes, other: bytes, secret: str) -> None:
    secret = secret.encode(errors="replace").decode()
    assert is_signed(other, signature(body, secret), [secret]) == (body == other)
