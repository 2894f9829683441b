"""The caches of Amazon's facts: what is due, and what an answer proved."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.asin import SHARDS
from ecauto_pipeline.domain.amazon.facts import (
    CATALOG_FACTS,
    CatalogItem,
    CompetitivePrice,
    Fact,
    KnownOffers,
    Verdict,
)
from ecauto_pipeline.domain.amazon.freshness import (
    ASK_AGAIN_AFTER,
    CATALOG_ASK_AGAIN_AFTER,
    Due,
    FreshnessRules,
    Scope,
    ShardFreshness,
    Tier,
)
from ecauto_pipeline.storage.database import reading
from ecauto_pipeline.storage.tables import listings, products

_UPDATED_AT: Mapping[Fact, sa.Column[Any]] = {
    Fact.CATALOG: products.c.catalog_updated_at,
    Fact.CLASSIFICATION: products.c.classification_updated_at,
    Fact.PRICE: products.c.price_updated_at,
    Fact.STOCK: products.c.stock_updated_at,
}

_CATALOG_TIMES = (
    "catalog_updated_at",
    "classification_updated_at",
    "last_fetched_at",
    "updated_at",
)
_OFFER_TIMES = ("stock_updated_at", "price_updated_at", "last_fetched_at", "updated_at")

_BIT_OF: Mapping[Fact, int] = {fact: 1 << number for number, fact in enumerate(Fact)}
_FACTS_OF: Mapping[int, frozenset[Fact]] = {
    mask: frozenset(fact for fact in Fact if mask & _BIT_OF[fact]) for mask in range(1 << len(Fact))
}
_TIERS: Mapping[int, Tier] = {int(tier): tier for tier in Tier}


@dataclass(frozen=True, slots=True)
class OffersUpdate:
    """What to store of an answer about price and stock.

    A verdict that is no proof keeps the old values. `swept` is remembered beside what is proven,
    to see later changes by; `detailed` says that the offers themselves were read.
    """

    asin: str
    verdict: Verdict
    swept: CompetitivePrice | None = None
    detailed: bool = False


class ProductStore:
    """The `products` table."""

    def __init__(self, engine: sa.Engine, clock: Clock, rules: FreshnessRules) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._rules = rules

    def due(self, scope: Scope, limit: int) -> list[Due]:
        """Products with expired facts, most urgent first: sold, viewed, listed, oldest."""
        now = self._clock.now()
        found = self._due_by_listing(scope, limit, now)
        if len(found) < limit:
            chosen = {due.asin for due in found}
            rest = self._due_by_age(scope, limit, now)
            found += [due for due in rest if due.asin not in chosen][: limit - len(found)]
        return found

    def known(self, asins: Sequence[str]) -> dict[str, KnownOffers]:
        """What is known of these products' offers now."""
        checked_since = self._clock.now() - self._rules.ttl[Fact.PRICE]
        query = sa.select(
            products.c.asin,
            products.c.asin.in_(_listed_asins()).label("listed"),
            products.c.amazon_in_stock,
            products.c.amazon_price_jpy,
            products.c.swept_price_jpy,
            products.c.new_offer_count,
            sa.func.coalesce(products.c.offers_checked_at >= checked_since, sa.false()),
        ).where(products.c.asin.in_(asins))
        with self._reading.connect() as connection:
            return {row[0]: KnownOffers(*row) for row in connection.execute(query)}

    def _due_by_listing(self, scope: Scope, limit: int, now: datetime) -> list[Due]:
        """Those sold or viewed lately."""
        sold, viewed = self._sold(now), self._viewed(now)
        lately = sa.union_all(
            sa.select(sold.c.asin, sa.literal(int(Tier.HOT)).label("tier")),
            sa.select(viewed.c.asin, sa.literal(int(Tier.WARM)).label("tier")),
        ).subquery()
        tiers = (
            sa.select(lately.c.asin, sa.func.min(lately.c.tier).label("tier"))
            .group_by(lately.c.asin)
            .subquery()
        )
        source = products.join(tiers, tiers.c.asin == products.c.asin)
        mask = self._mask(scope, tiers.c.tier, now)
        query = (
            sa.select(products.c.asin, products.c.shard, mask, tiers.c.tier)
            .select_from(source)
            .where(_condition(scope), mask > 0)
            .order_by(tiers.c.tier, products.c.stock_updated_at.asc().nulls_first())
            .limit(limit)
        )
        return self._read_dues(query)

    def _due_by_age(self, scope: Scope, limit: int, now: datetime) -> list[Due]:
        """The listed ones, then the others, each oldest first: an index holds all this looks at."""
        tier = sa.literal(int(Tier.COLD))
        mask = self._mask(scope, tier, now)
        listed = _listed_asins().where(listings.c.asin == products.c.asin).exists()
        found: list[Due] = []
        for part in (listed, ~listed):
            query = (
                sa.select(products.c.asin, products.c.shard, mask, tier)
                .where(_condition(scope), mask > 0, part)
                .order_by(products.c.stock_updated_at.asc().nulls_first(), products.c.asin)
                .limit(limit - len(found))
            )
            found += self._read_dues(query)
            if len(found) == limit:
                break
        return found

    def _read_dues(self, query: sa.Select[Any]) -> list[Due]:
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return [Due(asin, shard, _FACTS_OF[mask], _TIERS[tier]) for asin, shard, mask, tier in rows]

    def _mask(
        self, scope: Scope, tier: sa.ColumnElement[int], now: datetime
    ) -> sa.ColumnElement[int]:
        """Which facts are expired, as bits."""
        bits = (
            sa.case((self._expired(fact, tier, now), _BIT_OF[fact]), else_=0)
            for fact in sorted(scope.facts)
        )
        return functools.reduce(lambda one, other: one + other, bits)

    def count_due(self, scope: Scope) -> int:
        """How many products have missing or expired facts."""
        now = self._clock.now()
        tier = self._tier(now)
        expired = sa.or_(*(self._expired(fact, tier, now) for fact in scope.facts))
        query = sa.select(sa.func.count()).select_from(products).where(_condition(scope), expired)
        with self._reading.connect() as connection:
            return connection.execute(query).scalar_one()

    def due_shards(self, scope: Scope) -> list[str]:
        """The shards that hold products with missing or expired facts."""
        now = self._clock.now()
        tier = self._tier(now)
        expired = sa.or_(*(self._expired(fact, tier, now) for fact in scope.facts))
        query = sa.select(products.c.shard).where(_condition(scope), expired).distinct()
        with self._reading.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def freshness(self, scope: Scope) -> list[ShardFreshness]:
        """Per shard, how many rows hold each fact within its TTL."""
        now = self._clock.now()
        tier = self._tier(now)
        facts = sorted(scope.facts)
        query = (
            sa.select(
                products.c.shard,
                sa.func.count(),
                *(sa.func.count().filter(self._fresh(fact, tier, now)) for fact in facts),
            )
            .where(_condition(scope))
            .group_by(products.c.shard)
            .order_by(products.c.shard)
        )
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return [
            ShardFreshness(row[0], row[1], dict(zip(facts, row[2:], strict=True))) for row in rows
        ]

    def save_catalog(self, asked: Iterable[str], found: Mapping[str, CatalogItem]) -> None:
        """Store what the catalog said; what it does not say keeps its old value."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            for asin in asked:
                values: dict[str, Any] = {"catalog_asked_at": now}
                if item := found.get(asin):
                    said = {
                        "title_ja": item.title,
                        "description_ja": item.description,
                        "brand": item.brand,
                        "category": item.classification,
                        "images": list(item.images) or None,
                    }
                    values |= {name: value for name, value in said.items() if value is not None}
                    values |= dict.fromkeys(_CATALOG_TIMES, now)
                connection.execute(
                    sa.update(products).where(products.c.asin == asin).values(values)
                )

    def save_offers(self, updates: Sequence[OffersUpdate]) -> None:
        """Store what was proven; where nothing was, only that it was asked, and why not."""
        if not updates:
            return
        now = self._clock.now()
        with self._engine.begin() as connection:
            for update in updates:
                verdict = update.verdict
                values: dict[str, Any] = {"offers_asked_at": now, "amazon_status": verdict.reason}
                if verdict.price_jpy is not None:
                    values["amazon_price_jpy"] = verdict.price_jpy
                    values["amazon_points"] = verdict.points
                    # A price from the sweep stands in place of the one that was read.
                    values["offers_checked_at"] = None
                if verdict.is_proof:
                    values["amazon_in_stock"] = verdict.in_stock
                    values |= dict.fromkeys(_OFFER_TIMES, now)
                    if update.detailed:
                        values["offers_checked_at"] = now
                    if update.swept is not None:
                        values["swept_price_jpy"] = update.swept.price_jpy
                        values["new_offer_count"] = update.swept.new_offers
                connection.execute(
                    sa.update(products).where(products.c.asin == update.asin).values(values)
                )

    def facts(self, asins: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these products."""
        if not asins:
            return []
        query = sa.select(products).where(products.c.asin.in_(asins))
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def adopt(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take facts from the file cache over: each row has its ASIN and the columns to set."""
        if not rows:
            return
        with self._engine.begin() as connection:
            for row in rows:
                values = {name: value for name, value in row.items() if name != "asin"}
                connection.execute(
                    sa.update(products).where(products.c.asin == row["asin"]).values(values)
                )

    def _sold(self, now: datetime) -> sa.Subquery:
        since = now - timedelta(days=self._rules.refresh.hot_days)
        return sa.select(listings.c.asin).where(listings.c.last_sold_at >= since).subquery()

    def _viewed(self, now: datetime) -> sa.Subquery:
        since = now - timedelta(days=self._rules.refresh.warm_days)
        return sa.select(listings.c.asin).where(listings.c.last_viewed_at >= since).subquery()

    def _tier(self, now: datetime) -> sa.ColumnElement[int]:
        if not self._rules.tiered:
            return sa.literal(int(Tier.COLD))
        return sa.case(
            (products.c.asin.in_(sa.select(self._sold(now).c.asin)), int(Tier.HOT)),
            (products.c.asin.in_(sa.select(self._viewed(now).c.asin)), int(Tier.WARM)),
            else_=int(Tier.COLD),
        )

    def _fresh(
        self, fact: Fact, tier: sa.ColumnElement[int], now: datetime
    ) -> sa.ColumnElement[bool]:
        column = _UPDATED_AT[fact]
        cutoffs = {int(each): now - self._rules.ttl_of(fact, each) for each in Tier}
        if len(set(cutoffs.values())) == 1:
            return column >= cutoffs[Tier.COLD]
        return sa.or_(*(sa.and_(tier == each, column >= at) for each, at in cutoffs.items()))

    def _expired(
        self, fact: Fact, tier: sa.ColumnElement[int], now: datetime
    ) -> sa.ColumnElement[bool]:
        in_catalog = fact in CATALOG_FACTS
        asked = products.c.catalog_asked_at if in_catalog else products.c.offers_asked_at
        pause = CATALOG_ASK_AGAIN_AFTER if in_catalog else ASK_AGAIN_AFTER
        fresh = sa.func.coalesce(self._fresh(fact, tier, now), sa.false())
        proven = asked <= _UPDATED_AT[fact]
        return sa.and_(~fresh, sa.or_(asked.is_(None), proven, asked < now - pause))


def _condition(scope: Scope) -> sa.ColumnElement[bool]:
    """The products in the scope."""
    terms: list[sa.ColumnElement[bool]] = [sa.true()]
    if scope.shards is not None and scope.shards != frozenset(SHARDS):
        terms.append(products.c.shard.in_(scope.shards))
    if scope.account_id is not None:
        on_account = sa.select(listings.c.asin).where(listings.c.account_id == scope.account_id)
        terms.append(products.c.asin.in_(on_account))
    if scope.asins is not None:
        terms.append(products.c.asin.in_(scope.asins))
    return sa.and_(*terms)


def _listed_asins() -> sa.Select[tuple[str]]:
    return sa.select(listings.c.asin).where(listings.c.status == "listed")
