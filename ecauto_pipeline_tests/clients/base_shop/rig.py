"""A BASE account wired up as the program does it, for tests."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ecauto_pipeline.clients.base_shop.auth import BaseTokens, TokenStore
from ecauto_pipeline.clients.base_shop.client import BaseShopClient, CallBudget
from ecauto_pipeline.clients.http import JsonApi, open_http
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.clock import SystemClock
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.sandbox.base_shop.state import ShopSeed
from ecauto_pipeline.settings.redaction import Redactor
from ecauto_pipeline.storage import database
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.rate_buckets import RateBuckets, RateWindows
from ecauto_pipeline.storage.tables import rate_buckets
from ecauto_pipeline_tests.fakes import FakeClock

SEED = ShopSeed("one", "shop-one", "client-one", "client-secret-one", "seed-refresh-one")

OTHER_SEED = ShopSeed("two", "shop-two", "client-two", "client-secret-two", "seed-refresh-two")

ACCOUNT = Account(
    id="one",
    name="本店",
    client_id=SEED.client_id,
    client_secret=SEED.client_secret,
    redirect_uri="http://localhost:8000/callback",
    seed_refresh_token=SEED.refresh_token,
)


@dataclass(slots=True)
class Rig:
    """One account on one endpoint, as one process has it."""

    account: Account
    engine: sa.Engine
    turns: sa.Engine
    clock: FakeClock
    store: AccountStore
    api: JsonApi

    def tokens(
        self,
        *,
        store: TokenStore | None = None,
        account: Account | None = None,
        reload: Callable[[], Account | None] = lambda: None,
    ) -> BaseTokens:
        """A process's tokens."""
        return BaseTokens(
            account or self.account, store or self.store, self.api, self.clock, reload=reload
        )

    def client(self, *, multiplier: float = 1.0, account: Account | None = None) -> BaseShopClient:
        """A client; the random part of its pauses is nothing."""
        account = account or self.account
        budget = CallBudget(
            account,
            self.api.host,
            Pacer(RateBuckets(self.turns, self.clock), self.clock),
            RateWindows(self.engine, self.clock),
            self.clock,
            multiplier=multiplier,
        )
        tokens = self.tokens(account=account)
        return BaseShopClient(self.api, tokens, budget, self.clock, chance=lambda: 0.0)


@contextmanager
def rigged(
    engine: sa.Engine, endpoint: str, clock: FakeClock, account: Account = ACCOUNT
) -> Generator[Rig]:
    """An account with a connection pool of its own.

    Turns are waited for by PostgreSQL's clock there, which no test can move: they are in SQLite.
    """
    turns = database.open_engine("sqlite:///:memory:")
    rate_buckets.create(turns)
    with open_http() as http:
        store = AccountStore(engine, Cipher(), clock, "base")
        yield Rig(account, engine, turns, clock, store, JsonApi(http, endpoint, clock, Redactor()))
    turns.dispose()


def refresh_and_use(url: str, endpoint: str) -> None:
    """Ask for an access token, as a process of its own, and use it."""
    engine = database.open_engine(url)
    clock = SystemClock()
    with open_http() as http:
        api = JsonApi(http, endpoint, clock)
        tokens = BaseTokens(ACCOUNT, AccountStore(engine, Cipher(), clock, "base"), api, clock)
        answer = api.send("GET", "/1/users/me", token=tokens.access_token())
    engine.dispose()
    assert answer.status == 200, answer


def other_credentials(account: Account = ACCOUNT) -> Account:
    """The account with a client secret that BASE does not know."""
    return replace(account, client_secret="wrong-client-secret")
