"""Amazon's client wired up as the program does it, for tests."""

import random
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import httpx
import sqlalchemy as sa

from ecauto_pipeline.clients.amazon.auth import AmazonCredentials, LwaTokens
from ecauto_pipeline.clients.amazon.client import AmazonClient
from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.sandbox.amazon import api as amazon
from ecauto_pipeline.settings.amazon import PUBLISHED_RATES
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.rate_buckets import RateBuckets
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.fakes import FakeClock

MARKETPLACE = "A1VC38T7YXB528"

CREDENTIALS = AmazonCredentials(
    refresh_token="Atzr|the-refresh-token",
    app_id="amzn1.application-oa2-client.app",
    client_secret="amzn1.oa2-cs.v1.the-secret",
)

ACCEPTED = amazon.AmazonCredentials(
    CREDENTIALS.app_id, CREDENTIALS.client_secret, CREDENTIALS.refresh_token
)
"""What a sandbox must be given to accept them, and no others."""


@dataclass(slots=True)
class AmazonRig:
    """A client of one endpoint, its tokens and its quotas."""

    client: AmazonClient
    tokens: LwaTokens
    turns: sa.Engine
    clock: FakeClock

    def rate(self, operation: str) -> float:
        """The rate at which turns are given."""
        bucket = self.client.bucket(operation)
        query = sa.select(rate_buckets.c.per_second).where(rate_buckets.c.bucket == bucket)
        with self.turns.connect() as connection:
            return connection.execute(query).scalar_one()


@cache
def _trust() -> ssl.SSLContext:
    """Reading all certificates takes longer than a test."""
    return ssl.create_default_context()


@contextmanager
def amazon_rigged(
    endpoint: str, clock: FakeClock, read: Callable[[], AmazonCredentials] = lambda: CREDENTIALS
) -> Generator[AmazonRig]:
    """A client at the published rates; its connections are closed in the end."""
    turns = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(turns)
    with httpx.Client(verify=_trust()) as http:
        api = JsonApi(http, endpoint, clock)
        tokens = LwaTokens(read, api, clock)
        pacer = Pacer(RateBuckets(turns, clock), clock, dice=random.Random(1))
        chance = random.Random(1).random
        client = AmazonClient(
            api, tokens, pacer, clock, marketplace_id=MARKETPLACE, account="seller", chance=chance
        )
        for operation, rate in PUBLISHED_RATES.items():
            client.configure_quota(operation, rate.per_second, rate.burst)
        yield AmazonRig(client, tokens, turns, clock)
    turns.dispose()
