"""What may be listed: cleaning of texts, matching of words, and the verdict."""

import doctest
import random
import unicodedata
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.domain.screening import cleaning as screening_text
from ecauto_pipeline.domain.screening import rules as screening
from ecauto_pipeline.domain.screening import words as screening_words
from ecauto_pipeline.domain.screening.cleaning import clean_text
from ecauto_pipeline.domain.screening.rules import (
    CategoryRule,
    KeywordRule,
    Product,
    Screening,
    ScreeningRules,
    Verdict,
    Whitelisting,
    screen,
)
from ecauto_pipeline.domain.screening.words import Words, fold, visible

Each = TypeVar("Each")

TOBACCO = KeywordRule("tobacco", ("加熱式たばこ", "たばこ"), 100)
ALCOHOL = KeywordRule("alcohol", ("ジン", "ワイン", "日本酒"), 50)
VEHICLES = KeywordRule("vehicles", ("オートバイ", "車"), 50)
HINT = KeywordRule("hint", ("健康",), 20)
MEDICINES = CategoryRule("medicines", ("第三類医薬品", "ドラッグストア > 医薬品"), blocked=True)
KNIVES = CategoryRule("knives", ("ナイフ",), score=50)

RULES = ScreeningRules(
    ng_words=("Amazon", "by Amazon", "アマゾン", "限定", "プライム会員"),
    keyword_rules=(TOBACCO, ALCOHOL, VEHICLES, HINT),
    category_rules=(MEDICINES, KNIVES),
    blocked_asins=frozenset({"B000000013"}),
    blocked_brands=frozenset({"Évil Brand"}),
    whitelist=(
        Whitelisting("vehicles", ("車用", "オートバイ用")),
        Whitelisting("knives", ("ペーパーナイフ",)),
        Whitelisting("medicines", ("ビタミン剤",)),
    ),
)

PIECES = (
    *"aAzｚＡmé5５アｱﾞマｿｿﾞンジエーｰ限定水酒車たばこの昔はや",
    *"【】（）()[]「」/・-,| 　\n\t\r\x00\x07\u200b\ufe0f",
    *"🎉𠮷𝐀㍻㍿㌔ﬁßİ゙゛각ᄀ\u1161\u11a8ĸ\ud800\ufffe",
    *(
        "Amazon",
        "ＡＭＡＺＯＮ",
        "アマゾン",
        "ｱﾏｿﾞﾝ",
        "限定",
        "ジン",
        "エンジン",
        "たばこ",
        "平成",
        "キロ",
        "fi",
    ),
)

TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=25).map("".join)

WORDS = st.lists(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join), max_size=8
).map(Words)

RULE_WORDS = st.lists(
    st.sampled_from(("ジン", "限定", "車", "たばこ", "Amazon", "水", "平成")),
    min_size=1,
    max_size=3,
).map(tuple)

NAMES = st.sampled_from(("one", "two", "three"))

RULE_SETS = st.builds(
    ScreeningRules,
    ng_words=RULE_WORDS,
    keyword_rules=st.lists(
        st.builds(KeywordRule, NAMES, RULE_WORDS, st.integers(1, 60)), max_size=4
    ).map(tuple),
    category_rules=st.lists(
        st.builds(
            CategoryRule, NAMES, st.just(("A", "B > C")), st.booleans(), score=st.integers(1, 60)
        ),
        max_size=3,
    ).map(tuple),
    whitelist=st.lists(st.builds(Whitelisting, NAMES, RULE_WORDS), max_size=3).map(tuple),
)

PRODUCTS = st.builds(
    Product, st.just("B000000001"), TEXTS, TEXTS, category=st.sampled_from(("", "A", "B > C"))
)


def _screen(title: str, **fields: str) -> Screening:
    return screen(Product(fields.pop("asin", "B000000001"), title, **fields), RULES)


def _has(text: str, word: str) -> bool:
    return bool(Words([word]).found_in(text))


@pytest.mark.parametrize(
    ("module", "examples"), [(screening, 3), (screening_text, 1), (screening_words, 4)]
)
def test_the_examples_hold(module: ModuleType, examples: int) -> None:
    assert doctest.testmod(module) == (0, examples)


def test_a_word_that_is_everywhere_does_not_excuse_a_blocked_category() -> None:
    found = _screen("【第3類医薬品】総合ビタミン剤", category="ドラッグストア > 第三類医薬品")
    assert found.verdict is Verdict.BLOCKED
    assert found.reasons == ("medicines: blocked category 第三類医薬品",)


def test_the_whitelist_of_one_rule_does_not_excuse_another() -> None:
    found = _screen("加熱式たばこ 車用ホルダー付き")
    assert (found.verdict, found.score) == (Verdict.BLOCKED, 100)
    assert found.reasons == ("tobacco: たばこ, 加熱式たばこ",)


def test_an_engine_is_no_gin() -> None:
    found = _screen("エンジン オイル 添加剤", category="車&バイク > オイル")
    assert (found.verdict, found.score, found.reasons) == (Verdict.ACCEPTED, 0, ())


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ジン", "ジン・トニック"),
        ("ジン", "ドライ ジン"),
        ("ジン", "ﾄﾞﾗｲ･ｼﾞﾝ"),
        ("ジン", "高級ジンの瓶"),
        ("ワイン*", "ワインセット"),
        ("*ジン", "エンジン"),
        ("検査", "血液検査薬"),
        ("たばこ", "昔のたばこは"),
        ("たばこ", "たばこ"),
        ("加熱式たばこ", "加熱式たばこなど"),
        ("お酒", "そのお酒を"),
        ("AV", "ＡＶケーブル"),
        ("av", "日本AV機器"),
        ("第3類", "第③類"),
        ("by amazon", "By　　Amazon製"),
        ("THC", "𝐓𝐇𝐂"),
        ("Amazon", "Ama\u200bzon"),
        ("groß", "GROSS"),
        (".co.jp限定", "x.co.jp限定"),
    ],
)
def test_a_word_that_stands_by_itself_is_found(word: str, text: str) -> None:
    assert _has(visible(text), word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ジン", "エンジン"),
        ("ジン", "ジンジャー"),
        ("ジン", "ジーン"),
        ("ジン", "ｴﾝｼﾞﾝ"),
        ("ビル", "ビルー"),
        ("ジン*", "エンジン"),
        ("*ジン", "ジンジャー"),
        ("カ", "ｶﾞ"),
        ("電子タバコ", "電子タバコケース"),
        ("たばこ", "たばこやき"),
        ("たばこ", "んたばこ"),
        ("たばこ", "たばこのや"),
        ("AV", "NAVI"),
        ("AV", "AV1"),
        ("R18", "R180"),
        ("cafe", "cafe\u0301"),
        ("by Amazon", "by\nAmazon"),
    ],
)
def test_a_part_of_another_word_is_not_found(word: str, text: str) -> None:
    assert not _has(text, word)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("【Amazon限定】水 500ml", "水 500ml"),
        ("【限定（アマゾン）】水", "水"),
        ("[ ]『』「　」〔〕［］（）()水", "水"),
        ("水（限定/大容量）", "水（大容量）"),
        ("水／Amazon／大容量", "水／大容量"),
        ("foo-Amazon-bar", "foo-bar"),
        ("Amazon - 5個", "5個"),
        ("Amazon -5℃", "-5℃"),
        ("水 | Amazon", "水"),
        ("水  限定 　大", "水 大"),
        ("ｱﾏｿﾞﾝ限定品 ＡＭＡＺＯＮ", "品"),
        ("USB限定C", "USB C"),
        ("ボトル限定カップ", "ボトル カップ"),
        ("大容量限定水", "大容量水"),
        ("限限定定品", "品"),
        ("by Amazon 水", "水"),
        ("牛丼🎉【🎊】𠮷野家", "牛丼野家"),
        ("一行目\r\nAmazon\r\n\r\n\r\n\r\n 二行目 ", "一行目\n\n二行目"),
        ("a\tb\x07c", "a bc"),
        ("-----\n・・・\nhttps://example.com", "-----\n・・・\nhttps://example.com"),
    ],
)
def test_what_is_taken_out_leaves_no_trace(text: str, cleaned: str) -> None:
    assert clean_text(text, RULES.removable).text == cleaned


@pytest.mark.parametrize(
    ("text", "word", "cleaned"),
    [
        ("㍻元年", "平成", "元年"),
        ("㍻元年", "平", "元年"),
        ("5㌔入", "キロ", "5入"),
        ("oﬃce 椅子", "office", "椅子"),
        ("㈱見本", "株", "見本"),
        ("ﾊﾞｯｸﾞ 赤", "バッグ", "赤"),
        ("ハ\u3099ッグ 赤", "バッグ", "赤"),
        ("\u1100\u1161\u11a8 a", "\uac01", "a"),
    ],
)
def test_characters_that_expand_or_compose_go_as_a_whole(
    text: str, word: str, cleaned: str
) -> None:
    assert clean_text(text, Words([word])).text == cleaned


def test_what_was_removed_is_named_once_and_legibly() -> None:
    cleaned = clean_text("𠮷野家 AMAZON\x07 amazon", RULES.removable)
    assert cleaned.removed == ("U+0007", "𠮷 U+20BB7", "Amazon")


def test_a_longer_word_goes_before_a_shorter_one_within() -> None:
    assert clean_text("水 by Amazon", RULES.removable).removed == ("by Amazon",)


@pytest.mark.parametrize(
    ("title", "listed"),
    [
        ("【Amazon】🎉", "【Amazon】"),
        ("Amazon ！", "Amazon ！"),
        ("🎉", "B000000001"),
        ("", "B000000001"),
    ],
)
def test_a_title_that_would_be_empty_is_kept_and_reviewed(title: str, listed: str) -> None:
    found = _screen(title)
    assert (found.title, found.verdict) == (listed, Verdict.REVIEW)
    assert found.reasons[-1].startswith("title: empty")


def test_a_title_is_one_line() -> None:
    assert _screen("水\r\n500ml\t瓶").title == "水 500ml 瓶"


def test_scores_add_up_to_the_verdict() -> None:
    assert _screen("健康な水").verdict is Verdict.ACCEPTED
    doubtful = _screen("ワイン")
    assert (doubtful.verdict, doubtful.score) == (Verdict.REVIEW, 50)
    assert _screen("ワイン 車").verdict is Verdict.BLOCKED
    assert _screen("ワイン 車 ジン たばこ").score == 100


def test_a_rule_counts_once() -> None:
    assert _screen("ワイン ジン 日本酒", description="ワイン").score == 50


def test_a_description_counts_like_a_title() -> None:
    assert _screen("箱", description="中は\n日本酒です").reasons == ("alcohol: 日本酒",)


def test_the_whitelist_lifts_the_rule_it_names() -> None:
    assert _screen("車用ホルダー").verdict is Verdict.ACCEPTED
    assert _screen("ペーパーナイフ", category="文具 > ナイフ").verdict is Verdict.ACCEPTED


def test_removing_a_character_forms_no_word_of_the_whitelist() -> None:
    assert _screen("車🎉用ホルダー").reasons == ("vehicles: 車",)


def test_removing_a_word_neither_hides_nor_forms_a_prohibited_one() -> None:
    rules = replace(RULES, ng_words=("たばこ", "限定", "本限定"))
    assert screen(Product("B000000001", "たばこ 箱"), rules).reasons == ("tobacco: たばこ",)
    assert screen(Product("B000000001", "日🎉本酒"), rules).reasons == ("alcohol: 日本酒",)


@pytest.mark.parametrize(
    "category", ["第三類医薬品", "A ＞ 第三類医薬品 > B", "ドラッグストア›医薬品 > 風邪薬"]
)
def test_a_category_is_a_part_or_the_beginning_of_a_path(category: str) -> None:
    assert _screen("ビタミン剤", category=category).verdict is Verdict.BLOCKED


@pytest.mark.parametrize(
    "category", ["", "医薬品", "本 > ドラッグストア > 医薬品", "第三類医薬品の本"]
)
def test_another_category_is_not_taken_for_it(category: str) -> None:
    assert _screen("ビタミン剤", category=category).verdict is Verdict.ACCEPTED


def test_blocked_products_and_brands_are_never_lifted() -> None:
    assert _screen("水", asin="B000000013").reasons == ("blocked ASIN: B000000013",)
    assert _screen("水", brand="ｅ\u0301vil　BRAND ").reasons == (
        "blocked brand: ｅ\u0301vil　BRAND ",
    )
    assert _screen("水", brand="Evil Brand Japan").verdict is Verdict.ACCEPTED


def test_no_brand_is_not_a_blocked_brand() -> None:
    rules = replace(RULES, blocked_brands=frozenset({""}))
    assert screen(Product("B000000001", "水"), rules).verdict is Verdict.ACCEPTED


def test_rules_compile_their_words_once_and_try_only_those_that_may_be_there() -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("検査薬医療品銃車酒水器具電動式", k=3)) for _ in range(500)]
    rules = ScreeningRules(keyword_rules=(KeywordRule("many", tuple(words), 1),))
    texts = ["".join(draw.choices("台所収納棚白木製大容量 検車", k=60)) for _ in range(100)]
    assert rules.searched is rules.searched
    tried = sum(len(rules.searched.worth_trying(fold(text))) for text in texts)
    assert tried < len(texts) * len(words) / 50


@given(TEXTS)
def test_folding_by_pieces_is_folding_as_a_whole(text: str) -> None:
    folded = fold(text)
    origins = screening_words._origins(text, folded)  # pyright: ignore[reportPrivateUsage]
    assert len(origins) == len(folded)
    pieces = sorted(set(origins))
    assert "".join(fold(text[start:end]) for start, end in pieces) == folded


@given(TEXTS, WORDS)
def test_cleaning_twice_is_cleaning_once(text: str, words: Words) -> None:
    cleaned = clean_text(text, words)
    assert clean_text(cleaned.text, words) == replace(cleaned, removed=())


@given(TEXTS, WORDS)
def test_what_is_left_holds_nothing_that_had_to_go(text: str, words: Words) -> None:
    cleaned = clean_text(text, words).text
    assert words.found_in(cleaned) == []
    assert all(character <= "\uffff" for character in cleaned)
    assert not {unicodedata.category(each) for each in cleaned.replace("\n", "")} & {"Cc", "Cs"}
    cleaned.encode()


@given(TEXTS)
def test_without_words_only_invisible_things_spaces_and_brackets_go(text: str) -> None:
    def letters(text: str) -> list[str]:
        return [each for each in visible(text) if each.isalnum() and each <= "\uffff"]

    assert letters(clean_text(text, Words(())).text) == letters(text)


@given(PRODUCTS, RULE_SETS)
def test_a_title_is_never_empty(product: Product, rules: ScreeningRules) -> None:
    found = screen(product, rules)
    assert found.title.strip()
    again = screen(replace(product, title=found.title, description=found.description), rules)
    assert (again.title, again.description) == (found.title, found.description)


@given(PRODUCTS, RULE_SETS, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    product: Product, rules: ScreeningRules, draw: random.Random
) -> None:
    def shuffled(each: tuple[Each, ...]) -> tuple[Each, ...]:
        return tuple(draw.sample(each, len(each)))

    other = ScreeningRules(
        ng_words=shuffled(rules.ng_words),
        keyword_rules=shuffled(rules.keyword_rules),
        category_rules=shuffled(rules.category_rules),
        whitelist=shuffled(rules.whitelist),
    )
    assert screen(product, other) == screen(product, rules)


@given(PRODUCTS, RULE_SETS, RULE_WORDS)
def test_the_whitelist_never_changes_what_another_rule_says(
    product: Product, rules: ScreeningRules, words: tuple[str, ...]
) -> None:
    def of_others(found: Screening) -> list[str]:
        return [reason for reason in found.reasons if not reason.startswith("one: ")]

    before = screen(product, rules)
    more = replace(rules, whitelist=(*rules.whitelist, Whitelisting("one", words)))
    after = screen(product, more)
    assert of_others(after) == of_others(before)
    assert after.score <= before.score


@given(PRODUCTS, RULE_SETS)
def test_no_whitelist_opens_a_blocked_category(product: Product, rules: ScreeningRules) -> None:
    everything = Whitelisting("shut", ("ジン", "水"))
    shut = CategoryRule("shut", ("B > C",), blocked=True)
    rules = replace(rules, category_rules=(shut,), whitelist=(*rules.whitelist, everything))
    found = screen(replace(product, category="B > C", title=f"{product.title} ジン"), rules)
    assert (found.verdict, found.score) == (Verdict.BLOCKED, 100)
