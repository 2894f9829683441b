"""How REST tells a record of a Shopify store."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ecauto_pipeline.sandbox.shopify.records import NO_DECIMALS, VARIANT_ITEM, Record
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop, customer_of, last_order, sold_in

# A product may have 2,048 variants; REST tells no more than these.
MOST_VARIANTS = 100
GRAMS = {"g": 1.0, "kg": 1000.0, "oz": 28.349523125, "lb": 453.59237}
Body = dict[str, Any]


def gid(kind: str, number: int) -> str:
    """The id of a thing in GraphQL."""
    return f"gid://shopify/{kind}/{number}"


def body_of(
    shop: ShopifyShop, entity: str, record: Record, most: int | None = MOST_VARIANTS
) -> Body:
    """A customer, product or order as REST tells it; a product with at most so many variants."""
    if entity == "customers":
        return customer_body(shop, record)
    return product_body(shop, record, most) if entity == "products" else order_body(shop, record)


def rest_bodies(shop: ShopifyShop, entity: str) -> list[Body]:
    """All records of a store as they are now, as REST tells them, but with all their variants."""
    with shop.lock:
        return [body_of(shop, entity, record, most=None) for record in shop.records(entity)]


def moment(shop: ShopifyShop, at: int | None) -> str | None:
    """A time as REST writes it: in the offset that the shop has at that time."""
    return None if at is None else datetime.fromtimestamp(at, shop.timezone).isoformat()


def presented(order: Record, amount: str) -> str:
    """An amount of an order in the currency that its customer saw."""
    if order["presentment_rate"] is None:
        return amount
    digits = Decimal(1) if order["presentment_currency"] in NO_DECIMALS else Decimal("0.01")
    product = Decimal(amount) * Decimal(order["presentment_rate"])
    return str(product.quantize(digits, ROUND_HALF_UP))


def customer_body(shop: ShopifyShop, customer: Record) -> Body:
    """A customer."""
    order, default = last_order(shop, customer), customer["default_address"]
    addresses = [_address(customer, default, default=True)] if default else []
    addresses += [_address(customer, each, default=False) for each in customer["other_addresses"]]
    return {
        **customer_in_order(shop, customer),
        "orders_count": customer["orders_count"],
        "total_spent": customer["total_spent"],
        "last_order_id": order["id"] if order else None,
        "last_order_name": order["name"] if order else None,
        "addresses": [] if shop.pii_withheld else addresses,
    }


def customer_in_order(shop: ShopifyShop, customer: Record) -> Body:
    """A customer as far as an order tells of it."""
    shown = not shop.pii_withheld
    address = customer["default_address"]
    email, sms = customer["email_marketing"], customer["sms_marketing"]
    return {
        "id": customer["id"],
        "admin_graphql_api_id": gid("Customer", customer["id"]),
        "email": customer["email"] if shown else None,
        "created_at": moment(shop, customer["created_at"]),
        "updated_at": moment(shop, customer["updated_at"]),
        "first_name": customer["first_name"] if shown else None,
        "last_name": customer["last_name"] if shown else None,
        "state": customer["state"],
        "note": customer["note"],
        "verified_email": customer["verified_email"],
        "multipass_identifier": None,
        "tax_exempt": customer["tax_exempt"],
        "tax_exemptions": [],
        "tags": ", ".join(customer["tags"]),
        "currency": customer["currency"],
        "phone": customer["phone"] if shown else None,
        "email_marketing_consent": email and _consent(shop, email),
        "sms_marketing_consent": sms
        and {**_consent(shop, sms), "consent_collected_from": sms["collected_from"]},
        "default_address": _address(customer, address, default=True) if address and shown else None,
    }


def _consent(shop: ShopifyShop, consent: Record) -> Body:
    return {
        "state": consent["state"],
        "opt_in_level": consent["opt_in_level"],
        "consent_updated_at": moment(shop, consent["updated_at"]),
    }


def _address(customer: Record, address: Record, *, default: bool) -> Body:
    names = (address["first_name"], address["last_name"])
    return {
        **address,
        "customer_id": customer["id"],
        "name": " ".join(name for name in names if name),
        "country_name": address["country"],
        "default": default,
    }


def product_body(shop: ShopifyShop, product: Record, most: int | None = MOST_VARIANTS) -> Body:
    """A product with at most so many variants."""
    variants = product["variants"]
    return {
        "id": product["id"],
        "admin_graphql_api_id": gid("Product", product["id"]),
        "title": product["title"],
        "body_html": product["body_html"],
        "vendor": product["vendor"],
        "product_type": product["product_type"],
        "created_at": moment(shop, product["created_at"]),
        "handle": product["handle"],
        "updated_at": moment(shop, product["updated_at"]),
        "published_at": moment(shop, product["published_at"]),
        "template_suffix": None,
        "published_scope": "web",
        "tags": ", ".join(product["tags"]),
        "status": product["status"],
        "variants": [_variant(shop, product, variant) for variant in variants[:most]],
        "options": [
            {
                "id": product["id"] + 1,
                "product_id": product["id"],
                "name": "Title",
                "position": 1,
                "values": [variant["title"] for variant in variants[:most]],
            }
        ],
        "images": [],
        "image": None,
    }


def _variant(shop: ShopifyShop, product: Record, variant: Record) -> Body:
    return {
        "id": variant["id"],
        "product_id": product["id"],
        "title": variant["title"],
        # Money is text, also in JSON: a number would lose decimals.
        "price": variant["price"],
        "position": variant["position"],
        "inventory_policy": "deny",
        "compare_at_price": variant["compare_at_price"],
        "option1": variant["title"],
        "option2": None,
        "option3": None,
        "created_at": moment(shop, variant["created_at"]),
        "updated_at": moment(shop, variant["updated_at"]),
        "taxable": variant["taxable"],
        "barcode": variant["barcode"],
        "fulfillment_service": "manual",
        "grams": round(variant["weight"] * GRAMS[variant["weight_unit"]]),
        "inventory_management": "shopify" if variant["tracked"] else None,
        "requires_shipping": variant["requires_shipping"],
        # A variant without SKU has an empty one here, and null in GraphQL.
        "sku": variant["sku"] or "",
        "weight": variant["weight"],
        "weight_unit": variant["weight_unit"],
        "inventory_item_id": variant["inventory_item_id"],
        "inventory_quantity": variant["inventory_quantity"],
        "old_inventory_quantity": variant["inventory_quantity"],
        "presentment_prices": [
            {
                "price": {"amount": variant["price"], "currency_code": shop.currency},
                "compare_at_price": None,
            }
        ],
        "admin_graphql_api_id": gid("ProductVariant", variant["id"]),
        "image_id": None,
    }


AMOUNTS = (
    "subtotal_price",
    "total_discounts",
    "total_line_items_price",
    "total_price",
    "total_tax",
)
AS_KEPT = (
    "cancel_reason",
    "currency",
    "financial_status",
    "fulfillment_status",
    "name",
    "note",
    "number",
    "presentment_currency",
    "source_name",
    "test",
)
ALWAYS = {
    "buyer_accepts_marketing": False,
    "confirmed": True,
    "duties_included": False,
    "estimated_taxes": False,
    "tax_exempt": False,
    "taxes_included": False,
    "total_outstanding": "0",
    "total_tip_received": "0",
    "total_weight": 0,
}
CURRENT = ("subtotal_price", "total_discounts", "total_price", "total_tax")
ABSENT = (
    "app_id",
    "browser_ip",
    "cart_token",
    "checkout_token",
    "client_details",
    "confirmation_number",
    "customer_locale",
    "device_id",
    "landing_site",
    "landing_site_ref",
    "location_id",
    "merchant_of_record_app_id",
    "payment_terms",
    "phone",
    "po_number",
    "reference",
    "referring_site",
    "source_identifier",
    "source_url",
    "user_id",
    "billing_address",
    "shipping_address",
    "current_total_additional_fees_set",
    "current_total_duties_set",
    "original_total_additional_fees_set",
    "original_total_duties_set",
)


def order_body(shop: ShopifyShop, order: Record) -> Body:
    """An order with its line items, refunds and customer."""
    customer, shipping = customer_of(shop, order), order["total_shipping_price"]
    times = ("created_at", "updated_at", "processed_at", "closed_at", "cancelled_at")
    return {
        "id": order["id"],
        "admin_graphql_api_id": gid("Order", order["id"]),
        **dict.fromkeys(ABSENT),
        **{name: moment(shop, order[name]) for name in times},
        **{name: order[name] for name in AMOUNTS},
        **{f"{name}_set": _set(order, order[name]) for name in AMOUNTS},
        **{f"current_{name}": order[name] for name in CURRENT},
        **{f"current_{name}_set": _set(order, order[name]) for name in CURRENT},
        **{name: order[name] for name in AS_KEPT},
        **ALWAYS,
        # An order without email address has an empty one here, and null in GraphQL.
        "email": order["email"] or "",
        "contact_email": order["email"],
        "order_number": order["number"] + 1000,
        "tags": ", ".join(order["tags"]),
        "note_attributes": [],
        "payment_gateway_names": ["bogus"],
        "total_shipping_price_set": _set(order, shipping),
        "customer": customer and customer_in_order(shop, customer),
        "discount_applications": [_CODE, _MANUAL],
        "discount_codes": [],
        "tax_lines": [],
        "fulfillments": [],
        "line_items": [_line(shop, order, line) for line in order["line_items"]],
        "refunds": [_refund(shop, order, refund) for refund in order["refunds"]],
        "shipping_lines": [
            {
                "id": order["id"] + 1,
                "code": "Standard",
                "price": shipping,
                "price_set": _set(order, shipping),
                "discounted_price": shipping,
                "discounted_price_set": _set(order, shipping),
                "source": "shopify",
                "title": "通常配送",
                "tax_lines": [],
                "discount_allocations": [],
            }
        ],
    }


# Two of them, so that it matters to which one an allocation points.
_CODE = {
    "target_type": "line_item",
    "type": "discount_code",
    "value": "10.0",
    "value_type": "percentage",
    "allocation_method": "across",
    "target_selection": "all",
    "code": "TENOFF",
}
_MANUAL = {**_CODE, "type": "manual", "code": None, "title": "値引き"}


def _set(order: Record, amount: str) -> Body:
    """What REST calls a set: an amount in the shop's currency and in the customer's."""
    return {
        "shop_money": {"amount": amount, "currency_code": order["currency"]},
        "presentment_money": {
            "amount": presented(order, amount),
            "currency_code": order["presentment_currency"],
        },
    }


def _line(shop: ShopifyShop, order: Record, line: Record) -> Body:
    product, variant = sold_in(shop, line)
    discounts = [(line["code_discount"], 0), (line["line_discount"], 1)]
    return {
        "id": line["id"],
        "admin_graphql_api_id": gid("LineItem", line["id"]),
        "attributed_staffs": [],
        "current_quantity": line["current_quantity"],
        "fulfillable_quantity": 0,
        "fulfillment_service": "manual",
        "fulfillment_status": order["fulfillment_status"],
        "gift_card": False,
        "grams": 0,
        "name": line["name"],
        "price": line["price"],
        "price_set": _set(order, line["price"]),
        "product_exists": product is not None,
        "product_id": product["id"] if product else None,
        "properties": [],
        "quantity": line["quantity"],
        "requires_shipping": True,
        "sku": line["sku"],
        "taxable": True,
        "title": line["title"],
        "total_discount": "0.00",
        "total_discount_set": _set(order, "0.00"),
        "variant_id": variant["id"] if variant else None,
        "variant_inventory_management": "shopify" if variant else None,
        "variant_title": line["variant_title"],
        "vendor": line["vendor"],
        "tax_lines": [],
        "duties": [],
        "discount_allocations": [
            {
                "amount": amount,
                "amount_set": _set(order, amount),
                "discount_application_index": index,
            }
            for amount, index in discounts
            if Decimal(amount)
        ],
    }


def _refund(shop: ShopifyShop, order: Record, refund: Record) -> Body:
    at = moment(shop, refund["created_at"])
    prices = {line["id"]: line["price"] for line in order["line_items"]}
    return {
        "id": refund["id"],
        "admin_graphql_api_id": gid("Refund", refund["id"]),
        "created_at": at,
        "note": refund["note"],
        "order_id": order["id"],
        "processed_at": at,
        "restock": bool(refund["lines"]),
        "user_id": None,
        "order_adjustments": [],
        "duties": [],
        "transactions": [
            {
                "id": refund["id"] + VARIANT_ITEM,
                "admin_graphql_api_id": gid("OrderTransaction", refund["id"] + VARIANT_ITEM),
                "amount": refund["amount"],
                "created_at": at,
                "currency": order["currency"],
                "gateway": "bogus",
                "kind": "refund",
                "order_id": order["id"],
                "status": "success",
                "test": order["test"],
            }
        ],
        "refund_line_items": [
            {
                "id": refund["id"] + index,
                "line_item_id": line["line_item_id"],
                "quantity": line["quantity"],
                "restock_type": "return",
                "subtotal": float(prices[line["line_item_id"]]),
                "subtotal_set": _set(order, prices[line["line_item_id"]]),
                "total_tax": 0.0,
            }
            for index, line in enumerate(refund["lines"])
        ],
    }
