"""A sandbox with a clock of its own, and clients of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import ShopSeed
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller, ShopCaller
from ecauto_pipeline_tests.sandbox.shopify.rig import MakeRig, Rig

SHOPS = tuple(
    ShopSeed(f"account_{name}", f"shop-{name}", f"client-{name}", f"secret-{name}", f"first-{name}")
    for name in ("a", "b")
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> World:
    return World(count=40)


@pytest.fixture
def sandbox(world: World, clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(world, SHOPS, clock=clock, rate_multiplier=1000) as sandbox:
        yield sandbox


@pytest.fixture
def amazon(sandbox: Sandbox) -> Iterator[AmazonCaller]:
    caller = AmazonCaller(sandbox.url)
    yield caller
    caller.http.close()


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[ShopCaller]:
    caller = ShopCaller(sandbox.url, SHOPS[0])
    caller.refresh()
    yield caller
    caller.http.close()


@pytest.fixture
def make_rig(clock: FakeClock) -> Iterator[MakeRig]:
    """Makes a sandbox with a Shopify store of the options given."""
    with ExitStack() as stack:

        def make(**options: Any) -> Rig:
            return stack.enter_context(Rig(clock, **options))

        yield make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()
