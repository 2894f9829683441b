"""Reading the screening rules from `<data dir>/screening/*.toml`.

The files in `rules` are the defaults, and say how each is written; a file of the same
name in the folder replaces the whole of one.
"""

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecauto_pipeline.domain.amazon.asin import asin_from
from ecauto_pipeline.domain.screening.rules import (
    MOST,
    CategoryRule,
    KeywordRule,
    ScreeningRules,
    Whitelisting,
)
from ecauto_pipeline.domain.screening.words import is_word
from ecauto_pipeline.errors import Misconfigured

NG_WORDS = "ng_words.toml"
PROHIBITED = "prohibited.toml"
BLOCKED = "blocked.toml"
WHITELIST = "whitelist.toml"
FILES = (NG_WORDS, PROHIBITED, BLOCKED, WHITELIST)
"""The files there can be, each optional."""


def _word(text: str) -> str:
    if not is_word(text):
        raise ValueError("a word with at least one character besides * is wanted")
    return text


def _asin(text: str) -> str:
    try:
        return asin_from(text)
    except Misconfigured as error:
        raise ValueError(str(error)) from None


Word = Annotated[str, AfterValidator(_word)]
Asin = Annotated[str, AfterValidator(_asin)]
Score = Annotated[int, Field(ge=1, le=MOST, strict=True)]


class _File(BaseModel):
    """A table of a file; a key that is none is refused, so that a slip is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Keywords(_File):
    name: Word
    score: Score
    words: tuple[Word, ...] = Field(min_length=1)


class _Categories(_File):
    name: Word
    blocked: bool = Field(default=False, strict=True)
    score: Score | None = None
    categories: tuple[Word, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _weighed(self) -> "_Categories":
        if self.blocked == (self.score is not None):
            raise ValueError("either blocked = true or a score is wanted")
        return self


class _Lifted(_File):
    rule: str
    words: tuple[Word, ...] = Field(min_length=1)


class _NgWords(_File):
    words: tuple[Word, ...] = ()


class _Prohibited(_File):
    review_score: Score = 40
    block_score: Score = MOST
    keywords: tuple[_Keywords, ...] = ()
    categories: tuple[_Categories, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "_Prohibited":
        names = [rule.name for rule in (*self.keywords, *self.categories)]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules have the name {', '.join(doubled)}")
        if self.review_score > self.block_score:
            raise ValueError("review_score is above block_score")
        return self


class _Blocked(_File):
    asins: tuple[Asin, ...] = ()
    brands: tuple[Word, ...] = ()


class _Whitelist(_File):
    lifted: tuple[_Lifted, ...] = ()


_AnyFile = TypeVar("_AnyFile", bound=_File)


def read_rules(folder: Path) -> ScreeningRules:
    """The rules in the folder, and the defaults for files that are not there.

    Raises:
        Misconfigured: a file cannot be read or is malformed; the message names it and the key.
    """
    _check_names(folder)
    prohibited = _read(folder, PROHIBITED, _Prohibited)
    blocked = _read(folder, BLOCKED, _Blocked)
    return ScreeningRules(
        ng_words=_read(folder, NG_WORDS, _NgWords).words,
        keyword_rules=tuple(
            KeywordRule(rule.name, rule.words, rule.score) for rule in prohibited.keywords
        ),
        category_rules=tuple(
            CategoryRule(rule.name, rule.categories, rule.blocked, rule.score or 0)
            for rule in prohibited.categories
        ),
        blocked_asins=frozenset(blocked.asins),
        blocked_brands=frozenset(blocked.brands),
        whitelist=tuple(_whitelist(folder, prohibited)),
        review_score=prohibited.review_score,
        block_score=prohibited.block_score,
    )


def _check_names(folder: Path) -> None:
    """A file of another name would be passed over, and its author not notice."""
    if folder.exists() and not folder.is_dir():
        raise Misconfigured(f"{folder} is not a folder")
    if strange := sorted(path.name for path in folder.glob("*.toml") if path.name not in FILES):
        known = ", ".join(FILES)
        raise Misconfigured(f"{folder / strange[0]}: there is no such file of rules, only {known}")


def _whitelist(folder: Path, prohibited: _Prohibited) -> Iterable[Whitelisting]:
    """The entries that have a rule to lift; those of the user must all have one."""
    blocked = {rule.name for rule in prohibited.categories if rule.blocked}
    liftable = {rule.name for rule in (*prohibited.keywords, *prohibited.categories)} - blocked
    for number, entry in enumerate(_read(folder, WHITELIST, _Whitelist).lifted):
        if entry.rule in liftable:
            yield Whitelisting(entry.rule, entry.words)
        elif (folder / WHITELIST).is_file():
            problem = "blocks, and is never lifted" if entry.rule in blocked else "is not there"
            raise Misconfigured(
                f"{folder / WHITELIST}: lifted[{number}].rule: the rule {entry.rule!r} {problem}"
            )


def _read(folder: Path, name: str, shape: type[_AnyFile]) -> _AnyFile:
    path = folder / name
    try:
        return shape.model_validate(_table(_content(path)))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise Misconfigured(f"{path}: {_first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not valid TOML: {error}") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        default = resources.files("ecauto_pipeline.storage.screening").joinpath("rules", path.name)
        return default.read_bytes()


def _table(content: bytes) -> dict[str, Any]:
    # Windows' editor begins its files with a mark that TOML does not know.
    return tomllib.loads(content.decode("utf-8-sig"))


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{place.lstrip('.')}: {message}" if place else message
