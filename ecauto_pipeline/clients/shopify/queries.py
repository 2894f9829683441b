"""Every GraphQL document that is sent to Shopify, and the text of its searches.

The fields of a type are one text, so that pages, single nodes and bulk operations ask for the same.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from ecauto_pipeline.domain.shopify.mirror import Entity, Window

_PAGE_INFO = "pageInfo { hasNextPage endCursor }"

_SHOP_MONEY = "{ shopMoney { amount } }"

# Email, phone and consents sit on Customer too, but deprecated. Those of a phone number are
# deprecated as well, in favour of what is deprecated on Customer: there is no other place.
_CUSTOMER = """
    id
    legacyResourceId
    firstName
    lastName
    state
    note
    tags
    taxExempt
    verifiedEmail
    numberOfOrders
    amountSpent { amount currencyCode }
    lastOrder { id name }
    defaultEmailAddress { emailAddress marketingState marketingOptInLevel marketingUpdatedAt }
    defaultPhoneNumber {
      phoneNumber marketingState marketingOptInLevel marketingUpdatedAt marketingCollectedFrom
    }
    defaultAddress {
      id company address1 address2 city province provinceCode country countryCodeV2 zip phone
    }
    createdAt
    updatedAt
"""

_PRODUCT = """
    id
    legacyResourceId
    title
    descriptionHtml
    vendor
    productType
    handle
    status
    tags
    publishedAt
    createdAt
    updatedAt
"""

_VARIANT = """
    id
    legacyResourceId
    title
    sku
    barcode
    price
    compareAtPrice
    position
    taxable
    inventoryQuantity
    inventoryItem {
      id legacyResourceId tracked requiresShipping measurement { weight { value unit } }
    }
    createdAt
    updatedAt
"""

_ORDER = f"""
    id
    legacyResourceId
    name
    email
    customer {{ id }}
    currencyCode
    presentmentCurrencyCode
    subtotalPriceSet {_SHOP_MONEY}
    totalPriceSet {_SHOP_MONEY}
    totalTaxSet {_SHOP_MONEY}
    totalDiscountsSet {_SHOP_MONEY}
    totalShippingPriceSet {_SHOP_MONEY}
    totalRefundedSet {_SHOP_MONEY}
    displayFinancialStatus
    displayFulfillmentStatus
    cancelReason
    sourceName
    tags
    test
    cancelledAt
    closedAt
    processedAt
    createdAt
    updatedAt
"""

_LINE_ITEM = f"""
    id
    product {{ id }}
    variant {{ id }}
    name
    title
    variantTitle
    sku
    vendor
    quantity
    currentQuantity
    originalUnitPriceSet {_SHOP_MONEY}
    discountedTotalSet(withCodeDiscounts: true) {_SHOP_MONEY}
"""


class _Children(NamedTuple):
    connection: str
    first: int
    fields: str


class _Type(NamedTuple):
    name: str
    fields: str
    children: _Children | None = None


_TYPES = {
    Entity.CUSTOMERS: _Type("Customer", _CUSTOMER),
    Entity.PRODUCTS: _Type("Product", _PRODUCT, _Children("variants", 100, _VARIANT)),
    Entity.ORDERS: _Type("Order", _ORDER, _Children("lineItems", 50, _LINE_ITEM)),
}


def _nodes(children: _Children | None, arguments: str) -> str:
    """The connection of the children, as a page of it."""
    if children is None:
        return ""
    return f"{children.connection}{arguments} {{ nodes {{ {children.fields} }} {_PAGE_INFO} }}"


def _page(entity: Entity) -> str:
    kind = _TYPES[entity]
    children = _nodes(kind.children, f"(first: {kind.children.first})" if kind.children else "")
    return f"""
query ($first: Int!, $after: String, $query: String, $sortKey: {kind.name}SortKeys) {{
  {entity}(first: $first, after: $after, query: $query, sortKey: $sortKey) {{
    nodes {{ {kind.fields} {children} }}
    {_PAGE_INFO}
  }}
}}
"""


def _whole(entity: Entity) -> str:
    kind = _TYPES[entity]
    children = _nodes(kind.children, "(first: $first, after: $after)")
    return f"""
query ($id: ID!, $first: Int!, $after: String) {{
  node(id: $id) {{
    ... on {kind.name} {{ {kind.fields} {children} }}
  }}
}}
"""


def _count(entity: Entity) -> str:
    """Without `limit: null` Shopify counts to 10,000 only."""
    return f"""
query ($query: String) {{
  {entity}Count(query: $query, limit: null) {{ count precision }}
}}
"""


def _ids(entity: Entity) -> str:
    return f"""
query ($first: Int!, $after: String) {{
  {entity}(first: $first, after: $after, sortKey: ID) {{ nodes {{ id }} {_PAGE_INFO} }}
}}
"""


def _for_each(document: Callable[[Entity], str], *entities: Entity) -> Mapping[Entity, str]:
    return MappingProxyType({entity: document(entity) for entity in entities or Entity})


PAGE: Mapping[Entity, str] = _for_each(_page)
"""A page of records, each with the first of its children."""

WHOLE: Mapping[Entity, str] = _for_each(_whole, Entity.PRODUCTS, Entity.ORDERS)
"""One record with a page of its children, to read long lists of them to their end."""

COUNT: Mapping[Entity, str] = _for_each(_count)
"""How many there are, exactly."""

IDS: Mapping[Entity, str] = _for_each(_ids)
"""A page of nothing but ids."""

DELETIONS = f"""
query ($first: Int!, $after: String, $query: String) {{
  events(first: $first, after: $after, query: $query, sortKey: CREATED_AT) {{
    nodes {{ ... on BasicEvent {{ subjectId subjectType action createdAt }} }}
    {_PAGE_INFO}
  }}
}}
"""
"""A page of events, the oldest first; `deletions_text` is what to search for."""

BULK_RUN = """
mutation ($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status createdAt }
    userErrors { code field message }
  }
}
"""
"""Start a bulk operation; grouped children would only cost Shopify time."""

BULK_STATUS = """
query ($id: ID!) {
  bulkOperation(id: $id) {
    id
    type
    status
    errorCode
    objectCount
    rootObjectCount
    fileSize
    url
    partialDataUrl
    createdAt
    completedAt
  }
}
"""
"""How far a bulk operation is, and where its file lies."""


def search_text(entity: Entity, window: Window) -> str | None:
    """What to search for; None when everything is asked for.

    Customers have no upper bound: their filter may match whole days, and would cut one off.
    """
    terms: list[str] = []
    if window.since is not None:
        terms.append(f"updated_at:>={_quoted(window.since)}")
    if window.until is not None and entity is not Entity.CUSTOMERS:
        terms.append(f"updated_at:<{_quoted(window.until)}")
    if window.created_since is not None:
        terms.append(f"created_at:>={_quoted(window.created_since)}")
    return " AND ".join(terms) or None


def deletions_text(entity: Entity, since: datetime | None) -> str:
    """What to search the events for: deletions of this entity."""
    text = f"action:destroy AND subject_type:{_TYPES[entity].name.upper()}"
    return text if since is None else f"{text} AND created_at:>={_quoted(since)}"


def bulk_document(entity: Entity, window: Window) -> str:
    """What a bulk operation is to read: the same fields as a page, all children."""
    _, fields, children = _TYPES[entity]
    if children is not None:
        fields += f"{children.connection} {{ edges {{ node {{ {children.fields} }} }} }}"
    text = search_text(entity, window)
    arguments = "" if text is None else f'(query: "{text}")'
    return f"{{ {entity}{arguments} {{ edges {{ node {{ {fields} }} }} }} }}"


def bulk_ids_document(entity: Entity) -> str:
    """What a bulk operation is to read for nothing but ids."""
    return f"{{ {entity} {{ edges {{ node {{ id }} }} }} }}"


def _quoted(moment: datetime) -> str:
    """Without the quotes Shopify drops the time of the day."""
    return f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
