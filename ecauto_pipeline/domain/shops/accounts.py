"""The accounts that we sell with: one a shop."""

from dataclasses import dataclass, field

DAILY_UPLOADS = 1000
"""BASE takes so many items/add a day, so users say; its documentation names no number."""

CALLS_PER_HOUR = 5000
"""BASE's own limit for a shop."""


@dataclass(frozen=True, slots=True)
class Account:
    """One shop, as configured; `seed_refresh_token` is only for the very first use.

    New products of its `categories` go to it: a name in the classification path, or the path's
    beginning, "A > B".
    """

    id: str
    name: str = ""
    active: bool = True
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    redirect_uri: str = ""
    daily_upload_limit: int = DAILY_UPLOADS
    calls_per_hour: int = CALLS_PER_HOUR
    seed_refresh_token: str = field(default="", repr=False)
    categories: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How a person knows it: id, and name if there is one."""
        return f"{self.id} ({self.name})" if self.name else self.id
