"""Every GraphQL document that is sent to Shopify, and the text of its searches.

What is asked for of a record is what its layout reads, in pages, single nodes and bulk operations.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from ecauto_pipeline.clients.shopify.entities.columns import EntityLayout
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
from ecauto_pipeline.domain.shopify.mirror import Entity, Window

_PAGE_INFO = "pageInfo { hasNextPage endCursor }"


def _children(layout: EntityLayout, arguments: str) -> str:
    """The connection of the children, as a page of it."""
    children = layout.children
    if children is None:
        return ""
    return f"{children.connection}{arguments} {{ nodes {{ {children.selection()} }} {_PAGE_INFO} }}"


PAGE: Mapping[Entity, str] = {
    entity: f"""
query ($first: Int!, $after: String, $query: String, $sortKey: {layout.type_name}SortKeys) {{
  {entity}(first: $first, after: $after, query: $query, sortKey: $sortKey) {{
    nodes {{
      {layout.selection()}
      {_children(layout, f"(first: {layout.children.page})" if layout.children else "")}
    }}
    {_PAGE_INFO}
  }}
}}
"""
    for entity, layout in LAYOUTS.items()
}
"""A page of records, each with the first of its children."""

WHOLE: Mapping[Entity, str] = {
    entity: f"""
query ($id: ID!, $first: Int!, $after: String) {{
  node(id: $id) {{
    ... on {layout.type_name} {{
      {layout.selection()}
      {_children(layout, "(first: $first, after: $after)")}
    }}
  }}
}}
"""
    for entity, layout in LAYOUTS.items()
    if layout.children is not None
}
"""One record with a page of its children, to read long lists of them to their end."""

COUNT: Mapping[Entity, str] = {
    # Without `limit: null` Shopify counts to 10,000 only.
    entity: f"""
query ($query: String) {{
  {entity}Count(query: $query, limit: null) {{ count precision }}
}}
"""
    for entity in Entity
}
"""How many there are, exactly."""

IDS: Mapping[Entity, str] = {
    entity: f"""
query ($first: Int!, $after: String) {{
  {entity}(first: $first, after: $after, sortKey: ID) {{ nodes {{ id }} {_PAGE_INFO} }}
}}
"""
    for entity in Entity
}
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
    """What to search for; None when everything is asked for."""
    terms: list[str] = []
    if window.since is not None:
        terms.append(f"updated_at:>={_quoted(window.since)}")
    if window.until is not None and LAYOUTS[entity].searches_until:
        terms.append(f"updated_at:<{_quoted(window.until)}")
    if window.created_since is not None:
        terms.append(f"created_at:>={_quoted(window.created_since)}")
    return " AND ".join(terms) or None


def deletions_text(entity: Entity, since: datetime | None) -> str:
    """What to search the events for: deletions of this entity."""
    text = f"action:destroy AND subject_type:{LAYOUTS[entity].type_name.upper()}"
    return text if since is None else f"{text} AND created_at:>={_quoted(since)}"


def bulk_document(entity: Entity, window: Window) -> str:
    """What a bulk operation is to read: the same fields as a page, all children."""
    layout = LAYOUTS[entity]
    fields = layout.selection()
    if layout.children is not None:
        connection, within = layout.children.connection, layout.children.selection()
        fields += f" {connection} {{ edges {{ node {{ {within} }} }} }}"
    text = search_text(entity, window)
    arguments = "" if text is None else f'(query: "{text}")'
    return f"{{ {entity}{arguments} {{ edges {{ node {{ {fields} }} }} }} }}"


def bulk_ids_document(entity: Entity) -> str:
    """What a bulk operation is to read for nothing but ids."""
    return f"{{ {entity} {{ edges {{ node {{ id }} }} }} }}"


def _quoted(moment: datetime) -> str:
    """Without the quotes Shopify drops the time of the day."""
    return f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
