"""Every entity that is mirrored, and its layout."""

from collections.abc import Mapping

from ecauto_pipeline.clients.shopify.entities.columns import EntityLayout
from ecauto_pipeline.clients.shopify.entities.customers import CUSTOMERS
from ecauto_pipeline.clients.shopify.entities.orders import ORDERS
from ecauto_pipeline.clients.shopify.entities.products import PRODUCTS
from ecauto_pipeline.domain.shopify.mirror import Entity

LAYOUTS: Mapping[Entity, EntityLayout] = {
    Entity.CUSTOMERS: CUSTOMERS,
    Entity.PRODUCTS: PRODUCTS,
    Entity.ORDERS: ORDERS,
}
