"""The storm of `make chaos`, in small."""

from pathlib import Path

import pytest

from ecauto_pipeline_tests.chaos.storm import Figures, Storm, database_of, run

pytestmark = pytest.mark.chaos

STORM = Storm(uploads=40, kills=8, stops=8, seed=1, longest_nap=2)


def test_workers_killed_and_stopped_at_random_put_everything_on_the_shops_once(
    tmp_path: Path,
) -> None:
    with database_of("sqlite", tmp_path) as url:
        figures = run(STORM, url, tmp_path / "data")
    assert figures.clean, figures.line(STORM, "sqlite")
    assert figures.items == STORM.uploads
    assert figures.events["killed"] == STORM.kills
    assert figures.events["stopped"] == STORM.stops


def test_a_storm_tells_its_seed() -> None:
    assert "seed=1 database=sqlite fence=on" in Figures().line(STORM, "sqlite")
