"""The tables of the Shopify mirrors, beside the others in the same metadata.

Ids are Shopify's own, unique within a store. `created_at` and `updated_at` are Shopify's,
`synced_at` says when we last wrote the row, `deleted_at` that it is no more on the shop. `payload`
is what the source sent, without the children; its form depends on the transport.
"""

from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.storage.tables import BigId, Money, UtcDateTime, metadata

Amount = Money(20, 4)
"""Some currencies have three decimals, unit prices four."""

STORE_ID = sa.String(100)
CURRENCY = sa.String(4)
"""Such as JPY; Shopify knows USDC too."""


def _keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("store_id", STORE_ID, primary_key=True),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    ]


def _ours() -> list[sa.Column[Any]]:
    return [
        sa.Column("payload", sa.JSON(none_as_null=True), comment="as the source sent it"),
        sa.Column("synced_at", UtcDateTime, nullable=False),
        sa.Column("deleted_at", UtcDateTime),
    ]


_LIVE = ("store_id", "deleted_at", "created_at", "id")
"""Enough to count what is not deleted, and to list its ids, without a look at the rows."""

shopify_customers = sa.Table(
    "shopify_customers",
    metadata,
    *_keys(),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("first_name", sa.Text),
    sa.Column("last_name", sa.Text),
    sa.Column("state", sa.Text, comment="disabled, invited, enabled, declined"),
    sa.Column("note", sa.Text),
    sa.Column("tags", sa.Text, comment="sorted, joined by ', '"),
    sa.Column("tax_exempt", sa.Boolean),
    sa.Column("verified_email", sa.Boolean),
    sa.Column("orders_count", sa.BigInteger, comment="as of the last full read"),
    sa.Column("total_spent", Amount, comment="as of the last full read"),
    sa.Column("currency", CURRENCY),
    sa.Column("last_order_id", sa.BigInteger),
    sa.Column("last_order_name", sa.Text),
    sa.Column("accepts_marketing", sa.Boolean, comment="whether subscribed by email"),
    sa.Column("accepts_marketing_updated_at", UtcDateTime),
    sa.Column("marketing_opt_in_level", sa.Text),
    sa.Column("email_marketing_state", sa.Text),
    sa.Column("email_marketing_opt_in_level", sa.Text),
    sa.Column("email_marketing_updated_at", UtcDateTime),
    sa.Column("sms_marketing_state", sa.Text),
    sa.Column("sms_marketing_opt_in_level", sa.Text),
    sa.Column("sms_marketing_updated_at", UtcDateTime),
    sa.Column("sms_marketing_collected_from", sa.Text),
    sa.Column("default_address_id", sa.BigInteger),
    sa.Column("default_address_company", sa.Text),
    sa.Column("default_address_address1", sa.Text),
    sa.Column("default_address_address2", sa.Text),
    sa.Column("default_address_city", sa.Text),
    sa.Column("default_address_province", sa.Text),
    sa.Column("default_address_province_code", sa.Text),
    sa.Column("default_address_country", sa.Text),
    sa.Column("default_address_country_code", sa.Text),
    sa.Column("default_address_zip", sa.Text),
    sa.Column("default_address_phone", sa.Text),
    sa.Column("created_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    *_ours(),
    sa.Index("ix_shopify_customers_updated_at", "store_id", "updated_at"),
    sa.Index("ix_shopify_customers_deleted_at", *_LIVE),
)

shopify_products = sa.Table(
    "shopify_products",
    metadata,
    *_keys(),
    sa.Column("title", sa.Text),
    sa.Column("body_html", sa.Text),
    sa.Column("vendor", sa.Text),
    sa.Column("product_type", sa.Text),
    sa.Column("handle", sa.Text),
    sa.Column("status", sa.Text, comment="active, archived, draft, unlisted"),
    sa.Column("tags", sa.Text, comment="sorted, joined by ', '"),
    sa.Column("published_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    *_ours(),
    sa.Index("ix_shopify_products_updated_at", "store_id", "updated_at"),
    sa.Index("ix_shopify_products_deleted_at", *_LIVE),
)

shopify_product_variants = sa.Table(
    "shopify_product_variants",
    metadata,
    *_keys(),
    sa.Column("product_id", sa.BigInteger, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("barcode", sa.Text),
    sa.Column("price", Amount),
    sa.Column("compare_at_price", Amount),
    sa.Column("position", sa.Integer),
    sa.Column("taxable", sa.Boolean),
    sa.Column("inventory_item_id", sa.BigInteger),
    sa.Column("inventory_quantity", sa.BigInteger),
    sa.Column("inventory_tracked", sa.Boolean),
    sa.Column("requires_shipping", sa.Boolean),
    sa.Column[float]("weight", sa.Float),
    sa.Column("weight_unit", sa.Text, comment="g, kg, oz, lb"),
    sa.Column("grams", sa.BigInteger, comment="the weight in grams, rounded"),
    sa.Column("created_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime),
    *_ours(),
    sa.Index("ix_shopify_product_variants_product_id", "store_id", "product_id"),
)

shopify_orders = sa.Table(
    "shopify_orders",
    metadata,
    *_keys(),
    sa.Column("name", sa.Text, comment="such as #1001"),
    sa.Column("email", sa.Text),
    sa.Column("customer_id", sa.BigInteger),
    sa.Column("currency", CURRENCY, comment="of all amounts here"),
    sa.Column("presentment_currency", CURRENCY),
    sa.Column("subtotal_price", Amount),
    sa.Column("total_price", Amount),
    sa.Column("total_tax", Amount),
    sa.Column("total_discounts", Amount),
    sa.Column("total_shipping_price", Amount),
    sa.Column("total_refunded", Amount),
    sa.Column("financial_status", sa.Text),
    sa.Column("fulfillment_status", sa.Text, comment="fulfilled, partial, restocked or NULL"),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("source_name", sa.Text),
    sa.Column("tags", sa.Text, comment="sorted, joined by ', '"),
    sa.Column("test", sa.Boolean),
    sa.Column("cancelled_at", UtcDateTime),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("processed_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    *_ours(),
    sa.Index("ix_shopify_orders_updated_at", "store_id", "updated_at"),
    sa.Index("ix_shopify_orders_deleted_at", *_LIVE),
    sa.Index("ix_shopify_orders_customer_id", "store_id", "customer_id"),
)

shopify_order_items = sa.Table(
    "shopify_order_items",
    metadata,
    *_keys(),
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("product_id", sa.BigInteger),
    sa.Column("variant_id", sa.BigInteger),
    sa.Column("name", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("variant_title", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("vendor", sa.Text),
    sa.Column("quantity", sa.BigInteger),
    sa.Column("current_quantity", sa.BigInteger, comment="without what was removed or refunded"),
    sa.Column("price", Amount, comment="of one"),
    sa.Column("total_discount", Amount, comment="all discounts allocated to the line"),
    *_ours(),
    sa.Index("ix_shopify_order_items_order_id", "store_id", "order_id"),
    sa.Index("ix_shopify_order_items_product_id", "store_id", "product_id"),
)

sync_state = sa.Table(
    "sync_state",
    metadata,
    sa.Column("store_id", STORE_ID, primary_key=True),
    sa.Column("entity", sa.String(20), primary_key=True),
    sa.Column("watermark_at", UtcDateTime, comment="all that changed before is in the mirror"),
    sa.Column("deletes_until", UtcDateTime, comment="deletions are known up to here"),
    sa.Column("synced_at", UtcDateTime, comment="the last run that read all it asked for"),
    sa.Column("deep_at", UtcDateTime, comment="the last one that looked back two days"),
    sa.Column("full_at", UtcDateTime, comment="the last one that read everything"),
    sa.Column("reconciled_at", UtcDateTime, comment="when all ids were compared"),
    sa.Column("source_count", sa.BigInteger, comment="how many the shop says it has"),
    sa.Column("mirror_count", sa.BigInteger, comment="how many rows are not deleted"),
    sa.Column("counted_at", UtcDateTime),
    sa.Column("bulk_operation_id", sa.Text, comment="of a bulk operation that is waited for"),
    sa.Column("bulk_query", sa.Text, comment="what it asks for"),
    sa.Column("bulk_started_at", UtcDateTime),
    sa.Column("problem", sa.Text, comment="why the last run was not complete"),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("store_id", STORE_ID, nullable=False),
    sa.Column("entity", sa.String(20), nullable=False),
    sa.Column("record_id", sa.String(100), nullable=False, comment="as far as it could be read"),
    sa.Column("shape", sa.String(10), nullable=False, comment="graphql or rest"),
    sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False, comment="how often it came"),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("store_id", "entity", "record_id"),
)

webhook_inbox = sa.Table(
    "webhook_inbox",
    metadata,
    sa.Column("webhook_id", sa.String(100), primary_key=True, comment="the same in repetitions"),
    sa.Column("store_id", STORE_ID, nullable=False),
    sa.Column("topic", sa.String(100), nullable=False),
    sa.Column("api_version", sa.String(20)),
    sa.Column("triggered_at", UtcDateTime),
    sa.Column("body", sa.Text, nullable=False, comment="emptied once it is merged"),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("merged_at", UtcDateTime),
    sa.Column("problem", sa.Text),
    sa.Index("ix_webhook_inbox_merged_at", "merged_at", "received_at"),
)
