"""Mirrors of stores whose answers go wrong, and of runs that are cut off anywhere."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from ecauto_pipeline.domain.shopify.mirror import Entity, Transport
from ecauto_pipeline.errors import AccountStopped, CredentialsRejected, EcautoError, Misconfigured
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.shopify.rig import STORE, MirrorRig, a_shop, mirrors_rigged

STORMS = [
    FaultKind.THROTTLE_429,
    FaultKind.THROTTLED_200,
    FaultKind.INTERNAL_ERROR_200,
    FaultKind.ERROR_503_HTML,
    FaultKind.ERROR_500_ERRORS_EMPTY,
    FaultKind.EMPTY_BODY,
    FaultKind.TRUNCATED_JSON,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.EMPTY_PAGE,
]
WAITS = {FaultKind.THROTTLE_429, FaultKind.THROTTLED_200}
"""Not with PostgreSQL, whose own clock counts for quotas: it does not go on when a test waits."""

SHARE = 0.2


@pytest.fixture
def rig(url: str, tmp_path: Path, clock: FakeClock) -> Iterator[MirrorRig]:
    shop = a_shop(clock, customers=300, products=100, orders=120)
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        yield rig


def storm(rig: MirrorRig, share: float = SHARE) -> list[Fault]:
    """Every kind of fault, on that share of all answers in sum."""
    rest = 1.0
    faults: list[Fault] = []
    is_sqlite = rig.engine.dialect.name == "sqlite"
    kinds = [kind for kind in STORMS if is_sqlite or kind not in WAITS]
    for kind in kinds:
        one = share / len(kinds) / rest
        faults.append(Fault(match="shopify|/admin/", kind=kind, share=one))
        rest *= 1 - one
    return faults


def stormy_runs(rig: MirrorRig) -> int:
    """Runs over everything while it storms; how many of them failed."""
    failed = 0
    for entity in Entity:
        try:
            failed += bool(rig.sync(entity).problems)
        except EcautoError:
            failed += 1
    return failed


@pytest.mark.parametrize("transport", ["graphql", "rest", "bulk"])
def test_after_a_storm_the_next_run_makes_the_mirror_equal(
    transport: str, url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=300, products=30, orders=120)
    with mirrors_rigged([shop], url, tmp_path, clock, transport=transport) as rig:
        for _ in range(4):
            rig.faulty(*storm(rig))
            stormy_runs(rig)
            rig.later(hours=1)
            shop.edit_random(20)
            shop.delete_random(2)
            shop.create("customers")
        stormy_runs(rig)
        rig.faulty()
        for report in rig.sync_all():
            assert report.problems == []
        rig.agrees()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("transport", ["graphql", "rest"])
def test_with_everything_at_once_the_next_run_makes_the_mirror_equal(
    transport: str, seed: int, url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=600, products=40, orders=300, seed=seed)
    dice = random.Random(seed)

    def disturb(_page: int) -> None:
        clock.sleep(dice.choice((0, 0, 1, 7)))
        if dice.random() < 0.5:
            shop.edit_random(dice.randrange(12))
            shop.create(dice.choice(list(Entity)))
            shop.delete_random(dice.randrange(3))

    with mirrors_rigged([shop], url, tmp_path, clock, transport=transport) as rig:
        for _ in range(3):
            shop.hold_back(dice.randrange(300))
            shop.before_page = disturb
            rig.faulty(*storm(rig))
            stormy_runs(rig)
            rig.later(minutes=dice.randrange(90))
        shop.before_page = None
        rig.faulty()
        rig.later(minutes=6)
        rig.sync_all()
        rig.agrees()


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_PAGE, FaultKind.TRUNCATED_JSON])
@pytest.mark.parametrize("transport", [Transport.GRAPHQL, Transport.REST])
def test_pages_that_stay_empty_or_cut_off_move_no_watermark(
    kind: FaultKind, transport: Transport, url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, customers=600)
    with mirrors_rigged([shop], url, tmp_path, clock, transport=transport.value) as rig:
        rig.sync()
        before = rig.mirrors.states.get(STORE, Entity.CUSTOMERS)
        rig.later(hours=1)
        for id_ in shop.ids("customers"):
            shop.edit("customers", id_, note="all of them")
        place = "graphql" if transport is Transport.GRAPHQL else "customers.json"
        rig.faulty(Fault(match=place, kind=kind, after=2))
        with pytest.raises(EcautoError):  # noqa: PT012 - either way says that it is not complete
            report = rig.sync()
            if report.problems:
                raise EcautoError(report.problems[0])
        assert rig.mirrors.states.get(STORE, Entity.CUSTOMERS).watermark_at == before.watermark_at
        rig.faulty()
        rig.sync()
        rig.agrees(entities=[Entity.CUSTOMERS])


def test_a_bulk_file_that_is_cut_short_changes_nothing(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    with mirrors_rigged([shop], url, tmp_path, clock, transport="bulk") as rig:
        shop.bulk.cut_next = True
        with pytest.raises(EcautoError, match="bulk"):
            rig.sync()
        assert rig.mirror(Entity.CUSTOMERS) == ({}, {})
        assert rig.mirrors.states.get(STORE, Entity.CUSTOMERS).watermark_at is None
        rig.sync()
        rig.agrees(entities=[Entity.CUSTOMERS])


def test_a_bulk_operation_is_taken_up_again_and_proves_no_more_than_when_it_began(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    with mirrors_rigged([shop], url, tmp_path, clock, transport="bulk") as rig:
        began_at = clock.now()
        early, late = shop.ids("customers")[:2]
        # Written to the file while the operation goes on: newer than its beginning.
        shop.edit("customers", early, updated_at=began_at + timedelta(minutes=30))
        rig.faulty(Fault(match="bulk-files", kind=FaultKind.DROP_BEFORE))
        with pytest.raises(EcautoError):
            rig.sync()
        assert "did not answer" in str(rig.mirrors.states.get(STORE, Entity.CUSTOMERS).problem)
        rig.faulty()
        rig.later(hours=1)
        shop.edit("customers", late, note="after the file was written")
        rig.sync()
        asked = [call for call in rig.sandbox.journal.calls() if "RunQuery" in call.path]
        assert len(asked) == 1
        state = rig.mirrors.states.get(STORE, Entity.CUSTOMERS)
        assert state.problem is None
        assert state.watermark_at is not None
        assert state.watermark_at <= began_at + timedelta(minutes=1)
        rig.sync()
        rig.agrees(entities=[Entity.CUSTOMERS])


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("entity", [Entity.CUSTOMERS, Entity.ORDERS])
def test_a_run_may_end_at_any_statement(rig: MirrorRig, entity: Entity) -> None:
    rig.sync(entity)
    until_killed = 0
    left = 0

    @event.listens_for(rig.engine, "before_cursor_execute")
    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    completed = False
    while not completed:
        until_killed += 1
        rig.shop().edit_random(4, entity)
        if until_killed % 8 == 0:
            rig.shop().delete_random(1, entity)
        rig.later(seconds=20)
        left = until_killed
        try:
            rig.sync(entity)
            completed = True
        except Killed:
            rig.engine.dispose()  # a process that ends hangs up, which frees its locks
            rig.later(seconds=20)
    assert until_killed > 20
    event.remove(rig.engine, "before_cursor_execute", count)
    rig.sync(entity)
    rig.agrees(entities=[entity])


def test_a_bad_record_is_put_aside_and_counts_as_known(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    bad = shop.ids("customers")[7]
    shop.edit("customers", bad, total_spent="a lot")
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        report = rig.sync()
        assert (report.read, report.bad) == (59, 1)
        assert report.agrees
        letter = rig.mirrors.letters.open_letters()[0]
        assert (letter.record_id, letter.entity) == (str(bad), Entity.CUSTOMERS)
        assert "a lot" not in letter.reason
        rig.later(hours=1)
        shop.edit("customers", bad, total_spent="12")
        rig.sync()
        assert rig.mirrors.letters.open_letters() == []
        rig.agrees(entities=[Entity.CUSTOMERS])


def test_a_bad_record_that_was_good_before_counts_once(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        rig.sync()
        rig.later(hours=1)
        bad, worse = shop.ids("customers")[7:9]
        for each in (bad, worse):
            shop.edit("customers", each, total_spent="a lot")
        assert rig.sync().agrees
        assert len(rig.mirrors.letters.open_letters()) == 2
        rig.later(hours=1)
        shop.delete("customers", worse)
        report = rig.sync()
        assert report.agrees
        assert report.deleted == 1
        assert [each.record_id for each in rig.mirrors.letters.open_letters()] == [str(bad)]


def test_a_dead_letter_is_kept_until_it_can_be_read(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    bad = shop.ids("orders")[7]
    shop.edit("orders", bad, total_price="?")
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        rig.sync(Entity.ORDERS)
        report = rig.mirrors.replay([])
        assert (report.replayed, len(report.left)) == (0, 1)
        with rig.engine.begin() as connection:
            text = connection.execute(
                sa.text("SELECT CAST(payload AS TEXT) FROM dead_letters")
            ).scalar_one()
            mended = str(text).replace("?", "7")
            connection.execute(sa.text("UPDATE dead_letters SET payload = :p"), {"p": mended})
        assert rig.mirrors.replay([]).replayed == 1
        assert rig.mirrors.letters.open_letters() == []
        assert bad in rig.mirror(Entity.ORDERS)[0]


def test_a_token_without_the_scope_stops_the_store(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock, scopes=["read_products"])
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        with pytest.raises(Misconfigured, match="read_orders"):
            rig.sync(Entity.ORDERS)
        rig.sync(Entity.PRODUCTS)


@pytest.mark.parametrize("untold", ["access_scopes", "Count$", "events$"])
def test_a_shop_that_does_not_tell_everything_is_mirrored_all_the_same(
    untold: str, rig: MirrorRig
) -> None:
    rig.sync(Entity.PRODUCTS)
    refusal = '{"errors": [{"message": "not here", "extensions": {"code": "undefinedField"}}]}'
    status = 404 if untold == "access_scopes" else 200
    rig.faulty(Fault(match=untold, kind=FaultKind.BODY, status=status, text=refusal))
    rig.later(hours=1)
    rig.shop().edit_random(5, Entity.PRODUCTS)
    report = rig.sync(Entity.PRODUCTS)
    assert "does not tell" in report.notes[0] or "tells of no deletions" in report.notes[0]
    assert report.problems == []
    rig.agrees(entities=[Entity.PRODUCTS])


def test_a_wrong_token_stops_the_store_and_is_not_shown(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    shop = a_shop(clock)
    token = shop.access_token or ""
    with mirrors_rigged([shop], url, tmp_path, clock) as rig:
        shop.access_token = "another"
        with pytest.raises(CredentialsRejected) as caught:
            rig.sync()
        assert STORE in str(caught.value)
        assert token not in str(caught.value)


def test_a_frozen_store_needs_a_person(rig: MirrorRig) -> None:
    rig.faulty(Fault(match="/admin/", kind=FaultKind.BODY, status=402, text="{}"))
    with pytest.raises(AccountStopped, match="frozen"):
        rig.sync()


def test_withheld_personal_data_is_told(url: str, tmp_path: Path, clock: FakeClock) -> None:
    with mirrors_rigged([a_shop(clock, pii="withheld")], url, tmp_path, clock) as rig:
        report = rig.sync()
        assert any("withholds" in note for note in report.notes)


def test_an_old_version_is_not_silently_replaced(
    url: str, tmp_path: Path, clock: FakeClock
) -> None:
    with (
        mirrors_rigged([a_shop(clock)], url, tmp_path, clock, api_version="2023-10") as rig,
        pytest.raises(Misconfigured, match="2023-10"),
    ):
        rig.sync()
