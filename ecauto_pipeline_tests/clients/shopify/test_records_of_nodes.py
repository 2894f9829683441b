"""Nodes of GraphQL become records: every column, what is withheld, the children."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.clients.shopify.entities.columns import Layout
from ecauto_pipeline.clients.shopify.entities.customers import CUSTOMERS
from ecauto_pipeline.clients.shopify.entities.orders import ORDERS
from ecauto_pipeline.clients.shopify.records import read_record
from ecauto_pipeline.clients.shopify.values import CURRENCY_LETTERS, Unreadable
from ecauto_pipeline.domain.shopify.mirror import Entity, Record, Shape
from ecauto_pipeline.storage.shopify import tables as shopify_tables
from ecauto_pipeline_tests.clients.shopify.samples import (
    CHILDREN,
    CUSTOMER_ID,
    ITEM_ID,
    LINE_ID,
    ORDER_ID,
    PRODUCT_ID,
    VARIANT_ID,
    node,
)

CREATED = datetime(2025, 1, 10, 0, 27, 8, tzinfo=UTC)
UPDATED = datetime(2026, 11, 20, 10, tzinfo=UTC)
PARENTS = sorted(CHILDREN)


def names(layout: Layout) -> set[str]:
    return {column.name for column in layout.columns}


def only_child(record: Record) -> dict[str, Any]:
    (child,) = record.children
    return dict(child)


def variant_with(**changes: Any) -> dict[str, Any]:
    """The columns of the variant with these fields."""
    product = node(Entity.PRODUCTS)
    product["variants"]["nodes"][0] |= changes
    return only_child(read_record(Entity.PRODUCTS, Shape.NODE, product))


def test_a_customer_is_read() -> None:
    columns = read_record(Entity.CUSTOMERS, Shape.NODE, node(Entity.CUSTOMERS)).columns
    assert columns == {
        "id": CUSTOMER_ID,
        "email": "hanako@example.com",
        "phone": "+819012345678",
        "first_name": "花子",
        "last_name": "Müller-佐藤",
        "state": "disabled",
        "note": "likes 🍵\nand tea",
        "tags": "Léon, Noël, vip",
        "tax_exempt": False,
        "verified_email": True,
        "orders_count": 3,
        "total_spent": Decimal("12345.5"),
        "currency": "JPY",
        "last_order_id": ORDER_ID,
        "last_order_name": "#1001",
        "accepts_marketing": True,
        "accepts_marketing_updated_at": datetime(2026, 1, 10, 0, 27, 8, tzinfo=UTC),
        "marketing_opt_in_level": "single_opt_in",
        "email_marketing_state": "subscribed",
        "email_marketing_opt_in_level": "single_opt_in",
        "email_marketing_updated_at": datetime(2026, 1, 10, 0, 27, 8, tzinfo=UTC),
        "sms_marketing_state": "not_subscribed",
        "sms_marketing_opt_in_level": None,
        "sms_marketing_updated_at": None,
        "sms_marketing_collected_from": "other",
        "default_address_id": 9_207_119_551_012,
        "default_address_company": None,
        "default_address_address1": "神南1-2-3",
        "default_address_address2": None,
        "default_address_city": "渋谷区",
        "default_address_province": "Tōkyō",
        "default_address_province_code": "JP-13",
        "default_address_country": "Japan",
        "default_address_country_code": "JP",
        "default_address_zip": "150-0041",
        "default_address_phone": None,
        "created_at": CREATED,
        "updated_at": UPDATED,
    }


def test_a_product_and_its_variant_are_read() -> None:
    found = node(Entity.PRODUCTS)
    record = read_record(Entity.PRODUCTS, Shape.NODE, found)
    assert record.columns == {
        "id": PRODUCT_ID,
        "title": "Tシャツ",
        "body_html": "<p>綿100%</p>\n",
        "vendor": "ACME",
        "product_type": None,
        "handle": "t-shirt",
        "status": "active",
        "tags": None,
        "published_at": None,
        "created_at": CREATED,
        "updated_at": UPDATED,
    }
    assert only_child(record) == {
        "id": VARIANT_ID,
        "title": "赤 / L",
        "sku": "TEE-RED-L",
        "barcode": None,
        "price": Decimal("1980.5"),
        "compare_at_price": None,
        "position": 1,
        "taxable": True,
        "inventory_item_id": ITEM_ID,
        "inventory_quantity": -2,
        "inventory_tracked": True,
        "requires_shipping": True,
        "weight": 1.25,
        "weight_unit": "lb",
        "grams": 567,
        "created_at": CREATED,
        "updated_at": UPDATED,
        "payload": found["variants"]["nodes"][0],
    }


def test_an_order_and_its_line_are_read() -> None:
    found = node(Entity.ORDERS)
    record = read_record(Entity.ORDERS, Shape.NODE, found)
    ordered = datetime(2026, 11, 19, 10, tzinfo=UTC)
    assert record.columns == {
        "id": ORDER_ID,
        "name": "#1001",
        "email": "hanako@example.com",
        "customer_id": CUSTOMER_ID,
        "currency": "USD",
        "presentment_currency": "EUR",
        "subtotal_price": Decimal(55),
        "total_price": Decimal("65.5"),
        "total_tax": None,
        "total_discounts": Decimal(5),
        "total_shipping_price": Decimal("10.5"),
        "total_refunded": Decimal("12.5"),
        "financial_status": "partially_refunded",
        "fulfillment_status": "partial",
        "cancel_reason": None,
        "source_name": "web",
        "tags": "a, b",
        "test": False,
        "cancelled_at": None,
        "closed_at": None,
        "processed_at": ordered,
        "created_at": ordered,
        "updated_at": UPDATED,
    }
    assert only_child(record) == {
        "id": LINE_ID,
        "product_id": PRODUCT_ID,
        "variant_id": None,
        "name": "Tシャツ - 赤 / L",
        "title": "Tシャツ",
        "variant_title": "赤 / L",
        "sku": "TEE-RED-L",
        "vendor": None,
        "quantity": 3,
        "current_quantity": 2,
        "price": Decimal(20),
        "total_discount": Decimal(5),
        "payload": found["lineItems"]["nodes"][0],
    }


def test_a_customer_without_email_phone_and_address_has_none() -> None:
    bare = node(
        Entity.CUSTOMERS, defaultEmailAddress=None, defaultPhoneNumber=None, defaultAddress=None
    )
    columns = read_record(Entity.CUSTOMERS, Shape.NODE, bare).columns
    assert set(columns) == names(CUSTOMERS)
    assert columns["accepts_marketing"] is False
    for name, value in columns.items():
        if name.startswith(("email", "phone", "sms", "default_address")):
            assert value is None, name


def test_what_is_withheld_is_left_out_not_emptied() -> None:
    hidden = node(Entity.CUSTOMERS, firstName=None, lastName=None, defaultEmailAddress=None)
    withheld = frozenset({"firstName", "defaultEmailAddress"})
    columns = read_record(Entity.CUSTOMERS, Shape.NODE, hidden, withheld=withheld).columns
    left_out = names(CUSTOMERS) - set(columns)
    assert left_out == {
        "first_name",
        "email",
        "email_marketing_state",
        "email_marketing_opt_in_level",
        "email_marketing_updated_at",
        "accepts_marketing",
        "accepts_marketing_updated_at",
        "marketing_opt_in_level",
    }
    assert columns["last_name"] is None


def test_a_field_withheld_within_an_object_leaves_the_others() -> None:
    hidden = node(Entity.CUSTOMERS)
    hidden["defaultAddress"]["city"] = None
    columns = read_record(
        Entity.CUSTOMERS, Shape.NODE, hidden, withheld=frozenset({"city", "id"})
    ).columns
    assert "default_address_city" not in columns
    assert columns["default_address_zip"] == "150-0041"
    assert columns["id"] == CUSTOMER_ID


def test_what_is_withheld_of_the_children_is_left_out_there() -> None:
    order = node(Entity.ORDERS)
    withheld = frozenset({"sku", "originalUnitPriceSet"})
    child = only_child(read_record(Entity.ORDERS, Shape.NODE, order, withheld=withheld))
    assert ORDERS.children is not None
    assert names(ORDERS.children) - set(child) == {
        "sku",
        "price",
        "total_discount",
    }


@pytest.mark.parametrize("entity", PARENTS)
def test_a_list_of_children_is_complete_when_shopify_says_so(entity: Entity) -> None:
    connection = CHILDREN[entity][0]
    found = node(entity)
    assert read_record(entity, Shape.NODE, found).children_complete
    found[connection]["pageInfo"]["hasNextPage"] = True
    assert not read_record(entity, Shape.NODE, found).children_complete
    del found[connection]["pageInfo"]["hasNextPage"]
    assert not read_record(entity, Shape.NODE, found).children_complete
    del found[connection]["pageInfo"]
    assert read_record(entity, Shape.NODE, found).children_complete


@pytest.mark.parametrize("entity", PARENTS)
def test_children_that_did_not_come_are_not_taken_for_none(entity: Entity) -> None:
    connection = CHILDREN[entity][0]
    without = node(entity)
    del without[connection]
    for found in (without, node(entity, **{connection: None})):
        record = read_record(entity, Shape.NODE, found)
        assert (list(record.children), record.children_complete) == ([], False)


@pytest.mark.parametrize("entity", Entity)
def test_the_payload_is_the_node_without_its_children(entity: Entity) -> None:
    expected = node(entity)
    if entity in CHILDREN:
        del expected[CHILDREN[entity][0]]
    assert read_record(entity, Shape.NODE, node(entity)).payload == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("FULFILLED", "fulfilled"),
        ("PARTIALLY_FULFILLED", "partial"),
        ("RESTOCKED", "restocked"),
        ("UNFULFILLED", None),
        ("ON_HOLD", None),
        ("something new", None),
    ],
)
def test_fulfillment_is_told_in_the_words_of_rest(status: str, expected: str | None) -> None:
    order = node(Entity.ORDERS, displayFulfillmentStatus=status)
    assert read_record(Entity.ORDERS, Shape.NODE, order).columns["fulfillment_status"] == expected


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (None, (None, None, None)),
        ({"value": 0, "unit": "KILOGRAMS"}, (0.0, "kg", 0)),
        ({"value": 2.5, "unit": "GRAMS"}, (2.5, "g", 3)),
        ({"value": 1.0005, "unit": "KILOGRAMS"}, (1.0005, "kg", 1001)),
        ({"value": 10, "unit": "OUNCES"}, (10.0, "oz", 283)),
        ({"value": None, "unit": "OUNCES"}, (None, "oz", None)),
    ],
)
def test_grams_are_computed_from_the_weight(weight: Any, expected: tuple[Any, ...]) -> None:
    variant = variant_with(
        inventoryItem={"legacyResourceId": "1", "measurement": {"weight": weight}}
    )
    assert (variant["weight"], variant["weight_unit"], variant["grams"]) == expected


def test_text_that_no_database_keeps_is_cleaned() -> None:
    strange = node(
        Entity.CUSTOMERS,
        firstName="A\0B",
        lastName="\0 \u3000",
        note="lone \ud83c half",
        tags=["b\0", " a ", ""],
    )
    columns = read_record(Entity.CUSTOMERS, Shape.NODE, strange).columns
    assert columns["first_name"] == "AB"
    assert columns["last_name"] is None
    assert columns["note"] == "lone \ufffd half"
    assert columns["tags"] == "a, b"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", None, "id is no global id"),
        ("id", CUSTOMER_ID, "id is no global id"),
        ("id", "gid://shopify/Customer/0", "id is no id"),
        ("id", "gid://shopify/Customer/9223372036854775808", "id is too large"),
        ("updatedAt", None, "updatedAt is no time"),
        ("updatedAt", "2026-11-20T10:00:00", "updatedAt is no time"),
        ("createdAt", "0001-01-01T00:00:00+09:00", "createdAt is no time"),
        ("createdAt", 1763632800, "createdAt is no time"),
        ("firstName", 5, "firstName is no text"),
        ("tags", ["a", None], "tags holds something that is no text"),
        ("tags", {"a": "b"}, "tags is no text"),
        ("taxExempt", 1, "taxExempt is neither true nor false"),
        ("numberOfOrders", "3.0", "numberOfOrders is no whole number"),
        ("numberOfOrders", True, "numberOfOrders is no whole number"),
        ("numberOfOrders", 2**63, "numberOfOrders is too large"),
        ("defaultAddress", [], "defaultAddress is no object"),
    ],
)
def test_what_is_not_as_the_schema_says_is_named(field: str, value: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=rf"^{reason}"):
        read_record(Entity.CUSTOMERS, Shape.NODE, node(Entity.CUSTOMERS, **{field: value}))


@pytest.mark.parametrize(
    "amount", ["1.00001", "12345678901234567", "1e3", "NaN", "", "１", "1,5", 1, 1.5]
)
def test_an_amount_that_its_column_cannot_hold_is_refused(amount: Any) -> None:
    spent = {"amount": amount, "currencyCode": "JPY"}
    with pytest.raises(Unreadable, match=r"^amountSpent\.amount is no amount"):
        read_record(Entity.CUSTOMERS, Shape.NODE, node(Entity.CUSTOMERS, amountSpent=spent))


@pytest.mark.parametrize("amount", ["-0.01", "9999999999999999.9999", "0.0001", "7"])
def test_an_amount_is_exact(amount: str) -> None:
    assert variant_with(price=amount)["price"] == Decimal(amount)


def test_a_currency_fits_its_column() -> None:
    width = shopify_tables.shopify_orders.c.currency.type
    assert isinstance(width, sa.String)
    assert width.length == CURRENCY_LETTERS
    with pytest.raises(Unreadable, match="currencyCode is no currency's code"):
        read_record(Entity.ORDERS, Shape.NODE, node(Entity.ORDERS, currencyCode="USDOLLAR"))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", "42", r"variants\.id is no global id"),
        ("position", 2**31, r"variants\.position is no position"),
        ("inventoryItem", 5, r"variants\.inventoryItem is no object"),
        (
            "inventoryItem",
            {"measurement": {"weight": {"value": float("nan")}}},
            r"variants\.inventoryItem\.measurement\.weight\.value is no weight",
        ),
        (
            "inventoryItem",
            {"measurement": {"weight": {"value": -0.1}}},
            r"variants\.inventoryItem\.measurement\.weight\.value is no weight",
        ),
        (
            "inventoryItem",
            {"measurement": {"weight": {"value": 1e300}}},
            r"variants\.inventoryItem\.measurement\.weight\.value is no weight",
        ),
        (
            "inventoryItem",
            {"measurement": {"weight": {"value": "1.25"}}},
            r"variants\.inventoryItem\.measurement\.weight\.value is no number",
        ),
        (
            "inventoryItem",
            {"measurement": {"weight": {"unit": "STONES"}}},
            r"variants\.inventoryItem\.measurement\.weight\.unit is no unit",
        ),
    ],
)
def test_an_unreadable_child_makes_the_record_unreadable(
    field: str, value: Any, reason: str
) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}"):
        variant_with(**{field: value})


def test_a_discount_beyond_its_column_is_refused() -> None:
    order = node(Entity.ORDERS)
    line = order["lineItems"]["nodes"][0]
    line |= {"quantity": 10**18, "originalUnitPriceSet": {"shopMoney": {"amount": "9" * 16}}}
    with pytest.raises(Unreadable, match=r"lineItems\.discountedTotalSet is too large"):
        read_record(Entity.ORDERS, Shape.NODE, order)
