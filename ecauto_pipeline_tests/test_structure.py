"""The house stays one to live in: few entries, small rooms, telling names, whole functions."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecauto_pipeline_tests.places import PROJECT

PACKAGE = PROJECT / "ecauto_pipeline"

TOP_LEVEL = 14
FILES_IN_A_ROOM = 15
SINGLE_USE_SHARE = 0.145
"""The models have 1 to 13 %: httpx 5, svcs 1, stamina 3, vdirsyncer 13. The goal here is 10 %."""

FRAMEWORKS = ("validator", "command", "serializer")
"""Decorators whose framework calls the function, so that our own code never names it."""


def rooms() -> list[Path]:
    """The folders that hold modules; migrations are a history and grow."""
    found = {path.parent for path in PACKAGE.rglob("*.py")}
    return sorted(room for room in found if room.name != "versions")


def modules(room: Path) -> list[Path]:
    return [path for path in sorted(room.glob("*.py")) if path.name != "__init__.py"]


def test_the_top_level_is_taken_in_at_a_glance() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if not path.name.startswith("__pycache__")]
    assert len(entries) <= TOP_LEVEL, sorted(entries)


@pytest.mark.parametrize("room", rooms(), ids=lambda room: str(room.relative_to(PROJECT)))
def test_a_room_holds_few_modules_and_none_repeats_its_name(room: Path) -> None:
    names = [path.stem for path in modules(room)]
    assert len(names) <= FILES_IN_A_ROOM
    own = (room.name, room.name.rstrip("s"))
    assert [name for name in names if name in own or name.startswith(f"{room.name}_")] == []


def private_helpers(path: Path) -> Iterator[tuple[str, bool]]:
    """Each function of a module, and whether it is private and named only once beside itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    uses = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = any(
                word in ast.unparse(decorator)
                for decorator in node.decorator_list
                for word in FRAMEWORKS
            )
            private = node.name.startswith("_") and not node.name.startswith("__")
            yield node.name, private and not called and uses[node.name] <= 1


def test_a_helper_says_more_by_its_name_than_its_body_does() -> None:
    found = [
        (f"{path.relative_to(PACKAGE)}: {name}", single)
        for room in rooms()
        for path in modules(room)
        for name, single in private_helpers(path)
    ]
    single = [name for name, is_single in found if is_single]
    assert len(single) <= SINGLE_USE_SHARE * len(found), single


ARCHITECTURE = (PROJECT / "docs/architecture.md").read_text(encoding="utf-8")


def described() -> Counter[str]:
    """The modules that the page on the architecture names, and how often."""
    return Counter(
        name
        for name in re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*)`", ARCHITECTURE)
        if (PACKAGE / f"{name}.py").is_file()
    )


def test_the_walks_name_each_module_once() -> None:
    names = {
        str(path.relative_to(PACKAGE).with_suffix(""))
        for room in rooms()
        for path in modules(room)
        if not {"sandbox", "migrations"} & set(path.relative_to(PACKAGE).parts[:2])
    }
    found = described()
    assert {name for name in names if found[name] != 1} == set()


def test_the_walks_name_no_module_that_is_gone() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_0-9/]+)`", ARCHITECTURE)
    folders = {"data"}
    gone = [
        name
        for name in named
        if name.split("/")[0] not in folders
        and not (PACKAGE / f"{name}.py").is_file()
        and not (PACKAGE / name).is_dir()
    ]
    assert gone == []


def test_japan_s_zone_has_one_home() -> None:
    """Everybody else names `JAPAN`: four homes had drifted into three spellings."""
    homes = [
        str(path.relative_to(PACKAGE))
        for room in rooms()
        for path in modules(room)
        if re.search(r"Asia/Tokyo|hours=9\b", path.read_text(encoding="utf-8"))
    ]
    assert homes == ["clock.py"]
