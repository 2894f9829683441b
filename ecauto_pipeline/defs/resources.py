"""What assets, checks, ops, schedules and sensors are given: the opened pipeline.

Each names it as a parameter, `pipeline: dg.ResourceParam[Pipeline]`.
"""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from ecauto_pipeline.defs.instance.run_locks import held_run_lock
from ecauto_pipeline.wiring.pipeline import Pipeline, opened_pipeline


class PipelineResource(dg.ConfigurableResource[Pipeline]):
    """The pipeline as the settings say: database, clients, flows."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Pipeline]:
        """The pipeline, opened for one run or tick; a run is marked as alive meanwhile."""
        run_id = context.run.run_id if context.run else None
        with opened_pipeline() as pipeline, held_run_lock(context.instance, run_id):
            yield pipeline


ALL = {"pipeline": PipelineResource()}
