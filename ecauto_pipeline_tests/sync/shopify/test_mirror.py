"""A mirror ends equal to its store, whatever happens on the way."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ecauto_pipeline.domain.shopify.mirror import Depth, Entity, Transport, Window
from ecauto_pipeline.sync.shopify.mirror import Mode
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.shopify.rig import STORE, MirrorRig, a_shop, mirrors_rigged


@pytest.fixture
def rig(url: str, tmp_path: Path, clock: FakeClock) -> Iterator[MirrorRig]:
    with mirrors_rigged([a_shop(clock)], url, tmp_path, clock) as rig:
        yield rig


@pytest.mark.parametrize("transport", ["graphql", "rest", "bulk"])
def test_every_transport_gives_the_same_rows(
    transport: str, url: str, tmp_path: Path, clock: FakeClock
) -> None:
    with mirrors_rigged([a_shop(clock)], url, tmp_path, clock, transport=transport) as rig:
        for report in rig.sync_all():
            assert report.problems == []
            assert report.transport == transport
            assert report.agrees
        rig.agrees(wholly=True)


def test_a_second_run_reads_what_changed_only(rig: MirrorRig) -> None:
    rig.sync_all()
    rig.later(hours=1)
    shop = rig.shop()
    changed = shop.ids("customers")[3]
    shop.edit("customers", changed, note="changed")
    report = rig.sync()
    assert report.depth is Depth.USUAL
    assert report.changed == 1
    assert report.created == 0
    assert report.read < 10
    rig.agrees()


def test_nothing_new_moves_nothing(rig: MirrorRig) -> None:
    rig.sync()
    before = rig.mirrors.states.get(STORE, Entity.CUSTOMERS)
    rig.later(hours=2)
    report = rig.sync()
    after = rig.mirrors.states.get(STORE, Entity.CUSTOMERS)
    assert after.watermark_at == before.watermark_at
    assert report.created == report.changed == 0


def test_three_days_are_caught_up_by_the_next_run(rig: MirrorRig) -> None:
    rig.sync_all()
    for _ in range(3):
        rig.later(days=1)
        rig.shop().edit_random(20)
        rig.shop().create("orders")
        rig.shop().delete_random(3)
    for report in rig.sync_all():
        assert report.problems == []
    rig.agrees()


def test_edits_deletes_and_news_between_pages_are_followed(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=900, products=40, orders=300)
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        served = 0

        def disturb(_page: int) -> None:
            nonlocal served
            served += 1
            clock.sleep(1)
            if served % 2 and served < 40:
                shop.edit_random(7)
                shop.create("customers")
                shop.delete_random(2)

        shop.before_page = disturb
        rig.sync_all()
        shop.before_page = None
        rig.later(minutes=1)
        rig.sync_all()
        rig.agrees()


def test_what_the_lists_learn_late_is_caught_by_the_overlap(rig: MirrorRig) -> None:
    rig.sync_all()
    rig.later(hours=1)
    rig.shop().hold_back(300)
    rig.shop().edit_random(15)
    rig.later(seconds=30)
    rig.shop().hold_back(0)
    rig.shop().edit_random(5)
    rig.sync_all()
    rig.later(minutes=6)
    rig.sync_all()
    rig.agrees()


def test_several_records_of_one_second_are_not_split(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=700, span=timedelta(seconds=2))
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        rig.sync()
        rig.later(minutes=1)
        for id_ in shop.ids("customers"):
            shop.edit("customers", id_, note="at once")
        report = rig.sync()
        assert report.changed == 700
        rig.agrees(entities=[Entity.CUSTOMERS])


def test_a_week_later_the_totals_of_customers_are_read_again(rig: MirrorRig) -> None:
    rig.sync()
    rig.later(days=1)
    customer = rig.shop().ids("customers")[0]
    rig.shop().create("orders", customer_id=customer)
    assert rig.sync().depth is Depth.USUAL
    rig.later(days=7)
    assert rig.sync().depth is Depth.FULL
    rig.agrees(entities=[Entity.CUSTOMERS], wholly=True)


def test_a_deleted_record_is_kept_as_a_tombstone(rig: MirrorRig) -> None:
    rig.sync_all()
    rig.later(hours=1)
    gone = rig.shop().ids("products")[0]
    rig.shop().delete("products", gone)
    report = rig.sync(Entity.PRODUCTS)
    assert report.deleted == 1
    assert report.agrees
    rig.agrees()


def test_a_window_reads_its_days_and_leaves_the_watermark(rig: MirrorRig) -> None:
    now = rig.clock.now()
    for entity in Entity:
        window = Window(now - timedelta(days=40), now - timedelta(days=10))
        report = rig.sync(entity, mode=Mode.WINDOW, window=window)
        assert report.problems == []
        assert rig.mirrors.states.get(STORE, entity).watermark_at is None
        truth, _ = rig.truth(entity)
        inside = {
            id_
            for id_, row in truth.items()
            if window.since and window.until and window.since <= row["updated_at"] < window.until
        }
        found, _ = rig.mirror(entity)
        assert inside <= found.keys()


def test_a_store_that_shows_only_sixty_days_of_orders_loses_none(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, orders=80)
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        rig.sync(Entity.ORDERS)
        shop.scopes = frozenset({"read_customers", "read_products", "read_orders"})
        rig.later(days=2)
        report = rig.sync(Entity.ORDERS)
        assert "read_all_orders" in report.notes[0]
        assert report.deleted == 0
        rig.agrees(entities=[Entity.ORDERS])


def test_a_shop_that_suddenly_has_nothing_is_not_believed(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        rig.sync()
        rig.sandbox.faults.replace(())
        for id_ in shop.ids("customers"):
            shop.delete("customers", id_)
        shop.events().clear()
        rig.later(days=90)
        rig.mirrors.states.update(
            STORE, Entity.CUSTOMERS, deletes_until=clock.now(), synced_at=clock.now()
        )
        rig.later(hours=1)
        report = rig.sync()
        assert "lacks 60 of the 60" in report.problems[0]
        assert len(rig.mirror(Entity.CUSTOMERS)[0]) == 60
        rig.sync(mode=Mode.FULL)
        rig.agrees(entities=[Entity.CUSTOMERS])


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Where much is written and the kind of database does not matter."""
    shutil.copyfile(migrated_sqlite, tmp_path / "mirror.sqlite")
    return f"sqlite:///{tmp_path / 'mirror.sqlite'}"


def test_bulk_is_chosen_where_much_is_to_be_read(
    sqlite_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=25_000)
    with mirrors_rigged([shop], sqlite_url, tmp_path, clock) as rig:
        report = rig.sync()
        assert report.transport is Transport.BULK
        assert report.created == 25_000
        rig.later(hours=1)
        assert rig.sync().transport is Transport.GRAPHQL


def test_a_failed_bulk_operation_is_replaced_by_pages(
    sqlite_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=25_001)
    shop.bulk.fail_next = "INTERNAL_SERVER_ERROR"
    with mirrors_rigged([shop], sqlite_url, tmp_path, clock) as rig:
        report = rig.sync()
        assert report.transport is Transport.GRAPHQL
        assert "INTERNAL_SERVER_ERROR" in report.notes[0]
        assert report.agrees
