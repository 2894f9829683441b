"""Two marketplaces with an account of the same name and the same product know nothing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.domain.base_shop.accounts import AccountState, Tokens
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.shops.changes import Item, Outcome, delist
from ecauto_pipeline.domain.uploads.intake import IntakeRow
from ecauto_pipeline.domain.uploads.intake import Outcome as IntakeOutcome
from ecauto_pipeline.domain.uploads.rules import UploadRules, free_slots
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.shops.listings import ListingStore
from ecauto_pipeline.storage.tables import decisions, listings, products
from ecauto_pipeline.storage.uploads.attempts import UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.intake import IntakeStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline_tests.fakes import MIDDAY, FakeClock

ASIN = "B000000001"
ITEM = Item("77", None, "題", 1300, 1, visible=True)
RULES = UploadRules()


@dataclass(frozen=True)
class Side:
    """All stores of one marketplace."""

    engine: sa.Engine
    clock: FakeClock
    platform: str

    @property
    def listings(self) -> ListingStore:
        return ListingStore(self.engine, self.clock, self.platform)

    @property
    def queue(self) -> UploadQueue:
        return UploadQueue(self.engine, self.clock, self.platform)

    @property
    def attempts(self) -> UploadAttempts:
        return UploadAttempts(self.engine, self.clock, self.platform, RULES)

    @property
    def intake(self) -> IntakeStore:
        return IntakeStore(self.engine, self.clock, self.platform)

    @property
    def check(self) -> ConsistencyStore:
        return ConsistencyStore(self.engine, self.clock, self.platform)

    @property
    def accounts(self) -> AccountStore:
        return AccountStore(self.engine, Cipher(), self.clock, self.platform)

    def take_in(self) -> str:
        """Add the product to account one; what became of that."""
        self.intake.prepare([ASIN])
        row = IntakeRow(ASIN, IntakeOutcome.ADDED, account_id="one")
        (turned_out,) = self.intake.commit([row], priority=5, held=False)
        return turned_out.outcome

    def fill(self) -> int:
        """Queue what waits for account one."""
        return self.queue.fill("one", free_slots(self.clock.now(), None, 1000, RULES))

    def listing(self) -> Mapping[str, Any]:
        """Its only listing."""
        query = sa.select(listings).where(listings.c.platform == self.platform)
        with self.engine.connect() as connection:
            return dict(connection.execute(query).mappings().one())


@pytest.fixture
def base(engine: sa.Engine, clock: FakeClock) -> Side:
    return Side(engine, clock, "base")


@pytest.fixture
def other(engine: sa.Engine, clock: FakeClock) -> Side:
    return Side(engine, clock, "other")


def test_a_product_is_taken_in_once_a_marketplace(base: Side, other: Side) -> None:
    assert (base.take_in(), base.take_in()) == ("added", "already_there")
    assert (other.intake.placed([ASIN]), other.intake.loads()) == ({}, {})
    assert other.take_in() == "added"
    assert base.intake.loads() == other.intake.loads() == {"one": 1}


def test_each_queue_is_filled_claimed_and_looked_up_by_itself(base: Side, other: Side) -> None:
    base.take_in()
    other.take_in()
    assert (base.fill(), base.fill()) == (1, 0)
    assert other.queue.waiting_accounts() == {"one": 1}
    assert (other.queue.due_accounts(), other.queue.last_scheduled("one")) == ([], None)
    assert (sum(other.queue.counts().values()), other.queue.rows(None, 9)) == (0, [])
    base.clock.advance(hours=24)
    assert other.attempts.claim("one", "worker") is None
    upload = base.attempts.claim("one", "worker")
    assert upload is not None
    assert base.attempts.lost(upload, "?")
    base.clock.advance(hours=1)
    assert (other.attempts.rescue("one"), other.attempts.unresolved("one")) == (0, [])
    assert len(base.attempts.unresolved("one")) == 1


def test_an_upload_changes_its_own_marketplace_s_listing(base: Side, other: Side) -> None:
    for side in (base, other):
        side.take_in()
        assert side.fill() == 1
    base.clock.advance(hours=24)
    ours, theirs = (side.attempts.claim("one", "worker") for side in (base, other))
    assert ours is not None
    assert theirs is not None
    assert ours.identifier != theirs.identifier, "a sku is one listing's only"
    assert base.attempts.created(ours, "77", 1300)
    assert (base.listing()["platform_item_id"], other.listing()["platform_item_id"]) == ("77", None)
    assert other.attempts.fail(theirs, "refused")
    (row,) = other.queue.rows("one", 9)
    assert (base.queue.retry([row["id"]]), base.queue.retry_asins([ASIN])) == (0, 0)
    assert other.queue.retry([row["id"]]) == 1


def test_decisions_and_counts_are_of_one_marketplace(base: Side, other: Side) -> None:
    base.take_in()
    with base.engine.begin() as connection:
        connection.execute(sa.update(listings).values(status="listed", platform_item_id="77"))
        connection.execute(sa.update(products).values(amazon_in_stock=True))
    since = MIDDAY - timedelta(1)
    assert (other.listings.listed("one", since), other.listings.accounts()) == ([], [])
    assert (base.listings.counts(), other.listings.counts()) == ({"listed": 1}, {})
    (listing,) = base.listings.listed("one", since)
    gone = delist(listing, "BASE")
    ids = base.listings.record("run-1", [gone], Outcome.PLANNED, dry_run=False)
    with base.engine.connect() as connection:
        query = sa.select(decisions.c.id, decisions.c.platform)
        assert [tuple(row) for row in connection.execute(query)] == [(ids[listing.id], "base")]


def test_what_shops_show_is_kept_apart_and_base_s_stays_where_readers_know_it(
    base: Side, other: Side
) -> None:
    base.check.replace_items("one", [ITEM, replace(ITEM, item_id="78")])
    other.check.replace_items("one", [replace(ITEM, title="another")])
    other.check.replace_items("one", [replace(ITEM, title="another")])
    base.check.note_check("one")
    assert (base.check.checked("one"), other.check.checked("one")) == (True, False)
    other.take_in()
    assert (base.check.states("one"), len(other.check.states("one")[0])) == (([], []), 1)
    with base.engine.connect() as connection:
        query = sa.text("SELECT account_id, item_id, title FROM base_items ORDER BY item_id")
        found = [tuple(row) for row in connection.execute(query)]
    assert found == [("one", "77", "題"), ("one", "78", "題")]


def test_accounts_and_tokens_of_the_same_name_are_two(base: Side, other: Side) -> None:
    tokens = Tokens(access_token="access-of-base", refresh_token="refresh", obtained_at=MIDDAY)
    base.accounts.save_tokens("one", tokens)
    base.accounts.save_imported_account(Account("one", name="BASE店"))
    assert (other.accounts.tokens("one"), other.accounts.accounts(())) == (None, [])
    other.accounts.save_imported_account(Account("one", name="another"))
    other.accounts.set_state("one", AccountState.RESTRICTED)
    with base.accounts.lock("one"):
        assert other.accounts.save_imported_tokens("one", replace(tokens, access_token="x"))
    assert base.accounts.tokens("one") == tokens
    assert [account.name for account in base.accounts.accounts(())] == ["BASE店"]
