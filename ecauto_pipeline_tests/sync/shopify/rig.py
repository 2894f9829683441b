"""The Shopify mirrors opened on a sandbox, and the comparison of a mirror with its store."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from ecauto_pipeline.clients.shopify.records import read_record
from ecauto_pipeline.domain.shopify.mirror import Entity, Record, Shape, Window
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.faults import Fault
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.settings.shopify import ShopifySettings
from ecauto_pipeline.settings.shopify import ShopifyStore as StoreSettings
from ecauto_pipeline.storage.shopify.rows import MIRRORS, Children
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline.sync.shopify.mirror import Mode
from ecauto_pipeline.sync.shopify.report import MirrorReport
from ecauto_pipeline.wiring.opened import Opened
from ecauto_pipeline.wiring.shopify import Mirrors
from ecauto_pipeline_tests.fakes import FakeClock

OURS = {"store_id", "payload", "synced_at", "deleted_at"}
"""Columns that a store knows nothing of, or that depend on the transport."""

UNTOLD = {
    "orders_count",
    "total_spent",
    "last_order_id",
    "last_order_name",
    "customer_id",
    "product_id",
    "variant_id",
}
"""What an order changes of its customer, and a deletion of what refers to it, without a notice."""

STORE = "shop-a"

Rows = dict[int, dict[str, Any]]


def a_shop(clock: FakeClock, store_id: str = STORE, **made: Any) -> ShopifyShop:
    """A small store."""
    given: dict[str, Any] = {"customers": 60, "products": 12, "orders": 40, "clock": clock}
    return ShopifyShop(store_id, f"{store_id}.myshopify.com", **{**given, **made})


@dataclass(slots=True)
class MirrorRig:
    """Mirrors and the stores they follow, by the same clock."""

    mirrors: Mirrors
    sandbox: Sandbox
    clock: FakeClock
    engine: sa.Engine

    def shop(self, store_id: str = STORE) -> ShopifyShop:
        """A store."""
        return self.sandbox.shopify(store_id)

    def sync(
        self,
        entity: Entity = Entity.CUSTOMERS,
        store_id: str = STORE,
        mode: Mode = Mode.INCREMENT,
        window: Window | None = None,
    ) -> MirrorReport:
        """One run over one entity."""
        return self.mirrors.sync.sync(store_id, entity, Silent(), mode, window)

    def sync_all(self, store_id: str = STORE, mode: Mode = Mode.INCREMENT) -> list[MirrorReport]:
        """One run over each entity."""
        return [self.sync(entity, store_id, mode) for entity in Entity]

    def rows(self, table: sa.Table, store_id: str = STORE, *, deleted: bool = False) -> Rows:
        """What a mirror holds of a store, without our own columns."""
        query = sa.select(table).where(table.c.store_id == store_id)
        if not deleted:
            query = query.where(table.c.deleted_at.is_(None))
        with self.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return {row["id"]: _theirs(row) for row in rows}

    def mirror(self, entity: Entity, store_id: str = STORE) -> tuple[Rows, Rows]:
        """Records and children that are not deleted."""
        mirror = MIRRORS[entity]
        children = self.rows(mirror.children.table, store_id) if mirror.children else {}
        return self.rows(mirror.table, store_id), children

    def truth(self, entity: Entity, store_id: str = STORE) -> tuple[Rows, Rows]:
        """What the store holds, read from the bodies of its resources, which are whole here."""
        bodies = rest_bodies(self.shop(store_id), entity)
        records = (read_record(entity, Shape.BODY, body) for body in bodies)
        return _rows_of(records, MIRRORS[entity].children)

    def agrees(
        self, store_id: str = STORE, entities: Iterable[Entity] = Entity, *, wholly: bool = False
    ) -> None:
        """Compare row for row, but for what Shopify changes untold."""
        left_out = set[str]() if wholly else UNTOLD
        for entity in entities:
            found, true = self.mirror(entity, store_id), self.truth(entity, store_id)
            for ours, theirs in zip(found, true, strict=True):
                assert ours.keys() == theirs.keys(), entity
                for id_, row in ours.items():
                    differing = row.items() - theirs[id_].items()
                    assert {name for name, _ in differing} <= left_out, (entity, differing)

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.clock.sleep(timedelta(**by).total_seconds())

    def faulty(self, *faults: Fault) -> None:
        """Let these faults happen from now on."""
        self.sandbox.faults.replace(faults)


def _rows_of(records: Iterable[Record], children: Children | None) -> tuple[Rows, Rows]:
    """Records and their children as rows."""
    parents: Rows = {}
    others: Rows = {}
    for record in records:
        parents[record.id] = _theirs(record.columns)
        for child in record.children:
            assert children is not None
            others[child["id"]] = {**_theirs(child), children.parent_id.name: record.id}
    return parents, others


def _theirs(row: Mapping[str, Any]) -> dict[str, Any]:
    return _without(row, OURS)


def _without(row: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


@contextmanager
def mirrors_rigged(
    shops: Iterable[ShopifyShop], url: str, folder: Path, clock: FakeClock, **settings: Any
) -> Generator[MirrorRig]:
    """The mirrors of these stores, in the database at the address."""
    shops = list(shops)
    world = World(count=1)
    with Sandbox(world, shopify_shops=shops, clock=clock, rate_multiplier=1000) as sandbox:
        stores = tuple(
            StoreSettings(
                id=shop.store_id,
                shop_domain=shop.shop_domain,
                endpoint=sandbox.url,
                access_token=SecretStr(shop.access_token or ""),
                client_id=shop.client_id or "",
                client_secret=SecretStr(shop.client_secret or ""),
                **settings,
            )
            for shop in shops
        )
        chosen = Settings(data_dir=folder, database_url=url, shopify=ShopifySettings(stores=stores))
        opened = Opened(lambda: chosen, clock)
        mirrors = Mirrors(opened)
        try:
            yield MirrorRig(mirrors, sandbox, clock, opened.engine)
        finally:
            mirrors.close()
            opened.close()
