"""Cleaning titles and descriptions before they are listed.

What is taken out leaves no trace: brackets that became empty, separators that now stand twice and
doubled spaces go with it, and two words are not run together.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ecauto_pipeline.domain.screening.words import Span, Words, joined_by_removal, visible

_CUT = "\0"
"""Stands where something was taken out; `visible` has left none of its own."""

_OPEN = "【（(［[「『〔〈《"
_CLOSE = "】）)］]」』〕〉》"
_PAIRS = ("【】", "（）", "()", "（)", "(）", "［］", "[]", "「」", "『』", "〔〕", "〈〉", "《》")

_EMPTY_BRACKETS = re.compile(
    "|".join(rf"{re.escape(opening)}\s*{re.escape(closing)}" for opening, closing in _PAIRS)
)

_GAP = r"[^\S\n]*"
_SEPARATOR = r"(?:[/／|｜・、,，:：;；&＆]|[-‐‑–—−](?!\d))"  # before a digit it is a minus
_BEGINNING = rf"(^|[{re.escape(_OPEN)}])"
_ENDING = rf"($|[{re.escape(_CLOSE)}])"

_CUTS = re.compile(rf"{_CUT}(?:{_GAP}{_CUT})+")
_BETWEEN_SEPARATORS = re.compile(rf"({_SEPARATOR}){_GAP}{_CUT}(?:{_GAP}{_SEPARATOR})+")
_AT_BEGINNING = re.compile(rf"{_BEGINNING}{_GAP}{_CUT}(?:{_GAP}{_SEPARATOR})*{_GAP}", re.MULTILINE)
_AT_ENDING = re.compile(rf"{_GAP}(?:{_SEPARATOR}{_GAP})*{_CUT}{_GAP}{_ENDING}", re.MULTILINE)
_BETWEEN_SPACES = re.compile(rf"([^\S\n]){_CUT}[^\S\n]+")
_BETWEEN_LETTERS = re.compile(rf"(\S){_CUT}(?=(\S))")

_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_MANY_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text fit to be listed, and what was taken out of it, each once."""

    text: str
    removed: tuple[str, ...]


def clean_text(text: str, ng_words: Words) -> Cleaned:
    """The text without NG words, and without characters that BASE refuses; cleaning twice is once.

    BASE answers validation_error to characters of four bytes in UTF-8: emoji, and kanji like 𠮷.

    >>> clean_text("【Amazon限定】水 / 500ml", Words(["amazon限定"]))
    Cleaned(text='水 / 500ml', removed=('amazon限定',))
    """
    removed = list(_CONTROL.findall(text))
    while (cleaned := _cut(text, ng_words, removed)) != text:
        text = cleaned
    return Cleaned(text, tuple(dict.fromkeys(map(_named, removed))))


def clean_title(text: str, ng_words: Words) -> Cleaned:
    """The text as one line, cleaned likewise."""
    return clean_text(" ".join(text.split()), ng_words)


def says_something(text: str) -> bool:
    """Whether there is a letter or digit of any script in it."""
    return any(map(str.isalnum, text))


def _cut(text: str, ng_words: Words, removed: list[str]) -> str:
    """The text without what is to go now; the rest may hold another word, now run together."""
    text = visible(text)
    if beyond := _BEYOND_BMP.findall(text):
        removed += beyond
        text = _BEYOND_BMP.sub(_CUT, text)
    if spans := ng_words.spans_in(text):
        removed += [span.word.spelling for span in spans]
        text = _without(text, spans)
    return _tidied(text)


def _without(text: str, spans: Iterable[Span]) -> str:
    """The text with a mark for each span; two may share a character such as ㍻."""
    pieces: list[str] = []
    end = 0
    for span in spans:
        pieces += (text[end : span.start], _CUT)
        end = span.end
    return "".join((*pieces, text[end:]))


def _tidied(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = _EMPTY_BRACKETS.sub(_CUT, _mended(text) if _CUT in text else text)
    return _MANY_LINES.sub("\n\n", "\n".join(map(str.strip, text.split("\n")))).strip()


def _mended(text: str) -> str:
    """The text without marks, and without what they leave behind."""
    text = _CUTS.sub(_CUT, text)
    text = _BETWEEN_SEPARATORS.sub(rf"\1{_CUT}", text)
    text = _AT_BEGINNING.sub(r"\1", text)
    text = _AT_ENDING.sub(r"\1", text)
    text = _BETWEEN_SPACES.sub(r"\1", text)
    return _BETWEEN_LETTERS.sub(_kept_apart, text).replace(_CUT, "")


def _kept_apart(match: re.Match[str]) -> str:
    return f"{match[1]} " if joined_by_removal(match[1], match[2]) else match[1]


def _named(removed: str) -> str:
    """What was removed, so that it can be read: a character that may not show has its number."""
    if len(removed) > 1 or (removed.isprintable() and removed <= "\uffff"):
        return removed
    number = f"U+{ord(removed):04X}"
    return f"{removed} {number}" if removed.isprintable() else number
