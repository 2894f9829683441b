"""An installation in this process that mirrors small Shopify stores as runs of Dagster."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import copyfile

import dagster as dg
import pytest

from ecauto_pipeline.clock import JAPAN, SystemClock
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.loading import Settings, load_settings
from ecauto_pipeline.wiring.opened import Opened
from ecauto_pipeline.wiring.shopify import Mirrors
from ecauto_pipeline_tests.defs.runs import Runs
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.program import settings_for, stores_setting
from ecauto_pipeline_tests.sync.shopify.rig import MirrorRig, a_shop

STORES = ("shop-a", "shop-b")


def today() -> date:
    """The day in Japan; partitions end with it, so that a fake one would not do."""
    return SystemClock().now().astimezone(JAPAN).date()


def days(first: date, count: int) -> list[str]:
    """So many days from that one on, as partitions name them."""
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def moment(day: date, seconds: float = 0) -> datetime:
    """So long after the beginning of the day in Japan."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=JAPAN)
    return midnight + timedelta(seconds=seconds)


def partitions(store_id: str, names: Iterable[str]) -> set[str]:
    """The partitions of a store's days."""
    return {f"{name}|{store_id}" for name in names}


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The stores with their mirrors, the runs, and the environment that leads these to those.

    The clock is that of the stores; runs go by the system's.
    """

    rig: MirrorRig
    runs: Runs
    environment: pytest.MonkeyPatch

    @property
    def instance(self) -> dg.DagsterInstance:
        """Where the runs are."""
        return self.runs.instance

    def configure(self, *stores: str, wrong: str = "") -> None:
        """Let the settings name these stores only, one of them with a wrong token."""
        shops = [self.rig.shop(store) for store in stores]
        for name, value in stores_setting(self.rig.sandbox, shops, wrong).items():
            self.environment.setenv(name, value)

    def changed_on(self, entity: Entity, names: Iterable[str], store_id: str) -> set[int]:
        """What the store changed last on these days in Japan."""
        truth, _ = self.rig.truth(entity, store_id)
        wanted = set(names)
        return {
            id_
            for id_, row in truth.items()
            if f"{row['updated_at'].astimezone(JAPAN):%Y-%m-%d}" in wanted
        }


@contextmanager
def mirrored(folder: Path, migrated: Path, *, days_ago: float = 0) -> Generator[Mirrored]:
    """Two stores, whose clock may be behind until it is moved."""
    clock = FakeClock(SystemClock().now() - timedelta(days=days_ago))
    shops = [a_shop(clock, store, seed=seed) for seed, store in enumerate(STORES)]
    data = folder / "data"
    data.mkdir()
    copyfile(migrated, data / "master.db")
    with (
        Sandbox(World(count=1), shopify_shops=shops, clock=clock, rate_multiplier=1000) as sandbox,
        dg.DagsterInstance.local_temp(str(folder)) as instance,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.chdir(folder)
        environment.delenv("ECAUTO_DATABASE_URL", raising=False)
        settings = settings_for(sandbox, data) | stores_setting(sandbox, shops)
        for name, value in settings.items():
            environment.setenv(name, value)
        opened = Opened(load_settings, clock)
        mirrors = Mirrors(opened)
        rig = MirrorRig(mirrors, sandbox, clock, opened.engine)
        yield Mirrored(rig, Runs(instance), environment)
        mirrors.close()
        opened.close()


@contextmanager
def looked_at(sandbox: Sandbox, url: str) -> Generator[MirrorRig]:
    """The mirrors that other processes make in the database at the address."""
    clock = FakeClock(SystemClock().now())
    opened = Opened(lambda: Settings(database_url=url), clock)
    mirrors = Mirrors(opened)
    yield MirrorRig(mirrors, sandbox, clock, opened.engine)
    mirrors.close()
    opened.close()
