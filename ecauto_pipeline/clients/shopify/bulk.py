"""Bulk operations: Shopify writes everything that is asked for into one file, and we read that."""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import orjson

from ecauto_pipeline.clients.json_body import mapping, objects, parsed
from ecauto_pipeline.clients.shopify.api import ShopifyApi
from ecauto_pipeline.clients.shopify.entities.registry import LAYOUTS
from ecauto_pipeline.clients.shopify.graphql import ids_from, with_children
from ecauto_pipeline.clients.shopify.queries import (
    BULK_RUN,
    BULK_STATUS,
    bulk_document,
    bulk_ids_document,
)
from ecauto_pipeline.clients.shopify.records import read_page
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.shopify.mirror import EVERYTHING, Entity, Page, Shape, Window
from ecauto_pipeline.errors import NoProof, Rejected, Unavailable

PREFIX = "bulk-"
"""Begins the names of folders that hold a file while it is read."""

BATCH = 500
"""Records on a page."""

LONGEST_WAIT = timedelta(hours=24)
"""For an operation's end; Shopify itself allows ten days."""

LONGEST_WAIT_TO_START = timedelta(hours=1)
"""For other operations of this app to make room."""

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 15.0

# An app may have five of them in a store at a time, one in versions before 2026-01.
_BUSY = {"LIMIT_REACHED", "OPERATION_IN_PROGRESS"}
_GOING_ON = {"CREATED", "RUNNING", "CANCELING"}


class Staging(Protocol):
    """Sorts the lines of a file by their parents, on disk."""

    def add(self, lines: Iterable[tuple[str, str | None, bytes]]) -> None:
        """Put lines in, each with its own id and its parent's; to be called once."""
        ...

    def orphans(self) -> int:
        """How many lines name a parent that is not there."""
        ...

    def families(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Every line without a parent, and its children, each in the order in which they came."""
        ...

    def close(self) -> None:
        """Close the file, so that it can be removed."""
        ...


class OperationLost(Unavailable):
    """The operation failed or is not known any more: only another one can give the records."""


@dataclass(frozen=True, slots=True)
class _Result:
    """What a completed operation says about its file; the address alone opens it."""

    lines: int
    records: int
    url: str | None = field(repr=False)


class ShopifyBulk:
    """What one store has, as files; `stage` makes a staging database at a path.

    A file is believed only when it holds as much as Shopify says, down to the last line; before
    that is known nothing of it is given. Files live in `folder` as long as they are read.
    """

    def __init__(
        self, api: ShopifyApi, folder: Path, stage: Callable[[Path], Staging], clock: Clock
    ) -> None:
        self._api = api
        self._folder = folder
        self._stage = stage
        self._clock = clock

    def pages(
        self,
        entity: Entity,
        window: Window = EVERYTHING,
        *,
        resume: str | None = None,
        started: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Page]:
        """Every record of the window once, all children included.

        `started` is told the operation's id; an operation to `resume` is not started again, unless
        it was lost.

        Raises:
            NoProof: the file is not what Shopify says it is.
            Unavailable: the operation failed, or does not come to an end.
            Rejected: Shopify refuses the query.
        """
        with (
            self._file(bulk_document(entity, window), resume, started) as path,
            closing(self._nodes(entity, path)) as nodes,
        ):
            for batch in _batches(nodes):
                yield read_page(entity, Shape.NODE, batch)

    def ids(self, entity: Entity) -> Iterator[list[int]]:
        """The ids of all records there are.

        Raises:
            NoProof, Unavailable, Rejected: as for `pages`.
        """
        with (
            self._file(bulk_ids_document(entity), None, lambda _: None) as path,
            closing(_lines(path)) as lines,
        ):
            for batch in _batches(map(orjson.loads, lines)):
                yield ids_from(batch)

    @contextmanager
    def _file(
        self, document: str, resume: str | None, started: Callable[[str], None]
    ) -> Generator[Path]:
        """The checked file of the operation, until it is not needed any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # What processes that were killed have left behind holds personal data.
        oldest = (self._clock.now() - LONGEST_WAIT).timestamp()
        for left in self._folder.glob(f"{PREFIX}*"):
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix=PREFIX, dir=self._folder) as folder:
            path = Path(folder) / "lines.jsonl"
            is_saved = False
            if resume is not None:
                # It may be lost, or its file gone by now: then another one is begun.
                with suppress(NoProof, OperationLost, Rejected):
                    self._save(self._finished(resume), path)
                    is_saved = True
            if not is_saved:
                operation = self._start(document)
                started(operation)
                self._save(self._finished(operation), path)
            yield path

    def _start(self, document: str) -> str:
        """The id of a new operation."""
        until = self._clock.now() + LONGEST_WAIT_TO_START
        for pause in _pauses():
            data = self._api.graphql(BULK_RUN, {"query": document}).data
            run = mapping(data.get("bulkOperationRunQuery"))
            errors = objects(run.get("userErrors"))
            if not errors:
                return _text(mapping(run.get("bulkOperation")).get("id"), "id")
            if not all(error.get("code") in _BUSY for error in errors):
                raise Rejected(
                    f"{self._named} refuses the bulk operation:"
                    f" {self._api.shown(errors[0].get('message'))}",
                    str(errors[0].get("code") or ""),
                )
            if self._clock.now() >= until:
                break
            self._clock.sleep(pause)
        raise Unavailable(f"{self._named} has no room for another bulk operation")

    def _finished(self, operation: str) -> _Result:
        """Wait for the end of the operation."""
        until = self._clock.now() + LONGEST_WAIT
        for pause in _pauses():
            data = self._api.graphql(BULK_STATUS, {"id": operation}).data
            found = mapping(data.get("bulkOperation"))
            status = found.get("status")
            if status == "COMPLETED":
                # There is no file when there are no records.
                url = found.get("url")
                return _Result(
                    lines=_number(found.get("objectCount"), "objectCount"),
                    records=_number(found.get("rootObjectCount"), "rootObjectCount"),
                    url=None if url is None else _text(url, "url"),
                )
            if status not in _GOING_ON:
                said = self._api.shown(f"{status or 'unknown'} {found.get('errorCode') or ''}")
                raise OperationLost(f"{self._named}: the bulk operation is {said}")
            if self._clock.now() >= until:
                break
            self._clock.sleep(pause)
        raise Unavailable(f"{self._named}: the bulk operation does not come to an end")

    def _save(self, result: _Result, path: Path) -> None:
        """Write the file, if it is complete."""
        found = (0, 0)
        if result.url is not None:
            url = result.url
            found = self._api.retried(lambda: self._download(url, path))
        else:
            path.write_bytes(b"")
        if found != (result.lines, result.records):
            raise NoProof(
                f"{self._named}: the file of the bulk operation has {found[0]} lines and"
                f" {found[1]} records, not {result.lines} and {result.records} as Shopify says"
            )

    def _download(self, url: str, path: Path) -> tuple[int, int]:
        """Write the file; how many lines there are, and how many of them have no parent."""
        lines = records = 0
        with path.open("wb") as file:
            for line in self._api.file_lines(url):
                node = parsed(line)
                if not isinstance(node, dict):
                    raise NoProof("a line of Shopify's bulk file is not the JSON it should be")
                lines += 1
                records += "__parentId" not in node
                file.write(line + b"\n")
        return lines, records

    def _nodes(self, entity: Entity, path: Path) -> Generator[dict[str, Any]]:
        """Every record in the file, with its children."""
        children = LAYOUTS[entity].children
        if children is None:
            yield from map(orjson.loads, _lines(path))
            return
        with closing(self._stage(path.with_name("staging.sqlite"))) as staging:
            # A record without an id is kept: it is set aside when it is read.
            staging.add(
                (str(node.get("id")), node.get("__parentId") and str(node["__parentId"]), line)
                for line in _lines(path)
                for node in (orjson.loads(line),)
            )
            if orphans := staging.orphans():
                raise NoProof(f"{self._named}: {orphans} lines of the bulk file have no parent")
            for line, others in staging.families():
                nodes = [orjson.loads(other) for other in others]
                yield with_children(children, orjson.loads(line), nodes)

    @property
    def _named(self) -> str:
        return f"Shopify store {self._api.shop.store_id}"


def _pauses() -> Iterator[float]:
    """Longer and longer ones."""
    pause = SHORTEST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _number(value: object, name: str) -> int:
    """A count, which Shopify writes as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NoProof(f"Shopify's bulk operation has no number as {name}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise NoProof(f"Shopify's bulk operation has no {name}")
    return value


def _lines(path: Path) -> Generator[bytes]:
    with path.open("rb") as file:
        yield from file


def _batches(nodes: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(nodes, BATCH)):
        yield batch
