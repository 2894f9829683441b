"""Texts at rest."""

import pytest

from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.storage.cipher import PREFIX, Cipher

SECRET = "日本語 token-0123456789"


def test_without_a_key_texts_stay_as_they_are() -> None:
    assert Cipher().encrypt(SECRET) == SECRET
    assert Cipher().decrypt(SECRET) == SECRET


def test_with_a_key_texts_are_marked_and_unreadable() -> None:
    stored = Cipher("passphrase").encrypt(SECRET)
    assert stored.startswith(PREFIX)
    assert SECRET not in stored


def test_another_process_reads_them_with_the_same_key() -> None:
    assert Cipher("passphrase").decrypt(Cipher("passphrase").encrypt(SECRET)) == SECRET


def test_the_same_text_is_never_stored_alike() -> None:
    cipher = Cipher("passphrase")
    assert cipher.encrypt(SECRET) != cipher.encrypt(SECRET)


@pytest.mark.parametrize("key", ["", "another"])
def test_a_missing_or_wrong_key_is_named_and_nothing_shown(key: str) -> None:
    stored = Cipher("passphrase").encrypt(SECRET)
    with pytest.raises(Misconfigured, match="ECAUTO_SECRET_KEY") as raised:
        Cipher(key).decrypt(stored)
    assert "passphrase" not in str(raised.value).replace("the passphrase", "")
    assert stored not in str(raised.value)


@pytest.mark.parametrize("broken", [PREFIX, PREFIX + "x", PREFIX + "gAAAAA==", PREFIX + "日本"])
def test_what_is_damaged_is_reported_like_a_wrong_key(broken: str) -> None:
    with pytest.raises(Misconfigured, match="ECAUTO_SECRET_KEY"):
        Cipher("passphrase").decrypt(broken)


def test_what_was_stored_before_there_was_a_key_can_be_read() -> None:
    assert Cipher("passphrase").decrypt(SECRET) == SECRET
