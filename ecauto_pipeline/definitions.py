"""The code location: adds up what the modules beside it define."""

import dagster as dg

from ecauto_pipeline.defs import jobs, resources, schedules, sensors
from ecauto_pipeline.defs.assets import amazon, base_shop, consistency, shopify, uploads
from ecauto_pipeline.defs.instance import loggers

defs = dg.Definitions(
    assets=[*amazon.ALL, *base_shop.ALL, *uploads.ALL, *consistency.ALL, *shopify.ALL],
    asset_checks=consistency.CHECKS,
    jobs=jobs.ALL,
    schedules=schedules.ALL,
    sensors=sensors.ALL,
    resources=resources.ALL,
    loggers=loggers.ALL,
    # A killed multiprocess run leaves its step process behind, writing beside the retried run.
    executor=dg.in_process_executor,
)
