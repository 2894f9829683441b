"""What the mirrors load: commands that only mirror start as fast as they can."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import ecauto_pipeline.wiring.shopify
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a process that has imported the mirrors."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("module", ["alembic", "dagster", "pandas", "psycopg2", "sp_api"])
def test_the_mirrors_do_without(module: str, loaded: set[str]) -> None:
    assert "ecauto_pipeline.wiring.shopify" in loaded
    assert module not in loaded
