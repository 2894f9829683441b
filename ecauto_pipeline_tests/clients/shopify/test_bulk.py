"""A bulk file is believed only when it is whole, and leaves nothing behind."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.clients.shopify.bulk import BATCH
from ecauto_pipeline.clients.shopify.queries import (
    BULK_RUN,
    BULK_STATUS,
    bulk_document,
    bulk_ids_document,
)
from ecauto_pipeline.domain.shopify.mirror import Entity, Page, Window
from ecauto_pipeline.errors import AccountStopped, EcautoError, NoProof, Rejected, Unavailable
from ecauto_pipeline_tests.clients.shopify.rig import (
    TOKEN,
    Rig,
    customer,
    data,
    error,
    product,
    rigged,
    variant,
    variant_ids,
)
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock
from ecauto_pipeline_tests.scripted_server import Scripted, ScriptedServer

FIRST, SECOND = "gid://shopify/BulkOperation/1", "gid://shopify/BulkOperation/2"
WINDOW = Window(since=MIDDAY)


@pytest.fixture
def rig(server: ScriptedServer, clock: FakeClock, tmp_path: Path) -> Iterator[Rig]:
    with rigged(server.url, clock, tmp_path / "bulk") as rig:
        yield rig
        assert list((tmp_path / "bulk").glob("*")) == [], "files are left behind"


class SlowClock(FakeClock):
    """Two seconds are an hour."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds * 1800)


@pytest.fixture
def slow_rig(server: ScriptedServer, tmp_path: Path) -> Iterator[Rig]:
    with rigged(server.url, SlowClock(), tmp_path) as rig:
        yield rig


def run(operation: str = FIRST) -> Scripted:
    """The answer to a start."""
    found: dict[str, Any] = {
        "bulkOperation": {"id": operation, "status": "CREATED"},
        "userErrors": [],
    }
    return data({"bulkOperationRunQuery": found})


def refused(code: str) -> Scripted:
    """The answer to a start that Shopify does not want."""
    errors = [{"code": code, "field": None, "message": f"{code}: not now; {TOKEN}"}]
    return data({"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": errors}})


def status(word: str, **more: Any) -> Scripted:
    """The answer to a poll."""
    return data({"bulkOperation": {"status": word, "errorCode": None, **more}})


def completed(server: ScriptedServer, lines: object, records: object = None) -> Scripted:
    """The answer to the last poll: the file is on the server too."""
    return status(
        "COMPLETED",
        objectCount=str(lines),
        rootObjectCount=str(lines if records is None else records),
        url=f"{server.url}/file.jsonl?signature=abc",
    )


def file(*lines: Any) -> Scripted:
    return Scripted(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def child(number: int, parent: int) -> dict[str, Any]:
    return {**variant(number), "__parentId": f"gid://shopify/Product/{parent}"}


def parent(number: int) -> dict[str, Any]:
    node = product(number)
    del node["variants"]
    return node


def ids(pages: Iterator[Page]) -> list[int]:
    return [record.id for page in pages for record in page.records]


def test_an_operation_is_started_waited_for_and_read(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        run(),
        status("CREATED"),
        *[status("RUNNING")] * 9,
        completed(server, 2),
        file(customer(1), customer(2)),
    )
    started: list[str] = []
    assert ids(rig.bulk.pages(Entity.CUSTOMERS, WINDOW, started=started.append)) == [1, 2]
    assert started == [FIRST]
    start, *polls, fetched = server.received
    assert start.document["query"] == BULK_RUN
    assert start.document["variables"] == {"query": bulk_document(Entity.CUSTOMERS, WINDOW)}
    assert {poll.document["query"] for poll in polls} == {BULK_STATUS}
    assert {poll.document["variables"]["id"] for poll in polls} == {FIRST}
    assert (fetched.path, fetched.query) == ("/file.jsonl", {"signature": "abc"})
    assert TOKEN not in str(fetched)
    assert rig.clock.slept == sorted(rig.clock.slept)
    assert (rig.clock.slept[0], rig.clock.slept[-1]) == (1, 15)


def test_records_come_in_batches(server: ScriptedServer, rig: Rig) -> None:
    customers = [customer(number) for number in range(1, BATCH + 2)]
    server.will(run(), completed(server, BATCH + 1), file(*customers))
    sizes = [len(page.records) for page in rig.bulk.pages(Entity.CUSTOMERS)]
    assert sizes == [BATCH, 1]


def test_children_find_their_parents_wherever_they_stand(server: ScriptedServer, rig: Rig) -> None:
    lines = [
        child(11, 1),
        parent(2),
        child(21, 2),
        parent(1),
        child(12, 1),
        child(22, 2),
        parent(3),
    ]
    server.will(run(), completed(server, 7, 3), file(*lines))
    (page,) = rig.bulk.pages(Entity.PRODUCTS)
    found = {record.id: variant_ids(record) for record in page.records}
    assert found == {2: [21, 22], 1: [11, 12], 3: []}
    assert all(record.children_complete for record in page.records)


def test_what_cannot_be_read_is_set_aside_with_its_children(
    server: ScriptedServer, rig: Rig
) -> None:
    broken = {**parent(1), "updatedAt": "?"}
    server.will(run(), completed(server, 3, 2), file(broken, child(11, 1), parent(2)))
    (page,) = rig.bulk.pages(Entity.PRODUCTS)
    assert [record.id for record in page.records] == [2]
    (bad,) = page.bad
    assert bad.record_id == "1"
    assert len(bad.payload["variants"]["nodes"]) == 1


@pytest.mark.parametrize("entity", [Entity.CUSTOMERS, Entity.PRODUCTS])
def test_no_records_need_no_file(server: ScriptedServer, rig: Rig, entity: Entity) -> None:
    server.will(run(), status("COMPLETED", objectCount="0", rootObjectCount="0", url=None))
    assert ids(rig.bulk.pages(entity)) == []


@pytest.mark.parametrize(
    ("lines", "records", "found"),
    [
        (3, 3, [customer(1), customer(2)]),
        (3, 2, [customer(1), customer(2)]),
        (1, 1, [customer(1), customer(2)]),
        (2, 2, [customer(1), {**customer(2), "__parentId": "gid://shopify/Customer/1"}]),
        (2, 1, [customer(1), customer(2)]),
        (2, 2, [customer(1), "nonsense"]),
        (0, 0, [customer(1)]),
        ("many", 1, []),
        (None, None, []),
    ],
)
def test_a_file_that_is_not_what_shopify_says_gives_nothing(
    server: ScriptedServer, rig: Rig, lines: object, records: object, found: list[Any]
) -> None:
    server.will(run(), completed(server, lines, records), *[file(*found)] * 5)
    given: list[Page] = []
    with pytest.raises(NoProof):
        given.extend(rig.bulk.pages(Entity.CUSTOMERS))
    assert given == []


def test_a_missing_file_is_no_proof_of_emptiness(server: ScriptedServer, rig: Rig) -> None:
    server.will(run(), status("COMPLETED", objectCount="5", rootObjectCount="5", url=None))
    with pytest.raises(NoProof, match="0 lines"):
        ids(rig.bulk.pages(Entity.CUSTOMERS))


def test_a_file_that_is_cut_off_within_a_line_gives_nothing(
    server: ScriptedServer, rig: Rig
) -> None:
    cut = Scripted(file(customer(1), customer(2)).body[:-20])
    server.will(run(), completed(server, 2), *[cut] * 5)
    given: list[Page] = []
    with pytest.raises(NoProof, match="not the JSON"):
        given.extend(rig.bulk.pages(Entity.CUSTOMERS))
    assert given == []


def test_children_without_parents_give_nothing(server: ScriptedServer, rig: Rig) -> None:
    server.will(run(), completed(server, 2, 1), file(parent(1), child(21, 2)))
    with pytest.raises(NoProof, match=r"1 lines .* no parent"):
        ids(rig.bulk.pages(Entity.PRODUCTS))


def test_a_download_that_breaks_off_is_tried_again(server: ScriptedServer, rig: Rig) -> None:
    server.will(
        run(),
        completed(server, 1),
        Scripted(drop=True),
        Scripted(b"", 503),
        file(customer(1)),
    )
    assert ids(rig.bulk.pages(Entity.CUSTOMERS)) == [1]


def test_a_file_is_not_fetched_from_an_unsafe_address(server: ScriptedServer, rig: Rig) -> None:
    url = "http://storage.example/file"
    unsafe = status("COMPLETED", objectCount="1", rootObjectCount="1", url=url)
    server.will(run(), unsafe)
    with pytest.raises(NoProof, match="not https"):
        ids(rig.bulk.pages(Entity.CUSTOMERS))


@pytest.mark.parametrize("word", ["FAILED", "CANCELED", "EXPIRED", "SOMETHING"])
def test_an_operation_that_fails_says_why(server: ScriptedServer, rig: Rig, word: str) -> None:
    server.will(run(), status("RUNNING"), status(word, errorCode="TIMEOUT", partialDataUrl="x"))
    with pytest.raises(Unavailable, match=f"store main.*{word} TIMEOUT"):
        ids(rig.bulk.pages(Entity.CUSTOMERS))


def test_an_operation_that_never_ends_is_left_alone(server: ScriptedServer, slow_rig: Rig) -> None:
    server.will(run(), *[status("CANCELING")] * 10)
    with pytest.raises(Unavailable, match="does not come to an end"):
        ids(slow_rig.bulk.pages(Entity.CUSTOMERS))
    assert slow_rig.clock.now() - MIDDAY >= timedelta(hours=24)


@pytest.mark.parametrize("code", ["LIMIT_REACHED", "OPERATION_IN_PROGRESS"])
def test_other_operations_are_given_time(server: ScriptedServer, rig: Rig, code: str) -> None:
    busy = [refused(code)] * 20
    server.will(*busy, run(), completed(server, 1), file(customer(1)))
    assert ids(rig.bulk.pages(Entity.CUSTOMERS)) == [1]
    assert max(rig.clock.slept) == 15


def test_other_operations_are_not_given_for_ever(server: ScriptedServer, slow_rig: Rig) -> None:
    server.will(*[refused("LIMIT_REACHED")] * 3)
    with pytest.raises(Unavailable, match="no room"):
        ids(slow_rig.bulk.pages(Entity.CUSTOMERS))
    assert slow_rig.clock.now() - MIDDAY >= timedelta(hours=1)


def test_a_query_that_shopify_refuses_is_not_tried_again(server: ScriptedServer, rig: Rig) -> None:
    server.will(refused("INVALID"))
    with pytest.raises(Rejected, match="INVALID: not now") as wrong:
        ids(rig.bulk.pages(Entity.CUSTOMERS))
    assert wrong.value.code == "INVALID"
    assert TOKEN not in str(wrong.value)


def test_an_earlier_operation_is_made_use_of(server: ScriptedServer, rig: Rig) -> None:
    server.will(status("RUNNING"), completed(server, 1), file(customer(1)))
    started: list[str] = []
    pages = rig.bulk.pages(Entity.CUSTOMERS, WINDOW, resume=FIRST, started=started.append)
    assert ids(pages) == [1]
    assert started == []
    assert server.received[0].document["variables"] == {"id": FIRST}


@pytest.mark.parametrize(
    "lost",
    [
        [data({"bulkOperation": None})],
        [data(None, error("INVALID", "Invalid global id"))],
        [status("FAILED", errorCode="TIMEOUT")],
        [status("EXPIRED")],
        [status("COMPLETED", objectCount="9", rootObjectCount="9", url=None)],
        "gone",
        "short",
    ],
)
def test_an_earlier_operation_that_is_lost_is_replaced(
    server: ScriptedServer, rig: Rig, lost: list[Scripted] | str
) -> None:
    if lost == "gone":
        lost = [completed(server, 1), *[Scripted(b"expired", 403)] * 5]
    if lost == "short":
        lost = [completed(server, 3), file(customer(8), customer(9))]
    assert isinstance(lost, list)
    server.will(*lost, run(SECOND), completed(server, 1), file(customer(1)))
    started: list[str] = []
    pages = rig.bulk.pages(Entity.CUSTOMERS, resume=FIRST, started=started.append)
    assert ids(pages) == [1]
    assert started == [SECOND]


def test_nothing_is_left_of_a_lost_file(server: ScriptedServer, rig: Rig) -> None:
    empty = status("COMPLETED", objectCount="0", rootObjectCount="0", url=None)
    server.will(completed(server, 3), file(customer(8)), run(SECOND), empty)
    assert ids(rig.bulk.pages(Entity.CUSTOMERS, resume=FIRST)) == []


def test_a_store_that_does_not_answer_loses_no_operation(server: ScriptedServer, rig: Rig) -> None:
    server.will(*[Scripted(b"", 500)] * 5)
    with pytest.raises(Unavailable):
        ids(rig.bulk.pages(Entity.CUSTOMERS, resume=FIRST))


def test_ids_come_from_a_file_too(server: ScriptedServer, rig: Rig) -> None:
    lines = [{"id": f"gid://shopify/Order/{number}"} for number in (1, 2)]
    server.will(run(), completed(server, 2), file(*lines))
    assert list(rig.bulk.ids(Entity.ORDERS)) == [[1, 2]]
    assert server.received[0].document["variables"] == {"query": bulk_ids_document(Entity.ORDERS)}


@pytest.mark.parametrize("entity", [Entity.CUSTOMERS, Entity.PRODUCTS])
def test_files_are_removed_when_the_reader_stops_early(
    server: ScriptedServer, rig: Rig, entity: Entity
) -> None:
    node = {Entity.CUSTOMERS: customer, Entity.PRODUCTS: parent}[entity]
    lines = [node(number) for number in range(1, 3 * BATCH)]
    server.will(run(), completed(server, len(lines)), file(*lines))
    pages = iter(rig.bulk.pages(entity))
    next(pages)
    assert [each.stat().st_mode & 0o077 for each in rig.folder.iterdir()] == [0]
    del pages


def test_memory_does_not_grow_with_the_file(server: ScriptedServer, rig: Rig) -> None:
    """A file of some ten megabytes; the server's copy is made before measuring begins."""
    lines = [customer(number, note="x" * 400) for number in range(1, 20_001)]
    served = file(*lines)
    server.will(run(), completed(server, len(lines)), served)
    tracemalloc.start()
    read = sum(len(page.records) for page in rig.bulk.pages(Entity.CUSTOMERS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == 20_000
    assert peak < len(served.body) / 2


@pytest.mark.parametrize("found", [{}, {"bulkOperation": {}, "userErrors": []}, None])
def test_a_start_without_an_operation_proves_nothing(
    server: ScriptedServer, rig: Rig, found: dict[str, Any] | None
) -> None:
    server.will(data({"bulkOperationRunQuery": found}))
    with pytest.raises(EcautoError):
        ids(rig.bulk.pages(Entity.CUSTOMERS))


def test_what_a_killed_process_left_behind_is_removed_after_a_day(
    server: ScriptedServer, rig: Rig
) -> None:
    old, recent = rig.folder / "bulk-old", rig.folder / "bulk-recent"
    for left, age in ((old, timedelta(days=2)), (recent, timedelta(hours=2))):
        left.mkdir(parents=True)
        (left / "lines.jsonl").write_text("{}")
        moment = (MIDDAY - age).timestamp()
        os.utime(left, (moment, moment))
    server.will(Scripted(b"", 402))
    with pytest.raises(AccountStopped):
        list(rig.bulk.pages(Entity.CUSTOMERS))
    assert not old.exists()
    assert recent.exists()
    shutil.rmtree(recent)
