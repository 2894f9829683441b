"""From REST resources, which are also the payloads of webhooks, to records."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ecauto_pipeline.clients.shopify.values import (
    Column,
    Unreadable,
    add_grams,
    amount,
    boolean,
    currency,
    is_subscribed,
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

MOST_VARIANTS = 100
"""REST gives no more of a product's variants, and does not say so."""

_CUSTOMER = (
    Column("email", "email", text),
    Column("phone", "phone", text),
    Column("first_name", "first_name", text),
    Column("last_name", "last_name", text),
    Column("state", "state", word),
    Column("note", "note", text),
    Column("tags", "tags", tags),
    Column("tax_exempt", "tax_exempt", boolean),
    Column("verified_email", "verified_email", boolean),
    Column("orders_count", "orders_count", whole),
    Column("total_spent", "total_spent", amount),
    Column("currency", "currency", currency),
    Column("last_order_id", "last_order_id", whole_id),
    Column("last_order_name", "last_order_name", text),
    Column("accepts_marketing", "email_marketing_consent.state", is_subscribed, when_null=False),
    Column("accepts_marketing_updated_at", "email_marketing_consent.consent_updated_at", timestamp),
    Column("marketing_opt_in_level", "email_marketing_consent.opt_in_level", marketing_level),
    Column("email_marketing_state", "email_marketing_consent.state", word),
    Column("email_marketing_opt_in_level", "email_marketing_consent.opt_in_level", marketing_level),
    Column("email_marketing_updated_at", "email_marketing_consent.consent_updated_at", timestamp),
    Column("sms_marketing_state", "sms_marketing_consent.state", word),
    Column("sms_marketing_opt_in_level", "sms_marketing_consent.opt_in_level", marketing_level),
    Column("sms_marketing_updated_at", "sms_marketing_consent.consent_updated_at", timestamp),
    Column("sms_marketing_collected_from", "sms_marketing_consent.consent_collected_from", word),
    Column("default_address_id", "default_address.id", whole_id),
    Column("default_address_company", "default_address.company", text),
    Column("default_address_address1", "default_address.address1", text),
    Column("default_address_address2", "default_address.address2", text),
    Column("default_address_city", "default_address.city", text),
    Column("default_address_province", "default_address.province", text),
    Column("default_address_province_code", "default_address.province_code", text),
    Column("default_address_country", "default_address.country", text),
    Column("default_address_country_code", "default_address.country_code", text),
    Column("default_address_zip", "default_address.zip", text),
    Column("default_address_phone", "default_address.phone", text),
    Column("created_at", "created_at", timestamp),
)

_PRODUCT = (
    Column("title", "title", text),
    Column("body_html", "body_html", text),
    Column("vendor", "vendor", text),
    Column("product_type", "product_type", text),
    Column("handle", "handle", text),
    Column("status", "status", word),
    Column("tags", "tags", tags),
    Column("published_at", "published_at", timestamp),
    Column("created_at", "created_at", timestamp),
)


def _is_managed(value: object, field: str) -> bool:
    """Whether somebody, `shopify` or an app, keeps count of the stock."""
    return text(value, field) is not None


_VARIANT = (
    Column("title", "title", text),
    Column("sku", "sku", text),
    Column("barcode", "barcode", text),
    Column("price", "price", amount),
    Column("compare_at_price", "compare_at_price", amount),
    Column("position", "position", position),
    Column("taxable", "taxable", boolean),
    Column("inventory_item_id", "inventory_item_id", whole_id),
    Column("inventory_quantity", "inventory_quantity", whole),
    Column("inventory_tracked", "inventory_management", _is_managed, when_null=False),
    Column("requires_shipping", "requires_shipping", boolean),
    Column("weight", "weight", weight),
    Column("weight_unit", "weight_unit", weight_unit),
    Column("created_at", "created_at", timestamp),
    Column("updated_at", "updated_at", timestamp),
)


def _fulfillment(value: object, field: str) -> str | None:
    """The words that GraphQL has, too; an order that nothing was sent of has none."""
    status = word(value, field)
    return status if status in {"fulfilled", "partial", "restocked"} else None


_ORDER = (
    Column("name", "name", text),
    Column("email", "email", text),
    Column("customer_id", "customer.id", whole_id),
    Column("currency", "currency", currency),
    Column("presentment_currency", "presentment_currency", currency),
    Column("subtotal_price", "subtotal_price", amount),
    Column("total_price", "total_price", amount),
    Column("total_tax", "total_tax", amount),
    Column("total_discounts", "total_discounts", amount),
    Column("total_shipping_price", "total_shipping_price_set.shop_money.amount", amount),
    Column("financial_status", "financial_status", word),
    Column("fulfillment_status", "fulfillment_status", _fulfillment),
    Column("cancel_reason", "cancel_reason", word),
    Column("source_name", "source_name", text),
    Column("tags", "tags", tags),
    Column("test", "test", boolean),
    Column("cancelled_at", "cancelled_at", timestamp),
    Column("closed_at", "closed_at", timestamp),
    Column("processed_at", "processed_at", timestamp),
    Column("created_at", "created_at", timestamp),
)


def _discounts(value: object, field: str) -> Decimal:
    found = json_objects(value, field)
    amounts = [amount(each.get("amount"), f"{field}.amount") for each in found]
    return keepable(sum(amounts, Decimal(0)), field)


_LINE_ITEM = (
    Column("product_id", "product_id", whole_id),
    Column("variant_id", "variant_id", whole_id),
    Column("name", "name", text),
    Column("title", "title", text),
    Column("variant_title", "variant_title", text),
    Column("sku", "sku", text),
    Column("vendor", "vendor", text),
    Column("quantity", "quantity", whole),
    Column("current_quantity", "current_quantity", whole),
    Column("price", "price", amount),
    Column("total_discount", "discount_allocations", _discounts),
)


class _Children(NamedTuple):
    key: str
    parent_id: str


_BRANCHES = {
    Entity.CUSTOMERS: tree(_CUSTOMER),
    Entity.PRODUCTS: tree(_PRODUCT),
    Entity.ORDERS: tree(_ORDER),
}

_CHILDREN = {
    Entity.PRODUCTS: _Children("variants", "product_id"),
    Entity.ORDERS: _Children("line_items", "order_id"),
}

_CHILD_BRANCHES = {Entity.PRODUCTS: tree(_VARIANT), Entity.ORDERS: tree(_LINE_ITEM)}


def record_from_body(entity: Entity, body: Mapping[str, Any]) -> Record:
    """The record in a resource; what is not in it, as in most webhooks of customers, is left out.

    Raises:
        Unreadable: something in it is not as Shopify documents it.
    """
    record_id = whole_id(body.get("id"))
    updated_at = timestamp(body.get("updated_at"), "updated_at")
    columns: dict[str, Any] = {"id": record_id, "updated_at": updated_at}
    read_columns(_BRANCHES[entity], body, columns)
    if entity is Entity.CUSTOMERS:
        _add_no_address(columns, body)
    if entity is Entity.ORDERS:
        _add_refunded(columns, body)
    kind = _CHILDREN.get(entity)
    if kind is None:
        return Record(record_id, updated_at, columns, body)
    children = _listed(body, kind.key)
    may_be_cut = entity is Entity.PRODUCTS and len(children) >= MOST_VARIANTS
    return Record(
        id=record_id,
        updated_at=updated_at,
        columns=columns,
        payload={key: value for key, value in body.items() if key != kind.key},
        children=[_child(entity, record_id, child) for child in children],
        children_complete=body.get(kind.key) is not None and not may_be_cut,
    )


def _child(entity: Entity, record_id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    kind = _CHILDREN[entity]
    child: dict[str, Any] = {kind.parent_id: record_id, "payload": body}
    try:
        child["id"] = whole_id(body.get("id"))
        read_columns(_CHILD_BRANCHES[entity], body, child)
    except Unreadable as error:
        raise Unreadable(f"{kind.key}.{error}") from None
    if entity is Entity.PRODUCTS:
        add_grams(child)
    elif body.get("product_exists") is False:
        # REST may go on naming a product that is gone.
        child["product_id"] = child["variant_id"] = None
    return child


def _add_no_address(columns: dict[str, Any], body: Mapping[str, Any]) -> None:
    """REST leaves `default_address` out when there are no addresses."""
    if body.get("addresses") == [] and "default_address" not in body:
        read_columns(_BRANCHES[Entity.CUSTOMERS], {"default_address": None}, columns)


def _add_refunded(columns: dict[str, Any], body: Mapping[str, Any]) -> None:
    """What went back to the customer, in the currency of the shop.

    Transactions may be in the currency of the customer: then it is not known.
    """
    if "refunds" not in body:
        return
    paid = [payment for refund in _listed(body, "refunds") for payment in _payments(refund)]
    if all(payment.get("currency") in (None, columns.get("currency")) for payment in paid):
        amounts = [amount(payment.get("amount"), "refunds.amount") for payment in paid]
        columns["total_refunded"] = keepable(sum(amounts, Decimal(0)), "refunds")


def _payments(refund: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        each
        for each in _listed(refund, "transactions")
        if each.get("kind") == "refund" and each.get("status") == "success"
    ]


def _listed(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = body.get(key)
    return [] if found is None else json_objects(found, key)
