"""From what Shopify sent, in either shape, to records; what cannot be read is set aside."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ecauto_pipeline.clients.json_body import mapping
from ecauto_pipeline.clients.shopify.entities.columns import ChildLayout, Row
from ecauto_pipeline.clients.shopify.entities.reading import row_reader
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
from ecauto_pipeline.clients.shopify.values import (
    Unreadable,
    id_from_gid,
    json_object,
    json_objects,
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

    What is not in it, as in most webhooks of customers, is left out, and so is what comes from
    fields that are `withheld`: null says nothing there.

    Raises:
        Unreadable: something in it is not as Shopify describes it.
    """
    source = json_object(found, "the record")
    layout = LAYOUTS[entity]
    row = row_reader(layout, shape, withheld).read(source)
    if layout.children is None:
        return Record(row["id"], row["updated_at"], row, source)
    key = layout.children.connection if shape is Shape.NODE else layout.children.body_key
    listed, is_complete = _listed(layout.children, shape, source.get(key))
    read_child = row_reader(layout.children, shape, withheld).read
    children: list[Row] = []
    try:
        for child in listed:
            row_of_child = read_child(child)
            row_of_child["payload"] = child
            children.append(row_of_child)
    except Unreadable as error:
        raise Unreadable(f"{key}.{error}") from None
    payload = {name: value for name, value in source.items() if name != key}
    return Record(row["id"], row["updated_at"], row, payload, children, is_complete)


def _listed(layout: ChildLayout, shape: Shape, found: object) -> tuple[list[dict[str, Any]], bool]:
    """The children in a record, and whether they are all."""
    if found is None:
        return [], False
    if shape is Shape.BODY:
        bodies = json_objects(found, layout.body_key)
        return bodies, layout.most_in_body is None or len(bodies) < layout.most_in_body
    connection = json_object(found, layout.connection)
    nodes = json_objects(connection.get("nodes"), f"{layout.connection}.nodes")
    if "pageInfo" not in connection:
        return nodes, True
    page_info = json_object(connection["pageInfo"], f"{layout.connection}.pageInfo")
    return nodes, page_info.get("hasNextPage") is False


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
    read_id = id_from_gid if shape is Shape.NODE else whole_id
    records: list[Record] = []
    bad: list[BadRecord] = []
    for found in objects:
        try:
            records.append(read_record(entity, shape, found, withheld=withheld))
        except Unreadable as error:
            payload = mapping(found) if isinstance(found, dict) else {"value": found}
            record_id = "?"
            with suppress(Unreadable):
                record_id = str(read_id(payload.get("id")))
            bad.append(BadRecord(record_id, shape, payload, str(error)))
    if len(objects) >= SUSPICIOUS_FROM and 2 * len(bad) > len(objects):
        raise Rejected(
            f"Shopify's answers do not look like {entity}: {len(bad)} of {len(objects)}"
            f" cannot be read, the first because {bad[0].reason}"
        )
    return Page(records, bad, withheld)
