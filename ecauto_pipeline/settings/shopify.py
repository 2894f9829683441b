"""The settings of the Shopify stores that are mirrored."""

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator, model_validator

from ecauto_pipeline.domain.shopify.mirror import Transport
from ecauto_pipeline.settings.tables import Table, refuse_doubles
from ecauto_pipeline.settings.value_types import Duration, Endpoint, Id


class ShopifyStore(Table):
    """One Shopify store; its credentials are a token, or a client id and secret.

    No `transport`, or `auto`, leaves it to the flow.
    """

    id: Id
    shop_domain: str = Field(pattern=r"^[A-Za-z0-9.-]+$")
    endpoint: Endpoint = ""
    api_version: str = Field(default="2026-10", pattern=r"^[0-9]{4}-(01|04|07|10)$")
    transport: Transport | None = None
    access_token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    webhook_secrets: tuple[SecretStr, ...] = ()

    @field_validator("transport", mode="before")
    @classmethod
    def _chosen(cls, value: object) -> object:
        if value not in (None, "auto", *Transport):
            raise ValueError(f"auto, {', '.join(Transport)} are the choices")
        return None if value == "auto" else value

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


class ShopifySettings(Table):
    """Shopify's stores."""

    timeout: Duration = timedelta(seconds=30)
    stores: tuple[ShopifyStore, ...] = ()

    @field_validator("stores")
    @classmethod
    def _distinct(cls, stores: tuple[ShopifyStore, ...]) -> tuple[ShopifyStore, ...]:
        refuse_doubles("stores", [store.id for store in stores])
        return stores
