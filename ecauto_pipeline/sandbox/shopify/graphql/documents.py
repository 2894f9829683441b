"""GraphQL texts, read and checked against the schema."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from ecauto_pipeline.sandbox.shopify.graphql.cost import QueryRefused, Selections, object_type
from ecauto_pipeline.sandbox.shopify.graphql.schema import schema

NO_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'")


@dataclass(frozen=True, slots=True)
class Document:
    """What a text holds, and what is wrong with it."""

    operations: Mapping[str, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]
    errors: tuple[dict[str, Any], ...] = ()

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of that name, or the only one.

        Raises:
            QueryRefused: there is none.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None or name not in self.operations:
            raise QueryRefused("An operation name is required" if not name else f"No {name}")
        return self.operations[name]


# A client sends the same few texts again and again, and to check one takes long.
@lru_cache(maxsize=512)
def read(text: str) -> Document:
    """The operations of a text, or its errors as Shopify tells them."""
    try:
        parsed = parse(text)
    except GraphQLError as error:
        return Document({}, {}, (_told(error),))
    errors = tuple(_told(error) for error in validate(schema(), parsed))
    operations = [each for each in parsed.definitions if isinstance(each, OperationDefinitionNode)]
    fragments = [each for each in parsed.definitions if isinstance(each, FragmentDefinitionNode)]
    return Document(
        {each.name.value if each.name else "": each for each in operations},
        {each.name.value: each for each in fragments},
        errors,
    )


def selections_of(
    document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Selections:
    """What an operation selects with these variables.

    Raises:
        QueryRefused: a variable is missing or of the wrong type.
    """
    found = get_variable_values(schema(), operation.variable_definitions, dict(variables))
    if isinstance(found, list):
        raise QueryRefused("; ".join(error.message for error in found))
    return Selections(document.fragments, found)


def root_of(operation: OperationDefinitionNode) -> GraphQLObjectType:
    """The type that an operation begins with."""
    is_query = operation.operation is OperationType.QUERY
    return object_type("QueryRoot" if is_query else "Mutation")


def _told(error: GraphQLError) -> dict[str, Any]:
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    unknown = NO_FIELD.match(error.message)
    if unknown is None:
        return {"message": error.message, "locations": places}
    name, its_type = unknown.groups()
    return {
        "message": f"Field '{name}' doesn't exist on type '{its_type}'",
        "locations": places,
        "extensions": {"code": "undefinedField", "typeName": its_type, "fieldName": name},
    }
