"""The first tables."""

import sqlalchemy as sa
from alembic import op

from ecauto_pipeline.storage.tables import BigId, Money, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account_checks",
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column(
            "checked_at", UtcDateTime(), nullable=False, comment="when the shop was read whole"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_checks")),
    )
    op.create_table(
        "account_configs",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("category_filter", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("daily_upload_limit", sa.Integer(), server_default="1000", nullable=False),
        sa.Column(
            "rate_limit_per_hour", sa.Integer(), nullable=True, comment="v1.0's uploads an hour"
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column(
            "credentials",
            sa.Text(),
            nullable=True,
            comment="JSON; encrypted when ECAUTO_SECRET_KEY is set",
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_configs")),
    )
    op.create_table(
        "account_tokens",
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column(
            "access_token",
            sa.Text(),
            nullable=True,
            comment="encrypted when ECAUTO_SECRET_KEY is set",
        ),
        sa.Column(
            "refresh_token", sa.Text(), nullable=True, comment="single use; likewise encrypted"
        ),
        sa.Column(
            "previous_refresh_token",
            sa.Text(),
            nullable=True,
            comment="the one before; likewise encrypted",
        ),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Text(), nullable=True),
        sa.Column("obtained_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column(
            "refresh_started_at",
            UtcDateTime(),
            nullable=True,
            comment="a refresh was sent, no answer yet",
        ),
        sa.Column("state", sa.String(length=20), server_default="ok", nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('ok', 'needs_reauth', 'restricted')", name=op.f("ck_account_tokens_state")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_tokens")),
    )
    op.create_table(
        "base_items",
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("price_jpy", sa.BigInteger(), nullable=True),
        sa.Column("stock", sa.BigInteger(), nullable=True),
        sa.Column("visible", sa.Boolean(), nullable=True),
        sa.Column("modified_at", UtcDateTime(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "item_id", name=op.f("pk_base_items")),
    )
    op.create_table(
        "ebay_listing_metadata",
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("listing_id", sa.Text(), nullable=True),
        sa.Column("offer_id", sa.Text(), nullable=True),
        sa.Column("category_id", sa.Text(), nullable=True),
        sa.Column("policy_payment_id", sa.Text(), nullable=True),
        sa.Column("policy_return_id", sa.Text(), nullable=True),
        sa.Column("policy_fulfillment_id", sa.Text(), nullable=True),
        sa.Column("item_specifics", sa.Text(), nullable=True),
        sa.Column("merchant_location_key", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_ebay_listing_metadata")),
    )
    op.create_table(
        "products",
        sa.Column("asin", sa.String(length=10), nullable=False),
        sa.Column("shard", sa.String(length=2), nullable=False, comment="asin_shard, 00 to 23"),
        sa.Column("title_ja", sa.Text(), nullable=True),
        sa.Column("title_en", sa.Text(), nullable=True),
        sa.Column("description_ja", sa.Text(), nullable=True),
        sa.Column("description_en", sa.Text(), nullable=True),
        sa.Column(
            "category", sa.Text(), nullable=True, comment="classification path, joined by ' > '"
        ),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column(
            "images",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="list of addresses, main image first",
        ),
        sa.Column(
            "amazon_price_jpy",
            sa.BigInteger(),
            nullable=True,
            comment="ListingPrice + Shipping, in yen",
        ),
        sa.Column(
            "amazon_points", sa.BigInteger(), nullable=True, comment="points given with that offer"
        ),
        sa.Column("amazon_in_stock", sa.Boolean(), nullable=True, comment="NULL: never known"),
        sa.Column(
            "new_offer_count",
            sa.Integer(),
            nullable=True,
            comment="new offers Amazon counted at the last sweep",
        ),
        sa.Column(
            "swept_price_jpy",
            sa.BigInteger(),
            nullable=True,
            comment="new buy-box price at the last sweep",
        ),
        sa.Column("catalog_updated_at", UtcDateTime(), nullable=True),
        sa.Column("classification_updated_at", UtcDateTime(), nullable=True),
        sa.Column("price_updated_at", UtcDateTime(), nullable=True),
        sa.Column("stock_updated_at", UtcDateTime(), nullable=True),
        sa.Column(
            "offers_checked_at",
            UtcDateTime(),
            nullable=True,
            comment="when the offers themselves were read",
        ),
        sa.Column(
            "catalog_asked_at",
            UtcDateTime(),
            nullable=True,
            comment="last catalog answer, of any kind",
        ),
        sa.Column(
            "offers_asked_at",
            UtcDateTime(),
            nullable=True,
            comment="last pricing answer, of any kind",
        ),
        sa.Column(
            "amazon_status", sa.Text(), nullable=True, comment="why the last answer was no proof"
        ),
        sa.Column("last_fetched_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("asin", name=op.f("pk_products")),
    )
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.create_index(
            "ix_products_due",
            [
                "stock_updated_at",
                "asin",
                "price_updated_at",
                "catalog_updated_at",
                "classification_updated_at",
                "offers_asked_at",
                "catalog_asked_at",
                "shard",
            ],
            unique=False,
        )

    op.create_table(
        "rate_buckets",
        sa.Column("bucket", sa.String(length=200), nullable=False, comment="api/account/operation"),
        sa.Column(
            "per_second", sa.Float(), nullable=False, comment="turns a second, below the quota"
        ),
        sa.Column("burst", sa.Float(), nullable=False),
        sa.Column(
            "configured_per_second", sa.Float(), nullable=False, comment="before any was learned"
        ),
        sa.Column("tat_us", sa.BigInteger(), nullable=False, comment="GCRA arrival time, Unix us"),
        sa.Column(
            "blocked_until_us", sa.BigInteger(), nullable=False, comment="after a 429, Unix us"
        ),
        sa.Column(
            "delayed_until_us", sa.BigInteger(), nullable=False, comment="the next may be sent"
        ),
        sa.Column(
            "seen_us", sa.BigInteger(), nullable=False, comment="the clock at the last write"
        ),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_buckets")),
    )
    op.create_table(
        "rate_windows",
        sa.Column("bucket", sa.String(length=200), nullable=False, comment="api/account/window"),
        sa.Column("window_start", UtcDateTime(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_windows")),
    )
    op.create_table(
        "screenings",
        sa.Column("asin", sa.String(length=10), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False, comment="what the rules say"),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(none_as_null=True), nullable=False),
        sa.Column(
            "decision",
            sa.String(length=10),
            nullable=True,
            comment="what a person said: released or refused",
        ),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("screened_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('released', 'refused')", name=op.f("ck_screenings_decision")
        ),
        sa.CheckConstraint(
            "verdict IN ('accepted', 'review', 'blocked')", name=op.f("ck_screenings_verdict")
        ),
        sa.PrimaryKeyConstraint("asin", name=op.f("pk_screenings")),
    )
    op.create_table(
        "listings",
        sa.Column("id", BigId, nullable=False),
        sa.Column("asin", sa.String(length=10), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column("platform_item_id", sa.String(length=64), nullable=True),
        sa.Column("sku", sa.String(length=100), nullable=True),
        sa.Column("selling_price", Money(), nullable=True),
        sa.Column("currency", sa.String(length=3), server_default="JPY", nullable=False),
        sa.Column("in_stock_quantity", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column("visibility", sa.String(length=10), server_default="public", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="5", nullable=False, comment="1 to 20"),
        sa.Column(
            "held",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="not queued until `ecauto queue add`",
        ),
        sa.Column("listed_at", UtcDateTime(), nullable=True),
        sa.Column("last_sold_at", UtcDateTime(), nullable=True),
        sa.Column("last_viewed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'listed', 'sold', 'delisted')", name=op.f("ck_listings_status")
        ),
        sa.CheckConstraint(
            "visibility IN ('public', 'hidden')", name=op.f("ck_listings_visibility")
        ),
        sa.ForeignKeyConstraint(["asin"], ["products.asin"], name=op.f("fk_listings_asin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
        sa.UniqueConstraint(
            "asin", "platform", "account_id", name=op.f("uq_listings_asin_platform_account_id")
        ),
        sa.UniqueConstraint("sku", name=op.f("uq_listings_sku")),
    )
    with op.batch_alter_table("listings", schema=None) as batch_op:
        batch_op.create_index(
            "ix_listings_account", ["platform", "account_id", "status"], unique=False
        )
        batch_op.create_index("ix_listings_last_sold_at", ["last_sold_at", "asin"], unique=False)
        batch_op.create_index(
            "ix_listings_last_viewed_at", ["last_viewed_at", "asin"], unique=False
        )
        batch_op.create_index("ix_listings_status_asin", ["status", "asin"], unique=False)

    op.create_table(
        "upload_queue",
        sa.Column("id", BigId, nullable=False),
        sa.Column("asin", sa.String(length=10), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column("scheduled_time", UtcDateTime(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("processed_at", UtcDateTime(), nullable=True),
        sa.Column("attempt_no", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=True, comment="who has claimed it"),
        sa.Column(
            "lease_until", UtcDateTime(), nullable=True, comment="until when that one may send"
        ),
        sa.Column(
            "sent_at", UtcDateTime(), nullable=True, comment="items/add is about to be sent, or was"
        ),
        sa.Column(
            "identifier",
            sa.String(length=100),
            nullable=True,
            comment="what the item is known by on the shop",
        ),
        sa.Column(
            "item_id",
            sa.String(length=64),
            nullable=True,
            comment="the item that was made, or adopted",
        ),
        sa.Column("images_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lookups", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'uploading', 'unknown', 'success', 'failed')",
            name=op.f("ck_upload_queue_status"),
        ),
        sa.ForeignKeyConstraint(["asin"], ["products.asin"], name=op.f("fk_upload_queue_asin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_queue")),
    )
    with op.batch_alter_table("upload_queue", schema=None) as batch_op:
        batch_op.create_index(
            "ix_upload_queue_asin", ["asin", "platform", "account_id"], unique=False
        )
        batch_op.create_index(
            "ix_upload_queue_due",
            ["platform", "account_id", "status", "scheduled_time"],
            unique=False,
        )
        batch_op.create_index(
            "uq_upload_queue_live",
            ["platform", "account_id", "asin"],
            unique=True,
            sqlite_where=sa.text("status IN ('pending', 'uploading', 'unknown')"),
            postgresql_where=sa.text("status IN ('pending', 'uploading', 'unknown')"),
        )

    op.create_table(
        "decisions",
        sa.Column("id", BigId, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column("listing_id", BigId, nullable=False),
        sa.Column("asin", sa.String(length=10), nullable=False),
        sa.Column(
            "kind", sa.String(length=20), nullable=False, comment="price, visibility or delist"
        ),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column(
            "outcome",
            sa.String(length=20),
            nullable=False,
            comment="planned, written, failed, held, deferred",
        ),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_decisions_listing_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index("ix_decisions_listing_id", ["listing_id", "decided_at"], unique=False)
        batch_op.create_index("ix_decisions_run_id", ["run_id"], unique=False)
