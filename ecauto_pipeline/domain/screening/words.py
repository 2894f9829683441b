"""Finding words in product texts, whatever the width and case they are written in.

Japanese puts no spaces between words, so a word's edge is where the script changes:

* A Latin word or number stands between characters that are no letters or digits of such a script:
  `AV` is in "AVケーブル", not in "NAVI".
* A katakana word fills its run of katakana, the long mark included: ジン is in "ジン・トニック",
  not in "エンジン" or "ジンジャー". Loanwords are written in katakana, a run a word.
* A kanji word is found anywhere, as kanji are compounded without edges: 検査 is in "血液検査薬".
* A word of hiragana alone needs other script beside it, or one particle: たばこ is in
  "昔のたばこは", not in "たばこやき". Inflections are written in hiragana, too, so that any short
  word of it would be found in half of all sentences.
* Of a word of several scripts, a Latin or katakana end has its edge; a hiragana end has none, as
  an inflection or particle may follow.

`*` at an end of a word lifts that end's edge: `ワイン*` is in "ワインセット".
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from operator import add

_HIRAGANA = "ぁ-ゖゝ-ゟ"
_KATAKANA = "ァ-ヺー-ヿㇰ-ㇿ"
_HAN = "々〆〇㐀-䶿一-鿿豈-\ufaff\U00020000-\U000323af"
_LETTER = rf"[^\W_{_HIRAGANA}{_KATAKANA}{_HAN}]"
_IN_KATAKANA = f"[{_KATAKANA}]"
_IN_HIRAGANA = f"[{_HIRAGANA}ー]"
_PARTICLE = "[のはがをにへともやで]"

_SIGN = "(?![\u0300-\u036f\u3099\u309a])"
"""A combining sign makes another character of the one before it."""

_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4"
    "\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff]")  # fmt: skip
"""Controls, formats, fillers, variation selectors, lone surrogates and noncharacters."""

_LINE_BREAKS = re.compile(
    "[^\\S\n]*(?:\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029])\\s*?(?=\\S|\n|$)"
)

_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n 　]")

_HANGUL_VOWELS_AND_FINALS = range(0x1160, 0x1200)
"""Letters that Unicode composes with the one before them, beside the marks."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word to look for: how it was spelled, how it reads folded, and its pattern there."""

    spelling: str
    folded: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a text a word is."""

    start: int
    end: int
    word: Word


class Words:
    """Words compiled once, to be looked for in many texts.

    >>> words = Words(["ジン", "THC"])
    >>> [word.spelling for word in words.found_in("エンジン　ｔｈｃ")]
    ['THC']
    """

    def __init__(self, spellings: Iterable[str]) -> None:
        words = [word for word in map(_word, set(spellings)) if word]
        longest_first = sorted(words, key=lambda word: (-len(word.folded), word.spelling))
        self._rank = {word: rank for rank, word in enumerate(longest_first)}
        self._by_start: defaultdict[str, list[Word]] = defaultdict(list)
        for word in longest_first:
            self._by_start[word.folded[:2]].append(word)
        self._starts = frozenset(self._by_start)
        self._has_single_characters = any(len(start) == 1 for start in self._starts)

    def worth_trying(self, folded: str) -> list[Word]:
        """The words whose first two characters the text has, longest first.

        Trying 500 patterns on each of 10,000 products would take minutes.
        """
        there = set(map(add, folded, folded[1:]))
        if self._has_single_characters:
            there.update(folded)
        words = (word for start in there & self._starts for word in self._by_start[start])
        return sorted(words, key=self._rank.__getitem__)

    def found_in(self, text: str) -> list[Word]:
        """The words that are in the text, longest first."""
        folded = fold(text)
        return [word for word in self.worth_trying(folded) if word.pattern.search(folded)]

    def spans_in(self, text: str) -> list[Span]:
        """Where the words are in the text itself; where two overlap, the longer one is.

        A character that only partly belongs to a word, such as ㍻ to 平, is in its span.
        """
        folded = fold(text)
        spans: list[Span] = []
        for word in self.worth_trying(folded):
            for match in word.pattern.finditer(folded):
                span = Span(match.start(), match.end(), word)
                if all(span.end <= other.start or other.end <= span.start for other in spans):
                    spans.append(span)
        if not spans:
            return []
        origins = _origins(text, folded)
        return sorted(
            (Span(origins[each.start][0], origins[each.end - 1][1], each.word) for each in spans),
            key=lambda span: (span.start, span.end),
        )


def fold(text: str) -> str:
    """The text without differences of width and case.

    >>> fold("ＡＭＡＺＯＮ ｴﾝｼﾞﾝ ㍻")
    'amazon エンジン 平成'
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def visible(text: str) -> str:
    r"""The text without invisible characters and with single spaces; line breaks are `\n`.

    >>> visible("Ama\u200bzon \t 限定\r\n品")
    'Amazon 限定\n品'
    """
    text = _INVISIBLE.sub("", _LINE_BREAKS.sub("\n", text))
    return _SPACES.sub(" ", text)


def is_word(spelling: str) -> bool:
    """Whether there is anything to look for."""
    return _word(spelling) is not None


def joined_by_removal(before: str, after: str) -> bool:
    """Whether the two characters would make one word of two, once they stand together."""
    return any(
        re.match(script, fold(before)[-1:]) and re.match(script, fold(after)[:1])
        for script in (_LETTER, _IN_KATAKANA)
    )


def _word(spelling: str) -> Word | None:
    text = " ".join(visible(spelling).split())
    bare = fold(text.strip("*")).strip()
    if not bare:
        return None
    before = "" if text.startswith("*") else _edge_before(bare)
    after = "" if text.endswith("*") else _edge_after(bare)
    return Word(spelling, bare, re.compile(f"{before}{re.escape(bare)}{_SIGN}{after}"))


def _edge_before(word: str) -> str:
    if re.match(_LETTER, word):
        return f"(?<!{_LETTER})"
    if re.match(_IN_KATAKANA, word):
        return f"(?<!{_IN_KATAKANA})"
    if re.fullmatch(f"{_IN_HIRAGANA}+", word):
        return f"(?:(?<!{_IN_HIRAGANA})|(?<=(?<!{_IN_HIRAGANA}){_PARTICLE}))"
    return ""


def _edge_after(word: str) -> str:
    if re.match(_LETTER, word[-1]):
        return f"(?!{_LETTER})"
    if re.fullmatch(f"{_IN_HIRAGANA}+", word):
        return f"(?:(?!{_IN_HIRAGANA})|(?={_PARTICLE}(?!{_IN_HIRAGANA})))"
    if re.match(_IN_KATAKANA, word[-1]):
        return f"(?!{_IN_KATAKANA})"
    return ""


def _origins(text: str, folded: str) -> Sequence[tuple[int, int]]:
    """For each character of the folded text, the range of the text that it came from."""
    if len(folded) == len(text) and folded == text.casefold():
        return [(at, at + 1) for at in range(len(text))]
    starts = [at for at, character in enumerate(text) if at == 0 or not _composes(character)]
    return [
        (start, end)
        for start, end in pairwise([*starts, len(text)])
        for _ in _folded_piece(text[start:end])
    ]


@lru_cache(maxsize=4096)
def _folded_piece(piece: str) -> str:
    return fold(piece)


@cache
def _composes(character: str) -> bool:
    """Whether it may become one character with what stands before it, as ﾞ does with ｼ."""
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] == "M" or ord(first) in _HANGUL_VOWELS_AND_FINALS
