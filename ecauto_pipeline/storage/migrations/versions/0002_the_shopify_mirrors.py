"""The Shopify mirrors."""

import sqlalchemy as sa
from alembic import op

from ecauto_pipeline.storage.tables import BigId, Money, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", BigId, nullable=False),
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("entity", sa.String(length=20), nullable=False),
        sa.Column(
            "record_id", sa.String(length=100), nullable=False, comment="as far as it could be read"
        ),
        sa.Column("shape", sa.String(length=10), nullable=False, comment="graphql or rest"),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False, comment="how often it came"),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sa.UniqueConstraint(
            "store_id",
            "entity",
            "record_id",
            name=op.f("uq_dead_letters_store_id_entity_record_id"),
        ),
    )
    op.create_table(
        "shopify_customers",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column(
            "state", sa.Text(), nullable=True, comment="disabled, invited, enabled, declined"
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True, comment="sorted, joined by ', '"),
        sa.Column("tax_exempt", sa.Boolean(), nullable=True),
        sa.Column("verified_email", sa.Boolean(), nullable=True),
        sa.Column(
            "orders_count", sa.BigInteger(), nullable=True, comment="as of the last full read"
        ),
        sa.Column("total_spent", Money(20, 4), nullable=True, comment="as of the last full read"),
        sa.Column("currency", sa.String(length=4), nullable=True),
        sa.Column("last_order_id", sa.BigInteger(), nullable=True),
        sa.Column("last_order_name", sa.Text(), nullable=True),
        sa.Column(
            "accepts_marketing", sa.Boolean(), nullable=True, comment="whether subscribed by email"
        ),
        sa.Column("accepts_marketing_updated_at", UtcDateTime(), nullable=True),
        sa.Column("marketing_opt_in_level", sa.Text(), nullable=True),
        sa.Column("email_marketing_state", sa.Text(), nullable=True),
        sa.Column("email_marketing_opt_in_level", sa.Text(), nullable=True),
        sa.Column("email_marketing_updated_at", UtcDateTime(), nullable=True),
        sa.Column("sms_marketing_state", sa.Text(), nullable=True),
        sa.Column("sms_marketing_opt_in_level", sa.Text(), nullable=True),
        sa.Column("sms_marketing_updated_at", UtcDateTime(), nullable=True),
        sa.Column("sms_marketing_collected_from", sa.Text(), nullable=True),
        sa.Column("default_address_id", sa.BigInteger(), nullable=True),
        sa.Column("default_address_company", sa.Text(), nullable=True),
        sa.Column("default_address_address1", sa.Text(), nullable=True),
        sa.Column("default_address_address2", sa.Text(), nullable=True),
        sa.Column("default_address_city", sa.Text(), nullable=True),
        sa.Column("default_address_province", sa.Text(), nullable=True),
        sa.Column("default_address_province_code", sa.Text(), nullable=True),
        sa.Column("default_address_country", sa.Text(), nullable=True),
        sa.Column("default_address_country_code", sa.Text(), nullable=True),
        sa.Column("default_address_zip", sa.Text(), nullable=True),
        sa.Column("default_address_phone", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column(
            "payload", sa.JSON(none_as_null=True), nullable=True, comment="as the source sent it"
        ),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "id", name=op.f("pk_shopify_customers")),
    )
    op.create_index(
        "ix_shopify_customers_deleted_at",
        "shopify_customers",
        ["store_id", "deleted_at", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_shopify_customers_updated_at",
        "shopify_customers",
        ["store_id", "updated_at"],
        unique=False,
    )
    op.create_table(
        "shopify_order_items",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("variant_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("variant_title", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("vendor", sa.Text(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column(
            "current_quantity",
            sa.BigInteger(),
            nullable=True,
            comment="without what was removed or refunded",
        ),
        sa.Column("price", Money(20, 4), nullable=True, comment="of one"),
        sa.Column(
            "total_discount",
            Money(20, 4),
            nullable=True,
            comment="all discounts allocated to the line",
        ),
        sa.Column(
            "payload", sa.JSON(none_as_null=True), nullable=True, comment="as the source sent it"
        ),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "id", name=op.f("pk_shopify_order_items")),
    )
    op.create_index(
        "ix_shopify_order_items_order_id",
        "shopify_order_items",
        ["store_id", "order_id"],
        unique=False,
    )
    op.create_index(
        "ix_shopify_order_items_product_id",
        "shopify_order_items",
        ["store_id", "product_id"],
        unique=False,
    )
    op.create_table(
        "shopify_orders",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=True, comment="such as #1001"),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=4), nullable=True, comment="of all amounts here"),
        sa.Column("presentment_currency", sa.String(length=4), nullable=True),
        sa.Column("subtotal_price", Money(20, 4), nullable=True),
        sa.Column("total_price", Money(20, 4), nullable=True),
        sa.Column("total_tax", Money(20, 4), nullable=True),
        sa.Column("total_discounts", Money(20, 4), nullable=True),
        sa.Column("total_shipping_price", Money(20, 4), nullable=True),
        sa.Column("total_refunded", Money(20, 4), nullable=True),
        sa.Column("financial_status", sa.Text(), nullable=True),
        sa.Column(
            "fulfillment_status",
            sa.Text(),
            nullable=True,
            comment="fulfilled, partial, restocked or NULL",
        ),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("source_name", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True, comment="sorted, joined by ', '"),
        sa.Column("test", sa.Boolean(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("processed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column(
            "payload", sa.JSON(none_as_null=True), nullable=True, comment="as the source sent it"
        ),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "id", name=op.f("pk_shopify_orders")),
    )
    op.create_index(
        "ix_shopify_orders_customer_id", "shopify_orders", ["store_id", "customer_id"], unique=False
    )
    op.create_index(
        "ix_shopify_orders_deleted_at",
        "shopify_orders",
        ["store_id", "deleted_at", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_shopify_orders_updated_at", "shopify_orders", ["store_id", "updated_at"], unique=False
    )
    op.create_table(
        "shopify_product_variants",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("barcode", sa.Text(), nullable=True),
        sa.Column("price", Money(20, 4), nullable=True),
        sa.Column("compare_at_price", Money(20, 4), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("taxable", sa.Boolean(), nullable=True),
        sa.Column("inventory_item_id", sa.BigInteger(), nullable=True),
        sa.Column("inventory_quantity", sa.BigInteger(), nullable=True),
        sa.Column("inventory_tracked", sa.Boolean(), nullable=True),
        sa.Column("requires_shipping", sa.Boolean(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("weight_unit", sa.Text(), nullable=True, comment="g, kg, oz, lb"),
        sa.Column("grams", sa.BigInteger(), nullable=True, comment="the weight in grams, rounded"),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=True),
        sa.Column(
            "payload", sa.JSON(none_as_null=True), nullable=True, comment="as the source sent it"
        ),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "id", name=op.f("pk_shopify_product_variants")),
    )
    op.create_index(
        "ix_shopify_product_variants_product_id",
        "shopify_product_variants",
        ["store_id", "product_id"],
        unique=False,
    )
    op.create_table(
        "shopify_products",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("body_html", sa.Text(), nullable=True),
        sa.Column("vendor", sa.Text(), nullable=True),
        sa.Column("product_type", sa.Text(), nullable=True),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True, comment="active, archived, draft, unlisted"),
        sa.Column("tags", sa.Text(), nullable=True, comment="sorted, joined by ', '"),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column(
            "payload", sa.JSON(none_as_null=True), nullable=True, comment="as the source sent it"
        ),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", "id", name=op.f("pk_shopify_products")),
    )
    op.create_index(
        "ix_shopify_products_deleted_at",
        "shopify_products",
        ["store_id", "deleted_at", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_shopify_products_updated_at",
        "shopify_products",
        ["store_id", "updated_at"],
        unique=False,
    )
    op.create_table(
        "sync_state",
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("entity", sa.String(length=20), nullable=False),
        sa.Column(
            "watermark_at",
            UtcDateTime(),
            nullable=True,
            comment="all that changed before is in the mirror",
        ),
        sa.Column(
            "deletes_until", UtcDateTime(), nullable=True, comment="deletions are known up to here"
        ),
        sa.Column(
            "synced_at",
            UtcDateTime(),
            nullable=True,
            comment="the last run that read all it asked for",
        ),
        sa.Column(
            "deep_at",
            UtcDateTime(),
            nullable=True,
            comment="the last one that looked back two days",
        ),
        sa.Column(
            "full_at", UtcDateTime(), nullable=True, comment="the last one that read everything"
        ),
        sa.Column(
            "reconciled_at", UtcDateTime(), nullable=True, comment="when all ids were compared"
        ),
        sa.Column(
            "source_count", sa.BigInteger(), nullable=True, comment="how many the shop says it has"
        ),
        sa.Column(
            "mirror_count", sa.BigInteger(), nullable=True, comment="how many rows are not deleted"
        ),
        sa.Column("counted_at", UtcDateTime(), nullable=True),
        sa.Column(
            "bulk_operation_id",
            sa.Text(),
            nullable=True,
            comment="of a bulk operation that is waited for",
        ),
        sa.Column("bulk_query", sa.Text(), nullable=True, comment="what it asks for"),
        sa.Column("bulk_started_at", UtcDateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True, comment="why the last run was not complete"),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "entity", name=op.f("pk_sync_state")),
    )
    op.create_table(
        "webhook_inbox",
        sa.Column(
            "webhook_id", sa.String(length=100), nullable=False, comment="the same in repetitions"
        ),
        sa.Column("store_id", sa.String(length=100), nullable=False),
        sa.Column("topic", sa.String(length=100), nullable=False),
        sa.Column("api_version", sa.String(length=20), nullable=True),
        sa.Column("triggered_at", UtcDateTime(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="emptied once it is merged"),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("merged_at", UtcDateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhook_inbox")),
    )
    op.create_index(
        "ix_webhook_inbox_merged_at", "webhook_inbox", ["merged_at", "received_at"], unique=False
    )
