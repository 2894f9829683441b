"""The settings of the BASE shops: accounts, prices, and when a person should look first."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from ecauto_pipeline.domain.shops.accounts import CALLS_PER_HOUR, DAILY_UPLOADS
from ecauto_pipeline.domain.shops.changes import Breaker
from ecauto_pipeline.domain.shops.pricing import PriceBand, PriceRule
from ecauto_pipeline.settings.tables import Table, refuse_doubles, table_of_record
from ecauto_pipeline.settings.value_types import Duration, Endpoint, Id, Share


class BaseAccount(Table):
    """One BASE shop."""

    id: Id
    name: str = ""
    active: bool = True
    client_id: SecretStr = SecretStr("")
    client_secret: SecretStr = SecretStr("")
    redirect_uri: str = ""
    refresh_token: SecretStr = SecretStr("")
    daily_upload_limit: int = Field(default=DAILY_UPLOADS, ge=0)
    calls_per_hour: int = Field(default=CALLS_PER_HOUR, gt=0, le=CALLS_PER_HOUR)
    categories: tuple[str, ...] = ()


class BaseShopSettings(Table):
    """BASE, and its accounts."""

    endpoint: Endpoint = "https://api.thebase.in"
    timeout: Duration = timedelta(seconds=30)
    accounts: tuple[BaseAccount, ...] = ()

    @field_validator("accounts")
    @classmethod
    def _distinct(cls, accounts: tuple[BaseAccount, ...]) -> tuple[BaseAccount, ...]:
        refuse_doubles("accounts", [account.id for account in accounts])
        return accounts


@table_of_record
class BandSettings(PriceBand):
    """A markup for Amazon prices up to `up_to_jpy`."""

    up_to_jpy: Annotated[int, Field(gt=0)] | None = None
    markup: Annotated[Decimal, Field(gt=0)]


@table_of_record
class PricingSettings(PriceRule):
    """How a selling price follows from Amazon's price."""

    markup: Annotated[Decimal, Field(gt=0)]
    min_difference_jpy: Annotated[int, Field(ge=0)]
    round_to: Annotated[int, Field(ge=1)]
    bands: tuple[BandSettings, ...]
    floor_jpy: Annotated[int, Field(ge=1)]
    ceiling_jpy: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _ordered(self) -> "PricingSettings":
        limits = [band.up_to_jpy for band in self.bands]
        bounded = [limit for limit in limits if limit is not None]
        if bounded != sorted(set(bounded)) or None in limits[:-1]:
            raise ValueError("bands: up_to_jpy must rise, and only the last band may leave it out")
        if self.floor_jpy > self.ceiling_jpy:
            raise ValueError("floor_jpy is above ceiling_jpy")
        return self


@table_of_record
class BreakerSettings(Breaker):
    """When one run would change so much that a person should look first; 1 switches it off."""

    max_hidden_share: Share
    max_repriced_share: Share
