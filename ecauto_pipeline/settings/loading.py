"""The settings in force, and what is said when they are wrong.

Environment over `.env` over `<data dir>/ecauto.toml` over the defaults. Variables begin with
`ECAUTO_`, nested ones are joined by `__`, lists and tables are JSON.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AliasChoices,
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
from ecauto_pipeline.domain.uploads.rules import SEND_MARGIN
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.settings.amazon import AmazonSettings, RefreshSettings, TtlSettings
from ecauto_pipeline.settings.base_shop import BaseShopSettings, BreakerSettings, PricingSettings
from ecauto_pipeline.settings.environment import DATA_DIR, DOTENV, environment, toml_file
from ecauto_pipeline.settings.shopify import ShopifySettings
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.settings.value_types import (
    DatabaseUrl,
    PostgresUrl,
    first_problem,
    is_loopback,
)


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

    data_dir: Path = Path(DATA_DIR)
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
        toml = TomlConfigSettingsSource(settings_cls, toml_file=toml_file())
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
        if self.upload.lease <= self.base.timeout + SEND_MARGIN:
            raise ValueError(
                f"ECAUTO_UPLOAD__LEASE: must be more than {SEND_MARGIN.seconds} s longer than"
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
        place, message = first_problem(error)
        name = "__".join(map(str, place))
        if name and not name.isupper():  # the credentials' names are given as they are
            name = f"ECAUTO_{name}".upper()
        raise Misconfigured(f"{name}: {message}" if name else message) from None
    except SettingsError as error:
        # pydantic-settings names the table only; the variable is the one with the text in question.
        field = re.search(r'field "(\w+)"', str(error))
        table = f"ECAUTO_{field[1]}".upper() if field else "ECAUTO_"
        text = getattr(error.__cause__, "doc", None)
        same = [name for name, value in environment().items() if value == text]
        name = next((name for name in same if name.upper().startswith(table)), table)
        raise Misconfigured(f"{name}: not valid JSON") from None
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{toml_file()}: {error}") from None


def has_credentials() -> bool:
    """Whether any marketplace's credentials are set; without, the sandbox is used.

    Raises:
        Misconfigured: a setting is malformed.
    """
    settings = load_settings()
    return settings.reads_amazon or bool(settings.shopify.stores)
