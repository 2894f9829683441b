"""Each column of the mirrors has one home: the row of its layout."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.shopify.entities.columns import Layout
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
from ecauto_pipeline.clients.shopify.records import read_record
from ecauto_pipeline.domain.shopify.mirror import Entity, Shape
from ecauto_pipeline.storage.shopify.rows import MIRRORS
from ecauto_pipeline_tests.clients.shopify.samples import body, node

OURS = {"store_id", "payload", "synced_at", "deleted_at"}
"""What storage itself writes."""

CHILDREN = [layout.children for layout in LAYOUTS.values()]
SAMPLES = {Shape.NODE: node, Shape.BODY: body}


def kept() -> Iterator[Any]:
    """Every layout, and the columns that storage does not fill itself."""
    for entity, layout in LAYOUTS.items():
        mirror = MIRRORS[entity]
        yield pytest.param(layout, columns_of(mirror.table), id=mirror.table.name)
        if layout.children is not None:
            assert mirror.children is not None
            children = mirror.children.table
            theirs = columns_of(children) - {mirror.children.parent_id.name}
            yield pytest.param(layout.children, theirs, id=children.name)


def columns_of(table: sa.Table) -> set[str]:
    return {column.name for column in table.columns} - OURS


def names(layout: Layout) -> list[str]:
    return [column.name for column in layout.columns]


def test_every_entity_has_a_layout_and_tables_and_children_in_both_or_neither() -> None:
    assert LAYOUTS.keys() == MIRRORS.keys() == set(Entity)
    for entity, layout in LAYOUTS.items():
        assert (layout.children is None) == (MIRRORS[entity].children is None)


@pytest.mark.parametrize(("layout", "columns"), list(kept()))
def test_every_column_of_a_table_is_in_its_layout_once(layout: Layout, columns: set[str]) -> None:
    assert sorted(names(layout)) == sorted(columns)


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), *filter(None, CHILDREN)])
def test_every_column_is_in_both_shapes(layout: Layout) -> None:
    for column in layout.columns:
        for shape in Shape:
            at = column.at(shape)
            assert at.path or at.then, (column.name, shape)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("entity", Entity)
def test_a_whole_record_supplies_every_column_and_no_other(entity: Entity, shape: Shape) -> None:
    record = read_record(entity, shape, SAMPLES[shape](entity))
    layout = LAYOUTS[entity]
    assert set(record.columns) == set(names(layout))
    assert (record.columns["id"], record.columns["updated_at"]) == (record.id, record.updated_at)
    for child in record.children:
        assert layout.children is not None
        assert set(child) == {*names(layout.children), "payload"}


@pytest.mark.parametrize("entity", Entity)
def test_only_what_makes_a_record_is_required(entity: Entity) -> None:
    layout = LAYOUTS[entity]
    assert [each.name for each in layout.columns if each.required] == ["id", "updated_at"]
    if layout.children is not None:
        assert [each.name for each in layout.children.columns if each.required] == ["id"]
