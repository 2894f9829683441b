"""Uploads from the queue to a sandbox's shops, by a clock that waits for nobody."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ecauto_pipeline.domain.uploads.rules import LIVE
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import Item
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.settings.uploads import UploadSettings
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.storage.uploads.attempts import Checkpoint
from ecauto_pipeline.sync.uploads.lookup import LookupReport
from ecauto_pipeline.sync.uploads.uploader import NoFence, Uploader, UploadReport
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sync.pipeline_rig import SHOPS, PipelineRig, pipeline_rigged

ADD = "items/add"
IMAGES = ("https://m.media-amazon.com/images/I/a.jpg", "https://m.media-amazon.com/images/I/b.jpg")
CACHED_PRICE = 1000
SECONDS_OF_A_DAY = 17 * 3600
"""As many slots a day: one each second from 06:00 to 23:00."""

Row = Mapping[str, Any]
WithUploader = Callable[[Uploader], Uploader]


def content(**columns: Any) -> dict[str, Any]:
    """What the caches know of a product that can be listed."""
    known = {
        "title_ja": "三色ペン",
        "description_ja": "なめらかに書けます。",
        "images": list(IMAGES),
    }
    return {**known, "amazon_price_jpy": CACHED_PRICE, **columns}


def fault(kind: str, match: str = ADD, **members: Any) -> Fault:
    """A fault of items/add, once unless told."""
    values: dict[str, Any] = {"times": 1, **members}
    return Fault(match, FaultKind(kind), **values)


@dataclass(slots=True)
class UploadRig:
    """The queue, the shops, and what happens between them."""

    rig: PipelineRig

    @property
    def pipeline(self) -> Pipeline:
        return self.rig.pipeline

    @property
    def clock(self) -> FakeClock:
        return self.rig.clock

    @property
    def sandbox(self) -> Sandbox:
        return self.rig.sandbox

    @property
    def asins(self) -> tuple[str, ...]:
        """Products that are in stock on Amazon."""
        return self.sandbox.world.asins

    def queue(
        self, asins: Iterable[str], account_id: str = "one", product: Row | None = None, **row: Any
    ) -> None:
        """List products and queue them; they are due at once."""
        asins = list(asins)
        known = {each["asin"] for each in self.rig.rows(products)}
        if new := [asin for asin in asins if asin not in known]:
            self.rig.add(new, **content(**product or {}))
        self.rig.enlist(asins, account_id, status="pending", **row)
        self.pipeline.uploads.fill_queue([account_id])
        self.clock.advance(seconds=len(asins) + 1)

    def upload(
        self,
        account_id: str = "one",
        *,
        worker: str = "first",
        pipeline: Pipeline | None = None,
        changed: WithUploader = lambda uploader: uploader,
        **options: Any,
    ) -> UploadReport:
        """Let a worker upload what is due."""
        uploader = (pipeline or self.pipeline).uploads.uploader(account_id, NoFence())
        return changed(uploader).run(account_id, worker, **options)

    def look(self, account_id: str = "one") -> LookupReport:
        """Look up what nobody knows."""
        return self.pipeline.uploads.resolve_unknown(account_id)

    def settle(self) -> None:
        """Let the time pass after which looking up proves something."""
        rules = self.pipeline.settings.upload
        self.wait(rules.lease + rules.settled_after_lease)

    def wait(self, length: timedelta) -> None:
        """Let the time pass, and a second."""
        self.clock.advance(seconds=length.total_seconds() + 1)

    def drain(self, account_id: str = "one", worker: str = "later") -> None:
        """Look up and upload, as often as it takes."""
        for turn in range(20):
            self.look(account_id)
            self.upload(account_id, worker=f"{worker} {turn}")
            if all(row["status"] not in LIVE for row in self.rows()):
                return
            self.wait(timedelta(minutes=6))
        raise AssertionError(f"the queue does not drain: {self.rows()}")

    def fail(self, *faults: Fault) -> None:
        """Let these go wrong from now on."""
        self.sandbox.faults.replace(faults)

    @contextmanager
    def watched(self, checkpoint: Checkpoint) -> Generator[Pipeline]:
        """Another process's pipeline, whose every boundary is heard of."""
        settings = self.pipeline.settings
        pipeline = Pipeline(lambda: settings, self.clock, checkpoint)
        try:
            yield pipeline
        finally:
            pipeline.close()

    def rows(self) -> list[Row]:
        """The queue."""
        return self.rig.rows(upload_queue)

    def row(self) -> Row:
        """The only row of the queue."""
        (row,) = self.rows()
        return row

    def listings(self) -> list[Row]:
        """All listings."""
        return self.rig.rows(listings)

    def listing(self) -> Row:
        """The only listing."""
        (listing,) = self.listings()
        return listing

    def set_row(self, **values: Any) -> None:
        """Change the queue, as version 1.0 or a person may have left it."""
        with self.pipeline.engine.begin() as connection:
            connection.execute(sa.update(upload_queue).values(values))

    def items(self, account_id: str = "one") -> list[Item]:
        """What the shop has."""
        return self.sandbox.items(account_id)

    def item(self, account_id: str = "one") -> Item:
        """The only item of the shop."""
        (item,) = self.items(account_id)
        return item

    def put_on_shop(self, identifier: str, **item: Any) -> str:
        """Make an item behind everybody's back; returns its id."""
        now = int(self.clock.now().timestamp())
        values = {"visible": 0, "created": now, "modified": now, **item}
        new = replace(Item("三色ペン", CACHED_PRICE, 1, identifier=identifier), **values)
        with self.sandbox.state.lock:
            item_id = self.sandbox.state.add_item("one", new)
            self.sandbox.state.commit()
        return str(item_id)

    def price_of(self, asin: str) -> int:
        """What the product should cost on the shop now."""
        truth = self.sandbox.world.truth(asin).price_jpy
        assert truth is not None
        return self.pipeline.settings.pricing.selling_price(truth)

    def is_done(self) -> bool:
        """Whether the only product is on the shop once, and everybody says so."""
        row, listing, item = self.row(), self.listing(), self.item()
        return (
            row["status"] == "success"
            and row["item_id"] == listing["platform_item_id"] == str(item.item_id)
            and (listing["status"], listing["visibility"]) == ("listed", "public")
            and (item.visible, item.price) == (1, self.price_of(listing["asin"]))
            and item.identifier == row["identifier"] == listing["sku"]
            and item.images == dict(enumerate(IMAGES, 1))
        )


@contextmanager
def uploads_rigged(
    url: str,
    data_dir: Path,
    clock: FakeClock,
    *,
    shops: Mapping[str, Mapping[str, Any]] | None = None,
    upload: UploadSettings | None = None,
    world: World | None = None,
    **settings: Any,
) -> Generator[UploadRig]:
    """Two empty shops and an empty queue; a slot each second unless `shops` says otherwise."""
    limits = {shop.account_id: {"daily_upload_limit": SECONDS_OF_A_DAY} for shop in SHOPS}
    merged = {name: limits[name] | dict((shops or {}).get(name, {})) for name in limits}
    with (
        Sandbox(world or World(count=11), SHOPS, {}, clock=clock, rate_multiplier=1000) as sandbox,
        pipeline_rigged(
            sandbox,
            url,
            data_dir,
            clock,
            shops=merged,
            upload=upload or UploadSettings(),
            **settings,
        ) as rig,
    ):
        yield UploadRig(rig)
