"""The part of Shopify's GraphQL schema that the sandbox serves."""

from functools import cache

from graphql import GraphQLSchema, build_schema

SDL = """
schema { query: QueryRoot mutation: Mutation }

scalar CountryCode
scalar CurrencyCode
scalar DateTime
scalar Decimal
scalar HTML
scalar Money
scalar URL
scalar UnsignedInt64

interface Node { id: ID! }
interface Event { action: String! createdAt: DateTime! id: ID! }

type QueryRoot {
  bulkOperation(id: ID!): BulkOperation
  bulkOperations(
    after: String, first: Int, query: String, reverse: Boolean = false
    sortKey: BulkOperationsSortKeys = CREATED_AT
  ): BulkOperationConnection!
  customers(
    after: String, first: Int, query: String, reverse: Boolean = false
    sortKey: CustomerSortKeys = ID
  ): CustomerConnection!
  customersCount(limit: Int = 10000, query: String): Count
  events(
    after: String, first: Int, query: String, reverse: Boolean = false
    sortKey: EventSortKeys = ID
  ): EventConnection
  node(id: ID!): Node
  orders(
    after: String, first: Int, query: String, reverse: Boolean = false
    sortKey: OrderSortKeys = PROCESSED_AT
  ): OrderConnection!
  ordersCount(limit: Int = 10000, query: String): Count
  products(
    after: String, first: Int, query: String, reverse: Boolean = false
    sortKey: ProductSortKeys = ID
  ): ProductConnection!
  productsCount(limit: Int = 10000, query: String): Count
  shop: Shop!
}

type Mutation {
  bulkOperationRunQuery(
    groupObjects: Boolean! = false, query: String!
  ): BulkOperationRunQueryPayload
}

enum CustomerSortKeys { CREATED_AT ID UPDATED_AT }
enum ProductSortKeys { CREATED_AT ID UPDATED_AT }
enum OrderSortKeys { CREATED_AT ID PROCESSED_AT UPDATED_AT }
enum EventSortKeys { CREATED_AT ID }
enum BulkOperationsSortKeys { COMPLETED_AT CREATED_AT }

type PageInfo { endCursor: String hasNextPage: Boolean! }
type Count { count: Int! precision: CountPrecision! }
enum CountPrecision { AT_LEAST EXACT }
type MoneyV2 { amount: Decimal! currencyCode: CurrencyCode! }
type MoneyBag { presentmentMoney: MoneyV2! shopMoney: MoneyV2! }

type Shop implements Node {
  currencyCode: CurrencyCode!
  ianaTimezone: String!
  id: ID!
  myshopifyDomain: String!
  plan: ShopPlan!
}
type ShopPlan { publicDisplayName: String! }

type CustomerConnection { edges: [CustomerEdge!]! nodes: [Customer!]! pageInfo: PageInfo! }
type CustomerEdge { node: Customer! }
type Customer implements Node {
  amountSpent: MoneyV2!
  createdAt: DateTime!
  defaultAddress: MailingAddress
  defaultEmailAddress: CustomerEmailAddress
  defaultPhoneNumber: CustomerPhoneNumber
  displayName: String!
  firstName: String
  id: ID!
  lastName: String
  lastOrder: Order
  legacyResourceId: UnsignedInt64!
  locale: String!
  note: String
  numberOfOrders: UnsignedInt64!
  state: CustomerState!
  tags: [String!]!
  taxExempt: Boolean!
  updatedAt: DateTime!
  verifiedEmail: Boolean!
}
enum CustomerState { DECLINED DISABLED ENABLED INVITED }
type CustomerEmailAddress {
  emailAddress: String!
  marketingOptInLevel: CustomerMarketingOptInLevel
  marketingState: CustomerEmailAddressMarketingState!
  marketingUpdatedAt: DateTime
  validFormat: Boolean!
}
type CustomerPhoneNumber {
  marketingCollectedFrom: CustomerConsentCollectedFrom
  marketingOptInLevel: CustomerMarketingOptInLevel
  marketingState: CustomerSmsMarketingState!
  marketingUpdatedAt: DateTime
  phoneNumber: String!
}
enum CustomerEmailAddressMarketingState { INVALID NOT_SUBSCRIBED PENDING SUBSCRIBED UNSUBSCRIBED }
enum CustomerSmsMarketingState { NOT_SUBSCRIBED PENDING REDACTED SUBSCRIBED UNSUBSCRIBED }
enum CustomerMarketingOptInLevel { CONFIRMED_OPT_IN SINGLE_OPT_IN UNKNOWN }
enum CustomerConsentCollectedFrom { OTHER SHOPIFY }
type MailingAddress implements Node {
  address1: String
  address2: String
  city: String
  company: String
  country: String
  countryCodeV2: CountryCode
  id: ID!
  phone: String
  province: String
  provinceCode: String
  zip: String
}

type ProductConnection { edges: [ProductEdge!]! nodes: [Product!]! pageInfo: PageInfo! }
type ProductEdge { node: Product! }
type Product implements Node {
  createdAt: DateTime!
  descriptionHtml: HTML!
  handle: String!
  id: ID!
  legacyResourceId: UnsignedInt64!
  productType: String!
  publishedAt: DateTime
  status: ProductStatus!
  tags: [String!]!
  title: String!
  totalInventory: Int!
  updatedAt: DateTime!
  variants(after: String, first: Int): ProductVariantConnection!
  vendor: String!
}
enum ProductStatus { ACTIVE ARCHIVED DRAFT UNLISTED }
type ProductVariantConnection {
  edges: [ProductVariantEdge!]!
  nodes: [ProductVariant!]!
  pageInfo: PageInfo!
}
type ProductVariantEdge { node: ProductVariant! }
type ProductVariant implements Node {
  barcode: String
  compareAtPrice: Money
  createdAt: DateTime!
  id: ID!
  inventoryItem: InventoryItem!
  inventoryQuantity: Int
  legacyResourceId: UnsignedInt64!
  position: Int!
  price: Money!
  sku: String
  taxable: Boolean!
  title: String!
  updatedAt: DateTime!
}
type InventoryItem implements Node {
  id: ID!
  legacyResourceId: UnsignedInt64!
  measurement: InventoryItemMeasurement!
  requiresShipping: Boolean!
  tracked: Boolean!
}
type InventoryItemMeasurement implements Node { id: ID! weight: Weight }
type Weight { unit: WeightUnit! value: Float! }
enum WeightUnit { GRAMS KILOGRAMS OUNCES POUNDS }

type OrderConnection { edges: [OrderEdge!]! nodes: [Order!]! pageInfo: PageInfo! }
type OrderEdge { node: Order! }
type Order implements Node {
  cancelReason: OrderCancelReason
  cancelledAt: DateTime
  closedAt: DateTime
  createdAt: DateTime!
  currencyCode: CurrencyCode!
  customer: Customer
  displayFinancialStatus: OrderDisplayFinancialStatus
  displayFulfillmentStatus: OrderDisplayFulfillmentStatus!
  email: String
  id: ID!
  legacyResourceId: UnsignedInt64!
  lineItems(after: String, first: Int): LineItemConnection!
  name: String!
  presentmentCurrencyCode: CurrencyCode!
  processedAt: DateTime!
  sourceName: String
  subtotalPriceSet: MoneyBag
  tags: [String!]!
  test: Boolean!
  totalDiscountsSet: MoneyBag
  totalPriceSet: MoneyBag!
  totalRefundedSet: MoneyBag!
  totalShippingPriceSet: MoneyBag!
  totalTaxSet: MoneyBag
  updatedAt: DateTime!
}
enum OrderCancelReason { CUSTOMER DECLINED FRAUD INVENTORY OTHER STAFF }
enum OrderDisplayFinancialStatus {
  AUTHORIZED EXPIRED PAID PARTIALLY_PAID PARTIALLY_REFUNDED PENDING REFUNDED VOIDED
}
enum OrderDisplayFulfillmentStatus {
  FULFILLED IN_PROGRESS ON_HOLD PARTIALLY_FULFILLED RESTOCKED SCHEDULED UNFULFILLED
}
type LineItemConnection { edges: [LineItemEdge!]! nodes: [LineItem!]! pageInfo: PageInfo! }
type LineItemEdge { node: LineItem! }
type LineItem implements Node {
  currentQuantity: Int!
  discountedTotalSet(withCodeDiscounts: Boolean = false): MoneyBag!
  id: ID!
  name: String!
  originalUnitPriceSet: MoneyBag!
  product: Product
  quantity: Int!
  sku: String
  title: String!
  variant: ProductVariant
  variantTitle: String
  vendor: String
}

type EventConnection { nodes: [Event!]! pageInfo: PageInfo! }
type BasicEvent implements Event & Node {
  action: String!
  createdAt: DateTime!
  id: ID!
  subjectId: ID!
  subjectType: EventSubjectType!
}
enum EventSubjectType { CUSTOMER ORDER PRODUCT }

type BulkOperationConnection { nodes: [BulkOperation!]! }
type BulkOperation implements Node {
  completedAt: DateTime
  createdAt: DateTime!
  errorCode: BulkOperationErrorCode
  fileSize: UnsignedInt64
  id: ID!
  objectCount: UnsignedInt64!
  partialDataUrl: URL
  rootObjectCount: UnsignedInt64!
  status: BulkOperationStatus!
  type: BulkOperationType!
  url: URL
}
enum BulkOperationErrorCode { ACCESS_DENIED INTERNAL_SERVER_ERROR TIMEOUT }
enum BulkOperationStatus { CANCELED CANCELING COMPLETED CREATED EXPIRED FAILED RUNNING }
enum BulkOperationType { MUTATION QUERY }
type BulkOperationRunQueryPayload {
  bulkOperation: BulkOperation
  userErrors: [BulkOperationUserError!]!
}
type BulkOperationUserError {
  code: BulkOperationUserErrorCode
  field: [String!]
  message: String!
}
enum BulkOperationUserErrorCode { INVALID LIMIT_REACHED OPERATION_IN_PROGRESS }
"""


@cache
def schema() -> GraphQLSchema:
    """The schema, built once."""
    return build_schema(SDL)
