"""What the assets and sensors are given: the opened pipeline.

The clients' libraries take half a second to import. The definitions are loaded by every process of
Dagster, and only a run or a tick needs the clients, so they are imported here when first opened.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import dagster as dg

from ecauto_pipeline.defs.instance.run_locks import held_run_lock

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.pipeline import Pipeline

PIPELINE = "pipeline"


@contextmanager
def opened_pipeline() -> "Generator[Pipeline]":
    """The pipeline as the settings say, closed afterwards."""
    from ecauto_pipeline.wiring.pipeline import Pipeline  # noqa: PLC0415 - see above

    pipeline = Pipeline()
    try:
        yield pipeline
    finally:
        pipeline.close()


@dg.resource(description="The pipeline as the settings say: database, clients, flows.")
@contextmanager
def pipeline_resource(context: dg.InitResourceContext) -> "Generator[Pipeline]":
    """The pipeline, opened for one run, which is marked as alive meanwhile."""
    run_id = context.run.run_id if context.run else None
    with opened_pipeline() as pipeline, held_run_lock(context.instance, run_id):
        yield pipeline


def pipeline_of(
    context: dg.AssetExecutionContext | dg.OpExecutionContext | dg.AssetCheckExecutionContext,
) -> "Pipeline":
    """The pipeline opened for this run; the asset names it in `required_resource_keys`."""
    return cast("Pipeline", context.resources.pipeline)


ALL = {PIPELINE: pipeline_resource}
