"""A server that gives the answers of a script, and Shopify's clients that call it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecauto_pipeline_tests.clients.shopify.rig import Rig, rigged
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server
        assert server.unexpected == []


@pytest.fixture
def rig(server: ScriptedServer, clock: FakeClock, tmp_path: Path) -> Iterator[Rig]:
    with rigged(server.url, clock, tmp_path) as rig:
        yield rig
