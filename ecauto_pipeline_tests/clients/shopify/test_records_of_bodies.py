"""REST resources and webhooks become the same records as the nodes of GraphQL."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ecauto_pipeline.clients.shopify.entities.products import MOST_VARIANTS
from ecauto_pipeline.clients.shopify.records import read_record
from ecauto_pipeline.clients.shopify.values import Unreadable
from ecauto_pipeline.domain.shopify.mirror import Entity, Shape
from ecauto_pipeline_tests.clients.shopify.samples import CHILDREN, body, node, without_payload
from ecauto_pipeline_tests.places import CONTRACTS

EXAMPLES = CONTRACTS / "shopify/rest"
PARENTS = sorted(CHILDREN)


def examples() -> Iterator[tuple[str, Entity, dict[str, Any]]]:
    """The official examples of whole resources: those for a choice of fields lack a time."""
    for path in sorted(EXAMPLES.glob("*/*.json")):
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["body"]
        for entity in Entity:
            single = answer.get(entity.removesuffix("s"))
            for found in answer.get(entity, [single] if single else []):
                if "updated_at" in found:
                    yield f"{path.parent.name}/{path.name}", entity, found


def line_with(**changes: Any) -> dict[str, Any]:
    """The columns of the order's line with these fields."""
    order = body(Entity.ORDERS)
    order["line_items"][0] |= changes
    return dict(read_record(Entity.ORDERS, Shape.BODY, order).children[0])


@pytest.mark.parametrize("entity", Entity)
def test_both_shapes_of_a_record_give_the_same_columns(entity: Entity) -> None:
    by_rest = read_record(entity, Shape.BODY, body(entity))
    by_graphql = read_record(entity, Shape.NODE, node(entity))
    assert by_rest.columns == by_graphql.columns
    assert by_rest.id == by_graphql.id
    assert by_rest.updated_at == by_graphql.updated_at
    assert by_rest.children_complete
    assert [without_payload(each) for each in by_rest.children] == [
        without_payload(each) for each in by_graphql.children
    ]


def test_both_shapes_of_a_bare_customer_give_the_same_columns() -> None:
    bare_node = node(
        Entity.CUSTOMERS,
        defaultEmailAddress=None,
        defaultPhoneNumber=None,
        defaultAddress=None,
        lastOrder=None,
        firstName=None,
        note="",
        tags=[],
    )
    bare_body = body(
        Entity.CUSTOMERS,
        email=None,
        phone=None,
        email_marketing_consent=None,
        sms_marketing_consent=None,
        last_order_id=None,
        last_order_name=None,
        first_name="",
        note=None,
        tags="",
    )
    del bare_body["default_address"]
    by_rest = read_record(Entity.CUSTOMERS, Shape.BODY, bare_body).columns
    assert by_rest == read_record(Entity.CUSTOMERS, Shape.NODE, bare_node).columns
    assert by_rest["accepts_marketing"] is False


def test_both_shapes_of_an_order_without_customer_and_refund_give_the_same_columns() -> None:
    bare_node = node(
        Entity.ORDERS,
        customer=None,
        totalRefundedSet={"shopMoney": {"amount": "0.0"}},
        displayFulfillmentStatus="UNFULFILLED",
        cancelReason="FRAUD",
        cancelledAt="2026-11-20T10:00:00Z",
    )
    bare_body = body(
        Entity.ORDERS,
        customer=None,
        refunds=[],
        fulfillment_status=None,
        cancel_reason="fraud",
        cancelled_at="2026-11-20T05:00:00-05:00",
    )
    by_rest = read_record(Entity.ORDERS, Shape.BODY, bare_body).columns
    assert by_rest == read_record(Entity.ORDERS, Shape.NODE, bare_node).columns
    assert by_rest["total_refunded"] == 0


@pytest.mark.parametrize(
    ("managed", "weight", "unit"), [("shopify", 0.0, "kg"), (None, None, None), ("other", 1, "oz")]
)
def test_both_shapes_of_a_variant_agree_on_stock_and_weight(
    managed: str | None, weight: float | None, unit: str | None
) -> None:
    by_rest, by_graphql = body(Entity.PRODUCTS), node(Entity.PRODUCTS)
    by_rest["variants"][0] |= {
        "inventory_management": managed,
        "weight": weight,
        "weight_unit": unit,
    }
    units = {"kg": "KILOGRAMS", "oz": "OUNCES"}
    by_graphql["variants"]["nodes"][0]["inventoryItem"] |= {
        "tracked": managed is not None,
        "measurement": {"weight": unit and {"value": weight, "unit": units[unit]}},
    }
    (one,) = read_record(Entity.PRODUCTS, Shape.BODY, by_rest).children
    (other,) = read_record(Entity.PRODUCTS, Shape.NODE, by_graphql).children
    assert without_payload(one) == without_payload(other)


def test_a_webhook_without_consents_and_tags_leaves_them_alone() -> None:
    webhook = body(Entity.CUSTOMERS)
    for key in ("tags", "email_marketing_consent", "sms_marketing_consent", "default_address"):
        del webhook[key]
    del webhook["addresses"]
    full = read_record(Entity.CUSTOMERS, Shape.BODY, body(Entity.CUSTOMERS)).columns
    columns = read_record(Entity.CUSTOMERS, Shape.BODY, webhook).columns
    left_out = set(full) - set(columns)
    assert "tags" in left_out
    assert "accepts_marketing" in left_out
    assert {name.split("_")[0] for name in left_out} == {
        "tags",
        "accepts",
        "marketing",
        "email",
        "sms",
        "default",
    }
    assert columns == {name: value for name, value in full.items() if name not in left_out}
    assert columns["email"] == "hanako@example.com"


@pytest.mark.parametrize("entity", Entity)
def test_a_body_of_little_more_than_an_id_leaves_the_rest_alone(entity: Entity) -> None:
    little = {"id": 2**33, "updated_at": "2026-11-20T05:00:00-05:00", "created_at": None}
    record = read_record(entity, Shape.BODY, little)
    assert set(record.columns) == {"id", "updated_at", "created_at"}
    assert record.columns["created_at"] is None
    assert record.children_complete == (entity is Entity.CUSTOMERS)


def test_a_variant_without_weight_and_stock_leaves_them_alone() -> None:
    product = body(Entity.PRODUCTS)
    for key in ("weight", "weight_unit", "grams", "inventory_management", "requires_shipping"):
        del product["variants"][0][key]
    (variant,) = read_record(Entity.PRODUCTS, Shape.BODY, product).children
    left_out = {"weight", "weight_unit", "grams", "inventory_tracked", "requires_shipping"}
    assert left_out.isdisjoint(variant)


@pytest.mark.parametrize("entity", PARENTS)
def test_children_that_did_not_come_in_a_body_are_not_taken_for_none(entity: Entity) -> None:
    key = CHILDREN[entity][1]
    without = body(entity)
    del without[key]
    for found in (without, body(entity, **{key: None})):
        record = read_record(entity, Shape.BODY, found)
        assert (list(record.children), record.children_complete) == ([], False)
    assert read_record(entity, Shape.BODY, body(entity, **{key: []})).children_complete


@pytest.mark.parametrize(("count", "complete"), [(MOST_VARIANTS - 1, True), (MOST_VARIANTS, False)])
def test_a_hundred_variants_may_be_more(count: int, complete: bool) -> None:  # noqa: FBT001
    product = body(Entity.PRODUCTS)
    variant = product["variants"][0]
    product["variants"] = [{**variant, "id": number} for number in range(1, count + 1)]
    record = read_record(Entity.PRODUCTS, Shape.BODY, product)
    assert record.children_complete == complete
    assert [child["id"] for child in record.children] == list(range(1, count + 1))


@pytest.mark.parametrize("entity", Entity)
def test_the_payload_is_the_body_without_its_children(entity: Entity) -> None:
    expected = body(entity)
    if entity in CHILDREN:
        children = expected.pop(CHILDREN[entity][1])
        (child,) = read_record(entity, Shape.BODY, body(entity)).children
        assert child["payload"] == children[0]
    assert read_record(entity, Shape.BODY, body(entity)).payload == expected


def test_refunds_in_another_currency_are_not_added_up() -> None:
    order = body(Entity.ORDERS)
    order["refunds"][0]["transactions"][0]["currency"] = "EUR"
    columns = read_record(Entity.ORDERS, Shape.BODY, order).columns
    assert "total_refunded" not in columns
    assert columns["total_price"] == Decimal("65.5")


def test_a_line_whose_product_is_gone_names_neither_product_nor_variant() -> None:
    line = line_with(product_exists=False, product_id=7, variant_id=8)
    assert (line["product_id"], line["variant_id"]) == (None, None)
    assert line["title"] == "Tシャツ"


def test_fulfillment_has_only_the_words_that_graphql_has() -> None:
    for status, expected in {"fulfilled": "fulfilled", "not_eligible": None, "": None}.items():
        order = body(Entity.ORDERS, fulfillment_status=status)
        assert (
            read_record(Entity.ORDERS, Shape.BODY, order).columns["fulfillment_status"] == expected
        )


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("discount_allocations", [5], "an entry of discount_allocations is no object"),
        ("discount_allocations", [{"amount": 3}], r"discount_allocations\.amount is no amount"),
        ("discount_allocations", "5.00", "discount_allocations is no list"),
        ("price", 19.9, "price is no amount"),
        ("id", 0, "id is no id"),
    ],
)
def test_an_unreadable_line_is_named(key: str, value: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=rf"^line_items\.{reason}"):
        line_with(**{key: value})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"refunds": [{"transactions": [5]}]}, "an entry of transactions is no object"),
        ({"refunds": "none"}, "refunds is no list"),
        (
            {"refunds": [{"transactions": [{"kind": "refund", "status": "success"}]}]},
            r"refunds\.amount is no amount",
        ),
        ({"id": "gid://shopify/Order/1"}, "id is no whole number"),
        ({"updated_at": "yesterday"}, "updated_at is no time"),
    ],
)
def test_an_unreadable_order_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}"):
        read_record(Entity.ORDERS, Shape.BODY, body(Entity.ORDERS, **changes))


@pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the official examples are not beside the repository"
)
def test_every_official_example_is_readable() -> None:
    seen: set[tuple[str, Entity]] = set()
    for name, entity, found in examples():
        record = read_record(entity, Shape.BODY, found)
        assert record.id == found["id"], name
        missing = set(read_record(entity, Shape.NODE, node(entity)).columns) - set(record.columns)
        assert missing == set(), name
        assert record.children_complete
        seen.add((name.partition("/")[0], entity))
    assert seen == {(version, entity) for version in ("2023-10", "2026-04") for entity in Entity}


@pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the official examples are not beside the repository"
)
def test_grams_and_refunds_are_as_in_the_official_examples() -> None:
    for name, entity, found in examples():
        children = read_record(entity, Shape.BODY, found).children
        for child in children if entity is Entity.PRODUCTS else ():
            assert child["grams"] == child["payload"]["grams"], name
        if entity is Entity.ORDERS and found["refunds"]:
            assert read_record(entity, Shape.BODY, found).columns["total_refunded"] == Decimal(209)
