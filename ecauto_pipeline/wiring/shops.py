"""What is opened for a marketplace's shops: accounts, listings, and what is written to them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.errors import AccountStopped, Misconfigured
from ecauto_pipeline.storage.shops.listings import ListingStore
from ecauto_pipeline.sync.amazon.refresh import OnWait
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.sync.shop import Shop
from ecauto_pipeline.sync.shops.writes import ShopSync
from ecauto_pipeline.wiring.opened import Opened

if TYPE_CHECKING:
    from ecauto_pipeline.wiring.marketplaces import Marketplace

PROOF_TTLS = 2
"""A fact older than so many of its TTLs neither shows a listing nor reprices it."""


class Shops(ABC):
    """The shops of one marketplace, which says what accounts there are and opens their shops."""

    def __init__(self, marketplace: "Marketplace[Shops]", opened: Opened) -> None:
        self.marketplace = marketplace
        self._opened = opened
        self._settings = opened.settings

    @property
    @abstractmethod
    def call_timeout(self) -> timedelta:
        """The longest that a call to a shop may take."""

    @abstractmethod
    def known_accounts(self) -> Sequence[Account]:
        """All accounts, also those that are switched off."""

    @abstractmethod
    def client(self, account_id: str, on_wait: OnWait | None = None, *, share: float = 1.0) -> Shop:
        """The shop of an account, which may use that share of its calls.

        Raises:
            Misconfigured: there is no such account.
            AccountStopped: the account is switched off.
        """

    def accounts(self, only: str | None = None) -> list[Account]:
        """The active accounts, or the one named.

        Raises:
            Misconfigured: there is no account of that id.
        """
        known = self.known_accounts()
        if only is None:
            return [account for account in known if account.active]
        found = [account for account in known if account.id == only]
        if not found:
            ids = ", ".join(account.id for account in known) or "none is configured"
            raise Misconfigured(f"--account {only}: there is no such account ({ids})")
        return found

    def active(self, account_id: str) -> Account:
        """The account, which is switched on.

        Raises:
            Misconfigured: there is no such account.
            AccountStopped: the account is switched off.
        """
        account = self.accounts(account_id)[0]
        if not account.active:
            raise AccountStopped(f"{account.label} is switched off (active = false)")
        return account

    @cached_property
    def listings(self) -> ListingStore:
        """Listings and decisions."""
        return ListingStore(self._opened.engine, self._opened.clock, self.marketplace.name)

    def writes(self, progress: Progress | None = None) -> ShopSync:
        """Writes prices and visibility to the shops; `progress` hears of waits."""
        on_wait = (progress or Silent()).waiting
        return ShopSync(
            store=self.listings,
            shop_of=lambda account_id: self.client(account_id, on_wait),
            clock=self._opened.clock,
            rule=self._settings.pricing,
            breaker=self._settings.breaker,
            proof_age=PROOF_TTLS * self._settings.ttl.price,
        )
