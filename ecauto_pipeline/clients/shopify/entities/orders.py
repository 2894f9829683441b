"""Orders and line items: where Shopify has the columns of their two tables."""

from collections.abc import Mapping
from typing import Any

from ecauto_pipeline.clients.shopify.entities.columns import (
    LEFT_OUT,
    At,
    ChildLayout,
    Column,
    EntityLayout,
    Row,
    id_column,
)
from ecauto_pipeline.clients.shopify.values import (
    amount,
    boolean,
    currency,
    fulfillment,
    json_objects,
    keepable,
    sum_of_amounts,
    tags,
    timestamp,
    whole,
    word,
)


def _refunded(order: Row) -> Any:
    """What went back to the customer, in the currency of the shop.

    Payments may be in the currency of the customer: then it is not known.
    """
    refunds = order.get("total_refunded")
    if refunds is None:
        return LEFT_OUT
    payments: list[dict[str, Any]] = []
    for refund in refunds:
        listed = refund.get("transactions")
        payments += json_objects([] if listed is None else listed, "transactions")
    paid = [
        payment
        for payment in payments
        if payment.get("kind") == "refund" and payment.get("status") == "success"
    ]
    if all(payment.get("currency") in (None, order.get("currency")) for payment in paid):
        return sum_of_amounts(paid, "refunds")
    return LEFT_OUT


def _discount(item: Row) -> Any:
    """What the line would cost without discounts, less what it does cost."""
    discounted = item.get("total_discount")
    price, quantity = item.get("price"), item.get("quantity")
    if discounted is None or price is None or quantity is None:
        return LEFT_OUT
    return keepable(price * quantity - discounted, "discountedTotalSet")


def _without_what_is_gone(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """REST may go on naming a product that is gone."""
    if line.get("product_exists") is False:
        return {**line, "product_id": None, "variant_id": None}
    return line


_LINE_ITEMS = ChildLayout(
    connection="lineItems",
    body_key="line_items",
    # 250 orders with 50 lines each cost 277 points.
    page=50,
    mended=_without_what_is_gone,
    columns=(
        id_column("id", "id", "id", required=True),
        id_column("product_id", "product.id", "product_id"),
        id_column("variant_id", "variant.id", "variant_id"),
        Column("name", "name", "name"),
        Column("title", "title", "title"),
        Column("variant_title", "variantTitle", "variant_title"),
        Column("sku", "sku", "sku"),
        Column("vendor", "vendor", "vendor"),
        Column("quantity", "quantity", "quantity", whole),
        Column("current_quantity", "currentQuantity", "current_quantity", whole),
        Column("price", "originalUnitPriceSet.shopMoney.amount", "price", amount),
        Column(
            "total_discount",
            # Without the argument the discounts of codes are left out.
            At(
                "discountedTotalSet(withCodeDiscounts: true).shopMoney.amount",
                amount,
                then=_discount,
            ),
            # Shopify advises against the line's own `total_discount`.
            At("discount_allocations", sum_of_amounts),
        ),
    ),
)

ORDERS = EntityLayout(
    type_name="Order",
    children=_LINE_ITEMS,
    # Without it only open orders would come.
    body_filters={"status": "any"},
    payload_only=("legacyResourceId",),
    columns=(
        id_column("id", "id", "id", required=True),
        Column("name", "name", "name"),
        Column("email", "email", "email"),
        id_column("customer_id", "customer.id", "customer.id"),
        Column("currency", "currencyCode", "currency", currency),
        Column("presentment_currency", "presentmentCurrencyCode", "presentment_currency", currency),
        # All amounts are in the shop's currency, not in that which the customer paid in.
        Column("subtotal_price", "subtotalPriceSet.shopMoney.amount", "subtotal_price", amount),
        Column("total_price", "totalPriceSet.shopMoney.amount", "total_price", amount),
        Column("total_tax", "totalTaxSet.shopMoney.amount", "total_tax", amount),
        Column("total_discounts", "totalDiscountsSet.shopMoney.amount", "total_discounts", amount),
        Column(
            "total_shipping_price",
            "totalShippingPriceSet.shopMoney.amount",
            "total_shipping_price_set.shop_money.amount",
            amount,
        ),
        Column(
            "total_refunded",
            At("totalRefundedSet.shopMoney.amount", amount),
            At("refunds", json_objects, when_null=(), then=_refunded),
        ),
        Column("financial_status", "displayFinancialStatus", "financial_status", word),
        Column("fulfillment_status", "displayFulfillmentStatus", "fulfillment_status", fulfillment),
        Column("cancel_reason", "cancelReason", "cancel_reason", word),
        Column("source_name", "sourceName", "source_name"),
        Column("tags", "tags", "tags", tags),
        Column("test", "test", "test", boolean),
        Column("cancelled_at", "cancelledAt", "cancelled_at", timestamp),
        Column("closed_at", "closedAt", "closed_at", timestamp),
        Column("processed_at", "processedAt", "processed_at", timestamp),
        Column("created_at", "createdAt", "created_at", timestamp),
        Column("updated_at", "updatedAt", "updated_at", timestamp, required=True),
    ),
)
