"""How old a fact may get, and which products are refreshed first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Literal, NamedTuple

from ecauto_pipeline.domain.amazon.facts import CATALOG_FACTS, OFFER_FACTS, Fact

ASK_AGAIN_AFTER = timedelta(minutes=10)
"""An answer that proved nothing is not asked for again sooner than this."""

CATALOG_ASK_AGAIN_AFTER = timedelta(hours=24)
"""Likewise for an ASIN that the catalog does not know."""


class Tier(IntEnum):
    """How urgent a product is: sold lately, viewed lately, or neither."""

    HOT = 0
    WARM = 1
    COLD = 2


TIER_TTL: Mapping[Tier, timedelta] = {
    Tier.HOT: timedelta(hours=1),
    Tier.WARM: timedelta(hours=6),
    Tier.COLD: timedelta(hours=24),
}
"""The age at which the `tiered` policy fetches price and stock again."""


@dataclass(frozen=True, slots=True)
class Ttl:
    """How old each kind of fact may get before it is fetched again.

    >>> Ttl()[Fact.STOCK]
    datetime.timedelta(seconds=3600)
    """

    catalog: timedelta = timedelta(days=7)
    classification: timedelta = timedelta(days=30)
    price: timedelta = timedelta(hours=24)
    stock: timedelta = timedelta(hours=1)

    def __getitem__(self, fact: Fact) -> timedelta:
        return getattr(self, fact)


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """Which products are refreshed when, and for how long; `hot_days` and `warm_days` are tiers."""

    policy: Literal["ttl", "tiered"] = "ttl"
    time_budget: timedelta = timedelta(minutes=50)
    recheck_budget: timedelta = timedelta(minutes=10)
    hot_days: int = 7
    warm_days: int = 30


@dataclass(frozen=True, slots=True)
class FreshnessRules:
    """The TTLs in force; when tiered, price and stock follow the product's tier instead."""

    ttl: Ttl = Ttl()
    refresh: RefreshRules = RefreshRules()

    @property
    def tiered(self) -> bool:
        """Whether products differ."""
        return self.refresh.policy == "tiered"

    def ttl_of(self, fact: Fact, tier: Tier) -> timedelta:
        """How old a fact about a product of the tier may get."""
        return TIER_TTL[tier] if self.tiered and fact in OFFER_FACTS else self.ttl[fact]


class Due(NamedTuple):
    """A product with expired facts; a plain tuple, since there may be tens of thousands."""

    asin: str
    shard: str
    facts: frozenset[Fact]
    tier: Tier = Tier.COLD

    @property
    def needs_catalog(self) -> bool:
        """Whether the catalog has to be asked."""
        return bool(self.facts & CATALOG_FACTS)

    @property
    def needs_offers(self) -> bool:
        """Whether prices and offers have to be asked for."""
        return bool(self.facts & OFFER_FACTS)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which products and which of their facts; None: all shards, all accounts, all products."""

    facts: frozenset[Fact] = frozenset(Fact)
    shards: frozenset[str] | None = None
    account_id: str | None = None
    asins: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ShardFreshness:
    """How many products a shard has, and for how many a fact is within its TTL."""

    shard: str
    products: int
    fresh: Mapping[Fact, int]
