"""Work that is no asset: the take-over of v1.0."""

from pathlib import Path
from typing import Any

import dagster as dg

from ecauto_pipeline.resources import PIPELINE, pipeline_of


class ImportConfig(dg.Config):
    """What to take over."""

    path: str
    dry_run: bool = False


@dg.op(required_resource_keys={PIPELINE}, out=dg.Out(dict[str, Any], io_manager_key="io_manager"))
def take_over_v1(context: dg.OpExecutionContext, config: ImportConfig) -> dict[str, Any]:
    """Take over a v1.0 folder or `master.db`; the original is only read."""
    report = pipeline_of(context).import_v1(Path(config.path), dry_run=config.dry_run)
    numbers = report.as_dict()
    context.add_output_metadata({"report": dg.MetadataValue.md("\n".join(report.lines()))})
    return numbers | {"lines": report.lines()}
