"""The selections of a GraphQL operation, and what Shopify charges for them.

The model reproduces costs that were measured on the live API; Shopify does not document it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSkipDirective,
    SelectionNode,
    SelectionSetNode,
    is_leaf_type,
    is_wrapping_type,
)
from graphql.execution.values import get_argument_values, get_directive_values

from ecauto_pipeline.sandbox.shopify.graphql.schema import schema

# On every plan, however large its bucket.
MOST_POINTS = 1_000
MOST_ROWS = 250
MUTATION = 10
# By the costs that were measured, although they are objects.
FREE = frozenset({"MoneyV2", "MoneyBag", "PageInfo"})

Composite = GraphQLObjectType | GraphQLInterfaceType
Fields = dict[str, list[FieldNode]]


class QueryRefused(Exception):
    """A query that is well-formed and still cannot be carried out as it is."""

    def __init__(self, message: str, extensions: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.extensions = extensions


class Selections:
    """What an operation selects, with its fragments and variables."""

    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._fragments = fragments
        self._variables = dict(variables)

    def fields(self, of: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> Fields:
        """The fields selected of a type, by the names that they have in the answer."""
        found: Fields = {}
        for selection_set in sets:
            for selection in selection_set.selections if selection_set else ():
                self._collect(of, selection, found)
        return found

    def arguments(self, of: Composite, field: FieldNode) -> dict[str, Any]:
        """The arguments of a field, with their defaults."""
        return get_argument_values(of.fields[field.name.value], field, self._variables)

    def node_sets(
        self, connection: GraphQLObjectType, fields: Iterable[FieldNode]
    ) -> list[SelectionSetNode | None]:
        """What is selected of the nodes of a connection, directly or through edges."""
        sets: list[SelectionSetNode | None] = []
        selected = self.fields(connection, [field.selection_set for field in fields])
        for field in (field for group in selected.values() for field in group):
            if field.name.value == "nodes":
                sets.append(field.selection_set)
            elif field.name.value == "edges":
                edge = object_type(connection.name.removesuffix("Connection") + "Edge")
                within = self.fields(edge, [field.selection_set])
                sets += [node.selection_set for group in within.values() for node in group]
        return sets

    def _collect(self, of: GraphQLObjectType, selection: SelectionNode, found: Fields) -> None:
        skip = get_directive_values(GraphQLSkipDirective, selection, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, selection, self._variables)
        if (skip and skip["if"]) or (include and not include["if"]):
            return
        if isinstance(selection, FieldNode):
            key = selection.alias or selection.name
            found.setdefault(key.value, []).append(selection)
            return
        if isinstance(selection, FragmentSpreadNode):
            fragment = self._fragments[selection.name.value]
            condition, within = fragment.type_condition.name.value, fragment.selection_set
        else:
            inline: Any = selection
            condition = inline.type_condition.name.value if inline.type_condition else of.name
            within = inline.selection_set
        if condition in {of.name, *(interface.name for interface in of.interfaces)}:
            for each in within.selections:
                self._collect(of, each, found)


def object_type(name: str) -> GraphQLObjectType:
    """A type of the schema."""
    found = schema().type_map[name]
    if not isinstance(found, GraphQLObjectType):
        raise TypeError(name)
    return found


def type_of(parent: GraphQLObjectType, name: str) -> Any:
    """The type of a field, without its lists and exclamation marks."""
    found: Any = parent.fields[name].type
    while is_wrapping_type(found):
        found = found.of_type
    return found


def nodes_type(connection: GraphQLObjectType) -> Composite:
    """The type of the nodes of a connection."""
    found: Composite = type_of(connection, "nodes")
    return found


def possible_types(of: Composite) -> list[GraphQLObjectType]:
    """The type itself, or those that implement it."""
    if isinstance(of, GraphQLObjectType):
        return [of]
    return list(schema().get_possible_types(of))


class Costs:
    """What the fields of one operation cost."""

    def __init__(self, selections: Selections, actual: Mapping[str, int] | None = None) -> None:
        self._selections = selections
        self._actual = actual or {}

    def of_operation(self, root: GraphQLObjectType, selected: SelectionSetNode) -> int:
        """The points of a whole operation.

        With the numbers of rows that the connections at the root really gave: what is charged.

        Raises:
            QueryRefused: a connection is asked for too many rows, or does not say how many.
        """
        if root.name == "Mutation":
            return MUTATION * len(self._selections.fields(root, [selected]))
        fields = self._selections.fields(root, [selected])
        return sum(self._field(root, group, self._actual.get(key)) for key, group in fields.items())

    def _field(
        self, parent: GraphQLObjectType, group: list[FieldNode], actual: int | None = None
    ) -> int:
        name = group[0].name.value
        if name.startswith("__"):
            return 0
        its_type = type_of(parent, name)
        if is_leaf_type(its_type) or its_type.name in FREE:
            return 0
        if not its_type.name.endswith("Connection"):
            return 1 + self._sets(its_type, [field.selection_set for field in group])
        asked = self._selections.arguments(parent, group[0]).get("first")
        if asked is None:
            raise QueryRefused(f"you must provide one of first or last for {name}")
        if not 0 <= asked <= MOST_ROWS:
            raise QueryRefused(f"first of {name} is {asked}; it cannot exceed {MOST_ROWS}")
        rows = asked if actual is None else actual
        sets = self._selections.node_sets(its_type, group)
        inner = self._sets(nodes_type(its_type), sets)
        # It grows with the logarithm of the rows: large pages are nearly free.
        return 2 + (max(1, math.floor(2 * math.log(rows))) * (1 + inner) if rows else 0)

    def _sets(self, of: Composite, sets: list[SelectionSetNode | None]) -> int:
        """The dearest of the types that it can be."""
        costs = [
            sum(self._field(each, group) for group in self._selections.fields(each, sets).values())
            for each in possible_types(of)
        ]
        return max(costs, default=0)
