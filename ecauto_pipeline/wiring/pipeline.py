"""Everything opened, from the settings in force: one room a source.

Nothing is imported before it is wanted. The database takes half a second, which every process of
Dagster that loads the definitions, and `ecauto --help`, would pay; Amazon's and Shopify's clients
as much again, for which a command that only looks at the queue has no use.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ecauto_pipeline.clock import Clock, SystemClock
from ecauto_pipeline.settings.environment import TOML
from ecauto_pipeline.settings.loading import Settings, load_settings
from ecauto_pipeline.wiring.marketplaces import BASE, Marketplace, ShopsT_co

if TYPE_CHECKING:
    import sqlalchemy as sa

    from ecauto_pipeline.domain.v1.report import ImportReport
    from ecauto_pipeline.storage.rate_buckets import RateBuckets
    from ecauto_pipeline.storage.uploads.attempts import Checkpoint
    from ecauto_pipeline.wiring.amazon import Amazon
    from ecauto_pipeline.wiring.base_shop import BaseShops
    from ecauto_pipeline.wiring.opened import Opened
    from ecauto_pipeline.wiring.shopify import Mirrors
    from ecauto_pipeline.wiring.shops import Shops
    from ecauto_pipeline.wiring.uploads import Uploads

ShopsT = TypeVar("ShopsT", bound="Shops")


class Rooms(Generic[ShopsT_co]):
    """What is opened for one marketplace."""

    def __init__(
        self,
        marketplace: Marketplace[ShopsT_co],
        pipeline: "Pipeline",
        opened: "Opened",
        checkpoint: "Checkpoint",
    ) -> None:
        self._marketplace = marketplace
        self._pipeline = pipeline
        self._opened = opened
        self._checkpoint = checkpoint

    @cached_property
    def shops(self) -> ShopsT_co:
        """The shops, and what is written to them."""
        return self._marketplace.open(self._opened)

    @cached_property
    def uploads(self) -> "Uploads":
        """From ASINs to published listings."""
        from ecauto_pipeline.wiring.uploads import Uploads  # noqa: PLC0415 - see above

        return Uploads(self._opened, self._pipeline.amazon, self.shops, self._checkpoint)


class Pipeline:
    """What the assets, sensors and commands work with; opened once per process or run.

    Its rooms are opened when they are first entered. `checkpoint` hears of each boundary between
    the statements of an upload.
    """

    def __init__(
        self,
        read_settings: Callable[[], Settings] = load_settings,
        clock: Clock | None = None,
        checkpoint: "Checkpoint" = lambda _: None,
    ) -> None:
        from ecauto_pipeline.wiring.opened import Opened  # noqa: PLC0415 - see above

        self._opened = Opened(read_settings, clock or SystemClock())
        self._checkpoint = checkpoint
        self._marketplaces: dict[str, Rooms[Shops]] = {}

    def close(self) -> None:
        """Close all connections."""
        if "amazon" in self.__dict__:
            self.amazon.close()
        if "mirrors" in self.__dict__:
            self.mirrors.close()
        self._opened.close()

    @property
    def settings(self) -> Settings:
        """The settings it was opened with."""
        return self._opened.settings

    @property
    def clock(self) -> Clock:
        """The time."""
        return self._opened.clock

    @property
    def engine(self) -> "sa.Engine":
        """The database."""
        return self._opened.engine

    @property
    def rate_buckets(self) -> "RateBuckets":
        """The quotas shared by all processes."""
        return self._opened.rate_buckets

    @cached_property
    def amazon(self) -> "Amazon":
        """The caches of Amazon's facts, and what keeps them fresh."""
        from ecauto_pipeline.wiring.amazon import Amazon  # noqa: PLC0415 - see above

        return Amazon(self._opened)

    def marketplace(self, marketplace: Marketplace[ShopsT]) -> "Rooms[ShopsT]":
        """The rooms of a marketplace on which we list."""
        if marketplace.name not in self._marketplaces:
            rooms = Rooms(marketplace, self, self._opened, self._checkpoint)
            self._marketplaces[marketplace.name] = rooms
        return cast("Rooms[ShopsT]", self._marketplaces[marketplace.name])

    @property
    def shops(self) -> "BaseShops":
        """The BASE shops, and what is written to them."""
        return self.marketplace(BASE).shops

    @property
    def uploads(self) -> "Uploads":
        """From ASINs to listings published on BASE."""
        return self.marketplace(BASE).uploads

    @cached_property
    def mirrors(self) -> "Mirrors":
        """The mirrors of Shopify stores."""
        from ecauto_pipeline.wiring.shopify import Mirrors  # noqa: PLC0415 - see above

        return Mirrors(self._opened)

    def import_v1(self, source: Path, *, dry_run: bool) -> "ImportReport":
        """Take over v1.0.

        Raises:
            Misconfigured: there is nothing to take over, or it is not v1.0's.
        """
        from ecauto_pipeline.storage.v1.additions import ImportStore  # noqa: PLC0415 - see above
        from ecauto_pipeline.sync.v1 import import_v1  # noqa: PLC0415

        return import_v1(
            source,
            ImportStore(self.engine),
            self.shops.account_store,
            self.clock,
            toml_file=self.settings.data_dir / TOML,
            dry_run=dry_run,
        )


@contextmanager
def opened_pipeline() -> Generator[Pipeline]:
    """The pipeline as the settings say, closed afterwards."""
    pipeline = Pipeline()
    try:
        yield pipeline
    finally:
        pipeline.close()
