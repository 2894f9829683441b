"""Whether buyers see a listing."""

from enum import StrEnum


class Visibility(StrEnum):
    """As the rows of `listings`, and v1.0's, say it."""

    PUBLIC = "public"
    HIDDEN = "hidden"

    @classmethod
    def of(cls, *, visible: bool) -> "Visibility":
        """As a shop says it: its items are visible or not."""
        return cls.PUBLIC if visible else cls.HIDDEN
