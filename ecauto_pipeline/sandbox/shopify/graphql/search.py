"""Shopify's search syntax, as far as lists are filtered by it."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ecauto_pipeline.sandbox.shopify.lists import Range, Wanted

DAY_SECONDS = 24 * 3600
TERM = re.compile(
    r"""(?P<name>\w+):\s*(?P<operator>>=|<=|>|<|)\s*"""
    r"""(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"()]+))"""
)
TIMES = ("updated_at", "created_at")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison of a field with a value."""

    name: str
    operator: str
    value: str
    quoted: bool


def terms(query: str) -> list[Term]:
    """The comparisons of a search; they must all hold."""
    found: list[Term] = []
    for match in TERM.finditer(query):
        quoted = match["single"] if match["single"] is not None else match["double"]
        value = match["bare"] if quoted is None else quoted
        found.append(Term(match["name"], match["operator"], value, quoted is not None))
    return found


def bounds(term: Term, value: int, width: int = 1) -> Range:
    """The values for which a comparison holds; equality means the `width` values from there."""
    match term.operator:
        case ">=":
            return Range(low=value)
        case ">":
            return Range(low=value + 1)
        case "<":
            return Range(high=value - 1)
        case "<=":
            return Range(high=value)
        case _:
            return Range(value, value + width - 1)


def time_bounds(term: Term, *, whole_days: bool) -> Range:
    """The times for which a comparison holds.

    Without quotes Shopify drops the time of day, as it does for some fields anyway.

    Raises:
        ValueError: the value is no time.
    """
    text = term.value if term.quoted else term.value[:10]
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    if whole_days or "T" not in text:
        return bounds(term, seconds - seconds % DAY_SECONDS, DAY_SECONDS)
    return bounds(term, seconds)


def wanted(
    query: str | None,
    *,
    whole_days: bool = False,
    names: Collection[str] = (*TIMES, "id"),
    apart: Collection[str] = (),
) -> tuple[Wanted, list[dict[str, str]]]:
    """Which records a search wants, and a warning for each comparison that was ignored.

    Comparisons of the fields `apart` are left to the caller.
    """
    found, warnings = Wanted(), list[dict[str, str]]()
    for term in terms(query or ""):
        if term.name in apart:
            continue
        if term.name not in names:
            # Ignored, not refused: everything comes back, as if it had not been asked.
            warning = {"field": term.name, "message": "Invalid search field for this query."}
            warnings.append(warning)
            continue
        try:
            match term.name:
                case "updated_at":
                    updated = time_bounds(term, whole_days=whole_days)
                    found = replace(found, updated=found.updated.within(updated))
                case "created_at":
                    created = time_bounds(term, whole_days=False)
                    found = replace(found, created=found.created.within(created))
                case _:
                    ids = bounds(term, int(term.value))
                    found = replace(found, ids=found.ids.within(ids))
        except ValueError:
            message = f"Input `{term.value}` is not an accepted {term.name}."
            warnings.append({"field": term.name, "message": message})
    return found, warnings
