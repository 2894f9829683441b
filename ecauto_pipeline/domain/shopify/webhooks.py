"""What a shop tells us by itself."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook whose signature was right, as it came.

    `webhook_id` is the same when Shopify repeats it; `triggered_at` is when the shop sent it first.
    """

    webhook_id: str
    store_id: str
    topic: str
    api_version: str | None
    triggered_at: datetime | None
    body: str
    received_at: datetime
