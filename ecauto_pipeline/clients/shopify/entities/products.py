"""Products and variants: where Shopify has the columns of their two tables."""

from decimal import ROUND_HALF_UP, Decimal
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
    is_managed,
    position,
    tags,
    timestamp,
    weight,
    weight_unit,
    whole,
    whole_id,
    word,
)

MOST_VARIANTS = 100
"""REST gives no more of a product's variants, and does not say so."""

_GRAMS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "oz": Decimal("28.349523125"),
    "lb": Decimal("453.59237"),
}


def _grams(variant: Row) -> Any:
    """The weight in whole grams, halves rounded up, where weight and unit were supplied."""
    if "weight" not in variant or "weight_unit" not in variant:
        return LEFT_OUT
    number, unit = variant["weight"], variant["weight_unit"]
    if number is None or unit is None:
        return None
    # By way of its digits: the float 1.0005 is a little less than that.
    return int((Decimal(str(number)) * _GRAMS[unit]).quantize(Decimal(1), ROUND_HALF_UP))


_VARIANTS = ChildLayout(
    connection="variants",
    body_key="variants",
    # 250 products with 100 variants each cost 431 of the 1,000 points that a query may.
    page=100,
    most_in_body=MOST_VARIANTS,
    payload_only=("legacyResourceId", "inventoryItem.id"),
    columns=(
        id_column("id", "id", "id", required=True),
        Column("title", "title", "title"),
        Column("sku", "sku", "sku"),
        Column("barcode", "barcode", "barcode"),
        Column("price", "price", "price", amount),
        Column("compare_at_price", "compareAtPrice", "compare_at_price", amount),
        Column("position", "position", "position", position),
        Column("taxable", "taxable", "taxable", boolean),
        Column(
            "inventory_item_id", "inventoryItem.legacyResourceId", "inventory_item_id", whole_id
        ),
        Column("inventory_quantity", "inventoryQuantity", "inventory_quantity", whole),
        Column(
            "inventory_tracked",
            At("inventoryItem.tracked", boolean),
            At("inventory_management", is_managed, when_null=False),
        ),
        Column("requires_shipping", "inventoryItem.requiresShipping", "requires_shipping", boolean),
        Column("weight", "inventoryItem.measurement.weight.value", "weight", weight),
        Column("weight_unit", "inventoryItem.measurement.weight.unit", "weight_unit", weight_unit),
        Column("grams", At(then=_grams), At(then=_grams)),
        Column("created_at", "createdAt", "created_at", timestamp),
        Column("updated_at", "updatedAt", "updated_at", timestamp),
    ),
)

PRODUCTS = EntityLayout(
    type_name="Product",
    children=_VARIANTS,
    payload_only=("legacyResourceId",),
    columns=(
        id_column("id", "id", "id", required=True),
        Column("title", "title", "title"),
        Column("body_html", "descriptionHtml", "body_html"),
        Column("vendor", "vendor", "vendor"),
        Column("product_type", "productType", "product_type"),
        Column("handle", "handle", "handle"),
        Column("status", "status", "status", word),
        Column("tags", "tags", "tags", tags),
        Column("published_at", "publishedAt", "published_at", timestamp),
        Column("created_at", "createdAt", "created_at", timestamp),
        Column("updated_at", "updatedAt", "updated_at", timestamp, required=True),
    ),
)
