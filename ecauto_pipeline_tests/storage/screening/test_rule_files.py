"""The screening rules in files."""

from pathlib import Path

import pytest

from ecauto_pipeline.domain.screening.rules import (
    CategoryRule,
    KeywordRule,
    Product,
    ScreeningRules,
    Verdict,
    Whitelisting,
    screen,
)
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.storage.screening.rule_files import (
    BLOCKED,
    FILES,
    NG_WORDS,
    PROHIBITED,
    WHITELIST,
)
from ecauto_pipeline.storage.screening.rule_files import read_rules as read
from ecauto_pipeline_tests.places import PROJECT

ONE_RULE = '[[keywords]]\nname = "one"\nscore = 50\nwords = ["ジン"]\n'
ONE_CATEGORY = '[[categories]]\nname = "shut"\ncategories = ["A > B"]\n'
LIFTED = '[[lifted]]\nrule = "one"\nwords = ["水"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "screening"
    folder.mkdir()
    return folder


@pytest.fixture
def defaults(tmp_path: Path) -> ScreeningRules:
    return read(tmp_path / "not there")


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_the_defaults_are_used_where_there_are_no_files(
    folder: Path, defaults: ScreeningRules
) -> None:
    assert read(folder) == defaults
    assert "Amazon" in defaults.ng_words
    assert defaults.keyword_rules
    assert defaults.category_rules
    assert not defaults.blocked_asins


def test_every_default_exception_has_a_rule_to_lift(defaults: ScreeningRules) -> None:
    names = {rule.name for rule in (*defaults.keyword_rules, *defaults.category_rules)}
    assert {"alcohol", "vehicles"} <= {each.rule for each in defaults.whitelist} <= names


@pytest.mark.parametrize(
    ("title", "category", "verdict"),
    [
        ("【第3類医薬品】総合ビタミン剤", "第三類医薬品", Verdict.BLOCKED),
        ("加熱式たばこ 車用ホルダー付き", "", Verdict.BLOCKED),
        ("加熱式たばこ 車用ホルダー付き", "Tobacco", Verdict.BLOCKED),
        ("エンジン オイル 添加剤", "車&バイク > オイル", Verdict.ACCEPTED),
        ("薬用シャンプー 医薬部外品", "ビューティー > ヘアケア", Verdict.REVIEW),
        ("【Amazon.co.jp 限定】ワイングラス 2個", "ホーム&キッチン", Verdict.ACCEPTED),
        ("赤ワイン 750ml", "", Verdict.REVIEW),
        ("赤ワイン 750ml", "食品・飲料・お酒 > お酒 > ワイン", Verdict.BLOCKED),
        ("指紋認証 生体認証ドアロック", "", Verdict.ACCEPTED),
        ("成犬用 アダルト ドッグフード", "", Verdict.ACCEPTED),
    ],
)
def test_the_defaults_tell_what_may_be_listed(
    defaults: ScreeningRules, title: str, category: str, verdict: Verdict
) -> None:
    assert screen(Product("B000000001", title, category=category), defaults).verdict is verdict


def test_a_file_replaces_the_whole_of_one_default(folder: Path, defaults: ScreeningRules) -> None:
    rules = read(_write(folder, ng_words='words = ["見本"]', whitelist=""))
    assert rules.ng_words == ("見本",)
    assert rules.whitelist == ()
    assert rules.keyword_rules == defaults.keyword_rules


def test_all_that_the_files_say_is_in_the_rules(folder: Path) -> None:
    _write(
        folder,
        ng_words="words = []",
        prohibited=f"review_score = 30\nblock_score = 90\n{ONE_RULE}{ONE_CATEGORY}blocked = true\n",
        blocked='asins = [" b000000001"]\nbrands = ["Brand"]',
        whitelist=LIFTED,
    )
    assert read(folder) == ScreeningRules(
        keyword_rules=(KeywordRule("one", ("ジン",), 50),),
        category_rules=(CategoryRule("shut", ("A > B",), blocked=True),),
        blocked_asins=frozenset({"B000000001"}),
        blocked_brands=frozenset({"Brand"}),
        whitelist=(Whitelisting("one", ("水",)),),
        review_score=30,
        block_score=90,
    )


def test_default_exceptions_of_rules_that_were_replaced_are_dropped(folder: Path) -> None:
    assert read(_write(folder, prohibited=ONE_RULE)).whitelist == ()


def test_a_byte_order_mark_is_no_error(folder: Path) -> None:
    (folder / NG_WORDS).write_bytes(b"\xef\xbb\xbfwords = []")
    assert read(folder).ng_words == ()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (NG_WORDS, "words = [", "is not valid TOML"),
        (NG_WORDS, 'words = ["a", 1]', ": words[1]: "),
        (NG_WORDS, 'words = "a"', ": words: "),
        (NG_WORDS, 'words = ["　*"]', ": words[0]: a word with at least one character"),
        (NG_WORDS, "word = []", ": word: Extra inputs"),
        (PROHIBITED, ONE_RULE.replace("50", "101"), ": keywords[0].score: "),
        (PROHIBITED, ONE_RULE.replace("50", "true"), ": keywords[0].score: "),
        (PROHIBITED, ONE_RULE.replace('["ジン"]', "[]"), ": keywords[0].words: "),
        (PROHIBITED, ONE_RULE + ONE_RULE, "two rules have the name one"),
        (PROHIBITED, ONE_CATEGORY, ": categories[0]: either blocked = true or a score"),
        (PROHIBITED, f"{ONE_CATEGORY}blocked = true\nscore = 9", ": categories[0]: either"),
        (PROHIBITED, "review_score = 90\nblock_score = 80", "review_score is above block_score"),
        (BLOCKED, 'asins = ["B0"]', ": asins[0]: 'B0' is not an ASIN"),
        (WHITELIST, LIFTED, ": lifted[0].rule: the rule 'one' is not there"),
        (WHITELIST, LIFTED.replace("one", "medicine_categories"), "blocks, and is never lifted"),
    ],
)
def test_a_slip_is_refused_with_file_and_key(
    folder: Path, name: str, text: str, complaint: str
) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as refusal:
        read(folder)
    assert str(refusal.value).startswith(str(folder / name))
    assert complaint in str(refusal.value)


def test_a_file_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / NG_WORDS).write_bytes('words = ["限定"]'.encode("shift_jis"))
    with pytest.raises(Misconfigured, match=r"ng_words\.toml is not valid TOML"):
        read(folder)


def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / BLOCKED).mkdir()
    with pytest.raises(Misconfigured, match=r"blocked\.toml cannot be read"):
        read(folder)


def test_a_file_of_another_name_is_refused(folder: Path) -> None:
    with pytest.raises(Misconfigured, match=r"ngwords\.toml: there is no such file of rules"):
        read(_write(folder, ngwords=""))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "screening"
    path.touch()
    with pytest.raises(Misconfigured, match="is not a folder"):
        read(path)


@pytest.mark.parametrize("name", FILES)
def test_a_default_may_be_copied_as_it_is(
    folder: Path, defaults: ScreeningRules, name: str
) -> None:
    root = PROJECT / "ecauto_pipeline/storage/screening/rules"
    (folder / name).write_bytes((root / name).read_bytes())
    assert read(folder) == defaults
