"""What the screening rules say of products, and what a person decided about the doubtful ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.screening.rules import Product, Screening, Verdict
from ecauto_pipeline.storage.database import reading, upsert
from ecauto_pipeline.storage.tables import listings, products, screenings

RELEASED, REFUSED = "released", "refused"


class ScreeningStore:
    """The `screenings` table, beside the products they are about."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock

    def save(self, results: Mapping[str, Screening]) -> None:
        """Store what the rules say; a person's decisions stay."""
        now = self._clock.now()
        rows = [
            {
                "asin": asin,
                "verdict": str(result.verdict),
                "score": result.score,
                "reasons": list(result.reasons),
                "screened_at": now,
            }
            for asin, result in results.items()
        ]
        with self._engine.begin() as connection:
            upsert(connection, screenings, rows)

    def decision(self, asin: str) -> str | None:
        """What a person decided: released, refused, or nothing yet."""
        query = sa.select(screenings.c.decision).where(screenings.c.asin == asin)
        with self._reading.connect() as connection:
            return connection.execute(query).scalar()

    def release(self, asins: Sequence[str]) -> list[str]:
        """These may be listed; returns those never screened, and then decides about none."""
        return self._decide(asins, RELEASED)

    def refuse(self, asins: Sequence[str]) -> list[str]:
        """These must not be listed; returns those never screened, and then decides about none."""
        return self._decide(asins, REFUSED)

    def _decide(self, asins: Sequence[str], decision: str) -> list[str]:
        chosen = screenings.c.asin.in_(asins)
        with self._engine.begin() as connection:
            known = set(connection.execute(sa.select(screenings.c.asin).where(chosen)).scalars())
            unknown = [asin for asin in asins if asin not in known]
            if not unknown:
                connection.execute(
                    sa.update(screenings)
                    .where(chosen)
                    .values(decision=decision, decided_at=self._clock.now())
                )
        return unknown

    def review_list(self) -> list[Mapping[str, Any]]:
        """The doubtful products that nobody has decided about, the most doubtful first."""
        query = (
            sa.select(
                screenings.c.asin,
                screenings.c.score,
                screenings.c.reasons,
                products.c.title_ja.label("title"),
            )
            .join(products, products.c.asin == screenings.c.asin)
            .where(screenings.c.verdict == Verdict.REVIEW, screenings.c.decision.is_(None))
            .order_by(screenings.c.score.desc(), screenings.c.asin)
        )
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def listed_products(self) -> list[Product]:
        """The products that are on a shop now."""
        on_shop = sa.select(listings.c.asin).where(listings.c.status == "listed")
        query = sa.select(products).where(products.c.asin.in_(on_shop)).order_by(products.c.asin)
        with self._reading.connect() as connection:
            return [
                Product(
                    asin=row["asin"],
                    title=row["title_ja"] or "",
                    description=row["description_ja"] or "",
                    brand=row["brand"] or "",
                    category=row["category"] or "",
                )
                for row in connection.execute(query).mappings()
            ]
