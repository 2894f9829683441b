"""Commands that only read answer from the database; they open no Dagster, which costs seconds."""

import sys
from pathlib import Path

import pytest

from ecauto_pipeline_tests.children import run

PROGRAM = """
import sys
from ecauto_pipeline.cli.main import cli
status = cli.main(sys.argv[1:], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def modules_after(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command in an empty installation has imported at its end."""
    ended = run(
        [sys.executable, "-c", PROGRAM, *arguments],
        environment={
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
            "ECAUTO_DATA_DIR": str(folder / "data"),
        },
        folder=folder,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "command", ["queue --json", "review", "shopify dead-letters"], ids=lambda text: text
)
def test_reading_opens_the_database_and_no_dagster(command: str, tmp_path: Path) -> None:
    loaded = modules_after(tmp_path, *command.split())
    assert "sqlalchemy" in loaded
    assert "dagster" not in loaded


def test_help_opens_nothing(tmp_path: Path) -> None:
    assert not {"dagster", "sqlalchemy"} & modules_after(tmp_path, "--help")
    assert list(tmp_path.iterdir()) == []
