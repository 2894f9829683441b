"""Opening the pipeline only when it is wanted.

Database, settings and clients take half a second to import. Every process of Dagster loads the
definitions, and `ecauto --help` the commands; only a run, a tick or a command needs the pipeline.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.pipeline import Pipeline


@contextmanager
def opened_pipeline() -> "Generator[Pipeline]":
    """The pipeline as the settings say, closed afterwards."""
    from ecauto_pipeline.wiring.pipeline import Pipeline  # noqa: PLC0415 - see above

    pipeline = Pipeline()
    try:
        yield pipeline
    finally:
        pipeline.close()
