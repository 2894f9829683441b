"""New products from a list of ASINs: reading the list, and what becomes of each of them."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ecauto_pipeline.domain.amazon.asin import is_asin
from ecauto_pipeline.domain.screening.words import fold, visible
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.errors import Misconfigured

HEADERS = ("asin", "商品コード")
"""What the column of ASINs may be called, the better name first."""

_LINK = re.compile(
    r"/(?:dp|gp/product|gp/aw/d|gp/offer-listing|exec/obidos/asin|o/asin)/([a-z0-9]{10})(?![a-z0-9])",
    re.IGNORECASE | re.ASCII,
)
_SEPARATORS = re.compile(r"[\s,;、]+")
_QUOTES = "\"'“”‘’"
_DELIMITERS = ",;\t"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ARROWS = re.compile("[>›»→]")
_LONGEST_SHOWN = 80


class Outcome(StrEnum):
    """What became of an ASIN of the list."""

    ADDED = "added"
    ALREADY_THERE = "already_there"
    NOT_FOUND = "not_found"
    NO_PRICE = "no_price"
    SCREENED_OUT = "screened_out"
    NEEDS_REVIEW = "needs_review"
    INVALID = "invalid"
    NOT_ANSWERED = "not_answered"


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """An ASIN, what became of it and why, and the account it is listed on."""

    asin: str
    outcome: Outcome
    detail: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The distinct ASINs of a list in its order; what is none, by line; how many came again."""

    asins: tuple[str, ...] = ()
    invalid: tuple[tuple[int, str], ...] = ()
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a product that might be listed; None: never known."""

    asin: str
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    price_jpy: int | None = None
    in_stock: bool | None = None
    catalog_asked_at: datetime | None = None
    catalog_updated_at: datetime | None = None
    price_updated_at: datetime | None = None
    status: str | None = None


class _Record(NamedTuple):
    """A line of a table."""

    line: int
    cells: list[str]

    @property
    def is_comment(self) -> bool:
        return self.cells[0].startswith("#")


class _Column(NamedTuple):
    """Where the ASINs of a table are: from which record on, and in which of its cells."""

    first: int
    cell: int


@dataclass(slots=True)
class _Found:
    """What was read so far."""

    asins: dict[str, None] = field(default_factory=dict[str, None])
    invalid: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    repeated: int = 0

    def read(self, line: int, text: str) -> None:
        for token in filter(None, _SEPARATORS.split(text)):
            asin = _asin_in(token)
            if asin is None:
                self.invalid.append((line, token))
            elif asin in self.asins:
                self.repeated += 1
            else:
                self.asins[asin] = None


def decode_text(content: bytes) -> str:
    """The text of a file: UTF-8, Shift JIS as Windows writes it, or Excel's "Unicode text".

    Raises:
        Misconfigured: it is none of these.
    """
    marked = content.startswith(_UTF_16_MARKS)
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp932"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Misconfigured("it is not text in UTF-8 or Shift JIS")


def parse_asins(text: str, suffix: str) -> ParsedFile:
    r"""The ASINs in the text of a `.csv` file, or else of a list: bare, or in links to Amazon.

    >>> parse_asins("b0fgqj45hw  # a lamp\nhttps://www.amazon.co.jp/dp/B07YV55TNL?th=1", ".txt")
    ParsedFile(asins=('B0FGQJ45HW', 'B07YV55TNL'), invalid=(), repeated=0)
    """
    found = _Found()
    text = text.removeprefix("\ufeff")
    if suffix.lower() == ".csv":
        _read_table(text, found)
    else:
        _read_list(text, found)
    return ParsedFile(tuple(found.asins), tuple(found.invalid), found.repeated)


def obstacle(
    asin: str, known: Candidate | None, *, catalog_since: datetime, price_since: datetime
) -> IntakeRow | None:
    """Why the product cannot be listed, as far as Amazon goes; None: it can.

    Facts older than the two times were not confirmed by this intake, and count for nothing.
    """
    if known is None:
        return IntakeRow(asin, Outcome.NOT_FOUND, "Amazon's catalog does not have it")
    asked, updated = known.catalog_asked_at, known.catalog_updated_at
    if asked is not None and (updated is None or updated < asked):
        return IntakeRow(asin, Outcome.NOT_FOUND, "Amazon's catalog does not have it")
    if updated is None or updated < catalog_since:
        detail = "Amazon's catalog has not answered: add it again later"
        return IntakeRow(asin, Outcome.NOT_ANSWERED, detail)
    if not known.title:
        return IntakeRow(asin, Outcome.NOT_FOUND, "Amazon's catalog has no title for it")
    return _price_obstacle(known, price_since)


def _price_obstacle(known: Candidate, price_since: datetime) -> IntakeRow | None:
    if known.price_updated_at is None or known.price_updated_at < price_since:
        reason = known.status or "not answered"
        detail = f"Amazon proves neither price nor stock ({reason}): add it again later"
        return IntakeRow(known.asin, Outcome.NOT_ANSWERED, detail)
    if not known.price_jpy:
        return IntakeRow(known.asin, Outcome.NO_PRICE, known.status or "out of stock")
    return None


def choose_account(
    category: str | None, accounts: Sequence[Account], loads: Mapping[str, int]
) -> str:
    """The account for a product: one for its category, else one for everything, else any.

    Among those it is the one with the fewest listings; of equals the first. There must be one.
    """
    path = _path(category or "")
    for_category = [account for account in accounts if _takes(account, path)]
    for_all = [account for account in accounts if not account.categories]
    candidates = for_category or for_all or accounts
    return min(candidates, key=lambda account: loads.get(account.id, 0)).id


def invalid_rows(parsed: ParsedFile) -> list[IntakeRow]:
    """What in the list is no ASIN, as it is reported."""
    return [
        IntakeRow(_shown(text), Outcome.INVALID, f"line {line}: not an ASIN")
        for line, text in parsed.invalid
    ]


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _takes(account: Account, path: tuple[str, ...]) -> bool:
    return any(_is_under(path, _path(category)) for category in account.categories)


def _is_under(path: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """A single name may stand anywhere in the path, several must be its beginning."""
    if len(wanted) == 1:
        return wanted[0] in path
    return bool(wanted) and path[: len(wanted)] == wanted


def _path(category: str) -> tuple[str, ...]:
    parts = (" ".join(part.split()) for part in _ARROWS.split(fold(visible(category))))
    return tuple(part for part in parts if part)


def _asin_in(token: str) -> str | None:
    link = _LINK.search(token)
    text = link[1] if link else token.strip(_QUOTES)
    # Some letters become two in upper case, and so might make ten of nine.
    asin = text.upper() if text.isascii() else text
    return asin if is_asin(asin) else None


def _read_list(text: str, found: _Found) -> None:
    lines = (_plain(line).partition("#")[0].strip() for line in text.splitlines())
    written = [(number, line) for number, line in enumerate(lines, 1) if line]
    has_header = bool(written) and written[0][1].casefold() in HEADERS
    for number, line in written[has_header:]:
        found.read(number, line)


def _read_table(text: str, found: _Found) -> None:
    records, column = _best_reading(text)
    for record in records[column.first :]:
        if record.is_comment:
            continue
        cell = record.cells[column.cell] if column.cell < len(record.cells) else ""
        if cell:
            found.read(record.line, cell)
        else:
            found.invalid.append((record.line, " ".join(filter(None, record.cells))))


def _best_reading(text: str) -> tuple[list[_Record], _Column]:
    """The table as the delimiter reads it that yields most ASINs; a named column goes first."""
    readings: list[tuple[tuple[bool, int], list[_Record], _Column]] = []
    for delimiter in _DELIMITERS:
        records = list(_records(text, delimiter))
        named = _named_column(records)
        column = named or _likely_column(records)
        score = named is not None, _count_asins(records, column.cell)
        readings.append((score, records, column))
    _, records, column = max(readings, key=lambda reading: reading[0])
    return records, column


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """The lines that hold anything; one with a stray quote would hide those after it."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error:
        rows = [(n, line.split(delimiter)) for n, line in enumerate(text.splitlines(), 1)]
    for line, row in rows:
        cells = [_plain(cell).strip().strip(_QUOTES).strip() for cell in row]
        if any(cells):
            yield _Record(line, cells)


def _named_column(records: Sequence[_Record]) -> _Column | None:
    """The one that the first line, comments apart, calls by a name we know."""
    for number, record in enumerate(records):
        names = [cell.casefold() for cell in record.cells]
        for header in HEADERS:
            if header in names:
                return _Column(number + 1, names.index(header))
        if not record.is_comment:
            break
    return None


def _likely_column(records: Sequence[_Record]) -> _Column:
    """The first of which at least half are ASINs, else the first that holds any."""
    width = max((len(record.cells) for record in records), default=1)
    counts = [_count_asins(records, index) for index in range(width)]
    rows = sum(not record.is_comment for record in records)
    half = (index for index, count in enumerate(counts) if count and 2 * count >= rows)
    some = (index for index, count in enumerate(counts) if count)
    index = next(half, next(some, 0))
    first = next((number for number, each in enumerate(records) if not each.is_comment), 0)
    return _Column(first + _is_heading(records[first:], index), index)


def _is_heading(records: Sequence[_Record], index: int) -> bool:
    """Whether the first line names the columns: there is no ASIN without a digit, in practice."""
    cells = records[0].cells if records else []
    cell = cells[index] if index < len(cells) else ""
    return bool(cell) and not any(character.isdigit() for character in cell)


def _count_asins(records: Sequence[_Record], index: int) -> int:
    return sum(
        index < len(record.cells) and _asin_in(record.cells[index]) is not None
        for record in records
    )


def _plain(text: str) -> str:
    """Full-width letters and digits as ordinary ones."""
    return unicodedata.normalize("NFKC", text)
