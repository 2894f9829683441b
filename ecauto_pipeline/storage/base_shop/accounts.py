"""Which BASE accounts there are, and their tokens."""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.base_shop.accounts import AccountState, Tokens
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.settings.base_shop import BaseAccount
from ecauto_pipeline.storage import database, locks
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.tables import account_configs, account_tokens

_SECRET_COLUMNS = ("access_token", "refresh_token", "previous_refresh_token")

_TOKEN_COLUMNS = (
    *_SECRET_COLUMNS,
    "scope",
    "shop_id",
    "obtained_at",
    "expires_at",
    "refresh_started_at",
    "state",
    "state_reason",
)


class AccountStore:
    """Accounts taken over from v1.0, and everybody's tokens, encrypted when there is a key."""

    def __init__(self, engine: sa.Engine, cipher: Cipher, clock: Clock, platform: str) -> None:
        self._engine = engine
        self._cipher = cipher
        self._clock = clock
        self.platform = platform

    def accounts(self, configured: Sequence[BaseAccount]) -> list[Account]:
        """Those of the settings, then those only taken over; what the settings say wins."""
        taken_over = (
            sa.select(account_configs)
            .where(account_configs.c.platform == self.platform)
            .order_by(account_configs.c.id)
        )
        imported: dict[str, Account] = {}
        with database.reading(self._engine).connect() as connection:
            for row in connection.execute(taken_over).mappings():
                credentials = orjson.loads(self._cipher.decrypt(row["credentials"] or "{}"))
                imported[row["id"]] = Account(
                    id=row["id"],
                    name=row["name"],
                    active=row["active"],
                    client_id=credentials.get("client_id", ""),
                    client_secret=credentials.get("client_secret", ""),
                    redirect_uri=credentials.get("redirect_uri", ""),
                    daily_upload_limit=row["daily_upload_limit"],
                    categories=tuple(row["category_filter"] or ()),
                )
        merged = [_merged(account, imported.pop(account.id, None)) for account in configured]
        return merged + list(imported.values())

    def tokens(self, account_id: str) -> Tokens | None:
        """What is stored for the account; None before its first use.

        Raises:
            Misconfigured: it is encrypted with a key that is not the one set.
        """
        with database.reading(self._engine).connect() as connection:
            return self._read_tokens(connection, account_id)

    def save_tokens(self, account_id: str, tokens: Tokens) -> None:
        """Store the tokens, so that they outlive a crash of the machine right afterwards."""
        with _durably(self._engine) as connection:
            self._write(connection, account_id, self._row(tokens))

    def set_refresh_started(self, account_id: str, at: datetime | None) -> None:
        """Note that a refresh is under way since `at`; None: it is known that none took place."""
        with _durably(self._engine) as connection:
            self._write(connection, account_id, {"refresh_started_at": at})

    def set_state(self, account_id: str, state: AccountState, reason: str = "") -> None:
        """Note whether the account may be used, and why not."""
        with _durably(self._engine) as connection:
            row = {"state": state.value, "state_reason": reason or None}
            self._write(connection, account_id, row)

    def lock(self, account_id: str) -> AbstractContextManager[None]:
        """Hold this while refreshing: a refresh token works once, for one process."""
        return locks.exclusive(self._engine, f"{self.platform}-token/{account_id}")

    def save_imported_account(
        self, account: Account, *, uploads_per_hour: int | None = None
    ) -> None:
        """Store an account of v1.0; importing it again overwrites it."""
        now = self._clock.now()
        credentials = {
            "client_id": account.client_id,
            "client_secret": account.client_secret,
            "redirect_uri": account.redirect_uri,
        }
        row = {
            "platform": self.platform,
            "id": account.id,
            "name": account.name,
            "category_filter": list(account.categories) or None,
            "daily_upload_limit": account.daily_upload_limit,
            "rate_limit_per_hour": uploads_per_hour,
            "active": account.active,
            "credentials": self._cipher.encrypt(orjson.dumps(credentials).decode()),
            "created_at": now,
            "updated_at": now,
        }
        changed = [name for name in row if name not in {"platform", "id", "created_at"}]
        with self._engine.begin() as connection:
            database.upsert(connection, account_configs, [row], update=changed)

    def save_imported_tokens(self, account_id: str, tokens: Tokens) -> bool:
        """Store tokens of v1.0, unless newer ones are there; returns whether they were stored."""
        with self.lock(account_id), _durably(self._engine) as connection:
            stored = self._read_tokens(connection, account_id)
            if stored is not None and stored.refresh_token:
                then, now = stored.obtained_at, tokens.obtained_at
                if then is None or now is None or now <= then:
                    return False
            shop_id = tokens.shop_id or (stored.shop_id if stored else "")
            self._write(connection, account_id, self._row(replace(tokens, shop_id=shop_id)))
        return True

    def _read_tokens(self, connection: sa.Connection, account_id: str) -> Tokens | None:
        query = sa.select(account_tokens).where(
            account_tokens.c.platform == self.platform, account_tokens.c.account_id == account_id
        )
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        fields: dict[str, Any] = {name: row[name] for name in _TOKEN_COLUMNS}
        for name in (*_SECRET_COLUMNS, "scope", "shop_id", "state_reason"):
            fields[name] = fields[name] or ""
        for name in _SECRET_COLUMNS:
            fields[name] = self._cipher.decrypt(fields[name])
        fields["state"] = AccountState(fields["state"])
        return Tokens(**fields)

    def _row(self, tokens: Tokens) -> dict[str, Any]:
        row = {name: getattr(tokens, name) for name in _TOKEN_COLUMNS}
        for name in _SECRET_COLUMNS:
            row[name] = self._cipher.encrypt(row[name]) if row[name] else None
        return row | {
            "scope": tokens.scope or None,
            "shop_id": tokens.shop_id or None,
            "state": tokens.state.value,
            "state_reason": tokens.state_reason or None,
        }

    def _write(self, connection: sa.Connection, account_id: str, row: dict[str, Any]) -> None:
        key = {"platform": self.platform, "account_id": account_id}
        row = {**key, "updated_at": self._clock.now(), **row}
        database.upsert(connection, account_tokens, [row])


@contextmanager
def _durably(engine: sa.Engine) -> Generator[sa.Connection]:
    """A transaction that is on the disk when it ends.

    SQLite's others outlive a crash of the program, but not of the machine: see `open_engine`.
    """
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        raw.execute("PRAGMA synchronous = FULL")
        try:
            with connection.begin():
                yield connection
        finally:
            raw.execute("PRAGMA synchronous = NORMAL")


def _merged(configured: BaseAccount, imported: Account | None) -> Account:
    """The account of the settings, completed by the one taken over."""
    base = imported or Account(id=configured.id)
    given = configured.model_fields_set
    return replace(
        base,
        name=configured.name or base.name,
        active=configured.active if "active" in given else base.active,
        client_id=configured.client_id.get_secret_value() or base.client_id,
        client_secret=configured.client_secret.get_secret_value() or base.client_secret,
        redirect_uri=configured.redirect_uri or base.redirect_uri,
        daily_upload_limit=(
            configured.daily_upload_limit
            if "daily_upload_limit" in given
            else base.daily_upload_limit
        ),
        calls_per_hour=configured.calls_per_hour,
        categories=configured.categories if "categories" in given else base.categories,
        seed_refresh_token=configured.refresh_token.get_secret_value(),
    )
