"""What may be listed on BASE: the rules, and what they say of a product.

Rules give scores, which add up; the sum decides between accepting, asking a person and blocking.
A whitelist lifts only the rule it names. Blocked categories, ASINs and brands are never lifted.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from ecauto_pipeline.domain.screening.cleaning import (
    Cleaned,
    clean_text,
    clean_title,
    says_something,
)
from ecauto_pipeline.domain.screening.words import Words, fold, visible

MOST = 100
"""The highest score; that of everything blocked outright."""

_ARROWS = re.compile("[>›»→]")


class Verdict(StrEnum):
    """What is to be done with a product."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class KeywordRule:
    """Products whose title or description holds one of the words get the score, once."""

    name: str
    words: tuple[str, ...]
    score: int


@dataclass(frozen=True, slots=True)
class CategoryRule:
    """Products of these categories get the score, or are blocked whatever else holds.

    A category is one name, wherever in the path it stands, or the beginning of a path: "A > B".
    """

    name: str
    categories: tuple[str, ...]
    blocked: bool = False
    score: int = 0


@dataclass(frozen=True, slots=True)
class Whitelisting:
    """Lifts the rule of that name, and no other, for products that hold one of the words."""

    rule: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class ScreeningRules:
    """All rules; their words are compiled on first use, and kept."""

    ng_words: tuple[str, ...] = ()
    keyword_rules: tuple[KeywordRule, ...] = ()
    category_rules: tuple[CategoryRule, ...] = ()
    blocked_asins: frozenset[str] = frozenset()
    blocked_brands: frozenset[str] = frozenset()
    whitelist: tuple[Whitelisting, ...] = ()
    review_score: int = 40
    block_score: int = MOST

    @cached_property
    def removable(self) -> Words:
        """The NG words."""
        return Words(self.ng_words)

    @cached_property
    def searched(self) -> Words:
        """The words of all keyword rules and of the whitelist."""
        groups = (*self.keyword_rules, *self.whitelist)
        return Words(word for group in groups for word in group.words)

    @cached_property
    def folded_brands(self) -> frozenset[str]:
        """The blocked brands, as brands are compared."""
        return frozenset(map(_plain, self.blocked_brands)) - {""}

    @cached_property
    def category_paths(self) -> tuple[tuple[CategoryRule, tuple[tuple[str, ...], ...]], ...]:
        """The category rules, each with its categories as paths."""
        return tuple((rule, tuple(map(_path, rule.categories))) for rule in self.category_rules)


@dataclass(frozen=True, slots=True)
class Product:
    """What is judged of a product: what Amazon says of it."""

    asin: str
    title: str
    description: str = ""
    brand: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdict on a product and its reasons, with title and description fit to be listed."""

    verdict: Verdict
    score: int
    reasons: tuple[str, ...]
    title: str
    description: str
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class _Finding:
    """What one rule says against a product."""

    rule: str
    reason: str
    score: int
    final: bool = False


def screen(product: Product, rules: ScreeningRules) -> Screening:
    """What the rules say of the product; the title is never empty.

    >>> rules = ScreeningRules(keyword_rules=(KeywordRule("alcohol", ("ジン",), 60),))
    >>> screen(Product("B000000001", "エンジン オイル"), rules).verdict
    <Verdict.ACCEPTED: 'accepted'>
    >>> screen(Product("B000000002", "ジン・トニック"), rules).reasons
    ('alcohol: ジン',)
    """
    title = clean_title(product.title, rules.removable)
    description = clean_text(product.description, rules.removable)
    cleaned = (title.text, description.text)
    findings = sorted((*_bans(product, rules), *_objections(product, cleaned, rules)))
    score = min(MOST, sum(finding.score for finding in findings))
    reasons = [finding.reason for finding in findings]
    if not says_something(title.text):
        without = f" without {', '.join(title.removed)}" if title.removed else ""
        reasons.append(f"title: empty{without}")
        score = max(score, rules.review_score)
        title = _fallback(product, title)
    return Screening(
        verdict=_verdict(findings, score, rules),
        score=score,
        reasons=tuple(reasons),
        title=title.text,
        description=description.text,
        removed=tuple(dict.fromkeys(title.removed + description.removed)),
    )


def _verdict(findings: Iterable[_Finding], score: int, rules: ScreeningRules) -> Verdict:
    if score >= rules.block_score or any(finding.final for finding in findings):
        return Verdict.BLOCKED
    return Verdict.REVIEW if score >= rules.review_score else Verdict.ACCEPTED


def _fallback(product: Product, emptied: Cleaned) -> Cleaned:
    """The title with its NG words, or, when there is none even then, the ASIN."""
    whole = clean_title(product.title, Words(()))
    return Cleaned(whole.text or product.asin, whole.removed if whole.text else emptied.removed)


def _bans(product: Product, rules: ScreeningRules) -> Iterator[_Finding]:
    """What no whitelist lifts."""
    if product.asin in rules.blocked_asins:
        yield _Finding("asin", f"blocked ASIN: {product.asin}", MOST, final=True)
    if _plain(product.brand) in rules.folded_brands:
        yield _Finding("brand", f"blocked brand: {product.brand}", MOST, final=True)
    for rule, category in _categories(product.category, rules):
        if rule.blocked:
            reason = f"{rule.name}: blocked category {category}"
            yield _Finding(rule.name, reason, MOST, final=True)


def _objections(
    product: Product, cleaned: tuple[str, str], rules: ScreeningRules
) -> Iterator[_Finding]:
    """What the whitelist has not lifted."""
    texts = (product.title, product.description)
    original = _found(texts, rules)
    # Cleaning may uncover a word, and must not hide one.
    found = original if cleaned == texts else original | _found(cleaned, rules)
    lifted = {each.rule for each in rules.whitelist if original.intersection(each.words)}
    for rule in rules.keyword_rules:
        if rule.name not in lifted and (words := found.intersection(rule.words)):
            yield _Finding(rule.name, f"{rule.name}: {', '.join(sorted(words))}", rule.score)
    for rule, category in _categories(product.category, rules):
        if rule.name not in lifted and not rule.blocked:
            yield _Finding(rule.name, f"{rule.name}: category {category}", rule.score)


def _found(texts: Iterable[str], rules: ScreeningRules) -> set[str]:
    text = "\n".join(map(visible, texts))
    return {word.spelling for word in rules.searched.found_in(text)}


def _categories(category: str, rules: ScreeningRules) -> Iterator[tuple[CategoryRule, str]]:
    """The rules that the category falls under, with its name in the rule."""
    path = _path(category)
    for rule, paths in rules.category_paths:
        for named, wanted in zip(rule.categories, paths, strict=True):
            if _is_under(path, wanted):
                yield rule, named
                break


def _is_under(path: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if len(wanted) == 1:
        return wanted[0] in path
    return bool(wanted) and path[: len(wanted)] == wanted


def _path(category: str) -> tuple[str, ...]:
    parts = (_plain(part) for part in _ARROWS.split(fold(category)))
    return tuple(part for part in parts if part)


def _plain(name: str) -> str:
    """The name as names are compared: without differences of width, case and space."""
    return " ".join(fold(visible(name)).split())
