"""What the assets and sensors are given: the opened pipeline."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import dagster as dg

from ecauto_pipeline.defs.instance.run_locks import held_run_lock
from ecauto_pipeline.wiring.late import opened_pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.pipeline import Pipeline

PIPELINE = "pipeline"


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
