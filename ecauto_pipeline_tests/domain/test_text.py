"""Text that every database keeps."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain import text as module
from ecauto_pipeline.domain.text import is_storable, storable

ANY_TEXT = st.text(st.characters() | st.sampled_from(["\0", "\ud83c", "\udf81"]))


def test_the_example_holds() -> None:
    assert doctest.testmod(module) == (0, 1)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\0", ""),
        ("\ud83c\udf81", "🎁"),
        ("\ud83c\0\udf81", "🎁"),
        ("\udf81\ud83c", "\ufffd\ufffd"),
        ("\ud83c\ud83c\udf81", "\ufffd🎁"),
        ("\ufeff\0a", "\ufeffa"),
        ("half \ud83c", "half \ufffd"),
    ],
)
def test_what_can_be_said_of_a_text_is_kept(text: str, kept: str) -> None:
    assert not is_storable(text)
    assert storable(text) == kept


@given(ANY_TEXT)
def test_any_text_can_be_stored_afterwards(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept == storable(kept)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_sound_text_is_given_back_itself(text: str) -> None:
    assert storable(text) is text
