"""A platform with each account: those of two marketplaces may be called alike.

What was there is BASE's. Its items stay where readers know them: `base_items` is a view now.
SQLite cannot change a table's key, so the tables are made anew.
"""

import sqlalchemy as sa
from alembic import op

from ecauto_pipeline.storage.tables import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM account_checks")
    op.drop_table("account_checks")
    op.create_table(
        "account_checks",
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column(
            "checked_at", UtcDateTime(), nullable=False, comment="when the shop was read whole"
        ),
        sa.PrimaryKeyConstraint("platform", "account_id", name=op.f("pk_account_checks")),
    )
    op.execute(
        "INSERT INTO account_checks (platform, account_id, checked_at)"
        " SELECT 'base', account_id, checked_at FROM kept"
    )
    op.drop_table("kept")

    op.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM account_configs")
    op.drop_table("account_configs")
    op.create_table(
        "account_configs",
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("id", sa.String(length=100), nullable=False),
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
        sa.PrimaryKeyConstraint("platform", "id", name=op.f("pk_account_configs")),
    )
    op.execute(
        "INSERT INTO account_configs (platform, id, name, category_filter, daily_upload_limit,"
        " rate_limit_per_hour, active, credentials, created_at, updated_at)"
        " SELECT platform, id, name, category_filter, daily_upload_limit,"
        " rate_limit_per_hour, active, credentials, created_at, updated_at FROM kept"
    )
    op.drop_table("kept")

    op.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM account_tokens")
    op.drop_table("account_tokens")
    op.create_table(
        "account_tokens",
        sa.Column("platform", sa.String(length=20), nullable=False),
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
        sa.PrimaryKeyConstraint("platform", "account_id", name=op.f("pk_account_tokens")),
    )
    op.execute(
        "INSERT INTO account_tokens (platform, account_id, access_token, refresh_token,"
        " previous_refresh_token, scope, shop_id, obtained_at, expires_at, refresh_started_at,"
        " state, state_reason, updated_at)"
        " SELECT 'base', account_id, access_token, refresh_token,"
        " previous_refresh_token, scope, shop_id, obtained_at, expires_at, refresh_started_at,"
        " state, state_reason, updated_at FROM kept"
    )
    op.drop_table("kept")

    op.add_column(
        "decisions",
        sa.Column("platform", sa.String(length=20), server_default="base", nullable=False),
    )

    op.create_table(
        "shop_items",
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=100), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("price_jpy", sa.BigInteger(), nullable=True),
        sa.Column("stock", sa.BigInteger(), nullable=True),
        sa.Column("visible", sa.Boolean(), nullable=True),
        sa.Column("modified_at", UtcDateTime(), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "account_id", "item_id", name=op.f("pk_shop_items")),
    )
    op.execute(
        "INSERT INTO shop_items (platform, account_id, item_id, identifier, title, price_jpy,"
        " stock, visible, modified_at, seen_at)"
        " SELECT 'base', account_id, item_id, identifier, title, price_jpy,"
        " stock, visible, modified_at, seen_at FROM base_items"
    )
    op.drop_table("base_items")
    op.execute(
        "CREATE VIEW base_items AS SELECT account_id, item_id, identifier, title, price_jpy,"
        " stock, visible, modified_at, seen_at FROM shop_items WHERE platform = 'base'"
    )
