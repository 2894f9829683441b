"""Whatever Shopify sends is either a record that the tables can hold, or set aside by name."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ecauto_pipeline.clients.shopify.records import read_page, read_record
from ecauto_pipeline.clients.shopify.values import Unreadable
from ecauto_pipeline.domain.shopify.mirror import Entity, Record, Shape
from ecauto_pipeline.errors import Rejected
from ecauto_pipeline.storage.shopify import tables as shopify_tables
from ecauto_pipeline.storage.shopify.tables import Amount
from ecauto_pipeline.storage.tables import UtcDateTime
from ecauto_pipeline_tests.clients.shopify.samples import CUSTOMER_ID, body, node

SAMPLES = {Shape.NODE: node, Shape.BODY: body}
TABLES = {
    Entity.CUSTOMERS: (shopify_tables.shopify_customers, None),
    Entity.PRODUCTS: (shopify_tables.shopify_products, shopify_tables.shopify_product_variants),
    Entity.ORDERS: (shopify_tables.shopify_orders, shopify_tables.shopify_order_items),
}
MARK = "§"
SHAPES = pytest.mark.parametrize("shape", Shape)

Place = tuple[str | int, ...]


def paths(value: Any, above: Place = ()) -> Iterator[Place]:
    """Every place in a record."""
    if isinstance(value, dict):
        entries = list(cast("dict[str | int, Any]", value).items())
    elif isinstance(value, list):
        entries = list[tuple[str | int, Any]](enumerate(cast("list[Any]", value)))
    else:
        entries = []
    for key, below in entries:
        yield (*above, key)
        yield from paths(below, (*above, key))


PATHS = {
    (entity, shape): list(paths(sample(entity)))
    for entity in Entity
    for shape, sample in SAMPLES.items()
}

texts = st.text(st.characters()) | st.sampled_from(["\0", "\ud800", " ", "2026-11-20", "9" * 30])
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**31)
    | st.just(-(2**63) - 1)
    | st.just(10**400)
    | st.floats()
    | texts.map(lambda drawn: drawn + MARK)
    | texts
    | st.datetimes().map(lambda drawn: f"{drawn.isoformat()}+09:00")
    | st.decimals(allow_nan=False, allow_infinity=False).map(lambda drawn: format(drawn, "f"))
    | st.from_regex(r"gid://shopify/[A-Z][a-z]+/[0-9]+", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def change(record: dict[str, Any], path: Place, value: Any, *, remove: bool) -> None:
    """Replace or remove what is at the path, when that is still there."""
    target: Any = record
    try:
        for key in path[:-1]:
            target = target[key]
        if remove:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Entity, Shape, dict[str, Any]]:
    """A record in which up to three places are not as they should be."""
    entity, shape = draw(st.sampled_from(sorted(PATHS)))
    record = SAMPLES[shape](entity)
    for path in draw(st.lists(st.sampled_from(PATHS[entity, shape]), min_size=1, max_size=3)):
        change(record, path, draw(junk), remove=draw(st.booleans()))
    return entity, shape, record


def assert_fits(table: sa.Table, columns: Mapping[str, Any]) -> None:
    """Every value is one that its column can hold, on either database."""
    for name, value in columns.items():
        if value is not None and name != "payload":
            assert fits(table.columns[name].type, value), (name, value)


def fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, UtcDateTime):
        return isinstance(value, datetime) and value.tzinfo is UTC
    if kind is Amount:
        return isinstance(value, Decimal) and value == round(value, 4) and abs(value) < 10**16
    if isinstance(kind, sa.Boolean):
        return isinstance(value, bool)
    if isinstance(kind, sa.Float):
        return isinstance(value, float) and math.isfinite(value)
    if isinstance(kind, sa.Integer):
        bits = 63 if isinstance(kind, sa.BigInteger) else 31
        return isinstance(value, int) and -(2**bits) <= value < 2**bits
    assert isinstance(kind, sa.String)
    text = str(value).encode().decode()
    return bool(text.strip()) and "\0" not in text and len(text) <= (kind.length or len(text))


def assert_tells_no_value(reason: str) -> None:
    """A reason is made of our words and of names of fields, nothing else."""
    assert re.fullmatch(r"[A-Za-z_.' ]+", re.sub(r"address[12]|V2", "", reason)), reason


@given(damaged())
def test_a_damaged_record_is_read_or_named_and_never_told(
    sample: tuple[Entity, Shape, dict[str, Any]],
) -> None:
    entity, shape, found = sample
    try:
        record = read_record(entity, shape, found)
    except Unreadable as error:
        assert_tells_no_value(str(error))
        return
    table, child_table = TABLES[entity]
    assert_fits(table, record.columns)
    assert record.id == record.columns["id"]
    for child in record.children:
        assert child_table is not None
        assert_fits(child_table, child)
        assert child["id"] > 0


@given(st.sampled_from(Entity), st.sampled_from(Shape), junk)
def test_what_is_no_record_at_all_is_set_aside(entity: Entity, shape: Shape, found: Any) -> None:
    page = read_page(entity, shape, [found])
    assert page.records == []
    (bad,) = page.bad
    assert bad.record_id == "?"
    assert_tells_no_value(bad.reason)
    if isinstance(found, dict):
        assert bad.payload == found
    with pytest.raises(Unreadable):
        read_record(entity, shape, bad.payload)


@SHAPES
@pytest.mark.parametrize("entity", Entity)
def test_a_page_of_good_records_is_read(entity: Entity, shape: Shape) -> None:
    found = SAMPLES[shape](entity)
    page = read_page(entity, shape, [found, found])
    expected = read_record(entity, shape, found)
    assert isinstance(expected, Record)
    assert page.records == [expected, expected]
    assert page.bad == []


def test_what_is_withheld_is_left_out_and_told() -> None:
    withheld = frozenset({"firstName"})
    page = read_page(Entity.CUSTOMERS, Shape.NODE, [node(Entity.CUSTOMERS)], withheld=withheld)
    assert page.withheld == withheld
    assert "first_name" not in page.records[0].columns


@SHAPES
def test_a_bad_record_does_not_keep_the_others_back(shape: Shape) -> None:
    sample = SAMPLES[shape]
    good, bad = sample(Entity.CUSTOMERS), sample(Entity.CUSTOMERS, state=5)
    page = read_page(Entity.CUSTOMERS, shape, [good, bad, good])
    assert len(page.records) == 2
    (set_aside,) = page.bad
    assert set_aside.record_id == str(CUSTOMER_ID)
    assert set_aside.shape is shape
    assert set_aside.payload == bad
    assert set_aside.reason == "state is no text"


@SHAPES
def test_a_record_whose_id_is_unreadable_is_set_aside_too(shape: Shape) -> None:
    page = read_page(Entity.ORDERS, shape, [SAMPLES[shape](Entity.ORDERS, id="x")])
    assert page.bad[0].record_id == "?"
    assert not page.bad[0].has_id


@SHAPES
def test_a_page_that_is_mostly_unreadable_is_refused(shape: Shape) -> None:
    good, bad = SAMPLES[shape](Entity.ORDERS), SAMPLES[shape](Entity.ORDERS, name=[MARK])
    with pytest.raises(
        Rejected, match=r"not look like orders: 6 of 10 .* because name is no text$"
    ):
        read_page(Entity.ORDERS, shape, [good] * 4 + [bad] * 6)
    assert len(read_page(Entity.ORDERS, shape, [good] * 5 + [bad] * 5).records) == 5
    assert len(read_page(Entity.ORDERS, shape, [bad] * 9).bad) == 9
    assert read_page(Entity.ORDERS, shape, []).records == []
