"""Every document against the official schema, and the texts of the searches."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    InlineFragmentNode,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    print_ast,
    validate,
)

from ecauto_pipeline.clients.shopify.queries import (
    BULK_RUN,
    BULK_STATUS,
    COUNT,
    DELETIONS,
    IDS,
    PAGE,
    WHOLE,
    bulk_document,
    bulk_ids_document,
    deletions_text,
    search_text,
)
from ecauto_pipeline.domain.shopify.mirror import EVERYTHING, Entity, Window
from ecauto_pipeline_tests.clients.shopify.samples import node
from ecauto_pipeline_tests.places import CONTRACTS

SCHEMA = CONTRACTS / "shopify/admin_2026-10.pruned.graphql"
SINCE = datetime(2026, 11, 20, 10, 0, 0, 999, tzinfo=UTC)
UNTIL = datetime(2026, 11, 21, 9, 30, tzinfo=timezone(timedelta(hours=9)))
BOTH = Window(SINCE, UNTIL)

BULK = {
    **{f"bulk of {entity}": bulk_document(entity, EVERYTHING) for entity in Entity},
    **{f"bulk window of {entity}": bulk_document(entity, BOTH) for entity in Entity},
    **{f"bulk ids of {entity}": bulk_ids_document(entity) for entity in Entity},
}
DOCUMENTS = {
    **{f"page of {entity}": text for entity, text in PAGE.items()},
    **{f"whole of {entity}": text for entity, text in WHOLE.items()},
    **{f"count of {entity}": text for entity, text in COUNT.items()},
    **{f"ids of {entity}": text for entity, text in IDS.items()},
    "deletions": DELETIONS,
    "bulk run": BULK_RUN,
    "bulk status": BULK_STATUS,
    **BULK,
}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    if not SCHEMA.exists():
        pytest.skip("the official schema is not beside the repository")
    return build_schema(SCHEMA.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_what_the_official_schema_allows(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parse(DOCUMENTS[name])) == []


@pytest.mark.parametrize("entity", Entity)
def test_the_official_schema_refuses_a_field_that_is_not_there(
    schema: GraphQLSchema, entity: Entity
) -> None:
    wrong = PAGE[entity].replace("updatedAt", "acceptsMarketing")
    assert "acceptsMarketing" in validate(schema, parse(wrong))[0].message


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_deprecated_is_asked_for_but_the_consent_of_phones(
    schema: GraphQLSchema, name: str
) -> None:
    deprecated = validate(schema, parse(DOCUMENTS[name]), [NoDeprecatedCustomRule])
    assert all("CustomerPhoneNumber.marketing" in each.message for each in deprecated)


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_document_keeps_the_rules_of_bulk_operations(name: str) -> None:
    connections = list(_connections(_root(parse(BULK[name])), 0))
    assert 1 <= len(connections) <= 5
    assert all(depth <= 2 for depth, _ in connections)
    assert all("id" in fields for _, fields in connections)
    for forbidden in ("first:", "after:", "pageInfo", "nodes"):
        assert forbidden not in BULK[name]


@pytest.mark.parametrize("entity", Entity)
def test_pages_whole_records_and_bulk_operations_ask_for_the_same_fields(entity: Entity) -> None:
    paged = _paths(PAGE[entity], entity.value)
    assert len(paged) > 10
    assert _paths(bulk_document(entity, EVERYTHING), entity.value) == paged
    if entity in WHOLE:
        assert _paths(WHOLE[entity], "node") == paged


@pytest.mark.parametrize("entity", Entity)
def test_a_page_asks_for_what_a_record_is_read_from(entity: Entity) -> None:
    (top,) = _fields(_root(parse(PAGE[entity])))
    assert_asked(_at(top, "nodes"), node(entity))


def test_a_bulk_operation_does_not_spend_time_on_grouping() -> None:
    assert "groupObjects: false" in BULK_RUN


def test_a_line_is_asked_for_with_all_its_discounts() -> None:
    assert "discountedTotalSet(withCodeDiscounts: true)" in PAGE[Entity.ORDERS]


def test_only_what_has_children_is_read_as_a_whole() -> None:
    assert WHOLE.keys() == {Entity.PRODUCTS, Entity.ORDERS}


@pytest.mark.parametrize("entity", Entity)
def test_counts_do_not_end_at_ten_thousand(entity: Entity) -> None:
    assert f"{entity}Count(query: $query, limit: null)" in COUNT[entity]


@pytest.mark.parametrize("entity", Entity)
def test_a_search_for_everything_has_no_text(entity: Entity) -> None:
    assert search_text(entity, EVERYTHING) is None
    assert bulk_document(entity, EVERYTHING).startswith(f"{{ {entity} {{")


@pytest.mark.parametrize("entity", [Entity.PRODUCTS, Entity.ORDERS])
def test_a_window_is_searched_in_quotes_and_utc(entity: Entity) -> None:
    text = "updated_at:>='2026-11-20T10:00:00Z' AND updated_at:<'2026-11-21T00:30:00Z'"
    assert search_text(entity, BOTH) == text
    assert search_text(entity, Window(until=UNTIL)) == "updated_at:<'2026-11-21T00:30:00Z'"
    assert f'{entity}(query: "{text}")' in bulk_document(entity, BOTH)


def test_customers_have_no_upper_bound() -> None:
    assert search_text(Entity.CUSTOMERS, BOTH) == "updated_at:>='2026-11-20T10:00:00Z'"
    assert search_text(Entity.CUSTOMERS, Window(until=UNTIL)) is None


def test_records_may_be_searched_by_when_they_were_made() -> None:
    window = Window(since=SINCE, created_since=UNTIL)
    assert search_text(Entity.ORDERS, window) == (
        "updated_at:>='2026-11-20T10:00:00Z' AND created_at:>='2026-11-21T00:30:00Z'"
    )


def test_deletions_are_searched_by_type_and_time() -> None:
    assert deletions_text(Entity.PRODUCTS, SINCE) == (
        "action:destroy AND subject_type:PRODUCT AND created_at:>='2026-11-20T10:00:00Z'"
    )
    assert deletions_text(Entity.CUSTOMERS, None) == "action:destroy AND subject_type:CUSTOMER"


def assert_asked(field: FieldNode, sample: Mapping[str, Any]) -> None:
    """The fields, and those below them, are the keys of the sample."""
    assert field.selection_set is not None
    assert {each.name.value for each in _fields(field.selection_set)} == sample.keys()
    for name, value in sample.items():
        below = value[0] if name == "nodes" else value
        if isinstance(below, dict):
            assert_asked(_at(field, name), cast("dict[str, Any]", below))


def _root(document: DocumentNode) -> SelectionSetNode:
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set


def _connections(selected: SelectionSetNode, depth: int) -> Iterator[tuple[int, set[str]]]:
    """How deep each connection is nested, and which fields its nodes have."""
    for field in _fields(selected):
        if field.selection_set is None:
            continue
        below = [each.name.value for each in _fields(field.selection_set)]
        if "edges" in below:
            node = _at(_at(field, "edges"), "node")
            assert node.selection_set is not None
            yield depth + 1, {each.name.value for each in _fields(node.selection_set)}
            yield from _connections(node.selection_set, depth + 1)
        else:
            yield from _connections(field.selection_set, depth)


def _paths(text: str, root: str) -> set[str]:
    """The fields of a record, whichever way its connections are written."""
    (top,) = _fields(_root(parse(text)))
    assert top.name.value == root
    return set(_below(top, ""))


def _below(field: FieldNode, path: str) -> Iterator[str]:
    if field.selection_set is None:
        yield path
        return
    for each in _fields(field.selection_set):
        name = each.name.value
        if name == "pageInfo":
            continue
        if name in {"nodes", "edges", "node"}:
            yield from _below(each, path)
        else:
            arguments = "".join(print_ast(value) for value in each.arguments)
            paged = "$" in arguments or "first" in arguments
            yield from _below(each, f"{path}.{name}{'' if paged else arguments}")


def _fields(selected: SelectionSetNode) -> Iterator[FieldNode]:
    for each in selected.selections:
        if isinstance(each, InlineFragmentNode):
            yield from _fields(each.selection_set)
        elif isinstance(each, FieldNode):
            yield each


def _at(field: FieldNode, name: str) -> FieldNode:
    assert field.selection_set is not None
    (found,) = [each for each in _fields(field.selection_set) if each.name.value == name]
    return found
