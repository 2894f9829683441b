"""Shopify's bulk operations: a query is run in the background and ends in a file of JSON lines."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from graphql import SelectionSetNode, is_leaf_type

from ecauto_pipeline.sandbox.draw import token
from ecauto_pipeline.sandbox.shopify.bodies import gid
from ecauto_pipeline.sandbox.shopify.graphql.cost import (
    Composite,
    QueryRefused,
    Selections,
    nodes_type,
    object_type,
    possible_types,
    type_of,
)
from ecauto_pipeline.sandbox.shopify.graphql.documents import read, root_of, selections_of
from ecauto_pipeline.sandbox.shopify.graphql.nodes import moment
from ecauto_pipeline.sandbox.shopify.graphql.plan import NEEDED, Plan, Planner, View
from ecauto_pipeline.sandbox.shopify.graphql.search import wanted
from ecauto_pipeline.sandbox.shopify.lists import Wanted
from ecauto_pipeline.sandbox.shopify.records import ENTITIES, Record
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop

# For each app and store since version 2026-01; it was one before.
MOST_RUNNING = 5
# Published, as is the depth.
MOST_CONNECTIONS = 5
DEEPEST = 2
FIRST_OPERATION = 4_057_566_216_189
CHUNK = 200
PATIENCE_SECONDS = 1.0
"""How long a poll waits for a file that should be ready by now."""
CUT_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Root:
    """One list that an operation writes down."""

    entity: str
    wanted: Wanted
    plan: Plan


@dataclass(slots=True)
class Operation:
    """One bulk operation."""

    id: int
    secret: str
    path: Path
    created_at: int
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: int | None = None
    polls: int = 0
    objects: int = 0
    roots: int = 0
    size: int = 0
    writer: threading.Thread = field(default_factory=threading.Thread)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status in {"CREATED", "RUNNING"}

    def told(self, files: str) -> dict[str, Any]:
        """Its fields in GraphQL; `files` is the address below which the bulk files are."""
        url = f"{files}{self.secret}/bulk-{self.id}.jsonl"
        done, failed = self.status == "COMPLETED", self.status == "FAILED"
        return {
            "id": gid("BulkOperation", self.id),
            "type": "QUERY",
            "status": self.status,
            "errorCode": self.error_code,
            "createdAt": moment(self.created_at),
            "completedAt": moment(self.completed_at),
            "objectCount": str(self.objects),
            "rootObjectCount": str(self.roots),
            "fileSize": str(self.size) if done and self.objects else None,
            # Without any rows there is no file, and no address of one.
            "url": url if done and self.objects else None,
            "partialDataUrl": url if failed and self.objects else None,
        }


class BulkDesk:
    """Runs the bulk operations of a store and keeps their files in a folder."""

    def __init__(self, shop: ShopifyShop, folder: Path) -> None:
        self._shop = shop
        self._folder = folder
        self._operations: dict[int, Operation] = {}
        self._closing = threading.Event()
        # Not the store's lock: who waits for a file must not keep its writer waiting.
        self._lock = threading.RLock()

    def close(self) -> None:
        """Stop writing."""
        self._closing.set()
        for operation in self._operations.values():
            if operation.writer.is_alive():
                operation.writer.join()

    def run(self, query: str, files: str, *, grouped: bool) -> Mapping[str, Any]:
        """Start an operation and tell of it, or why not; `files` is as in `Operation.told`."""
        with self._lock:
            if sum(operation.running for operation in self.all()) >= MOST_RUNNING:
                message = "A bulk query operation for this app and shop is already in progress."
                return _refused("LIMIT_REACHED", message, at=None)
            try:
                roots = self._roots(query)
            except QueryRefused as error:
                return _refused("INVALID", f"Invalid bulk query: {error}", at=["query"])
            number = FIRST_OPERATION + len(self._operations) * 11
            secret = token(40, "bulk", self._shop.store_id, self._shop.seed, number)
            path = self._folder / f"{secret}.jsonl"
            operation = Operation(number, secret, path, self._shop.now())
            settings = self._shop.bulk
            fails, cut = settings.fail_next, settings.cut_next
            settings.fail_next, settings.cut_next = None, False
            missing = {NEEDED[_kind(root.entity)] for root in roots} - self._shop.scopes
            operation.writer = threading.Thread(
                target=self._write,
                args=(operation, [] if missing else roots),
                kwargs={
                    "grouped": grouped,
                    "fails": "ACCESS_DENIED" if missing else fails,
                    "cut": cut,
                },
                daemon=True,
            )
            self._operations[number] = operation
            operation.writer.start()
            return {"operation": operation.told(files), "errors": []}

    def poll(self, operation_id: int) -> Operation | None:
        """An operation, one step further on its way."""
        with self._lock:
            operation = self._operations.get(operation_id)
        if operation is not None and operation.running:
            operation.polls += 1
            self._advance(operation)
        return operation

    def all(self) -> list[Operation]:
        """All operations, oldest first."""
        with self._lock:
            operations = list(self._operations.values())
        if self._shop.bulk.seconds is not None:
            for operation in operations:
                self._advance(operation)
        return operations

    def file(self, secret: str) -> Path | None:
        """The file that an address with this secret leads to."""
        with self._lock:
            found = (each.path for each in self._operations.values() if each.secret == secret)
            return next(found, None)

    def _advance(self, operation: Operation) -> None:
        if not operation.running:
            return
        operation.status = "RUNNING"
        settings = self._shop.bulk
        due = (
            operation.polls >= settings.polls
            if settings.seconds is None
            else self._shop.now() >= operation.created_at + settings.seconds
        )
        if not due:
            return
        operation.writer.join(PATIENCE_SECONDS)
        if not operation.writer.is_alive():
            operation.status = "FAILED" if operation.error_code else "COMPLETED"
            operation.completed_at = self._shop.now()

    def _write(
        self,
        operation: Operation,
        roots: list[Root],
        *,
        grouped: bool,
        fails: str | None,
        cut: bool,
    ) -> None:
        # Whoever ends too early leaves this behind.
        operation.error_code = "INTERNAL_SERVER_ERROR"
        pages = (
            (root.plan, records)
            for root in roots
            for records in self._shop.scan(root.entity, root.wanted, CHUNK)
        )
        with operation.path.open("wb") as file:
            for plan, records in pages:
                with self._shop.lock:
                    view = View(self._shop)
                    chunk = [_lines(plan, record, view) for record in records]
                if self._closing.is_set():
                    return
                if grouped:
                    lines = [line for parent, children in chunk for line in (parent, *children)]
                else:
                    # Children need not follow their own parent, as with Shopify since 2026-01.
                    lines = [parent for parent, _ in chunk]
                    lines += [child for _, children in chunk for child in children]
                file.write(b"".join(lines))
                operation.objects += len(lines)
                operation.roots += len(chunk)
            operation.size = file.tell()
        if fails:
            _keep_half(operation)
        elif cut:
            with operation.path.open("rb+") as file:
                file.truncate(int(operation.size * CUT_SHARE))
        operation.error_code = fails

    def _roots(self, query: str) -> list[Root]:
        document = read(query)
        if document.errors:
            raise QueryRefused("; ".join(error["message"] for error in document.errors))
        operation = document.operation(None)
        selections = selections_of(document, operation, {})
        of = root_of(operation)
        depths = list(_depths(selections, of, [operation.selection_set]))
        if not depths:
            raise QueryRefused("Bulk queries must contain at least one connection.")
        if len(depths) > MOST_CONNECTIONS:
            raise QueryRefused("Bulk queries cannot contain more than 5 connections.")
        if max(depths) > DEEPEST:
            raise QueryRefused("Bulk queries cannot contain connections with a nesting depth > 2.")
        planner = Planner(self._shop, selections, bulk=True)
        roots: list[Root] = []
        for group in selections.fields(of, [operation.selection_set]).values():
            entity = group[0].name.value
            if entity not in ENTITIES:
                raise QueryRefused(f"Bulk queries cannot contain {entity} at the top level.")
            whole_days = entity == "customers" and self._shop.customers_match_whole_days
            text = selections.arguments(of, group[0]).get("query")
            found, _ = wanted(text, whole_days=whole_days)
            sets = selections.node_sets(type_of(of, entity), group)
            plan = planner.plan(object_type(_kind(entity)), sets)
            roots.append(Root(entity, found, plan))
        return roots


def _refused(code: str, message: str, at: list[str] | None) -> Mapping[str, Any]:
    return {"operation": None, "errors": [{"code": code, "field": at, "message": message}]}


def _kind(entity: str) -> str:
    return entity.removesuffix("s").title()


def _lines(plan: Plan, record: Record, view: View) -> tuple[bytes, list[bytes]]:
    """The line of a record, and those of its children; the children's name their parent."""
    parent = plan.of(record, view)
    children: list[bytes] = []
    for connection in plan.children:
        for row in connection.rows(record):
            child = {**connection.plan.of(row, view), "__parentId": parent.get("id")}
            children.append(orjson.dumps(child) + b"\n")
    return orjson.dumps(parent) + b"\n", children


def _depths(
    selections: Selections,
    of: Composite,
    sets: Iterable[SelectionSetNode | None],
    depth: int = 0,
) -> Iterator[int]:
    """How deep each connection lies."""
    for each in possible_types(of):
        for group in selections.fields(each, sets).values():
            if group[0].name.value.startswith("__"):
                continue
            its_type = type_of(each, group[0].name.value)
            if is_leaf_type(its_type) or its_type.name == "PageInfo":
                continue
            if its_type.name.endswith("Connection"):
                yield depth + 1
                inner = selections.node_sets(its_type, group)
                yield from _depths(selections, nodes_type(its_type), inner, depth + 1)
            else:
                within = [node.selection_set for node in group]
                yield from _depths(selections, its_type, within, depth)


def _keep_half(operation: Operation) -> None:
    """Leave the first half of the lines, as an operation that failed on its way does."""
    kept = operation.objects // 2
    with operation.path.open("rb+") as file:
        size = sum(len(file.readline()) for _ in range(kept))
        file.truncate(size)
    operation.objects, operation.size = kept, size
    operation.roots = min(operation.roots, kept)
