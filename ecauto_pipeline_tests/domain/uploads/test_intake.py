"""What is read from a list of ASINs, and where its products go."""

import doctest
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.amazon.asin import is_asin
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.uploads import intake as intake_module
from ecauto_pipeline.domain.uploads.intake import (
    Candidate,
    Outcome,
    ParsedFile,
    choose_account,
    decode_text,
    invalid_rows,
    obstacle,
    parse_asins,
)
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline_tests.fakes import MIDDAY

A, B, C = "B0FGQJ45HW", "B07YV55TNL", "B06Y69FKT2"
HOUR = timedelta(hours=1)

JAPANESE = "商品コード\n" + A + "\n"

PROVEN = Candidate(
    A,
    title="ランプ",
    price_jpy=1000,
    catalog_asked_at=MIDDAY,
    catalog_updated_at=MIDDAY,
    price_updated_at=MIDDAY,
)


def read(text: str, suffix: str = ".txt") -> ParsedFile:
    return parse_asins(text, suffix)


def test_the_examples_hold() -> None:
    assert doctest.testmod(intake_module).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}",
        f"{A} {B}",
        f"{A},{B}",
        f" {A} ;\t{B} ",
        f"{A}、{B}",
        f"\ufeff{A}\r\n{B}\r\n",
        f"{A.lower()}\r{B}",
        "Ｂ０ＦＧＱＪ４５ＨＷ\u3000ｂ０７ｙｖ５５ｔｎｌ",
        f"# the lamps\n{A}  # the first\n\n#{C}\n{B}",
        f"ASIN\n{A}\n{B}",
        f"商品コード\n{A}\n{B}",
        f"\"{A}\", '{B}'",
        f"https://www.amazon.co.jp/dp/{A} https://www.amazon.co.jp/gp/product/{B}/ref=x?th=1",
        f"amazon.co.jp/ランプ-黒/dp/{A.lower()}?psc=1#reviews\nhttps://www.amazon.co.jp/gp/aw/d/{B}",
    ],
)
def test_a_list_is_read(text: str) -> None:
    assert read(text) == ParsedFile((A, B))


@pytest.mark.parametrize(
    "text",
    [
        f"asin,title\n{A},a lamp\n{B},another",
        f"title;ASIN\na lamp;{A}\nanother;{B}",
        f"title\tAsin\tparent\na lamp\t{A}\t{C}\nanother\t{B}\t{C}",
        f'"商品コード","名前"\r\n"{A}","ランプ, 黒"\r\n"{B}","ランプ\n白"\r\n',
        f"商品コード,asin\nX-1,{A}\nX-2,{B}",
        f"#,asin\n1,{A}\n2,{B}",
        f"# made today\nasin,title\n{A},a lamp\n#{C},not this\n{B},another",
        f"a lamp,{A}\nanother,{B}",
        f"名前;コード\nランプ;{A}\nランプ;{B}",
        f"# made today\n名前;コード\nランプ;{A}\nランプ;{B}",
        f"{A}\n{B}",
        f"{A},\n,,\n{B},",
        f"ＡＳＩＮ,名前\n{A},ランプ\nhttps://www.amazon.co.jp/dp/{B},ランプ",
    ],
)
def test_a_table_is_read(text: str) -> None:
    assert read(text, ".CSV") == ParsedFile((A, B))


def test_a_stray_quote_hides_no_line() -> None:
    found = read(f'asin,title\n{A},"24 inch\n{B},a lamp\n', ".csv")
    assert found == ParsedFile((A, B))


def test_a_cell_too_long_for_a_table_hides_no_line() -> None:
    found = read(f"asin,title\n{A},{'x' * 200_000}\n{B},a lamp\n", ".csv")
    assert found == ParsedFile((A, B))


def test_what_is_no_asin_is_named_with_its_line() -> None:
    found = read(f"{A}\nB0FGQJ45H\n{B} hello\n")
    assert found == ParsedFile((A, B), ((2, "B0FGQJ45H"), (3, "hello")))


def test_a_row_without_asin_is_named_with_its_line() -> None:
    found = read(f"asin,title\n{A},a lamp\n,another\nB0-FALSE,a third\n", ".csv")
    assert found == ParsedFile((A,), ((3, "another"), (4, "B0-FALSE")))


def test_what_comes_again_counts_once() -> None:
    assert read(f"{A}\n{B}\n{A.lower()}\nhttps://amazon.co.jp/dp/{A}") == ParsedFile((A, B), (), 2)


@pytest.mark.parametrize("text", ["b0000000ß", "https://x.jp/dp/B0FGQJ45HW9", "B0FGQJ45H٣"])
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert read(text).asins == ()


@given(st.text(), st.sampled_from([".txt", ".csv"]))
def test_any_text_can_be_read(text: str, suffix: str) -> None:
    found = read(text, suffix)
    assert all(map(is_asin, found.asins))
    assert len(set(found.asins)) == len(found.asins)


@given(
    st.lists(st.sampled_from([A, B, C, A.lower(), "x", '"', ",", ";", "\t", "\n", "#", "asin"])),
    st.sampled_from([".txt", ".csv"]),
)
def test_any_list_can_be_read(parts: list[str], suffix: str) -> None:
    found = read("".join(parts), suffix)
    assert all(map(is_asin, found.asins))
    assert len(set(found.asins)) == len(found.asins)


@given(st.lists(st.from_regex(r"[A-Z][A-Z0-9]{9}", fullmatch=True)), st.sampled_from(" ,;\n\t"))
def test_every_asin_of_a_list_is_found(asins: list[str], separator: str) -> None:
    found = read(separator.join(asins))
    assert list(found.asins) == list(dict.fromkeys(asins))
    assert len(found.asins) + found.repeated == len(asins)


@given(st.binary())
def test_any_file_is_text_or_refused(content: bytes) -> None:
    with suppress(Misconfigured):
        assert "\0" not in decode_text(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_encodings_are_told_apart(encoding: str) -> None:
    assert decode_text(JAPANESE.encode(encoding)) == JAPANESE


@pytest.mark.parametrize("content", [b"\x81", b"PK\x03\x04\x00\x00", b"\xff\xfea"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(Misconfigured, match="not text"):
        decode_text(content)


def test_what_is_invalid_is_reported_in_brief() -> None:
    (row,) = invalid_rows(ParsedFile(invalid=((7, "x" * 500),)))
    assert (row.outcome, row.detail) == (Outcome.INVALID, "line 7: not an ASIN")
    assert len(row.asin) < 100


def judged(**changes: object) -> Outcome | None:
    known = Candidate(**{name: getattr(PROVEN, name) for name in PROVEN.__slots__} | changes)  # pyright: ignore[reportArgumentType]
    row = obstacle(A, known, catalog_since=MIDDAY - HOUR, price_since=MIDDAY - HOUR)
    return row and row.outcome


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, None),
        ({"catalog_updated_at": None}, Outcome.NOT_FOUND),
        ({"catalog_updated_at": MIDDAY - HOUR / 2}, Outcome.NOT_FOUND),
        ({"catalog_asked_at": None, "catalog_updated_at": None}, Outcome.NOT_ANSWERED),
        (dict.fromkeys(["catalog_asked_at", "catalog_updated_at"], MIDDAY - 2 * HOUR),
         Outcome.NOT_ANSWERED),
        ({"catalog_asked_at": None}, None),
        ({"title": None}, Outcome.NOT_FOUND),
        ({"price_updated_at": None}, Outcome.NOT_ANSWERED),
        ({"price_updated_at": MIDDAY - 2 * HOUR}, Outcome.NOT_ANSWERED),
        ({"price_jpy": None}, Outcome.NO_PRICE),
    ],
)  # fmt: skip
def test_only_what_amazon_proves_can_be_listed(
    changes: dict[str, object], outcome: Outcome | None
) -> None:
    assert judged(**changes) == outcome


def test_a_product_that_is_gone_was_not_found() -> None:
    row = obstacle(A, None, catalog_since=MIDDAY, price_since=MIDDAY)
    assert row is not None
    assert row.outcome == Outcome.NOT_FOUND


TOYS = Account("toys", categories=("おもちゃ",))
PETS = Account("pets", categories=("ペット用品 > 犬用品",))
ALL, MORE = Account("all"), Account("more")
SHOPS = (ALL, TOYS, MORE, PETS)


@pytest.mark.parametrize(
    ("category", "account_id"),
    [
        ("おもちゃ > ブロック", "toys"),
        ("ペット用品>犬用品 › リード", "pets"),
        ("ホーム > ペット用品 > 犬用品", "all"),
        ("ペット用品", "all"),
        ("\u3000おもちゃ\u3000＞ ブロック", "toys"),
        ("文房具", "all"),
        (None, "all"),
    ],
)
def test_a_category_goes_to_its_account(category: str | None, account_id: str) -> None:
    assert choose_account(category, SHOPS, {}) == account_id


def test_of_those_that_fit_the_least_loaded_is_taken() -> None:
    dogs_toy = "ペット用品 > 犬用品 > おもちゃ"
    assert choose_account(dogs_toy, SHOPS, {"toys": 5, "pets": 4}) == "pets"
    assert choose_account("文房具", SHOPS, {"all": 5, "more": 4, "pets": 0}) == "more"


def test_when_none_fits_the_least_loaded_of_all_is_taken() -> None:
    assert choose_account("文房具", (TOYS, PETS), {"toys": 1}) == "pets"


def test_an_empty_category_fits_nothing() -> None:
    assert (
        choose_account("文房具", (Account("none", categories=(" > ",)), ALL), {"all": 9}) == "all"
    )
