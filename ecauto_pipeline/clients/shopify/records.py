"""From what Shopify sent, in either shape, to records; what cannot be read is set aside."""

from collections.abc import Sequence
from typing import Any, cast

from ecauto_pipeline.clients.shopify.bodies import record_from_body
from ecauto_pipeline.clients.shopify.nodes import record_from_node
from ecauto_pipeline.clients.shopify.values import (
    Unreadable,
    id_from_gid,
    json_object,
    whole_id,
)
from ecauto_pipeline.domain.shopify.mirror import BadRecord, Entity, Page, Record, Shape
from ecauto_pipeline.errors import Rejected

SUSPICIOUS_FROM = 10
"""So many objects, more than half of them unreadable, are not bad luck: Shopify has changed."""


def read_record(
    entity: Entity, shape: Shape, found: object, *, withheld: frozenset[str] = frozenset()
) -> Record:
    """The record in an object of this shape.

    Raises:
        Unreadable: something in it is not as Shopify describes it.
    """
    node = json_object(found, "the record")
    if shape is Shape.NODE:
        return record_from_node(entity, node, withheld=withheld)
    return record_from_body(entity, node)


def read_page(
    entity: Entity,
    shape: Shape,
    objects: Sequence[Any],
    *,
    withheld: frozenset[str] = frozenset(),
) -> Page:
    """The records in the objects, and those that cannot be read beside them.

    Raises:
        Rejected: most cannot; then it is not they that are wrong.
    """
    records: list[Record] = []
    bad: list[BadRecord] = []
    for found in objects:
        try:
            records.append(read_record(entity, shape, found, withheld=withheld))
        except Unreadable as error:
            bad.append(_bad_record(shape, found, str(error)))
    if len(objects) >= SUSPICIOUS_FROM and 2 * len(bad) > len(objects):
        raise Rejected(
            f"Shopify's answers do not look like {entity}: {len(bad)} of {len(objects)}"
            f" cannot be read, the first because {bad[0].reason}"
        )
    return Page(records, bad, withheld)


def _bad_record(shape: Shape, found: object, reason: str) -> BadRecord:
    if not isinstance(found, dict):
        return BadRecord("?", shape, {"value": found}, reason)
    payload = cast("dict[str, Any]", found)
    return BadRecord(_readable_id(shape, payload.get("id")), shape, payload, reason)


def _readable_id(shape: Shape, value: object) -> str:
    try:
        return str(id_from_gid(value) if shape is Shape.NODE else whole_id(value))
    except Unreadable:
        return "?"
