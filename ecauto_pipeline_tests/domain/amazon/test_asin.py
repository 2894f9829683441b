"""What an ASIN is, and its shard."""

import doctest
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.amazon import asin as asin_module
from ecauto_pipeline.domain.amazon.asin import SHARDS, asin_from, is_asin, shard_of
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.sandbox.amazon.world import World


def test_the_examples_hold() -> None:
    assert doctest.testmod(asin_module).failed == 0


@pytest.mark.parametrize("text", ["B0FGQJ45HW", "B006OHKDW8", "4873115655", "487311565X"])
def test_an_asin_is_one(text: str) -> None:
    assert is_asin(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B0FGQJ45H",
        "B0FGQJ45HWX",
        "b0fgqj45hw",
        "48731156X5",
        "B0FGQJ45H-",
        "B0FGQJ45HW\n",
        "Ｂ006OHKDW8",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_asin(text)


@pytest.mark.parametrize("text", ["B0FGQJ45HW", " b0fgqj45hw\n", "B0fgQj45Hw"])
def test_case_and_space_are_forgiven(text: str) -> None:
    assert asin_from(text) == "B0FGQJ45HW"


@pytest.mark.parametrize("text", ["", "https://amazon.co.jp/dp/B0FGQJ45HW", "48731156X5"])
def test_what_holds_none_is_named_in_the_refusal(text: str) -> None:
    with pytest.raises(Misconfigured, match="is not an ASIN") as raised:
        asin_from(text)
    assert repr(text) in str(raised.value)


@given(st.text(max_size=14))
def test_whatever_is_accepted_is_an_asin(text: str) -> None:
    try:
        assert is_asin(asin_from(text))
    except Misconfigured:
        assert not is_asin(text)


def test_shards_are_the_same_for_ever() -> None:
    asins = ["B0FGQJ45HW", "B07YV55TNL", "B06Y69FKT2", "B006OHKDW8"]
    assert [shard_of(asin) for asin in asins] == ["09", "02", "16", "00"]


def test_shards_are_about_equally_full() -> None:
    counts = Counter(shard_of(asin) for asin in World(count=2400).asins)
    assert counts.keys() == set(SHARDS)
    assert max(counts.values()) < 2 * min(counts.values())
