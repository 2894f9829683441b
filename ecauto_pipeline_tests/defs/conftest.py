"""An installation in this process: settings in the environment, a sandbox, a Dagster instance."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ecauto_pipeline.sandbox.server import Sandbox, demo_sandbox
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.runs import Runs
from ecauto_pipeline_tests.program import settings_for


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with demo_sandbox(asins=60, rate_multiplier=1000) as sandbox:
        yield sandbox


@pytest.fixture
def pipeline(
    sandbox: Sandbox, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """The pipeline as a test looks at it; runs open their own, from the same settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("ECAUTO_DATABASE_URL", "ECAUTO_BASE__ACCOUNTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings_for(sandbox, tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "data").mkdir()
    shutil.copyfile(migrated_sqlite, tmp_path / "data/master.db")
    pipeline = Pipeline()
    yield pipeline
    pipeline.close()


@pytest.fixture
def runs(pipeline: Pipeline, tmp_path: Path) -> Iterator[Runs]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Runs(instance)
