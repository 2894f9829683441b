"""What webhooks ask for."""

import pytest

from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.domain.shopify.webhook_topics import Effect, Topic, meaning


@pytest.mark.parametrize(
    ("topic", "entity"),
    [
        ("customers/create", Entity.CUSTOMERS),
        ("customers/update", Entity.CUSTOMERS),
        ("products/update", Entity.PRODUCTS),
        ("orders/create", Entity.ORDERS),
        ("orders/updated", Entity.ORDERS),
        ("orders/cancelled", Entity.ORDERS),
        ("orders/paid", Entity.ORDERS),
        ("orders/fulfilled", Entity.ORDERS),
        ("orders/partially_fulfilled", Entity.ORDERS),
    ],
)
def test_a_whole_record_is_saved(topic: str, entity: Entity) -> None:
    assert meaning(topic) == Topic(Effect.SAVE, (entity,))


@pytest.mark.parametrize("entity", Entity)
def test_a_deletion_is_one_of_its_entity(entity: Entity) -> None:
    assert meaning(f"{entity}/delete") == Topic(Effect.DELETE, (entity,))


def test_what_erases_names_all_that_it_touches() -> None:
    assert meaning("customers/redact").entities == (Entity.CUSTOMERS, Entity.ORDERS)
    assert meaning("shop/redact").entities == tuple(Entity)


@pytest.mark.parametrize(
    "topic", ["bulk_operations/finish", "orders/edited", "carts/create", "customers/", ""]
)
def test_other_topics_change_nothing(topic: str) -> None:
    assert meaning(topic) == Topic(Effect.NOTHING)


def test_what_must_be_gone_is_merged_after_what_would_bring_it_back() -> None:
    topics = ["orders/create", "orders/delete", "customers/redact", "shop/redact"]
    effects = [meaning(topic).effect for topic in topics]
    assert effects == sorted(effects)
