"""Shopify's GraphQL Admin API: checks a query, charges for it, carries it out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    is_leaf_type,
)

from ecauto_pipeline.sandbox.quotas import PointBucket
from ecauto_pipeline.sandbox.shopify.graphql.bulk import BulkDesk
from ecauto_pipeline.sandbox.shopify.graphql.cost import (
    MOST_POINTS,
    Costs,
    QueryRefused,
    nodes_type,
    object_type,
    possible_types,
    type_of,
)
from ecauto_pipeline.sandbox.shopify.graphql.documents import read, root_of, selections_of
from ecauto_pipeline.sandbox.shopify.graphql.nodes import Getter, Slice, position
from ecauto_pipeline.sandbox.shopify.graphql.plan import Planner, View
from ecauto_pipeline.sandbox.shopify.graphql.search import terms, wanted
from ecauto_pipeline.sandbox.shopify.lists import Asked, Sort
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response, mapping

DOCUMENTATION = "https://shopify.dev/api/usage/rate-limits"
# Ids of addresses have a query behind the number.
GID = re.compile(r"gid://shopify/(\w+)/(\d+)(?:\?.*)?")
KINDS = {"Customer": "customers", "Product": "products", "Order": "orders"}
# When an order was processed the lists do not know; its creation is near enough.
SORTS = {"UPDATED_AT": Sort.UPDATED, "CREATED_AT": Sort.CREATED, "PROCESSED_AT": Sort.CREATED}
TOO_DEAR = "Query cost is {}, which exceeds the single query max cost limit ({})."
EVENT_KINDS = ("action", "subject_type")

NO_QUERY = {"errors": {"query": "Required parameter missing or invalid"}}


@dataclass(frozen=True, slots=True)
class Graphql:
    """Answers the queries to one store; `empty` lists nothing, whatever there is."""

    shop: ShopifyShop
    bucket: PointBucket
    bulk: BulkDesk

    def answer(self, request: Request, files: str, *, empty: bool = False) -> Response:
        """The response to a POST; its status is 200 also if the query is refused.

        `files` is the address below which the files of bulk operations are.
        """
        posted = request.json()
        text = posted.get("query")
        if not isinstance(text, str):
            return json_response(400, NO_QUERY)
        try:
            return json_response(200, self._answer(text, posted, files, empty=empty))
        except QueryRefused as refused:
            extensions = {"extensions": refused.extensions} if refused.extensions else {}
            return json_response(200, {"errors": [{"message": str(refused), **extensions}]})
        except ValueError as error:
            return json_response(200, {"errors": [{"message": str(error)}]})

    def _answer(
        self, text: str, posted: Mapping[str, object], files: str, *, empty: bool
    ) -> dict[str, Any]:
        document = read(text)
        if document.errors:
            return {"errors": list(document.errors)}
        name = posted.get("operationName")
        operation = document.operation(None if name is None else str(name))
        selections = selections_of(document, operation, mapping(posted.get("variables")))
        of = root_of(operation)
        requested = Costs(selections).of_operation(of, operation.selection_set)
        if requested > MOST_POINTS:
            told = {"cost": requested, "maxCost": MOST_POINTS, "documentation": DOCUMENTATION}
            message = TOO_DEAR.format(requested, MOST_POINTS)
            raise QueryRefused(message, {"code": "MAX_COST_EXCEEDED", **told})
        if not self.bucket.take(requested):
            extensions = {"code": "THROTTLED", "documentation": DOCUMENTATION}
            return {
                "errors": [{"message": "Throttled", "extensions": extensions}],
                "extensions": {"cost": self._cost(requested, None)},
            }
        roots = Roots(self.shop, self.bulk, files, empty=empty)
        view = View(self.shop)
        plan = Planner(self.shop, selections, roots.getter).plan(of, [operation.selection_set])
        made: dict[str, Any] | None = plan.of(None, view)
        # Where a field may not be null, all that is above it becomes null instead.
        if view.errors and any(made[key] is None for key in _needed(of, operation)):
            made = None
        errors = {"errors": view.errors} if view.errors else {}
        counts = Costs(selections, roots.sizes)
        actual = min(requested, counts.of_operation(of, operation.selection_set))
        # What it did not cost after all, for there were fewer rows than it asked for.
        self.bucket.give_back(requested - actual)
        search = {"search": roots.searches} if roots.searches else {}
        cost = self._cost(requested, actual)
        return {"data": made, **errors, "extensions": {"cost": cost, **search}}

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": self.bucket.size,
                "currentlyAvailable": int(self.bucket.level()),
                "restoreRate": self.bucket.per_second,
            },
        }


@dataclass(frozen=True, slots=True)
class Roots:
    """The fields at the root, and what was noted while they were read."""

    shop: ShopifyShop
    bulk: BulkDesk
    files: str
    empty: bool = False
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    searches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def getter(
        self, of: GraphQLObjectType, node: FieldNode, arguments: Mapping[str, Any]
    ) -> Getter:
        """The function for a field of the root."""
        name = node.name.value
        key = node.alias.value if node.alias else name
        fields: Mapping[str, Callable[[], Any]] = {
            "customers": lambda: self._list(name, key, arguments),
            "products": lambda: self._list(name, key, arguments),
            "orders": lambda: self._list(name, key, arguments),
            "customersCount": lambda: self._count("customers", key, arguments),
            "productsCount": lambda: self._count("products", key, arguments),
            "ordersCount": lambda: self._count("orders", key, arguments),
            "events": lambda: self._events(key, arguments),
            "node": lambda: self._node(arguments["id"]),
            "bulkOperation": lambda: (self._node(arguments["id"]) or (None, None))[1],
            "bulkOperations": lambda: self._operations(arguments),
            "bulkOperationRunQuery": lambda: self.bulk.run(
                arguments["query"], self.files, grouped=arguments["groupObjects"]
            ),
            "shop": lambda: self.shop,
        }
        get = fields[name]
        return lambda _, __: get()

    def _list(self, entity: str, key: str, arguments: Mapping[str, Any]) -> Slice:
        after = arguments.get("after")
        asked = Asked(
            self._wanted(entity, key, arguments.get("query")),
            SORTS.get(arguments["sortKey"], Sort.ID),
            arguments["reverse"],
            position(after) if after else None,
            arguments["first"],
        )
        listed = self.shop.page(entity, asked)
        if self.empty or not listed.rows:
            self.sizes[key] = 0
            return Slice()
        self.sizes[key] = len(listed.rows)
        return Slice([record for _, record in listed.rows], listed.rows[-1][0], listed.more)

    def _count(self, entity: str, key: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        most = arguments.get("limit")
        found = self._wanted(entity, key, arguments.get("query"))
        # One more than the limit tells whether there are more.
        count = self.shop.count(entity, found, None if most is None else most + 1)
        if most is not None and count > most:
            return {"count": most, "precision": "AT_LEAST"}
        return {"count": count, "precision": "EXACT"}

    def _wanted(self, entity: str, key: str, query: str | None) -> Any:
        whole_days = entity == "customers" and self.shop.customers_match_whole_days
        found, warnings = wanted(query, whole_days=whole_days)
        self._note(key, query, warnings)
        return found

    def _note(self, key: str, query: str | None, warnings: list[dict[str, str]]) -> None:
        if warnings:
            self.searches.append({"path": [key], "query": query, "warnings": warnings})

    def _events(self, key: str, arguments: Mapping[str, Any]) -> Slice:
        query, backward = arguments.get("query"), arguments["reverse"]
        found, warnings = wanted(query, names=("created_at", "id"), apart=EVENT_KINDS)
        self._note(key, query, warnings)
        verbs, subjects = (
            [term.value.lower() for term in terms(query or "") if term.name == kind]
            for kind in EVENT_KINDS
        )
        events = self.shop.events(found, verbs, subjects)
        if backward:
            events.reverse()
        if arguments.get("after"):
            last = position(arguments["after"])[1]
            events = [each for each in events if (each.id < last if backward else each.id > last)]
        rows = [] if self.empty else events[: arguments["first"]]
        self.sizes[key] = len(rows)
        if self.empty:
            return Slice()
        end = (rows[-1].id, rows[-1].id) if rows else None
        return Slice([("BasicEvent", event) for event in rows], end, len(events) > len(rows))

    def _node(self, text: str) -> tuple[str, Any] | None:
        match = GID.fullmatch(text)
        if match is None:
            raise QueryRefused(f"Invalid global id '{text}'")
        kind, number = match[1], int(match[2])
        if kind == "BulkOperation":
            operation = self.bulk.poll(number)
            return (kind, operation.told(self.files)) if operation else None
        if kind not in KINDS:
            return None
        record = self.shop.record(KINDS[kind], number)
        seen = record is not None and self.shop.sees(KINDS[kind], record)
        return (kind, record) if seen else None

    def _operations(self, arguments: Mapping[str, Any]) -> Slice:
        operations = self.bulk.all()
        for term in terms(arguments.get("query") or ""):
            if term.name == "status":
                status = term.value.upper()
                operations = [each for each in operations if each.status == status]
        if arguments["reverse"]:
            operations.reverse()
        return Slice([each.told(self.files) for each in operations[: arguments["first"]]])


def nodes_of(shop: ShopifyShop, entity: str, selection: str | None = None) -> list[dict[str, Any]]:
    """All records of a store as they are now, with all their children, whatever the limits.

    `selection` is what a query would say in the braces of `nodes`; all fields without it.

    Raises:
        ValueError: the selection does not fit the schema.
    """
    kind = object_type({entity: kind for kind, entity in KINDS.items()}[entity])
    text = f"{{ {entity} {{ nodes {{ {selection or _everything(kind)} }} }} }}"
    document = read(text)
    if document.errors:
        raise ValueError(f"{selection}: {document.errors}")
    operation = document.operation(None)
    selections = selections_of(document, operation, {})
    root = root_of(operation)
    [group] = selections.fields(root, [operation.selection_set]).values()
    sets = selections.node_sets(type_of(root, entity), group)
    planner = Planner(shop, selections, whole=True)
    plan, view = planner.plan(kind, sets), View(shop)
    with shop.lock:
        return [plan.of(record, view) for record in shop.records(entity)]


def _everything(of: GraphQLObjectType) -> str:
    """A selection of all fields of a type; of other records only what names them."""
    selected: list[str] = []
    for name in of.fields:
        its_type = type_of(of, name)
        if is_leaf_type(its_type):
            selected.append(name)
        elif its_type.name.endswith("Connection"):
            [node] = possible_types(nodes_type(its_type))
            nodes = f"nodes {{ {_everything(node)} }}"
            selected.append(f"{name} {{ {nodes} pageInfo {{ hasNextPage }} }}")
        elif its_type.name in {*KINDS, "ProductVariant"}:
            selected.append(f"{name} {{ id legacyResourceId }}")
        else:
            selected.append(f"{name} {{ {_everything(its_type)} }}")
    return " ".join(selected)


def _needed(of: GraphQLObjectType, operation: OperationDefinitionNode) -> list[str]:
    """The names at the root that may not be null."""
    found: list[str] = []
    for node in operation.selection_set.selections:
        if isinstance(node, FieldNode) and node.name.value in of.fields:
            name = node.alias.value if node.alias else node.name.value
            if isinstance(of.fields[node.name.value].type, GraphQLNonNull):
                found.append(name)
    return found
