"""The column types answer alike on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError

from ecauto_pipeline.domain.uploads.rules import LIVE
from ecauto_pipeline.storage.tables import LIVE_UPLOAD, Money, UtcDateTime
from ecauto_pipeline_tests.fakes import MIDDAY

JAPAN = timezone(timedelta(hours=9))

notes = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("amount", Money),
    sa.Column("at", UtcDateTime),
)


@pytest.fixture
def connection(engine: sa.Engine):
    notes.create(engine)
    with engine.connect() as connection:
        yield connection


def stored(connection: sa.Connection, **values: object) -> sa.Row[tuple[int, Decimal, datetime]]:
    connection.execute(sa.insert(notes).values(id=1, **values))
    return connection.execute(sa.select(notes)).one()


@pytest.mark.parametrize(
    "amount",
    [
        Decimal(0),
        Decimal(1980),
        Decimal("0.01"),
        Decimal("-12.5"),
        Decimal("0.1"),
        Decimal("999999999999.99"),
        Decimal("123456789012.01"),
        Decimal("1E+3"),
    ],
)
def test_an_amount_comes_back_exactly(connection: sa.Connection, amount: Decimal) -> None:
    assert stored(connection, amount=amount).amount == amount


def test_a_whole_amount_comes_back_without_decimals(connection: sa.Connection) -> None:
    assert str(stored(connection, amount=Decimal("1980.00")).amount) == "1980"


def test_a_whole_number_is_an_amount(connection: sa.Connection) -> None:
    assert stored(connection, amount=1980).amount == Decimal(1980)


def test_no_amount_stays_none(connection: sa.Connection) -> None:
    assert stored(connection, amount=None, at=None)[1:] == (None, None)


def test_amounts_compare_and_sort_as_numbers(connection: sa.Connection) -> None:
    rows = [{"id": n, "amount": Decimal(n)} for n in (900, 1000, 90)]
    connection.execute(sa.insert(notes), rows)
    above = sa.select(notes.c.id).where(notes.c.amount > Decimal("90.5")).order_by(notes.c.amount)
    assert connection.execute(above).scalars().all() == [900, 1000]


@pytest.mark.parametrize(
    "at",
    [
        MIDDAY,
        MIDDAY.astimezone(JAPAN),
        datetime(2026, 11, 20, 3, 0, 0, 123456, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ],
)
def test_a_moment_comes_back_in_utc(connection: sa.Connection, at: datetime) -> None:
    answer = stored(connection, at=at).at
    assert answer == at
    assert answer.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(connection: sa.Connection) -> None:
    naive = MIDDAY.replace(tzinfo=None)
    with pytest.raises(StatementError, match="timestamps are aware"):
        stored(connection, at=naive)


def test_moments_compare_over_zones(connection: sa.Connection) -> None:
    stored(connection, at=MIDDAY)
    later = (MIDDAY + timedelta(seconds=1)).astimezone(JAPAN)
    before = sa.select(notes.c.id).where(notes.c.at < later)
    assert connection.execute(before).scalar() == 1


def test_an_upload_is_live_in_the_states_that_the_domain_names() -> None:
    written = str(LIVE_UPLOAD.compile(compile_kwargs={"literal_binds": True}))
    assert written == f"upload_queue.status IN {tuple(map(str, LIVE))}"
