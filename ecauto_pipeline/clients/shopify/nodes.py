"""From nodes of GraphQL, and lines of bulk files, to records."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ecauto_pipeline.clients.shopify.values import (
    Branch,
    Column,
    Unreadable,
    add_grams,
    amount,
    boolean,
    currency,
    id_from_gid,
    is_subscribed,
    json_object,
    json_objects,
    keepable,
    marketing_level,
    position,
    read_columns,
    tags,
    text,
    timestamp,
    tree,
    weight,
    weight_unit,
    whole,
    whole_id,
    word,
)
from ecauto_pipeline.domain.shopify.mirror import Entity, Record

_CUSTOMER = (
    Column("email", "defaultEmailAddress.emailAddress", text),
    Column("phone", "defaultPhoneNumber.phoneNumber", text),
    Column("first_name", "firstName", text),
    Column("last_name", "lastName", text),
    Column("state", "state", word),
    Column("note", "note", text),
    Column("tags", "tags", tags),
    Column("tax_exempt", "taxExempt", boolean),
    Column("verified_email", "verifiedEmail", boolean),
    Column("orders_count", "numberOfOrders", whole),
    Column("total_spent", "amountSpent.amount", amount),
    Column("currency", "amountSpent.currencyCode", currency),
    Column("last_order_id", "lastOrder.id", id_from_gid),
    Column("last_order_name", "lastOrder.name", text),
    Column(
        "accepts_marketing", "defaultEmailAddress.marketingState", is_subscribed, when_null=False
    ),
    Column("accepts_marketing_updated_at", "defaultEmailAddress.marketingUpdatedAt", timestamp),
    Column("marketing_opt_in_level", "defaultEmailAddress.marketingOptInLevel", marketing_level),
    Column("email_marketing_state", "defaultEmailAddress.marketingState", word),
    Column(
        "email_marketing_opt_in_level", "defaultEmailAddress.marketingOptInLevel", marketing_level
    ),
    Column("email_marketing_updated_at", "defaultEmailAddress.marketingUpdatedAt", timestamp),
    Column("sms_marketing_state", "defaultPhoneNumber.marketingState", word),
    Column("sms_marketing_opt_in_level", "defaultPhoneNumber.marketingOptInLevel", marketing_level),
    Column("sms_marketing_updated_at", "defaultPhoneNumber.marketingUpdatedAt", timestamp),
    Column("sms_marketing_collected_from", "defaultPhoneNumber.marketingCollectedFrom", word),
    Column("default_address_id", "defaultAddress.id", id_from_gid),
    Column("default_address_company", "defaultAddress.company", text),
    Column("default_address_address1", "defaultAddress.address1", text),
    Column("default_address_address2", "defaultAddress.address2", text),
    Column("default_address_city", "defaultAddress.city", text),
    Column("default_address_province", "defaultAddress.province", text),
    Column("default_address_province_code", "defaultAddress.provinceCode", text),
    Column("default_address_country", "defaultAddress.country", text),
    Column("default_address_country_code", "defaultAddress.countryCodeV2", text),
    Column("default_address_zip", "defaultAddress.zip", text),
    Column("default_address_phone", "defaultAddress.phone", text),
    Column("created_at", "createdAt", timestamp),
)

_PRODUCT = (
    Column("title", "title", text),
    Column("body_html", "descriptionHtml", text),
    Column("vendor", "vendor", text),
    Column("product_type", "productType", text),
    Column("handle", "handle", text),
    Column("status", "status", word),
    Column("tags", "tags", tags),
    Column("published_at", "publishedAt", timestamp),
    Column("created_at", "createdAt", timestamp),
)

_VARIANT = (
    Column("title", "title", text),
    Column("sku", "sku", text),
    Column("barcode", "barcode", text),
    Column("price", "price", amount),
    Column("compare_at_price", "compareAtPrice", amount),
    Column("position", "position", position),
    Column("taxable", "taxable", boolean),
    Column("inventory_item_id", "inventoryItem.legacyResourceId", whole_id),
    Column("inventory_quantity", "inventoryQuantity", whole),
    Column("inventory_tracked", "inventoryItem.tracked", boolean),
    Column("requires_shipping", "inventoryItem.requiresShipping", boolean),
    Column("weight", "inventoryItem.measurement.weight.value", weight),
    Column("weight_unit", "inventoryItem.measurement.weight.unit", weight_unit),
    Column("created_at", "createdAt", timestamp),
    Column("updated_at", "updatedAt", timestamp),
)


def _fulfillment(value: object, field: str) -> str | None:
    """REST's word for it, which has none for most."""
    return {
        "fulfilled": "fulfilled",
        "partially_fulfilled": "partial",
        "restocked": "restocked",
    }.get(word(value, field) or "")


_ORDER = (
    Column("name", "name", text),
    Column("email", "email", text),
    Column("customer_id", "customer.id", id_from_gid),
    Column("currency", "currencyCode", currency),
    Column("presentment_currency", "presentmentCurrencyCode", currency),
    Column("subtotal_price", "subtotalPriceSet.shopMoney.amount", amount),
    Column("total_price", "totalPriceSet.shopMoney.amount", amount),
    Column("total_tax", "totalTaxSet.shopMoney.amount", amount),
    Column("total_discounts", "totalDiscountsSet.shopMoney.amount", amount),
    Column("total_shipping_price", "totalShippingPriceSet.shopMoney.amount", amount),
    Column("total_refunded", "totalRefundedSet.shopMoney.amount", amount),
    Column("financial_status", "displayFinancialStatus", word),
    Column("fulfillment_status", "displayFulfillmentStatus", _fulfillment),
    Column("cancel_reason", "cancelReason", word),
    Column("source_name", "sourceName", text),
    Column("tags", "tags", tags),
    Column("test", "test", boolean),
    Column("cancelled_at", "cancelledAt", timestamp),
    Column("closed_at", "closedAt", timestamp),
    Column("processed_at", "processedAt", timestamp),
    Column("created_at", "createdAt", timestamp),
)

_DISCOUNTED_TOTAL = "discounted_total"
"""Not a column: what the discount of a line is computed from."""

_LINE_ITEM = (
    Column("product_id", "product.id", id_from_gid),
    Column("variant_id", "variant.id", id_from_gid),
    Column("name", "name", text),
    Column("title", "title", text),
    Column("variant_title", "variantTitle", text),
    Column("sku", "sku", text),
    Column("vendor", "vendor", text),
    Column("quantity", "quantity", whole),
    Column("current_quantity", "currentQuantity", whole),
    Column("price", "originalUnitPriceSet.shopMoney.amount", amount),
    Column(_DISCOUNTED_TOTAL, "discountedTotalSet.shopMoney.amount", amount),
)


class _Children(NamedTuple):
    connection: str
    parent_id: str
    columns: tuple[Column, ...]


_COLUMNS = {Entity.CUSTOMERS: _CUSTOMER, Entity.PRODUCTS: _PRODUCT, Entity.ORDERS: _ORDER}

_CHILDREN = {
    Entity.PRODUCTS: _Children("variants", "product_id", _VARIANT),
    Entity.ORDERS: _Children("lineItems", "order_id", _LINE_ITEM),
}


def record_from_node(
    entity: Entity,
    node: Mapping[str, Any],
    *,
    withheld: frozenset[str] = frozenset(),
    children: Sequence[Mapping[str, Any]] | None = None,
) -> Record:
    """The record in a node; `children` are all of them, where they did not come within it.

    What comes from fields that are `withheld` is left out: null says nothing there.

    Raises:
        Unreadable: something in it is not as the schema says.
    """
    record_id = id_from_gid(node.get("id"))
    updated_at = timestamp(node.get("updatedAt"), "updatedAt")
    columns: dict[str, Any] = {"id": record_id, "updated_at": updated_at}
    read_columns(_branches(entity, withheld), node, columns)
    kind = _CHILDREN.get(entity)
    if kind is None:
        return Record(record_id, updated_at, columns, node)
    complete = True
    if children is None:
        children, complete = _listed(node.get(kind.connection), kind.connection)
    return Record(
        id=record_id,
        updated_at=updated_at,
        columns=columns,
        payload={key: value for key, value in node.items() if key != kind.connection},
        children=[_child(entity, record_id, child, withheld) for child in children],
        children_complete=complete,
    )


@lru_cache(maxsize=64)
def _branches(entity: Entity, withheld: frozenset[str]) -> tuple[Branch, ...]:
    return tree(_COLUMNS[entity], withheld)


@lru_cache(maxsize=64)
def _child_branches(entity: Entity, withheld: frozenset[str]) -> tuple[Branch, ...]:
    return tree(_CHILDREN[entity].columns, withheld)


def _listed(connection: object, field: str) -> tuple[list[dict[str, Any]], bool]:
    """The nodes of a connection, and whether they are all."""
    if connection is None:
        return [], False
    found = json_object(connection, field)
    nodes = json_objects(found.get("nodes"), f"{field}.nodes")
    if "pageInfo" not in found:
        return nodes, True
    page_info = json_object(found["pageInfo"], f"{field}.pageInfo")
    return nodes, page_info.get("hasNextPage") is False


def _child(
    entity: Entity, record_id: int, node: Mapping[str, Any], withheld: frozenset[str]
) -> dict[str, Any]:
    kind = _CHILDREN[entity]
    child: dict[str, Any] = {kind.parent_id: record_id, "payload": node}
    try:
        child["id"] = id_from_gid(node.get("id"))
        read_columns(_child_branches(entity, withheld), node, child)
        if entity is Entity.PRODUCTS:
            add_grams(child)
        else:
            _add_discount(child)
    except Unreadable as error:
        raise Unreadable(f"{kind.connection}.{error}") from None
    return child


def _add_discount(item: dict[str, Any]) -> None:
    """What the line would cost without discounts, less what it does cost."""
    discounted = item.pop(_DISCOUNTED_TOTAL, None)
    price, quantity = item.get("price"), item.get("quantity")
    if discounted is None or price is None or quantity is None:
        return
    item["total_discount"] = keepable(price * quantity - discounted, "discountedTotalSet")
