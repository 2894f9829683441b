"""From one table of columns come the query and the readers of both shapes."""

from collections.abc import Mapping
from typing import Any

import pytest

from ecauto_pipeline.clients.shopify.entities.columns import (
    LEFT_OUT,
    At,
    Column,
    Layout,
    Row,
    id_column,
)
from ecauto_pipeline.clients.shopify.entities.reading import row_reader
from ecauto_pipeline.clients.shopify.values import Unreadable, boolean, whole
from ecauto_pipeline.domain.shopify.mirror import Shape


def paid(row: Row) -> Any:
    """What is left of the price; not known without one."""
    return row["price"] - row["paid"] if row.get("price") is not None else LEFT_OUT


def with_a_price(source: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"price": 10, **source}


LAYOUT = Layout(
    columns=(
        id_column("id", "id", "id", required=True),
        Column("city", "address.city", "city"),
        Column("zip", "address.area.zip", "zip"),
        Column("is_new", "address.isNew", "is_new", boolean, when_null=False),
        Column("price", "price", "price", whole),
        Column("paid", At("paidSet(net: true).paid", whole, then=paid), At("paid", whole)),
    ),
    payload_only=("address.id", "note"),
    mended=with_a_price,
)
NODE = {
    "id": "gid://shopify/Thing/5",
    "address": {"city": "京都", "isNew": True, "area": {"zip": "600"}, "id": 1},
    "price": 10,
    "paidSet": {"paid": 4},
    "note": 7,
}
BODY = {"id": 5, "city": "京都", "zip": "600", "is_new": True, "paid": 6}
ROW = {"id": 5, "city": "京都", "zip": "600", "is_new": True, "price": 10, "paid": 6}


def read(shape: Shape, source: Mapping[str, Any], *withheld: str) -> Row:
    return row_reader(LAYOUT, shape, frozenset(withheld)).read(source)


def test_a_query_asks_for_each_field_once() -> None:
    assert LAYOUT.selection() == (
        "id address { city area { zip } isNew id } price paidSet(net: true) { paid } note"
    )


def test_both_shapes_give_the_same_row() -> None:
    assert read(Shape.NODE, NODE) == read(Shape.BODY, BODY) == ROW


def test_what_did_not_come_is_left_out() -> None:
    assert read(Shape.NODE, {"id": NODE["id"]}) == {"id": 5}
    assert read(Shape.BODY, {"id": 5}) == {"id": 5, "price": 10}


def test_null_on_the_way_is_null_for_all_below() -> None:
    row = read(Shape.NODE, {**NODE, "address": None})
    assert row == {**ROW, "city": None, "zip": None, "is_new": False}


@pytest.mark.parametrize(
    ("field", "lost"),
    [
        ("address", {"city", "zip", "is_new"}),
        ("area", {"zip"}),
        ("paidSet", {"paid"}),
        ("note", set[str]()),
        ("id", set[str]()),
    ],
)
def test_what_is_withheld_is_left_out(field: str, lost: set[str]) -> None:
    row = read(Shape.NODE, NODE, field)
    assert row == {name: value for name, value in ROW.items() if name not in lost}


def test_a_computed_column_may_be_left_out() -> None:
    assert "paid" not in read(Shape.NODE, {**NODE, "price": None})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "id is no global id"),
        ({"address": "x"}, "address is no object"),
        ({"address": {"area": []}}, "address.area is no object"),
        ({"address": {"area": {"zip": 5}}}, "address.area.zip is no text"),
        ({"paidSet": {"paid": "x"}}, "paidSet.paid is no whole number"),
    ],
)
def test_what_is_unreadable_is_named_by_its_path(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        read(Shape.NODE, {**NODE, **changes})
