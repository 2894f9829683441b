"""One customer, product and order, as GraphQL and as REST write them."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ecauto_pipeline.domain.shopify.mirror import Entity

CUSTOMER_ID = 7_894_561_230_147
PRODUCT_ID = 9_874_563_210_258
VARIANT_ID = 45_678_912_345_678
ITEM_ID = 46_678_912_345_679
ORDER_ID = 5_678_912_345_670
LINE_ID = 14_678_912_345_671

_CUSTOMER_NODE: dict[str, Any] = {
    "id": f"gid://shopify/Customer/{CUSTOMER_ID}",
    "legacyResourceId": str(CUSTOMER_ID),
    "firstName": "花子",
    "lastName": "Müller-佐藤",
    "state": "DISABLED",
    "note": "likes 🍵\nand tea",
    "tags": ["vip", "Noël", "Léon"],
    "taxExempt": False,
    "verifiedEmail": True,
    "numberOfOrders": "3",
    "amountSpent": {"amount": "12345.5", "currencyCode": "JPY"},
    "lastOrder": {"id": f"gid://shopify/Order/{ORDER_ID}", "name": "#1001"},
    "defaultEmailAddress": {
        "emailAddress": "hanako@example.com",
        "marketingState": "SUBSCRIBED",
        "marketingOptInLevel": "SINGLE_OPT_IN",
        "marketingUpdatedAt": "2026-01-10T00:27:08Z",
    },
    "defaultPhoneNumber": {
        "phoneNumber": "+819012345678",
        "marketingState": "NOT_SUBSCRIBED",
        "marketingOptInLevel": "UNKNOWN",
        "marketingUpdatedAt": None,
        "marketingCollectedFrom": "OTHER",
    },
    "defaultAddress": {
        "id": "gid://shopify/MailingAddress/9207119551012?model_name=CustomerAddress",
        "company": None,
        "address1": "神南1-2-3",
        "address2": "",
        "city": "渋谷区",
        "province": "Tōkyō",
        "provinceCode": "JP-13",
        "country": "Japan",
        "countryCodeV2": "JP",
        "zip": "150-0041",
        "phone": None,
    },
    "createdAt": "2025-01-10T00:27:08Z",
    "updatedAt": "2026-11-20T10:00:00Z",
}

_CUSTOMER_BODY: dict[str, Any] = {
    "id": CUSTOMER_ID,
    "email": "hanako@example.com",
    "created_at": "2025-01-09T19:27:08-05:00",
    "updated_at": "2026-11-20T05:00:00-05:00",
    "first_name": "花子",
    "last_name": "Müller-佐藤",
    "orders_count": 3,
    "state": "disabled",
    "total_spent": "12345.50",
    "last_order_id": ORDER_ID,
    "note": "likes 🍵\nand tea",
    "verified_email": True,
    "multipass_identifier": None,
    "tax_exempt": False,
    "tags": "Noël, Léon, vip",
    "last_order_name": "#1001",
    "currency": "JPY",
    "phone": "+819012345678",
    "email_marketing_consent": {
        "state": "subscribed",
        "opt_in_level": "single_opt_in",
        "consent_updated_at": "2026-01-10T09:27:08+09:00",
    },
    "sms_marketing_consent": {
        "state": "not_subscribed",
        "opt_in_level": "unknown",
        "consent_updated_at": None,
        "consent_collected_from": "OTHER",
    },
    "addresses": [],
    "default_address": {
        "id": 9_207_119_551_012,
        "customer_id": CUSTOMER_ID,
        "company": None,
        "address1": "神南1-2-3",
        "address2": "",
        "city": "渋谷区",
        "province": "Tōkyō",
        "country": "Japan",
        "zip": "150-0041",
        "phone": None,
        "province_code": "JP-13",
        "country_code": "JP",
        "default": True,
    },
}

_VARIANT_NODE: dict[str, Any] = {
    "id": f"gid://shopify/ProductVariant/{VARIANT_ID}",
    "legacyResourceId": str(VARIANT_ID),
    "title": "赤 / L",
    "sku": "TEE-RED-L",
    "barcode": "",
    "price": "1980.50",
    "compareAtPrice": None,
    "position": 1,
    "taxable": True,
    "inventoryQuantity": -2,
    "inventoryItem": {
        "id": f"gid://shopify/InventoryItem/{ITEM_ID}",
        "legacyResourceId": str(ITEM_ID),
        "tracked": True,
        "requiresShipping": True,
        "measurement": {"weight": {"value": 1.25, "unit": "POUNDS"}},
    },
    "createdAt": "2025-01-10T00:27:08Z",
    "updatedAt": "2026-11-20T10:00:00Z",
}

_PRODUCT_NODE: dict[str, Any] = {
    "id": f"gid://shopify/Product/{PRODUCT_ID}",
    "legacyResourceId": str(PRODUCT_ID),
    "title": "Tシャツ",
    "descriptionHtml": "<p>綿100%</p>\n",
    "vendor": "ACME",
    "productType": "",
    "handle": "t-shirt",
    "status": "ACTIVE",
    "tags": [],
    "publishedAt": None,
    "createdAt": "2025-01-10T00:27:08Z",
    "updatedAt": "2026-11-20T10:00:00Z",
    "variants": {
        "nodes": [_VARIANT_NODE],
        "pageInfo": {"hasNextPage": False, "endCursor": "abc"},
    },
}

_PRODUCT_BODY: dict[str, Any] = {
    "id": PRODUCT_ID,
    "title": "Tシャツ",
    "body_html": "<p>綿100%</p>\n",
    "vendor": "ACME",
    "product_type": "",
    "created_at": "2025-01-10T09:27:08+09:00",
    "handle": "t-shirt",
    "updated_at": "2026-11-20T19:00:00+09:00",
    "published_at": None,
    "tags": "",
    "status": "active",
    "variants": [
        {
            "id": VARIANT_ID,
            "product_id": PRODUCT_ID,
            "title": "赤 / L",
            "price": "1980.50",
            "position": 1,
            "compare_at_price": None,
            "created_at": "2025-01-10T09:27:08+09:00",
            "updated_at": "2026-11-20T19:00:00+09:00",
            "taxable": True,
            "barcode": None,
            "grams": 567,
            "inventory_management": "shopify",
            "requires_shipping": True,
            "sku": "TEE-RED-L",
            "weight": 1.25,
            "weight_unit": "lb",
            "inventory_item_id": ITEM_ID,
            "inventory_quantity": -2,
        }
    ],
}


def _bag(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount}}


_ORDER_NODE: dict[str, Any] = {
    "id": f"gid://shopify/Order/{ORDER_ID}",
    "legacyResourceId": str(ORDER_ID),
    "name": "#1001",
    "email": "hanako@example.com",
    "customer": {"id": f"gid://shopify/Customer/{CUSTOMER_ID}"},
    "currencyCode": "USD",
    "presentmentCurrencyCode": "EUR",
    "subtotalPriceSet": _bag("55.0"),
    "totalPriceSet": _bag("65.5"),
    "totalTaxSet": None,
    "totalDiscountsSet": _bag("5.0"),
    "totalShippingPriceSet": _bag("10.5"),
    "totalRefundedSet": _bag("12.5"),
    "displayFinancialStatus": "PARTIALLY_REFUNDED",
    "displayFulfillmentStatus": "PARTIALLY_FULFILLED",
    "cancelReason": None,
    "sourceName": "web",
    "tags": ["b", "a"],
    "test": False,
    "cancelledAt": None,
    "closedAt": None,
    "processedAt": "2026-11-19T10:00:00Z",
    "createdAt": "2026-11-19T10:00:00Z",
    "updatedAt": "2026-11-20T10:00:00Z",
    "lineItems": {
        "nodes": [
            {
                "id": f"gid://shopify/LineItem/{LINE_ID}",
                "product": {"id": f"gid://shopify/Product/{PRODUCT_ID}"},
                "variant": None,
                "name": "Tシャツ - 赤 / L",
                "title": "Tシャツ",
                "variantTitle": "赤 / L",
                "sku": "TEE-RED-L",
                "vendor": None,
                "quantity": 3,
                "currentQuantity": 2,
                "originalUnitPriceSet": _bag("20.0"),
                "discountedTotalSet": _bag("55.0"),
            }
        ],
        "pageInfo": {"hasNextPage": False, "endCursor": "abc"},
    },
}

_ORDER_BODY: dict[str, Any] = {
    "id": ORDER_ID,
    "cancel_reason": None,
    "cancelled_at": None,
    "closed_at": None,
    "created_at": "2026-11-19T05:00:00-05:00",
    "currency": "USD",
    "email": "hanako@example.com",
    "financial_status": "partially_refunded",
    "fulfillment_status": "partial",
    "name": "#1001",
    "presentment_currency": "EUR",
    "processed_at": "2026-11-19T05:00:00-05:00",
    "source_name": "web",
    "subtotal_price": "55.00",
    "tags": "a, b",
    "test": False,
    "total_discounts": "5.00",
    "total_price": "65.50",
    "total_shipping_price_set": {"shop_money": {"amount": "10.50", "currency_code": "USD"}},
    "total_tax": None,
    "updated_at": "2026-11-20T05:00:00-05:00",
    "customer": {"id": CUSTOMER_ID, "email": "hanako@example.com"},
    "line_items": [
        {
            "id": LINE_ID,
            "current_quantity": 2,
            "name": "Tシャツ - 赤 / L",
            "price": "20.00",
            "product_exists": True,
            "product_id": PRODUCT_ID,
            "quantity": 3,
            "sku": "TEE-RED-L",
            "title": "Tシャツ",
            "total_discount": "0.00",
            "variant_id": None,
            "variant_title": "赤 / L",
            "vendor": None,
            "discount_allocations": [{"amount": "3.00"}, {"amount": "2.00"}],
        }
    ],
    "refunds": [
        {
            "transactions": [
                {"kind": "refund", "status": "success", "amount": "10.00", "currency": "USD"},
                {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "USD"},
                {"kind": "void", "status": "success", "amount": "99.00", "currency": "USD"},
            ]
        },
        {"transactions": [{"kind": "refund", "status": "success", "amount": "2.50"}]},
    ],
}

_NODES = {
    Entity.CUSTOMERS: _CUSTOMER_NODE,
    Entity.PRODUCTS: _PRODUCT_NODE,
    Entity.ORDERS: _ORDER_NODE,
}
_BODIES = {
    Entity.CUSTOMERS: _CUSTOMER_BODY,
    Entity.PRODUCTS: _PRODUCT_BODY,
    Entity.ORDERS: _ORDER_BODY,
}

CHILDREN = {
    Entity.PRODUCTS: ("variants", "variants"),
    Entity.ORDERS: ("lineItems", "line_items"),
}
"""Where the children are, in GraphQL and in REST."""


def node(entity: Entity, **changes: Any) -> dict[str, Any]:
    """The record as GraphQL writes it, with these fields."""
    return {**deepcopy(_NODES[entity]), **changes}


def body(entity: Entity, **changes: Any) -> dict[str, Any]:
    """The same record as REST writes it, with these fields."""
    return {**deepcopy(_BODIES[entity]), **changes}


def without_payload(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that do not depend on the shape."""
    return {name: value for name, value in columns.items() if name != "payload"}
