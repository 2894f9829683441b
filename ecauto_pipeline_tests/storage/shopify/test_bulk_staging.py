"""Children are found by their parents, wherever in the file they stand."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ecauto_pipeline.storage.shopify.bulk_staging import BulkStaging


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[BulkStaging]:
    staging = BulkStaging(tmp_path / "staging.sqlite")
    yield staging
    staging.close()


def test_families_come_in_the_order_of_the_file(staging: BulkStaging) -> None:
    staging.add(
        [
            ("c1", "p1", b"child 1 of 1"),
            ("p2", None, b"parent 2"),
            ("p1", None, b"parent 1"),
            ("c2", "p2", b"child 1 of 2"),
            ("c3", "p1", b"child 2 of 1"),
        ]
    )
    assert list(staging.families()) == [
        (b"parent 2", [b"child 1 of 2"]),
        (b"parent 1", [b"child 1 of 1", b"child 2 of 1"]),
    ]
    assert staging.orphans() == 0


def test_no_lines_are_no_families(staging: BulkStaging) -> None:
    staging.add([])
    assert list(staging.families()) == []
    assert staging.orphans() == 0


def test_orphans_are_counted(staging: BulkStaging) -> None:
    staging.add([("p1", None, b""), ("c1", "p1", b""), ("c2", "p2", b""), ("c3", "c1", b"")])
    assert staging.orphans() == 2


def test_many_lines_in_any_order(staging: BulkStaging) -> None:
    lines = [(f"p{n}", None, b"%d" % n) for n in range(300)]
    lines += [(f"c{n}", f"p{n % 300}", b"%d" % n) for n in range(3000)]
    Random(7).shuffle(lines)
    staging.add(iter(lines))
    families = {int(line): sorted(map(int, children)) for line, children in staging.families()}
    assert families == {n: list(range(n, 3000, 300)) for n in range(300)}
