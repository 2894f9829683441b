"""The settings of Amazon: its API, and how fresh its facts are kept."""

from typing import Annotated

from pydantic import Field, field_validator

from ecauto_pipeline.domain.amazon.facts import BuyFrom, Sellers
from ecauto_pipeline.domain.amazon.freshness import RefreshRules, Ttl
from ecauto_pipeline.domain.amazon.operations import (
    COMPETITIVE_PRICING,
    ITEM_OFFERS,
    ITEM_OFFERS_BATCH,
    SEARCH_CATALOG,
)
from ecauto_pipeline.settings.tables import Table, table_of_record
from ecauto_pipeline.settings.value_types import Duration, Endpoint


class Rate(Table):
    """A quota: `per_second` refills, `burst` is the most that can be saved up."""

    per_second: float = Field(gt=0)
    burst: float = Field(ge=1)


PUBLISHED_RATES = {
    SEARCH_CATALOG: Rate(per_second=2, burst=2),
    COMPETITIVE_PRICING: Rate(per_second=0.5, burst=1),
    ITEM_OFFERS: Rate(per_second=0.5, burst=1),
    ITEM_OFFERS_BATCH: Rate(per_second=0.1, burst=1),
}
"""Amazon's usage plans: the `x-amzn-api` rate tables in its own models."""


class AmazonSettings(Table):
    """Amazon SP-API; the defaults are Japan's."""

    endpoint: Endpoint = "https://sellingpartnerapi-fe.amazon.com"
    lwa_endpoint: Endpoint = "https://api.amazon.com"
    marketplace_id: str = "A1VC38T7YXB528"
    rates: dict[str, Rate] = Field(default_factory=lambda: dict(PUBLISHED_RATES))
    buy_from: Sellers = BuyFrom().who
    seller_ids: tuple[str, ...] = ("AN1VRQENFRJN5",)

    @field_validator("rates")
    @classmethod
    def _complete(cls, rates: dict[str, Rate]) -> dict[str, Rate]:
        if unknown := rates.keys() - PUBLISHED_RATES.keys():
            raise ValueError(f"no such operation: {', '.join(sorted(unknown))}")
        return PUBLISHED_RATES | rates


@table_of_record
class TtlSettings(Ttl):
    """How old a fact may get before it is fetched again."""

    catalog: Duration
    classification: Duration
    price: Duration
    stock: Duration


@table_of_record
class RefreshSettings(RefreshRules):
    """Which products are refreshed when, and for how long."""

    time_budget: Duration
    recheck_budget: Duration
    hot_days: Annotated[int, Field(ge=0)]
    warm_days: Annotated[int, Field(ge=0)]
