"""What a webhook is about, by its topic."""

from dataclasses import dataclass
from enum import IntEnum

from ecauto_pipeline.domain.shopify.mirror import Entity


class Effect(IntEnum):
    """What a webhook asks for, in the order in which those that came together are merged.

    Deliveries overtake each other: a deletion after the update that it overtook leaves the record
    deleted, and what must be forgotten must not come back.
    """

    NOTHING = 0
    DATA_REQUEST = 1
    UNINSTALLED = 2
    SAVE = 3
    DELETE = 4
    MERGE = 5
    REDACT = 6
    FORGET_STORE = 7


@dataclass(frozen=True, slots=True)
class Topic:
    """What a webhook asks for, and whose mirrors it changes."""

    effect: Effect
    entities: tuple[Entity, ...] = ()


_NOTHING = Topic(Effect.NOTHING)

# Only topics whose payload is the whole record: that of orders/edited, for one, is not.
_SAVED_AFTER = {
    Entity.CUSTOMERS: ("create", "update", "enable", "disable"),
    Entity.PRODUCTS: ("create", "update"),
    Entity.ORDERS: ("create", "updated", "cancelled", "paid", "fulfilled", "partially_fulfilled"),
}

_TOPICS = {
    **{
        f"{entity}/{event}": Topic(Effect.SAVE, (entity,))
        for entity, events in _SAVED_AFTER.items()
        for event in events
    },
    **{f"{entity}/delete": Topic(Effect.DELETE, (entity,)) for entity in Entity},
    "customers/merge": Topic(Effect.MERGE, (Entity.CUSTOMERS,)),
    "customers/redact": Topic(Effect.REDACT, (Entity.CUSTOMERS, Entity.ORDERS)),
    "customers/data_request": Topic(Effect.DATA_REQUEST),
    "shop/redact": Topic(Effect.FORGET_STORE, tuple(Entity)),
    "app/uninstalled": Topic(Effect.UNINSTALLED),
}


def meaning(topic: str) -> Topic:
    """What a webhook of this topic asks for: nothing, if we have no use for it."""
    return _TOPICS.get(topic, _NOTHING)
