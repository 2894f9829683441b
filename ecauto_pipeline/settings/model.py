"""Every setting, and the only place that reads the environment.

Environment over `.env` over `<data dir>/ecauto.toml` over the defaults here. Variables begin with
`ECAUTO_`, nested ones are joined by `__`, lists and tables are JSON.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.value_types import (
    DatabaseUrl,
    Duration,
    Endpoint,
    PostgresUrl,
    Share,
    is_loopback,
)

DOTENV = ".env"
"""Read from the folder a command is started in."""


class _Table(BaseModel):
    """A table of settings; a name that is not one is refused, so that a slip is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(_Table):
    """A quota: `per_second` refills, `burst` is the most that can be saved up."""

    per_second: float = Field(gt=0)
    burst: float = Field(ge=1)


PUBLISHED_RATES = {
    "searchCatalogItems": Rate(per_second=2, burst=2),
    "getCompetitivePricing": Rate(per_second=0.5, burst=1),
    "getItemOffers": Rate(per_second=0.5, burst=1),
    "getItemOffersBatch": Rate(per_second=0.1, burst=1),
}
"""Amazon's usage plans: the `x-amzn-api` rate tables in its own models."""


class AmazonSettings(_Table):
    """Amazon SP-API; the defaults are Japan's."""

    endpoint: Endpoint = "https://sellingpartnerapi-fe.amazon.com"
    lwa_endpoint: Endpoint = "https://api.amazon.com"
    marketplace_id: str = "A1VC38T7YXB528"
    rates: dict[str, Rate] = Field(default_factory=lambda: dict(PUBLISHED_RATES))
    buy_from: Literal["any", "fba", "amazon"] = "any"
    seller_ids: tuple[str, ...] = ("AN1VRQENFRJN5",)

    @field_validator("rates")
    @classmethod
    def _complete(cls, rates: dict[str, Rate]) -> dict[str, Rate]:
        if unknown := rates.keys() - PUBLISHED_RATES.keys():
            raise ValueError(f"no such operation: {', '.join(sorted(unknown))}")
        return PUBLISHED_RATES | rates


class BaseAccount(_Table):
    """One BASE shop."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    name: str = ""
    active: bool = True
    client_id: SecretStr = SecretStr("")
    client_secret: SecretStr = SecretStr("")
    redirect_uri: str = ""
    refresh_token: SecretStr = SecretStr("")
    daily_upload_limit: int = Field(default=1000, ge=0)
    calls_per_hour: int = Field(default=5000, gt=0, le=5000)
    categories: tuple[str, ...] = ()


class BaseShopSettings(_Table):
    """BASE, and its accounts."""

    endpoint: Endpoint = "https://api.thebase.in"
    timeout: Duration = timedelta(seconds=30)
    accounts: tuple[BaseAccount, ...] = ()

    @field_validator("accounts")
    @classmethod
    def _distinct(cls, accounts: tuple[BaseAccount, ...]) -> tuple[BaseAccount, ...]:
        ids = [account.id for account in accounts]
        if doubled := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise ValueError(f"two accounts have the id {', '.join(doubled)}")
        return accounts


class ShopifyStore(_Table):
    """One Shopify store; its credentials are a token, or a client id and secret."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    shop_domain: str = Field(pattern=r"^[A-Za-z0-9.-]+$")
    endpoint: Endpoint = ""
    api_version: str = Field(default="2026-10", pattern=r"^[0-9]{4}-(01|04|07|10)$")
    transport: Literal["auto", "graphql", "rest", "bulk"] = "auto"
    access_token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    webhook_secrets: tuple[SecretStr, ...] = ()

    @model_validator(mode="after")
    def _has_credentials(self) -> "ShopifyStore":
        own_app = self.client_id and self.client_secret.get_secret_value()
        if not self.access_token.get_secret_value() and not own_app:
            raise ValueError(f"{self.id}: access_token, or client_id and client_secret, are wanted")
        return self

    @property
    def address(self) -> str:
        """Where its API answers."""
        return self.endpoint or f"https://{self.shop_domain}"


class ShopifySettings(_Table):
    """Shopify's stores."""

    timeout: Duration = timedelta(seconds=30)
    stores: tuple[ShopifyStore, ...] = ()

    @field_validator("stores")
    @classmethod
    def _distinct(cls, stores: tuple[ShopifyStore, ...]) -> tuple[ShopifyStore, ...]:
        ids = [store.id for store in stores]
        if doubled := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise ValueError(f"two stores have the id {', '.join(doubled)}")
        return stores


class PriceBand(_Table):
    """A markup for Amazon prices up to `up_to_jpy` (None: any)."""

    up_to_jpy: int | None = Field(default=None, gt=0)
    markup: Decimal = Field(gt=0)


class PricingSettings(_Table):
    """How a selling price follows from Amazon's price."""

    markup: Decimal = Field(default=Decimal("1.3"), gt=0)
    min_difference_jpy: int = Field(default=100, ge=0)
    round_to: int = Field(default=1, ge=1)
    bands: tuple[PriceBand, ...] = ()
    floor_jpy: int = Field(default=50, ge=1)
    ceiling_jpy: int = Field(default=500_000, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "PricingSettings":
        limits = [band.up_to_jpy for band in self.bands]
        bounded = [limit for limit in limits if limit is not None]
        if bounded != sorted(set(bounded)) or None in limits[:-1]:
            raise ValueError("bands: up_to_jpy must rise, and only the last band may leave it out")
        if self.floor_jpy > self.ceiling_jpy:
            raise ValueError("floor_jpy is above ceiling_jpy")
        return self


class TtlSettings(_Table):
    """How old a fact may get before it is fetched again."""

    catalog: Duration = timedelta(days=7)
    classification: Duration = timedelta(days=30)
    price: Duration = timedelta(hours=24)
    stock: Duration = timedelta(hours=1)


class BreakerSettings(_Table):
    """When one run would change so much that a person should look first; 1 switches it off."""

    max_hidden_share: Share = 0.2
    max_repriced_share: Share = 0.5


class RefreshSettings(_Table):
    """Which products are refreshed when, and for how long."""

    policy: Literal["ttl", "tiered"] = "ttl"
    time_budget: Duration = timedelta(minutes=50)
    recheck_budget: Duration = timedelta(minutes=10)
    hot_days: int = Field(default=7, ge=0)
    warm_days: int = Field(default=30, ge=0)


class UploadSettings(_Table):
    """When and how new items are put on BASE."""

    from_hour: int = Field(default=6, ge=0, le=23)
    to_hour: int = Field(default=23, ge=1, le=24)
    max_retries: int = Field(default=5, ge=0)
    lease: Duration = timedelta(minutes=3)
    late_apply: Duration = timedelta(minutes=1)
    visibility_lag: Duration = timedelta(minutes=1)
    look_again_after: tuple[Duration, ...] = (timedelta(minutes=1), timedelta(minutes=5))

    @model_validator(mode="after")
    def _in_order(self) -> "UploadSettings":
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must come before to_hour")
        return self


class Settings(BaseSettings):
    """The settings in force."""

    model_config = SettingsConfigDict(
        env_prefix="ECAUTO_",
        env_nested_delimiter="__",
        env_file=DOTENV,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Path("data")
    database_url: DatabaseUrl = ""
    dagster_postgres_url: PostgresUrl = SecretStr("")
    timezone: str = JAPAN.key
    secret_key: SecretStr = SecretStr("")
    rate_multiplier: float = Field(default=1, gt=0)
    sp_api_refresh_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices(
            "SP_API_REFRESH_TOKEN", "REFRESH_TOKEN", "sp_api_refresh_token"
        ),
    )
    lwa_app_id: SecretStr = Field(
        default=SecretStr(""), validation_alias=AliasChoices("LWA_APP_ID", "lwa_app_id")
    )
    lwa_client_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("LWA_CLIENT_SECRET", "lwa_client_secret"),
    )
    amazon: AmazonSettings = AmazonSettings()
    base: BaseShopSettings = BaseShopSettings()
    shopify: ShopifySettings = ShopifySettings()
    pricing: PricingSettings = PricingSettings()
    ttl: TtlSettings = TtlSettings()
    breaker: BreakerSettings = BreakerSettings()
    refresh: RefreshSettings = RefreshSettings()
    upload: UploadSettings = UploadSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over `.env` over `ecauto.toml`."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=_data_dir() / "ecauto.toml")
        return init_settings, env_settings, dotenv_settings, toml

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("there is no time zone of that name") from None
        return name

    @model_validator(mode="after")
    def _multiplier_stays_at_home(self) -> "Settings":
        for name in ("amazon.endpoint", "amazon.lwa_endpoint", "base.endpoint"):
            table, key = name.split(".")
            endpoint: str = getattr(getattr(self, table), key)
            if self.rate_multiplier != 1 and not is_loopback(endpoint):
                raise ValueError(
                    f"ECAUTO_RATE_MULTIPLIER may differ from 1 only when every endpoint is on this"
                    f" machine; ECAUTO_{name.upper().replace('.', '__')} is not"
                )
        return self

    @model_validator(mode="after")
    def _lease_outlasts_a_call(self) -> "Settings":
        if self.upload.lease <= self.base.timeout + timedelta(seconds=1):
            raise ValueError(
                "ECAUTO_UPLOAD__LEASE: must be more than a second longer than"
                " ECAUTO_BASE__TIMEOUT, or nothing could ever be sent"
            )
        return self

    @property
    def database(self) -> str:
        """The database's address: the one set, or the SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'master.db'}"

    def secrets(self) -> list[str]:
        """What must never be shown."""
        accounts, stores = self.base.accounts, self.shopify.stores
        fields = (
            self.secret_key,
            self.sp_api_refresh_token,
            self.lwa_client_secret,
            self.dagster_postgres_url,
            *(account.client_secret for account in accounts),
            *(account.refresh_token for account in accounts),
            *(store.access_token for store in stores),
            *(store.client_secret for store in stores),
            *(secret for store in stores for secret in store.webhook_secrets),
        )
        password = unquote(urlsplit(self.database).password or "")
        return [value for field in fields if (value := field.get_secret_value())] + [password]

    @property
    def reads_amazon(self) -> bool:
        """Whether any of Amazon's credentials is set."""
        own = (self.sp_api_refresh_token, self.lwa_app_id, self.lwa_client_secret)
        return any(secret.get_secret_value() for secret in own)

    @property
    def zone(self) -> ZoneInfo:
        """The zone that times are shown in; days, hours of upload and schedules are Japan's."""
        return ZoneInfo(self.timezone)


def load_settings(**overrides: Any) -> Settings:
    """The settings in force now; `overrides` stand above the environment.

    Raises:
        Misconfigured: one is missing or malformed; the message names it and never its value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise Misconfigured(_first_problem(error)) from None
    except SettingsError as error:
        raise Misconfigured(f"{_unparsed(error)}: not valid JSON") from None
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{_data_dir() / 'ecauto.toml'}: {error}") from None


def dagster_home() -> Path:
    """The folder where Dagster keeps its own data: DAGSTER_HOME, or one below the data folder."""
    chosen = _environment().get("DAGSTER_HOME") or str(_data_dir() / "dagster_home")
    return Path(chosen).absolute()


def set_environment(values: Mapping[str, str]) -> None:
    """Set variables for this process, and for those it starts."""
    os.environ.update(values)


def has_credentials() -> bool:
    """Whether any marketplace's credentials are set; without, the sandbox is used.

    Raises:
        Misconfigured: a setting is malformed.
    """
    settings = load_settings()
    return settings.reads_amazon or bool(settings.shopify.stores)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    place = [str(part) for part in problem["loc"]]
    if not place:
        return message
    name = place[0] if place[0].isupper() else "ECAUTO_" + "__".join(place).upper()
    return f"{name}: {message}"


def _unparsed(error: SettingsError) -> str:
    """The variable that is not JSON: pydantic-settings names only the table it belongs to."""
    field = re.search(r'field "(\w+)"', str(error))
    table = f"ECAUTO_{field[1]}".upper() if field else "ECAUTO_"
    text = getattr(error.__cause__, "doc", None)
    names = (name for name, value in _environment().items() if value == text)
    return next((name for name in names if name.upper().startswith(table)), table)


def _data_dir() -> Path:
    return Path(_environment().get("ECAUTO_DATA_DIR") or "data")


def _environment() -> Mapping[str, str]:
    """The variables that are set and not empty, those of `.env` included."""
    merged = {name: value for name, value in dotenv_values(DOTENV).items() if value}
    return merged | {name: value for name, value in os.environ.items() if value}
