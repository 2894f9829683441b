"""What can be launched by name: selections of assets, and the take-over of v1.0."""

import dagster as dg

from ecauto_pipeline.defs import ops
from ecauto_pipeline.defs.assets.amazon import FACT_KEYS
from ecauto_pipeline.defs.assets.base_shop import MIRROR_KEY, WRITE_KEYS
from ecauto_pipeline.defs.assets.consistency import CONSISTENCY_KEY, SCREENINGS_KEY
from ecauto_pipeline.defs.assets.shopify import KEYS as SHOPIFY_KEYS
from ecauto_pipeline.defs.assets.uploads import QUEUE_KEY, UPLOADS_KEY
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.shopify.mirror import Entity
from ecauto_pipeline.domain.shops.changes import Kind

price_refresh = dg.define_asset_job(
    "price_refresh",
    [FACT_KEYS[Fact.PRICE]],
    description="Fetch the prices that are missing or older than their TTL.",
)
stock_refresh = dg.define_asset_job(
    "stock_refresh",
    [FACT_KEYS[Fact.STOCK]],
    description="Fetch the stock that is missing or older than its TTL.",
)
catalog_refresh = dg.define_asset_job(
    "catalog_refresh",
    [FACT_KEYS[Fact.CATALOG], FACT_KEYS[Fact.CLASSIFICATION]],
    description="Fetch catalog and classification that are missing or older than their TTLs.",
)
amazon_refresh = dg.define_asset_job(
    "amazon_refresh",
    list(FACT_KEYS.values()),
    description="The Amazon half of the inventory sync: all that is due, side by side.",
)
price_sync = dg.define_asset_job(
    "price_sync",
    [WRITE_KEYS[Kind.PRICE]],
    description="Write the prices that differ enough to the BASE shops.",
)
visibility_sync = dg.define_asset_job(
    "visibility_sync",
    [WRITE_KEYS[Kind.VISIBILITY]],
    description="Hide on the BASE shops what is sold out, show what is back.",
)
base_sync = dg.define_asset_job(
    "base_sync",
    list(WRITE_KEYS.values()),
    description="The BASE half of the inventory sync: visibility first, then prices.",
)
queue_fill = dg.define_asset_job(
    "queue_fill",
    [QUEUE_KEY],
    description="Queue every pending listing that was never queued.",
)
upload = dg.define_asset_job(
    "upload",
    [UPLOADS_KEY],
    description="Look up what is unknown, then upload what is due, exactly once.",
)
consistency_check = dg.define_asset_job(
    "consistency_check",
    dg.AssetSelection.assets(CONSISTENCY_KEY) | dg.AssetSelection.checks_for_assets(QUEUE_KEY),
    description="Compare listings, queue and BASE; mend what is safe.",
)
screening_rescan = dg.define_asset_job(
    "screening_rescan",
    [SCREENINGS_KEY],
    description="Apply the screening rules to everything that is listed.",
)
base_mirror = dg.define_asset_job(
    "base_mirror",
    [MIRROR_KEY],
    description="Read all items of the BASE shops and compare them with our listings.",
)

SHOPIFY = {
    entity: dg.define_asset_job(
        f"shopify_{entity}_sync",
        [SHOPIFY_KEYS[entity]],
        description=f"Bring the mirror of the stores' {entity} up to date.",
    )
    for entity in Entity
}


@dg.job(description="Take over a v1.0 database, with its tokens, accounts and pricing.")
def import_v1() -> None:
    """One step: `ecauto import-v1 PATH`."""
    ops.take_over_v1()


@dg.job(description="From a list of ASINs to products, listings and the upload queue.")
def product_intake() -> None:
    """One step: `ecauto add-products FILE`."""
    ops.take_in_products()


@dg.job(description="Try failed uploads again.")
def queue_retry() -> None:
    """One step: `ecauto queue retry ID...`."""
    ops.retry_failed_uploads()


@dg.job(description="Let doubtful products be listed, or refuse them.")
def review_decision() -> None:
    """One step: `ecauto review release|refuse ASIN...`."""
    ops.decide_about_products()


@dg.job(description="Read records of Shopify again that could not be read when they came.")
def shopify_replay() -> None:
    """One step: `ecauto shopify replay`."""
    ops.replay_dead_letters()


@dg.job(description="Merge what shops told us by webhooks into their mirrors.")
def shopify_webhooks_merge() -> None:
    """One step: whatever is pending."""
    ops.merge_webhooks()


AMAZON = [price_refresh, stock_refresh, catalog_refresh, amazon_refresh]
ALL = [
    *AMAZON,
    price_sync,
    visibility_sync,
    base_sync,
    base_mirror,
    queue_fill,
    upload,
    consistency_check,
    screening_rescan,
    *SHOPIFY.values(),
    shopify_replay,
    shopify_webhooks_merge,
    product_intake,
    queue_retry,
    review_decision,
    import_v1,
]
