"""The settings of uploads to BASE."""

from typing import Annotated

from pydantic import Field, model_validator

from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.settings.tables import table_of_record
from ecauto_pipeline.settings.value_types import Duration


@table_of_record
class UploadSettings(UploadRules):
    """When and how new items are put on BASE."""

    from_hour: Annotated[int, Field(ge=0, le=23)]
    to_hour: Annotated[int, Field(ge=1, le=24)]
    max_retries: Annotated[int, Field(ge=0)]
    lease: Duration
    late_apply: Duration
    visibility_lag: Duration
    look_again_after: tuple[Duration, ...]

    @model_validator(mode="after")
    def _in_order(self) -> "UploadSettings":
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must come before to_hour")
        return self
