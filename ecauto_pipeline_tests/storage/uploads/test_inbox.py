"""Lists of ASINs: ready, taken by one, put away, and never lost."""

import fcntl
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from ecauto_pipeline.domain.uploads.intake import ParsedFile
from ecauto_pipeline.errors import Misconfigured
from ecauto_pipeline.storage.uploads import inbox as inbox_module
from ecauto_pipeline.storage.uploads.inbox import Inbox, read_asin_file, ready_files
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

A = "B0FGQJ45HW"
TIME = "20261120T030000Z"

Drop = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


@pytest.fixture
def inbox(folder: Path, clock: FakeClock) -> Inbox:
    return Inbox(folder, clock)


@pytest.fixture
def drop(folder: Path) -> Drop:
    """Puts a list into the inbox, written some seconds ago."""

    def write(name: str = "list.txt", text: str = A, *, age: float = 60) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written_at = (MIDDAY - timedelta(seconds=age)).timestamp()
        os.utime(path, (written_at, written_at))
        return path

    return write


def write_report(path: Path) -> None:
    path.write_text("the report", "utf-8")


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@contextmanager
def another_process(path: Path) -> Generator[None]:
    """Somebody who works on the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_lists_are_ready_when_nobody_writes_to_them(folder: Path, drop: Drop) -> None:
    drop("b.txt", age=30)
    drop("A.CSV", age=60)
    drop("new.txt", age=4.9)
    drop("settled.txt", age=5)
    drop("ahead.txt", age=-3600)
    found = ready_files(folder, MIDDAY)
    assert [path.name for path in found] == ["A.CSV", "b.txt", "settled.txt", "ahead.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "list.txt.tmp", "list.csv.part", "list.xlsx", ".list.txt", "~$list.csv",
        "list.txt.report.csv", "list.csv.error.txt", "done/list.txt",
    ],
)  # fmt: skip
def test_other_files_are_left_alone(folder: Path, drop: Drop, name: str) -> None:
    drop(name)
    assert ready_files(folder, MIDDAY) == []


def test_a_folder_or_a_dead_link_is_no_list(folder: Path) -> None:
    (folder / "folder.txt").mkdir(parents=True)
    (folder / "dead.txt").symlink_to(folder / "gone.txt")
    assert ready_files(folder, MIDDAY + timedelta(days=9999)) == []


def test_without_the_folder_nothing_is_ready(folder: Path) -> None:
    assert ready_files(folder, MIDDAY) == []


def test_a_list_is_read(drop: Drop) -> None:
    assert read_asin_file(drop("list.csv", f"asin;title\n{A};lamp\n")) == ParsedFile((A,))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "nothing in it"), ("# only this\n", "nothing"), ("x\nhello", "line 1 reads 'x'")],
)
def test_a_file_without_asins_is_refused(drop: Drop, text: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match=f"^list.txt: .*{reason}"):
        read_asin_file(drop(text=text))


def test_what_is_no_file_or_no_text_is_refused(drop: Drop, folder: Path) -> None:
    path = drop()
    path.write_bytes(b"PK\3\4\0")
    with pytest.raises(Misconfigured, match=r"list\.txt: it is not text in UTF-8 or Shift JIS"):
        read_asin_file(path)
    with pytest.raises(Misconfigured, match=r"gone\.txt: No such file"):
        read_asin_file(folder / "gone.txt")
    with pytest.raises(Misconfigured, match="inbox: Is a directory"):
        read_asin_file(folder)


def test_a_huge_file_is_not_read(drop: Drop) -> None:
    path = drop()
    os.truncate(path, inbox_module.MOST_BYTES + 1)
    with pytest.raises(Misconfigured, match="are too much"):
        read_asin_file(path)


def test_a_list_is_put_away_with_its_report(inbox: Inbox, drop: Drop) -> None:
    with inbox.taken(drop()) as working:
        assert working is not None
        assert working == inbox.folder / "working" / "list.txt"
        assert names(inbox.folder) == ["working/list.txt", "working/list.txt.lock"]
        assert inbox.finish(working, write_report) == inbox.folder / "done" / "list.txt"
    assert names(inbox.folder) == ["done/list.txt", "done/list.txt.report.csv"]


def test_a_list_that_cannot_be_used_is_put_away_with_the_reason(inbox: Inbox, drop: Drop) -> None:
    with inbox.taken(drop()) as working:
        assert working is not None
        inbox.fail(working, "It is empty.")
    assert names(inbox.folder) == ["failed/list.txt", "failed/list.txt.error.txt"]
    assert (inbox.folder / "failed/list.txt.error.txt").read_text("utf-8") == "It is empty.\n"


def test_a_name_that_is_taken_gets_the_time(inbox: Inbox, drop: Drop) -> None:
    for _ in range(3):
        with inbox.taken(drop()) as working:
            assert working is not None
            inbox.finish(working, write_report)
    stems = "list", f"list-{TIME}", f"list-{TIME}-2"
    expected = [f"done/{stem}.txt{end}" for stem in stems for end in ("", ".report.csv")]
    assert names(inbox.folder) == sorted(expected)


def test_a_list_goes_back_when_something_goes_wrong(inbox: Inbox, drop: Drop) -> None:
    path = drop()
    with pytest.raises(KeyboardInterrupt), inbox.taken(path):
        raise KeyboardInterrupt
    assert names(inbox.folder) == ["list.txt"]
    assert inbox.ready() == [path]


def test_what_goes_back_overwrites_nothing(inbox: Inbox, drop: Drop) -> None:
    with inbox.taken(drop(text="the first")):
        drop(text="the second")
    assert names(inbox.folder) == [f"list-{TIME}.txt", "list.txt"]
    assert (inbox.folder / "list.txt").read_text("utf-8") == "the second"


def test_a_list_that_another_process_has_is_not_taken(inbox: Inbox, drop: Drop) -> None:
    path = drop()
    with (
        another_process(inbox.folder / "working" / "list.txt"),
        inbox.taken(path) as working,
    ):
        assert working is None
    assert path.exists()
    with inbox.taken(path) as working:
        assert working is not None


def test_a_list_that_is_gone_is_not_taken(inbox: Inbox) -> None:
    with inbox.taken(inbox.folder / "list.txt") as working:
        assert working is None
    assert names(inbox.folder) == []


def test_each_list_is_taken_once_however_many_try(inbox: Inbox, drop: Drop) -> None:
    start = Barrier(4)

    def take(path: Path) -> bool:
        start.wait(PATIENCE_SECONDS)
        with inbox.taken(path) as working:
            if working is not None:
                inbox.finish(working, write_report)
            return working is not None

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            path = drop(f"{number}.txt")
            assert sum(pool.map(take, [path] * 4)) == 1
    assert len(names(inbox.folder)) == 100


def test_what_a_lost_process_left_is_put_back(inbox: Inbox, drop: Drop) -> None:
    lost, busy = drop("working/lost.txt"), drop("working/busy.txt")
    lost.with_name("lost.txt.lock").touch()
    with another_process(busy):
        assert inbox.put_back_abandoned() == [inbox.folder / "lost.txt"]
        assert names(inbox.folder) == ["lost.txt", "working/busy.txt", "working/busy.txt.lock"]
    assert inbox.put_back_abandoned() == [inbox.folder / "busy.txt"]
    assert inbox.put_back_abandoned() == []


def test_a_new_list_does_not_overwrite_what_a_lost_process_left(inbox: Inbox, drop: Drop) -> None:
    drop("working/list.txt", "the lost one")
    with inbox.taken(drop(text="the new one")) as working:
        assert working is not None
        assert working.read_text("utf-8") == "the new one"
        inbox.finish(working, write_report)
    assert (inbox.folder / f"list-{TIME}.txt").read_text("utf-8") == "the lost one"
