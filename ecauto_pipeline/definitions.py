"""The code location: adds up what the modules beside it define.

Dagster loads it by importing this module, which therefore reads the settings; no other does so.
"""

import dagster as dg

from ecauto_pipeline.defs import jobs, resources, schedules, sensors
from ecauto_pipeline.defs.assets import amazon, base_shop, consistency, shopify, uploads
from ecauto_pipeline.defs.instance import loggers
from ecauto_pipeline.settings.loading import Settings, load_settings


def code_location(settings: Settings) -> dg.Definitions:
    """Everything Dagster is to know, judged by these settings' TTLs."""
    return dg.Definitions(
        assets=[
            *amazon.assets_judged_by(settings.ttl),
            *base_shop.ALL,
            *uploads.ALL,
            *consistency.ALL,
            *shopify.ALL,
        ],
        asset_checks=consistency.CHECKS,
        jobs=jobs.ALL,
        schedules=schedules.ALL,
        sensors=sensors.ALL,
        resources=resources.ALL,
        loggers=loggers.ALL,
        # A killed multiprocess run leaves its step process behind, writing beside the retried run.
        executor=dg.in_process_executor,
    )


defs = code_location(load_settings())
