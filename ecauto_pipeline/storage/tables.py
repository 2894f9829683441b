"""Every table, and the types that make SQLite and PostgreSQL answer alike.

Timestamps are aware UTC, money is exact, ids are 64 bits wide. `products`, `listings`,
`upload_queue`, `account_configs` and `ebay_listing_metadata` keep v1.0's names and columns. The
tables of the Shopify mirrors are in `shopify.tables`.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; PostgreSQL answers in the session's zone, SQLite without one."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """`timestamptz` on PostgreSQL, ISO text in UTC on SQLite."""
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse naive values, and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: timestamps are aware")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _SqliteNumeric(sa.types.UserDefinedType[Decimal]):
    """A column with NUMERIC affinity: whole amounts are stored as integers."""

    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        self.precision, self.scale = precision, scale

    def get_col_spec(self, **kw: Any) -> str:
        return f"NUMERIC({self.precision}, {self.scale})"


class Money(TypeDecorator[Decimal]):
    """An exact amount of money, with up to two decimals if nothing else is said."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int = 14, scale: int = 2) -> None:
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """SQLite has no decimals: there the amount goes in and out as text."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))
        return dialect.type_descriptor(_SqliteNumeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | int | None, dialect: sa.Dialect) -> Any:
        """The amount as decimal digits."""
        if value is None:
            return None
        return Decimal(value) if dialect.name == "postgresql" else format(Decimal(value), "f")

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """The amount as a decimal, without trailing zeros."""
        if value is None:
            return None
        amount = Decimal(str(value))
        return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A 64-bit key; SQLite numbers rows by itself only when the type is spelled INTEGER."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

products = sa.Table(
    "products",
    metadata,
    sa.Column("asin", sa.String(10), primary_key=True),
    sa.Column("shard", sa.String(2), nullable=False, comment="asin_shard, 00 to 23"),
    sa.Column("title_ja", sa.Text),
    sa.Column("title_en", sa.Text),
    sa.Column("description_ja", sa.Text),
    sa.Column("description_en", sa.Text),
    sa.Column("category", sa.Text, comment="classification path, joined by ' > '"),
    sa.Column("brand", sa.Text),
    sa.Column("images", sa.JSON(none_as_null=True), comment="list of addresses, main image first"),
    sa.Column("amazon_price_jpy", sa.BigInteger, comment="ListingPrice + Shipping, in yen"),
    sa.Column("amazon_points", sa.BigInteger, comment="points given with that offer"),
    sa.Column("amazon_in_stock", sa.Boolean, comment="NULL: never known"),
    sa.Column("new_offer_count", sa.Integer, comment="new offers Amazon counted at the last sweep"),
    sa.Column("swept_price_jpy", sa.BigInteger, comment="new buy-box price at the last sweep"),
    sa.Column("catalog_updated_at", UtcDateTime),
    sa.Column("classification_updated_at", UtcDateTime),
    sa.Column("price_updated_at", UtcDateTime),
    sa.Column("stock_updated_at", UtcDateTime),
    sa.Column("offers_checked_at", UtcDateTime, comment="when the offers themselves were read"),
    sa.Column("catalog_asked_at", UtcDateTime, comment="last catalog answer, of any kind"),
    sa.Column("offers_asked_at", UtcDateTime, comment="last pricing answer, of any kind"),
    sa.Column("amazon_status", sa.Text, comment="why the last answer was no proof"),
    sa.Column("last_fetched_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    # All that choosing what is due looks at, so that 100,000 rows need not be read for it.
    sa.Index(
        "ix_products_due",
        "stock_updated_at",
        "asin",
        "price_updated_at",
        "catalog_updated_at",
        "classification_updated_at",
        "offers_asked_at",
        "catalog_asked_at",
        "shard",
    ),
)

listings = sa.Table(
    "listings",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("asin", sa.String(10), sa.ForeignKey("products.asin"), nullable=False),
    sa.Column("platform", sa.String(20), nullable=False),
    sa.Column("account_id", sa.String(100), nullable=False),
    sa.Column("platform_item_id", sa.String(64)),
    sa.Column("sku", sa.String(100), unique=True),
    sa.Column("selling_price", Money),
    sa.Column("currency", sa.String(3), nullable=False, server_default="JPY"),
    sa.Column("in_stock_quantity", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status", sa.String(20), nullable=False, server_default="pending"),
    sa.Column("visibility", sa.String(10), nullable=False, server_default="public"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="5", comment="1 to 20"),
    sa.Column(
        "held",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="not queued until `ecauto queue add`",
    ),
    sa.Column("listed_at", UtcDateTime),
    sa.Column("last_sold_at", UtcDateTime),
    sa.Column("last_viewed_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("asin", "platform", "account_id"),
    sa.CheckConstraint("status IN ('pending', 'listed', 'sold', 'delisted')", name="status"),
    sa.CheckConstraint("visibility IN ('public', 'hidden')", name="visibility"),
    sa.Index("ix_listings_account", "platform", "account_id", "status"),
    sa.Index("ix_listings_status_asin", "status", "asin"),
    sa.Index("ix_listings_last_sold_at", "last_sold_at", "asin"),
    sa.Index("ix_listings_last_viewed_at", "last_viewed_at", "asin"),
)

_LIVE = ("pending", "uploading", "unknown")
_IS_LIVE = sa.text(f"status IN {_LIVE}")

upload_queue = sa.Table(
    "upload_queue",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("asin", sa.String(10), sa.ForeignKey("products.asin"), nullable=False),
    sa.Column("platform", sa.String(20), nullable=False),
    sa.Column("account_id", sa.String(100), nullable=False),
    sa.Column("scheduled_time", UtcDateTime),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status", sa.String(20), nullable=False, server_default="pending"),
    sa.Column("retry_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error_message", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("processed_at", UtcDateTime),
    sa.Column("attempt_no", sa.Integer, nullable=False, server_default="0"),
    sa.Column("worker", sa.String(100), comment="who has claimed it"),
    sa.Column("lease_until", UtcDateTime, comment="until when that one may send"),
    sa.Column("sent_at", UtcDateTime, comment="items/add is about to be sent, or was"),
    sa.Column("identifier", sa.String(100), comment="what the item is known by on the shop"),
    sa.Column("item_id", sa.String(64), comment="the item that was made, or adopted"),
    sa.Column("images_done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lookups", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint(
        "status IN ('pending', 'uploading', 'unknown', 'success', 'failed')", name="status"
    ),
    sa.Index("ix_upload_queue_due", "platform", "account_id", "status", "scheduled_time"),
    sa.Index("ix_upload_queue_asin", "asin", "platform", "account_id"),
    sa.Index(
        "uq_upload_queue_live",
        "platform",
        "account_id",
        "asin",
        unique=True,
        sqlite_where=_IS_LIVE,
        postgresql_where=_IS_LIVE,
    ),
)

LIVE_UPLOAD = upload_queue.c.status.in_(_LIVE)
"""An upload waits for its turn, is under way, or may have been made."""

screenings = sa.Table(
    "screenings",
    metadata,
    sa.Column("asin", sa.String(10), primary_key=True),
    sa.Column("verdict", sa.String(10), nullable=False, comment="what the rules say"),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("reasons", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("decision", sa.String(10), comment="what a person said: released or refused"),
    sa.Column("decided_at", UtcDateTime),
    sa.Column("screened_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("verdict IN ('accepted', 'review', 'blocked')", name="verdict"),
    sa.CheckConstraint("decision IN ('released', 'refused')", name="decision"),
)

account_configs = sa.Table(
    "account_configs",
    metadata,
    sa.Column("platform", sa.String(20), primary_key=True),
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("category_filter", sa.JSON(none_as_null=True)),
    sa.Column("daily_upload_limit", sa.Integer, nullable=False, server_default="1000"),
    sa.Column("rate_limit_per_hour", sa.Integer, comment="v1.0's uploads an hour"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("credentials", sa.Text, comment="JSON; encrypted when ECAUTO_SECRET_KEY is set"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

ebay_listing_metadata = sa.Table(
    "ebay_listing_metadata",
    metadata,
    sa.Column("sku", sa.String(100), primary_key=True),
    sa.Column("listing_id", sa.Text),
    sa.Column("offer_id", sa.Text),
    sa.Column("category_id", sa.Text),
    sa.Column("policy_payment_id", sa.Text),
    sa.Column("policy_return_id", sa.Text),
    sa.Column("policy_fulfillment_id", sa.Text),
    sa.Column("item_specifics", sa.Text),
    sa.Column("merchant_location_key", sa.Text),
    sa.Column("created_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime),
)

account_tokens = sa.Table(
    "account_tokens",
    metadata,
    sa.Column("platform", sa.String(20), primary_key=True),
    sa.Column("account_id", sa.String(100), primary_key=True),
    sa.Column("access_token", sa.Text, comment="encrypted when ECAUTO_SECRET_KEY is set"),
    sa.Column("refresh_token", sa.Text, comment="single use; likewise encrypted"),
    sa.Column("previous_refresh_token", sa.Text, comment="the one before; likewise encrypted"),
    sa.Column("scope", sa.Text),
    sa.Column("shop_id", sa.Text),
    sa.Column("obtained_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("refresh_started_at", UtcDateTime, comment="a refresh was sent, no answer yet"),
    sa.Column("state", sa.String(20), nullable=False, server_default="ok"),
    sa.Column("state_reason", sa.Text),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("state IN ('ok', 'needs_reauth', 'restricted')", name="state"),
)

account_checks = sa.Table(
    "account_checks",
    metadata,
    sa.Column("platform", sa.String(20), primary_key=True),
    sa.Column("account_id", sa.String(100), primary_key=True),
    sa.Column("checked_at", UtcDateTime, nullable=False, comment="when the shop was read whole"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("platform", sa.String(20), nullable=False, server_default="base"),
    sa.Column("account_id", sa.String(100), nullable=False),
    sa.Column("listing_id", BigId, sa.ForeignKey("listings.id"), nullable=False),
    sa.Column("asin", sa.String(10), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False, comment="price, visibility or delist"),
    sa.Column("old", sa.Text),
    sa.Column("new", sa.Text),
    sa.Column("rule", sa.String(40), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column(
        "outcome", sa.String(20), nullable=False, comment="planned, written, failed, held, deferred"
    ),
    sa.Column("error_message", sa.Text),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.Column("written_at", UtcDateTime),
    sa.Index("ix_decisions_listing_id", "listing_id", "decided_at"),
    sa.Index("ix_decisions_run_id", "run_id"),
)

# `base_items`, which readers know, is a view of BASE's.
shop_items = sa.Table(
    "shop_items",
    metadata,
    sa.Column("platform", sa.String(20), primary_key=True),
    sa.Column("account_id", sa.String(100), primary_key=True),
    sa.Column("item_id", sa.String(64), primary_key=True),
    sa.Column("identifier", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("price_jpy", sa.BigInteger),
    sa.Column("stock", sa.BigInteger),
    sa.Column("visible", sa.Boolean),
    sa.Column("modified_at", UtcDateTime),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

rate_buckets = sa.Table(
    "rate_buckets",
    metadata,
    sa.Column("bucket", sa.String(200), primary_key=True, comment="api/account/operation"),
    sa.Column[float](
        "per_second", sa.Float, nullable=False, comment="turns a second, below the quota"
    ),
    sa.Column[float]("burst", sa.Float, nullable=False),
    sa.Column[float](
        "configured_per_second", sa.Float, nullable=False, comment="before any was learned"
    ),
    sa.Column("tat_us", sa.BigInteger, nullable=False, comment="GCRA arrival time, Unix us"),
    sa.Column("blocked_until_us", sa.BigInteger, nullable=False, comment="after a 429, Unix us"),
    sa.Column("delayed_until_us", sa.BigInteger, nullable=False, comment="the next may be sent"),
    sa.Column("seen_us", sa.BigInteger, nullable=False, comment="the clock at the last write"),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

rate_windows = sa.Table(
    "rate_windows",
    metadata,
    sa.Column("bucket", sa.String(200), primary_key=True, comment="api/account/window"),
    sa.Column("window_start", UtcDateTime, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)
