"""What the mirrors load: commands that only mirror start as fast as they can."""

import sys

import pytest

from ecauto_pipeline_tests.children import run

pytestmark = pytest.mark.process

PROGRAM = """
import sys
import ecauto_pipeline.wiring.shopify

print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a process that has imported the mirrors."""
    ended = run([sys.executable, "-c", PROGRAM])
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


@pytest.mark.parametrize("module", ["alembic", "dagster", "pandas", "psycopg2", "sp_api"])
def test_the_mirrors_do_without(module: str, loaded: set[str]) -> None:
    assert "ecauto_pipeline.wiring.shopify" in loaded
    assert module not in loaded
