"""What a GraphQL operation asks for, made into functions that pick it from the records.

graphql-core checks queries; to carry them out it is too slow for pages of 250 records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    FieldNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    SelectionSetNode,
    is_leaf_type,
)

from ecauto_pipeline.sandbox.shopify.graphql.cost import (
    Selections,
    nodes_type,
    possible_types,
    type_of,
)
from ecauto_pipeline.sandbox.shopify.graphql.nodes import CHILDREN, Getter, getter_of
from ecauto_pipeline.sandbox.shopify.records import Record
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop

NEEDED = {
    "Customer": "read_customers",
    "Product": "read_products",
    "ProductVariant": "read_products",
    "Order": "read_orders",
}
"""The scope that is needed to see a type, its connection and its count."""
COUNTS = {"customersCount": "Customer", "productsCount": "Product", "ordersCount": "Order"}
# What protects persons is withheld from apps that were not approved for it: null, and an error.
PII = frozenset(
    {"firstName", "lastName", "defaultEmailAddress", "defaultPhoneNumber", "defaultAddress"}
)
PAGING = frozenset({"first", "after"})
DOCUMENTATION = "https://shopify.dev/api/usage/access-scopes"

Path = list[str | int]


@dataclass(slots=True)
class View:
    """One look at a store: how far the way into the answer is, and what was refused on it."""

    shop: ShopifyShop
    path: Path = field(default_factory=list[str | int])
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def deny(self, key: str, message: str, required: str | None = None) -> None:
        """Note that a field was not given, and give null."""
        extensions = {"code": "ACCESS_DENIED", "documentation": DOCUMENTATION}
        if required:
            extensions["requiredAccess"] = required
        path = [*self.path, key]
        self.errors.append({"message": message, "path": path, "extensions": extensions})


Run = Callable[[Any, View], Any]
Root = Callable[[GraphQLObjectType, FieldNode, Mapping[str, Any]], Getter]


@dataclass(frozen=True, slots=True)
class Plan:
    """How an object of the answer is made of a record."""

    steps: list[tuple[str, Run]] = field(default_factory=list[tuple[str, Run]])
    children: list["Children"] = field(default_factory=list["Children"])

    def of(self, record: Any, view: View) -> dict[str, Any]:
        """The object."""
        return {key: run(record, view) for key, run in self.steps}


@dataclass(frozen=True, slots=True)
class Children:
    """A connection whose rows become lines of their own in a bulk operation."""

    rows: Callable[[Record], Sequence[Record]]
    plan: Plan


class Planner:
    """Makes the plans for one operation.

    `root` gives the functions for the fields of the root types. In bulk the connections within
    records are kept apart; `whole` gives all that they hold, however many are asked for.
    """

    def __init__(
        self,
        shop: ShopifyShop,
        selections: Selections,
        root: Root | None = None,
        *,
        bulk: bool = False,
        whole: bool = False,
    ) -> None:
        self._shop = shop
        self._selections = selections
        self._root = root
        self._bulk = bulk
        self._whole = whole

    def plan(self, of: GraphQLObjectType, sets: Sequence[SelectionSetNode | None]) -> Plan:
        """The plan for what is selected of a type."""
        plan = Plan()
        for key, group in self._selections.fields(of, sets).items():
            children = CHILDREN.get((of.name, group[0].name.value))
            if children and self._bulk:
                connection = type_of(of, group[0].name.value)
                its_sets = self._selections.node_sets(connection, group)
                its_plan = self.plan(possible_types(nodes_type(connection))[0], its_sets)
                plan.children.append(Children(children, its_plan))
            else:
                plan.steps.append((key, self._step(of, key, group)))
        return plan

    def _step(self, of: GraphQLObjectType, key: str, group: list[FieldNode]) -> Run:
        """Makes a field of the answer: null, a leaf, or the object or objects of records."""
        name = group[0].name.value
        if name.startswith("__"):
            told = of.name if name == "__typename" else None
            return lambda _, __: told
        its_type = type_of(of, name)
        refusal = self._refusal(of, name, its_type.name)
        if refusal:
            return lambda _, view: view.deny(key, *refusal)
        arguments = self._selections.arguments(of, group[0])
        if self._root is not None and of.name in {"QueryRoot", "Mutation"}:
            get = self._root(of, group[0], arguments)
        else:
            asked = {each: arguments[each] for each in arguments if each not in PAGING}
            get = getter_of(of.name, name, asked if self._whole else arguments)
        if is_leaf_type(its_type):
            return lambda record, view: get(record, view.shop)
        sets = [each.selection_set for each in group]
        if not isinstance(its_type, GraphQLInterfaceType):
            return _nested(key, get, self.plan(its_type, sets).of)
        # Of one of several types the record says which.
        plans = {each.name: self.plan(each, sets) for each in possible_types(its_type)}
        return _nested(key, get, lambda typed, view: plans[typed[0]].of(typed[1], view))

    def _refusal(self, of: GraphQLObjectType, name: str, type_name: str) -> tuple[str, ...] | None:
        """Why a field is not given, if it is not."""
        if of.name == "Customer" and name in PII and self._shop.pii_withheld:
            return (f"This app is not approved to access the {name} field.",)
        kind = COUNTS.get(name, type_name.removesuffix("Connection"))
        scope = NEEDED.get(kind)
        if scope is None or scope in self._shop.scopes:
            return None
        required = f"`{scope}` access scope."
        return f"Access denied for {name} field. Required access: {required}", required


def _nested(key: str, get: Getter, make: Run) -> Run:
    """Makes the objects below a field, and keeps the way to them for what is refused there."""

    def run(record: Any, view: View) -> Any:
        value = get(record, view.shop)
        if value is None:
            return None
        view.path.append(key)
        if isinstance(value, list):
            made: Any = []
            for index, each in enumerate(cast("list[Any]", value)):
                view.path.append(index)
                made.append(make(each, view))
                view.path.pop()
        else:
            made = make(value, view)
        view.path.pop()
        return made

    return run
