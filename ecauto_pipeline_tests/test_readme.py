"""The README tells the truth: every module is on its map, every command in its tables."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ecauto_pipeline
from ecauto_pipeline.cli.main import cli

PACKAGE = Path(ecauto_pipeline.__file__).parent
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")


def modules() -> list[str]:
    names = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    return sorted(name for name in names if not name.startswith("__"))


@pytest.mark.parametrize("module", modules())
def test_every_module_is_on_the_map(module: str) -> None:
    rows = README[README.index("## The map") : README.index("## 日本語")]
    assert f"`{module}`" in rows


@pytest.mark.parametrize("command", sorted(set(cli.commands) - {"run", "dev"}))
def test_every_command_is_explained(command: str) -> None:
    assert f"`ecauto {command}" in README


def commands() -> Iterator[click.Command]:
    for command in cli.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from command.commands.values()


def test_every_explained_option_exists() -> None:
    options = {name for each in commands() for parameter in each.params for name in parameter.opts}
    table = README[README.index("## Every day") : README.index("## The map")]
    assert set(re.findall(r"--[a-z][a-z-]+", table)) <= options


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http|#)([^)]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (PACKAGE.parent / link).exists()
