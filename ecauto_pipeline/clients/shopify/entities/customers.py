"""Customers: where Shopify has each column of `shopify_customers`."""

from collections.abc import Mapping
from typing import Any

from ecauto_pipeline.clients.shopify.entities.columns import Column, EntityLayout, id_column
from ecauto_pipeline.clients.shopify.values import (
    amount,
    boolean,
    currency,
    is_subscribed,
    marketing_level,
    tags,
    timestamp,
    whole,
    word,
)


def _with_address(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """REST leaves `default_address` out when there are no addresses."""
    if body.get("addresses") == [] and "default_address" not in body:
        return {**body, "default_address": None}
    return body


# Customer itself has email, phone and consents too, but deprecated in 2026-10. The consents of a
# phone number are deprecated as well, in favour of those: there is no other place for them.
# `accepts_marketing` and the two after it are what REST had until 2024-01.
CUSTOMERS = EntityLayout(
    type_name="Customer",
    # The schema says that the filter matches whole days: an upper bound would cut one off.
    searches_until=False,
    mended=_with_address,
    payload_only=("legacyResourceId",),
    columns=(
        id_column("id", "id", "id", required=True),
        Column("email", "defaultEmailAddress.emailAddress", "email"),
        Column("phone", "defaultPhoneNumber.phoneNumber", "phone"),
        Column("first_name", "firstName", "first_name"),
        Column("last_name", "lastName", "last_name"),
        Column("state", "state", "state", word),
        Column("note", "note", "note"),
        Column("tags", "tags", "tags", tags),
        Column("tax_exempt", "taxExempt", "tax_exempt", boolean),
        Column("verified_email", "verifiedEmail", "verified_email", boolean),
        # An order changes these and the last order without touching `updated_at`.
        Column("orders_count", "numberOfOrders", "orders_count", whole),
        Column("total_spent", "amountSpent.amount", "total_spent", amount),
        Column("currency", "amountSpent.currencyCode", "currency", currency),
        id_column("last_order_id", "lastOrder.id", "last_order_id"),
        Column("last_order_name", "lastOrder.name", "last_order_name"),
        Column(
            "accepts_marketing",
            "defaultEmailAddress.marketingState",
            "email_marketing_consent.state",
            is_subscribed,
            when_null=False,
        ),
        Column(
            "accepts_marketing_updated_at",
            "defaultEmailAddress.marketingUpdatedAt",
            "email_marketing_consent.consent_updated_at",
            timestamp,
        ),
        Column(
            "marketing_opt_in_level",
            "defaultEmailAddress.marketingOptInLevel",
            "email_marketing_consent.opt_in_level",
            marketing_level,
        ),
        Column(
            "email_marketing_state",
            "defaultEmailAddress.marketingState",
            "email_marketing_consent.state",
            word,
        ),
        Column(
            "email_marketing_opt_in_level",
            "defaultEmailAddress.marketingOptInLevel",
            "email_marketing_consent.opt_in_level",
            marketing_level,
        ),
        Column(
            "email_marketing_updated_at",
            "defaultEmailAddress.marketingUpdatedAt",
            "email_marketing_consent.consent_updated_at",
            timestamp,
        ),
        Column(
            "sms_marketing_state",
            "defaultPhoneNumber.marketingState",
            "sms_marketing_consent.state",
            word,
        ),
        Column(
            "sms_marketing_opt_in_level",
            "defaultPhoneNumber.marketingOptInLevel",
            "sms_marketing_consent.opt_in_level",
            marketing_level,
        ),
        Column(
            "sms_marketing_updated_at",
            "defaultPhoneNumber.marketingUpdatedAt",
            "sms_marketing_consent.consent_updated_at",
            timestamp,
        ),
        Column(
            "sms_marketing_collected_from",
            "defaultPhoneNumber.marketingCollectedFrom",
            "sms_marketing_consent.consent_collected_from",
            word,
        ),
        id_column("default_address_id", "defaultAddress.id", "default_address.id"),
        Column("default_address_company", "defaultAddress.company", "default_address.company"),
        Column("default_address_address1", "defaultAddress.address1", "default_address.address1"),
        Column("default_address_address2", "defaultAddress.address2", "default_address.address2"),
        Column("default_address_city", "defaultAddress.city", "default_address.city"),
        Column("default_address_province", "defaultAddress.province", "default_address.province"),
        Column(
            "default_address_province_code",
            "defaultAddress.provinceCode",
            "default_address.province_code",
        ),
        Column("default_address_country", "defaultAddress.country", "default_address.country"),
        Column(
            "default_address_country_code",
            "defaultAddress.countryCodeV2",
            "default_address.country_code",
        ),
        Column("default_address_zip", "defaultAddress.zip", "default_address.zip"),
        Column("default_address_phone", "defaultAddress.phone", "default_address.phone"),
        Column("created_at", "createdAt", "created_at", timestamp),
        Column("updated_at", "updatedAt", "updated_at", timestamp, required=True),
    ),
)
