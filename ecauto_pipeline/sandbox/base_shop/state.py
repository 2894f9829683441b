"""What BASE remembers of its shops, in SQLite: items, tokens, codes, call counters."""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

import orjson

from ecauto_pipeline.sandbox.draw import token

SCOPES = "read_users read_items write_items read_orders"

# By the documentation "about" an hour and "about" 30 days.
ACCESS_LIFE = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=30)
# Not documented; one client says so.
CODE_LIFE = timedelta(hours=1)

# Where BASE's own ids stood in December 2025.
FIRST_ITEM_ID = 126_000_001
BEYOND_INTEGER = 2_200_000_001
"""The second shop counts from here, above 2^31."""
SHOP_STRIDE = 1_000_000

SCHEMA = """
create table if not exists shops (
    account_id text primary key, shop_id text, client_id text, client_secret text,
    next_item_id integer
);
create table if not exists grants (
    id integer primary key, account_id text, scope text,
    access_token text unique, access_expires_at real,
    refresh_token text unique, refresh_expires_at real, spent integer default 0
);
create table if not exists codes (
    code text primary key, account_id text, redirect_uri text, scope text, expires_at real,
    spent integer default 0
);
create table if not exists counters (
    account_id text, period text, number integer, primary key (account_id, period)
);
create table if not exists items (
    item_id integer primary key, account_id text, title text, detail text, price integer,
    item_tax_type integer, stock integer, visible integer, list_order integer,
    identifier text, created integer, modified integer, images text, variations text
);
create index if not exists items_of_account on items (account_id, list_order);
"""


@dataclass(frozen=True, slots=True)
class ShopSeed:
    """One BASE account as it is at the start."""

    account_id: str
    shop_id: str
    client_id: str
    client_secret: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Variation:
    """A variation of an item."""

    variation_id: int
    variation: str
    variation_stock: int
    variation_identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item in a shop; as a seed, `item_id` 0 asks for the next free one."""

    title: str
    price: int
    stock: int
    item_id: int = 0
    detail: str = ""
    item_tax_type: int = 1
    visible: int = 1
    list_order: int = 0
    identifier: str | None = None
    created: int = 0
    modified: int = 0
    images: Mapping[int, str] = field(default_factory=dict[int, str])
    variations: tuple[Variation, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A pair of tokens, or what became of it."""

    account_id: str
    scope: str
    access_token: str
    access_expires_at: float
    refresh_token: str
    refresh_expires_at: float
    spent: bool


@dataclass(frozen=True, slots=True)
class Code:
    """An authorisation code."""

    account_id: str
    redirect_uri: str
    scope: str
    expires_at: float
    spent: bool


class ShopState:
    """The store; take `lock` around everything that must not be divided, then `commit`."""

    def __init__(self, path: str, seed: int = 1) -> None:
        self.lock = threading.RLock()
        self._seed = seed
        self._connection = sqlite3.connect(path, check_same_thread=False)
        # Nothing here is worth a wait for the disk.
        self._connection.execute("pragma synchronous = off")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self.lock:
            self._connection.close()

    def commit(self) -> None:
        """Keep what was done."""
        self._connection.commit()

    def seed_shops(
        self, shops: Iterable[ShopSeed], items: Mapping[str, Iterable[Item]], now: datetime
    ) -> None:
        """Open the shops that are not there yet, with their tokens and items."""
        for number, shop in enumerate(shops):
            if self.shop(shop.account_id) is not None:
                continue
            first_id = BEYOND_INTEGER if number == 1 else FIRST_ITEM_ID + number * SHOP_STRIDE
            self._connection.execute(
                "insert into shops values (?, ?, ?, ?, ?)",
                (shop.account_id, shop.shop_id, shop.client_id, shop.client_secret, first_id),
            )
            self._connection.execute(
                "insert into grants (account_id, scope, refresh_token, refresh_expires_at) "
                "values (?, ?, ?, ?)",
                (shop.account_id, SCOPES, shop.refresh_token, (now + REFRESH_LIFE).timestamp()),
            )
            for item in items.get(shop.account_id, ()):
                self.add_item(shop.account_id, item)
        self.commit()

    def shops(self) -> list[ShopSeed]:
        """All shops; their refresh tokens are not told again."""
        rows = self._connection.execute(
            "select account_id, shop_id, client_id, client_secret, '' from shops"
        )
        return [ShopSeed(*row) for row in rows]

    def shop(self, account_id: str) -> ShopSeed | None:
        """The shop of an account."""
        return next((shop for shop in self.shops() if shop.account_id == account_id), None)

    def grant(self, account_id: str, scope: str, now: datetime) -> Grant:
        """Issue a new pair of tokens."""
        (last,) = self._connection.execute("select coalesce(max(id), 0) from grants").fetchone()
        grant = Grant(
            account_id,
            scope,
            token(32, self._seed, account_id, "access", last),
            (now + ACCESS_LIFE).timestamp(),
            token(32, self._seed, account_id, "refresh", last),
            (now + REFRESH_LIFE).timestamp(),
            spent=False,
        )
        self._connection.execute(
            "insert into grants (account_id, scope, access_token, access_expires_at, "
            "refresh_token, refresh_expires_at) values (?, ?, ?, ?, ?, ?)",
            (
                account_id,
                scope,
                grant.access_token,
                grant.access_expires_at,
                grant.refresh_token,
                grant.refresh_expires_at,
            ),
        )
        return grant

    def grant_of_access(self, access_token: str) -> Grant | None:
        """The grant an access token came with."""
        row = self._connection.execute(
            "select account_id, scope, access_token, access_expires_at, refresh_token, "
            "refresh_expires_at, spent from grants where access_token = ?",
            (access_token,),
        ).fetchone()
        return Grant(*row) if row else None

    def grant_of_refresh(self, refresh_token: str) -> Grant | None:
        """The grant a refresh token came with."""
        row = self._connection.execute(
            "select account_id, scope, access_token, access_expires_at, refresh_token, "
            "refresh_expires_at, spent from grants where refresh_token = ?",
            (refresh_token,),
        ).fetchone()
        return Grant(*row) if row else None

    def spend_refresh(self, refresh_token: str) -> None:
        """Let a refresh token be dead."""
        self._connection.execute(
            "update grants set spent = 1 where refresh_token = ?", (refresh_token,)
        )

    def expire_access(self, now: datetime) -> None:
        """Let all access tokens have expired by now."""
        self._connection.execute("update grants set access_expires_at = ?", (now.timestamp(),))

    def add_code(self, code: Code) -> str:
        """Issue an authorisation code."""
        (last,) = self._connection.execute("select count(*) from codes").fetchone()
        text = token(32, self._seed, "code", last)
        self._connection.execute(
            "insert into codes (code, account_id, redirect_uri, scope, expires_at) "
            "values (?, ?, ?, ?, ?)",
            (text, code.account_id, code.redirect_uri, code.scope, code.expires_at),
        )
        return text

    def code(self, text: str) -> Code | None:
        """The authorisation code of that text."""
        row = self._connection.execute(
            "select account_id, redirect_uri, scope, expires_at, spent from codes where code = ?",
            (text,),
        ).fetchone()
        return Code(*row) if row else None

    def spend_code(self, text: str) -> None:
        """Let a code be used up."""
        self._connection.execute("update codes set spent = 1 where code = ?", (text,))

    def count(self, account_id: str, window: str) -> int:
        """How much was counted in a window."""
        row = self._connection.execute(
            "select number from counters where account_id = ? and period = ?",
            (account_id, window),
        ).fetchone()
        return row[0] if row else 0

    def add(self, account_id: str, window: str) -> None:
        """Count one more."""
        self._connection.execute(
            "insert into counters values (?, ?, 1) "
            "on conflict (account_id, period) do update set number = number + 1",
            (account_id, window),
        )

    def items(
        self,
        account_id: str,
        *,
        order: str = "list_order",
        descending: bool = False,
        visible: int | None = None,
        page: tuple[int, int] = (-1, 0),
    ) -> list[Item]:
        """A shop's items, by list_order, created or modified; a page is a limit and an offset."""
        direction = -1 if descending else 1
        rows = self._connection.execute(
            "select title, price, stock, item_id, detail, item_tax_type, visible, list_order, "
            "identifier, created, modified, images, variations from items where account_id = ? "
            "and visible = coalesce(?, visible) order by case ? when 'created' then created "
            "when 'modified' then modified "
            "else list_order end * ?, item_id * ? limit ? offset ?",
            (account_id, visible, order, direction, direction, *page),
        )
        return [_item(row) for row in rows]

    def item(self, account_id: str, item_id: int) -> Item | None:
        """One item."""
        row = self._connection.execute(
            "select title, price, stock, item_id, detail, item_tax_type, visible, list_order, "
            "identifier, created, modified, images, variations from items "
            "where account_id = ? and item_id = ?",
            (account_id, item_id),
        ).fetchone()
        return _item(row) if row else None

    def add_item(self, account_id: str, item: Item) -> int:
        """Keep a new item; returns its id."""
        next_id, items = self._connection.execute(
            "select next_item_id, (select count(*) from items where account_id = ?) "
            "from shops where account_id = ?",
            (account_id, account_id),
        ).fetchone()
        item_id = item.item_id or next_id
        list_order = item.list_order or items + 1
        columns = (*_columns(item), item_id, account_id)
        self._connection.execute(
            "insert into items (title, price, stock, detail, item_tax_type, visible, "
            "list_order, identifier, created, modified, images, variations, item_id, account_id) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*columns[:6], list_order, *columns[7:]),
        )
        self._connection.execute(
            "update shops set next_item_id = ? where account_id = ?",
            (max(next_id, item_id + 1), account_id),
        )
        return item_id

    def put_item(self, account_id: str, item: Item) -> None:
        """Overwrite an item."""
        self._connection.execute(
            "update items set title = ?, price = ?, stock = ?, detail = ?, item_tax_type = ?, "
            "visible = ?, list_order = ?, identifier = ?, created = ?, modified = ?, "
            "images = ?, variations = ? where item_id = ? and account_id = ?",
            (*_columns(item), item.item_id, account_id),
        )

    def delete_item(self, account_id: str, item_id: int) -> bool:
        """Forget an item; returns whether it was there."""
        deleted = self._connection.execute(
            "delete from items where account_id = ? and item_id = ?", (account_id, item_id)
        )
        return deleted.rowcount == 1


def _columns(item: Item) -> tuple[object, ...]:
    images = {str(number): url for number, url in item.images.items()}
    variations = [
        {column.name: getattr(variation, column.name) for column in fields(variation)}
        for variation in item.variations
    ]
    return (
        item.title,
        item.price,
        item.stock,
        item.detail,
        item.item_tax_type,
        item.visible,
        item.list_order,
        item.identifier,
        item.created,
        item.modified,
        orjson.dumps(images).decode(),
        orjson.dumps(variations).decode(),
    )


def _item(row: tuple[object, ...]) -> Item:
    *plain, images, variations = row
    return Item(
        *plain,  # pyright: ignore[reportArgumentType]
        images={int(number): url for number, url in orjson.loads(str(images)).items()},
        variations=tuple(Variation(**each) for each in orjson.loads(str(variations))),
    )
