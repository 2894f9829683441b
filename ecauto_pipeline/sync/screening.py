"""Applying the screening rules: before a product is listed, and again to what is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecauto_pipeline.domain.screening.rules import (
    Product,
    Screening,
    ScreeningRules,
    Verdict,
    screen,
)
from ecauto_pipeline.storage.screening.verdicts import REFUSED, RELEASED, ScreeningStore


@dataclass(slots=True)
class RescanReport:
    """What the rules say of everything that is listed."""

    verdicts: Counter[Verdict] = field(default_factory=Counter[Verdict])
    doubtful: dict[str, Screening] = field(default_factory=dict[str, Screening])


@dataclass(frozen=True, slots=True)
class Screener:
    """The rules in force, and the decisions a person has made."""

    rules: ScreeningRules
    store: ScreeningStore

    def judge(self, product: Product) -> Screening:
        """What the rules say; it is stored, so that a person can decide."""
        result = screen(product, self.rules)
        self.store.save({product.asin: result})
        return result

    def refusal(self, asin: str, result: Screening) -> str:
        """Why the product must not be listed; empty when it may."""
        reasons = "; ".join(result.reasons)
        decision = self.store.decision(asin)
        if decision == REFUSED:
            return f"refused by a person ({reasons})"
        if result.verdict == Verdict.BLOCKED:
            return f"screened out: {reasons}"
        if result.verdict == Verdict.REVIEW and decision != RELEASED:
            return f"waits for review: {reasons}"
        return ""

    def rescan(self) -> RescanReport:
        """Apply the rules to all that is listed; what became doubtful joins the review list."""
        report = RescanReport()
        results: dict[str, Screening] = {}
        for product in self.store.listed_products():
            result = results[product.asin] = screen(product, self.rules)
            report.verdicts[result.verdict] += 1
        self.store.save(results)
        report.doubtful = _doubtful(results)
        return report


def _doubtful(results: Mapping[str, Screening]) -> dict[str, Screening]:
    worst_first = sorted(results.items(), key=lambda item: -item[1].score)
    return {asin: result for asin, result in worst_first if result.verdict != Verdict.ACCEPTED}
