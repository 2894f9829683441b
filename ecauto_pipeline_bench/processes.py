"""The Shopify store that is read, and the processes that read it and tell what that took."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response

PROJECT = Path(__file__).resolve().parent.parent
STORE = "bench"


class Store(Sandbox):
    """A store with so many customers; counts the calls that it refuses."""

    def __init__(self, customers: int, rate_multiplier: float = 1000) -> None:
        shop = ShopifyShop(
            STORE, f"{STORE}.myshopify.com", customers=customers, products=1, orders=1
        )
        super().__init__(World(count=1), shopify_shops=[shop], rate_multiplier=rate_multiplier)
        self.token = shop.access_token or ""
        self.throttled = 0

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def answer(self, request: Request) -> Response | None:
        """The response; what GraphQL refuses has the status 200."""
        response = super().answer(request)
        if response is not None:
            self.throttled += response.status == 429 or b'"code":"THROTTLED"' in response.body
        return response


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process did, and what that took; `seconds` only where they are measured."""

    rows: int
    cpu: float
    megabytes: float
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list[str])


def told(
    module: str,
    *arguments: object,
    python: str | Path = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a module of this package printed at last, as a process of its own."""
    done = subprocess.run(
        [str(python), "-m", f"ecauto_pipeline_bench.{module}", *map(str, arguments)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def taken(module: str, *arguments: object, python: str | Path = sys.executable) -> Taken:
    """What a client took.

    Raises:
        RuntimeError: it failed, or has something to complain of.
    """
    result = Taken(**told(module, *arguments, python=python))
    if result.problems:
        raise RuntimeError(f"{module}: {result.problems}")
    return result


def median(results: Iterable[Taken], customers: int) -> Taken:
    """The medians of several runs.

    Raises:
        RuntimeError: one of them did not mirror all customers.
    """
    found = list(results)
    if wrong := [each.rows for each in found if each.rows != customers]:
        raise RuntimeError(f"{wrong[0]} rows were written, not {customers}")
    return Taken(
        customers,
        statistics.median(each.cpu for each in found),
        statistics.median(each.megabytes for each in found),
        statistics.median(each.seconds for each in found),
    )
