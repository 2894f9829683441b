"""How old facts may get."""

import dataclasses
import doctest
from datetime import timedelta

import pytest

from ecauto_pipeline.domain.amazon import freshness
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import (
    Due,
    FreshnessRules,
    RefreshRules,
    Scope,
    Tier,
    Ttl,
)


def test_the_examples_hold() -> None:
    assert doctest.testmod(freshness).failed == 0


def test_every_fact_has_a_ttl() -> None:
    assert {field.name for field in dataclasses.fields(Ttl)} == set(Fact)
    assert all(Ttl(**{fact: timedelta(days=99)})[fact].days == 99 for fact in Fact)


@pytest.mark.parametrize("tier", Tier)
def test_without_tiers_the_ttl_is_the_facts(tier: Tier) -> None:
    rules = FreshnessRules()
    assert rules.ttl_of(Fact.STOCK, tier) == timedelta(hours=1)
    assert rules.ttl_of(Fact.PRICE, tier) == timedelta(hours=24)


@pytest.mark.parametrize(("tier", "hours"), [(Tier.HOT, 1), (Tier.WARM, 6), (Tier.COLD, 24)])
@pytest.mark.parametrize("fact", [Fact.PRICE, Fact.STOCK])
def test_with_tiers_it_is_the_tiers(tier: Tier, hours: int, fact: Fact) -> None:
    rules = FreshnessRules(refresh=RefreshRules(policy="tiered"))
    assert rules.ttl_of(fact, tier) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("fact", "catalog", "offers"),
    [
        (Fact.CATALOG, True, False),
        (Fact.CLASSIFICATION, True, False),
        (Fact.PRICE, False, True),
        (Fact.STOCK, False, True),
    ],
)
def test_one_expired_fact_says_whom_to_ask(fact: Fact, *, catalog: bool, offers: bool) -> None:
    due = Due("B0FGQJ45HW", "00", frozenset({fact}))
    assert (due.needs_catalog, due.needs_offers) == (catalog, offers)


def test_what_is_due_for_all_asks_everybody() -> None:
    due = Due("B0FGQJ45HW", "00", frozenset(Fact))
    assert due.needs_catalog
    assert due.needs_offers
    assert due.tier is Tier.COLD


def test_a_scope_is_everything_unless_told() -> None:
    assert Scope() == Scope(frozenset(Fact), None, None)
