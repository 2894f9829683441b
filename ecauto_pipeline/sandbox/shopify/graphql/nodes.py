"""How GraphQL tells the things of a Shopify store: one function for each field of each type."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ecauto_pipeline.sandbox.shopify.bodies import gid, presented
from ecauto_pipeline.sandbox.shopify.lists import Position
from ecauto_pipeline.sandbox.shopify.records import Record
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop, customer_of, last_order, sold_in

Getter = Callable[[Any, ShopifyShop], Any]
Getters = Mapping[str, Getter]
Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """What a connection gives: some of its rows, the position of the last, whether more follow."""

    rows: list[Any] = field(default_factory=list[Any])
    last: Position | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Cash:
    """An amount of money."""

    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class Price:
    """An amount of an order, for the shop and for its customer."""

    amount: str
    order: Record


def cursor(position: Position) -> str:
    """A position as a client gets it."""
    value, last_id = position
    return base64.b64encode(json.dumps({"last_id": last_id, "last_value": value}).encode()).decode()


def position(text: str) -> Position:
    """The position that a client got.

    Raises:
        ValueError: it is none.
    """
    try:
        # Whoever changes a cursor gets no page, but an error.
        members = json.loads(base64.b64decode(text, validate=True))
        return int(members["last_value"]), int(members["last_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("Invalid cursor for current pagination sort.") from error


def child_slice(children: list[Record], arguments: Arguments) -> Slice:
    """A page of the variants or line items of one record; their position is their place."""
    after = arguments.get("after")
    begin = position(after)[0] if after else 0
    end = begin + arguments.get("first", len(children))
    rows = children[begin:end]
    last = (begin + len(rows), rows[-1]["id"]) if rows else None
    return Slice(rows, last, more=end < len(children))


def moment(at: int | None) -> str | None:
    """A time as GraphQL writes it."""
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _upper(word: str | None) -> str | None:
    return None if word is None else word.upper()


def _decimal(amount: str) -> str:
    """An amount with as few decimals as it needs, but one: 199.00 becomes 199.0."""
    whole, _, decimals = amount.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def _of(name: str) -> Getter:
    return lambda record, _: record[name]


def _time(name: str) -> Getter:
    return lambda record, _: moment(record[name])


def _word(name: str) -> Getter:
    return lambda record, _: _upper(record[name])


def _gid(kind: str, name: str = "id") -> Getter:
    prefix = f"gid://shopify/{kind}/"
    return lambda record, _: f"{prefix}{record[name]}"


def _price(name: str) -> Getter:
    return lambda order, _: Price(order[name], order)


def _display_name(customer: Record, shop: ShopifyShop) -> str:
    if shop.pii_withheld:
        return ""
    names = [customer["first_name"], customer["last_name"]]
    return " ".join(name for name in names if name) or customer["email"] or customer["phone"] or ""


def _consented(name: str, consent: str) -> Getter:
    """An email address or phone number together with its consent."""

    def get(customer: Record, _: ShopifyShop) -> Record | None:
        value, agreed = customer[name], customer[consent]
        if value is None:
            return None
        return {"value": value, **(agreed or {"state": "not_subscribed"})}

    return get


CUSTOMER: Getters = {
    "amountSpent": lambda customer, _: Cash(customer["total_spent"], customer["currency"]),
    "createdAt": _time("created_at"),
    "defaultAddress": _of("default_address"),
    "defaultEmailAddress": _consented("email", "email_marketing"),
    "defaultPhoneNumber": _consented("phone", "sms_marketing"),
    "displayName": _display_name,
    "firstName": _of("first_name"),
    "id": _gid("Customer"),
    "lastName": _of("last_name"),
    "lastOrder": lambda customer, shop: last_order(shop, customer),
    "legacyResourceId": lambda customer, _: str(customer["id"]),
    "locale": _of("locale"),
    "note": _of("note"),
    "numberOfOrders": lambda customer, _: str(customer["orders_count"]),
    "state": _word("state"),
    "tags": _of("tags"),
    "taxExempt": _of("tax_exempt"),
    "updatedAt": _time("updated_at"),
    "verifiedEmail": _of("verified_email"),
}
CONSENT: Getters = {
    "marketingOptInLevel": lambda consent, _: _upper(consent.get("opt_in_level")),
    "marketingState": _word("state"),
    "marketingUpdatedAt": lambda consent, _: moment(consent.get("updated_at")),
}
ADDRESS: Getters = {
    **{
        name: _of(name)
        for name in ("address1", "address2", "city", "company", "country", "phone", "province")
    },
    "countryCodeV2": _of("country_code"),
    # The ids of addresses come with the kind of their owner.
    "id": lambda address, _: f"{gid('MailingAddress', address['id'])}?model_name=CustomerAddress",
    "provinceCode": _of("province_code"),
    "zip": _of("zip"),
}
PRODUCT: Getters = {
    "createdAt": _time("created_at"),
    "descriptionHtml": lambda product, _: product["body_html"] or "",
    "handle": _of("handle"),
    "id": _gid("Product"),
    "legacyResourceId": lambda product, _: str(product["id"]),
    "productType": _of("product_type"),
    "publishedAt": _time("published_at"),
    "status": _word("status"),
    "tags": _of("tags"),
    "title": _of("title"),
    "totalInventory": lambda product, _: sum(
        variant["inventory_quantity"] for variant in product["variants"]
    ),
    "updatedAt": _time("updated_at"),
    "vendor": _of("vendor"),
}
VARIANT: Getters = {
    "barcode": _of("barcode"),
    "compareAtPrice": _of("compare_at_price"),
    "createdAt": _time("created_at"),
    "id": _gid("ProductVariant"),
    "inventoryItem": lambda variant, _: variant,
    "inventoryQuantity": _of("inventory_quantity"),
    "legacyResourceId": lambda variant, _: str(variant["id"]),
    "position": _of("position"),
    "price": _of("price"),
    "sku": _of("sku"),
    "taxable": _of("taxable"),
    "title": _of("title"),
    "updatedAt": _time("updated_at"),
}
ITEM: Getters = {
    "id": _gid("InventoryItem", "inventory_item_id"),
    "legacyResourceId": lambda variant, _: str(variant["inventory_item_id"]),
    "measurement": lambda variant, _: variant,
    "requiresShipping": _of("requires_shipping"),
    "tracked": _of("tracked"),
}
UNITS = {"g": "GRAMS", "kg": "KILOGRAMS", "oz": "OUNCES", "lb": "POUNDS"}
FULFILLMENTS = {
    "fulfilled": "FULFILLED",
    "partial": "PARTIALLY_FULFILLED",
    "restocked": "RESTOCKED",
}


ORDER: Getters = {
    "cancelReason": _word("cancel_reason"),
    "cancelledAt": _time("cancelled_at"),
    "closedAt": _time("closed_at"),
    "createdAt": _time("created_at"),
    "currencyCode": _of("currency"),
    "customer": lambda order, shop: customer_of(shop, order),
    "displayFinancialStatus": _word("financial_status"),
    # What REST calls not fulfilled may be on its way.
    "displayFulfillmentStatus": lambda order, _: (
        FULFILLMENTS.get(order["fulfillment_status"]) or order["on_the_way"] or "UNFULFILLED"
    ),
    "email": _of("email"),
    "id": _gid("Order"),
    "legacyResourceId": lambda order, _: str(order["id"]),
    "name": _of("name"),
    "presentmentCurrencyCode": _of("presentment_currency"),
    "processedAt": _time("processed_at"),
    "sourceName": _of("source_name"),
    "subtotalPriceSet": _price("subtotal_price"),
    "tags": _of("tags"),
    "test": _of("test"),
    "totalDiscountsSet": _price("total_discounts"),
    "totalPriceSet": _price("total_price"),
    "totalRefundedSet": _price("total_refunded"),
    "totalShippingPriceSet": _price("total_shipping_price"),
    "totalTaxSet": _price("total_tax"),
    "updatedAt": _time("updated_at"),
}


def _discounted(arguments: Arguments) -> Getter:
    """What a line item costs without its discounts, or without those that are not by a code."""

    def get(line: Record, _: ShopifyShop) -> Price:
        total = Decimal(line["price"]) * line["quantity"] - Decimal(line["line_discount"])
        if arguments["withCodeDiscounts"]:
            total -= Decimal(line["code_discount"])
        return Price(str(total), line["order"])

    return get


LINE: Getters = {
    "currentQuantity": _of("current_quantity"),
    "id": _gid("LineItem"),
    "name": _of("name"),
    "originalUnitPriceSet": lambda line, _: Price(line["price"], line["order"]),
    "product": lambda line, shop: sold_in(shop, line)[0],
    "quantity": _of("quantity"),
    "sku": _of("sku"),
    "title": _of("title"),
    "variant": lambda line, shop: sold_in(shop, line)[1],
    "variantTitle": _of("variant_title"),
    "vendor": _of("vendor"),
}


CHILDREN: Mapping[tuple[str, str], Callable[[Record], list[Record]]] = {
    ("Product", "variants"): lambda product: product["variants"],
    ("Order", "lineItems"): lambda order: [
        {**line, "order": order} for line in order["line_items"]
    ],
}
"""What the connections within records hold."""

EVENT: Getters = {
    "action": lambda event, _: event.verb,
    "createdAt": lambda event, _: moment(event.created_at),
    "id": lambda event, _: gid("BasicEvent", event.id),
    "subjectId": lambda event, _: gid(event.subject_type, event.subject_id),
    "subjectType": lambda event, _: event.subject_type.upper(),
}
SHOP: Getters = {
    "currencyCode": lambda shop, _: shop.currency,
    "ianaTimezone": lambda shop, _: shop.timezone.key,
    "id": lambda _, __: gid("Shop", 548_380_009_001),
    "myshopifyDomain": lambda shop, _: shop.shop_domain,
    "plan": lambda shop, _: shop,
}

GETTERS: Mapping[str, Getters] = {
    "BasicEvent": EVENT,
    "BulkOperation": {
        name: _of(name)
        for name in (
            "completedAt",
            "createdAt",
            "errorCode",
            "fileSize",
            "id",
            "objectCount",
            "partialDataUrl",
            "rootObjectCount",
            "status",
            "type",
            "url",
        )
    },
    "BulkOperationRunQueryPayload": {
        "bulkOperation": _of("operation"),
        "userErrors": _of("errors"),
    },
    "BulkOperationUserError": {name: _of(name) for name in ("code", "field", "message")},
    "Count": {"count": _of("count"), "precision": _of("precision")},
    "Customer": CUSTOMER,
    "CustomerEmailAddress": {
        **CONSENT,
        "emailAddress": _of("value"),
        "validFormat": lambda consent, _: consent["state"] != "invalid",
    },
    "CustomerPhoneNumber": {
        **CONSENT,
        "phoneNumber": _of("value"),
        "marketingCollectedFrom": lambda consent, _: consent.get("collected_from"),
    },
    "InventoryItem": ITEM,
    "InventoryItemMeasurement": {
        "id": _gid("InventoryItemMeasurement", "inventory_item_id"),
        "weight": lambda variant, _: variant,
    },
    "LineItem": LINE,
    "MailingAddress": ADDRESS,
    "MoneyBag": {
        "shopMoney": lambda price, _: Cash(price.amount, price.order["currency"]),
        "presentmentMoney": lambda price, _: Cash(
            presented(price.order, price.amount), price.order["presentment_currency"]
        ),
    },
    "MoneyV2": {
        "amount": lambda cash, _: _decimal(cash.amount),
        "currencyCode": lambda cash, _: cash.currency,
    },
    "Order": ORDER,
    "PageInfo": {
        "endCursor": lambda page, _: cursor(page.last) if page.last else None,
        "hasNextPage": lambda page, _: page.more,
    },
    "Product": PRODUCT,
    "ProductVariant": VARIANT,
    "Shop": SHOP,
    "ShopPlan": {"publicDisplayName": lambda shop, _: shop.plan.title()},
    "Weight": {"unit": lambda variant, _: UNITS[variant["weight_unit"]], "value": _of("weight")},
}
CONNECTION: Getters = {
    "nodes": lambda page, _: page.rows,
    "edges": lambda page, _: page.rows,
    "pageInfo": lambda page, _: page,
}
EDGE: Getters = {"node": lambda record, _: record}


def getter_of(type_name: str, name: str, arguments: Arguments) -> Getter:
    """The function for a field that is not at the root."""
    if (type_name, name) in CHILDREN:
        children = CHILDREN[type_name, name]
        return lambda record, _: child_slice(children(record), arguments)
    if (type_name, name) == ("LineItem", "discountedTotalSet"):
        return _discounted(arguments)
    if type_name.endswith("Connection"):
        return CONNECTION[name]
    return EDGE[name] if type_name.endswith("Edge") else GETTERS[type_name][name]
