"""What is opened for the BASE shops: their accounts, clients and listings."""

from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

from ecauto_pipeline.clients.base_shop.auth import BaseTokens
from ecauto_pipeline.clients.base_shop.client import BaseShopClient, CallBudget
from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.domain.base_shop.accounts import Account
from ecauto_pipeline.domain.base_shop.changes import Breaker
from ecauto_pipeline.domain.base_shop.pricing import PriceBand, PriceRule
from ecauto_pipeline.errors import AccountStopped, Misconfigured
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.base_shop.listings import ListingStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.rate_buckets import RateWindows
from ecauto_pipeline.sync.amazon.refresh import OnWait
from ecauto_pipeline.sync.base_shop.writes import BaseShopSync
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.wiring.opened import Opened

PROOF_TTLS = 2
"""A fact older than so many of its TTLs neither shows a listing nor reprices it."""


class BaseShops:
    """BASE's half: the accounts, and what is written to their shops."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._settings = opened.settings

    @cached_property
    def account_store(self) -> AccountStore:
        """Accounts taken over, and everybody's tokens."""
        cipher = Cipher(self._settings.secret_key.get_secret_value())
        return AccountStore(self._opened.engine, cipher, self._opened.clock)

    def known_accounts(self) -> list[Account]:
        """All accounts, configured or imported, also those that are switched off."""
        return self.account_store.accounts(self._settings.base.accounts)

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

    def client(
        self, account_id: str, on_wait: OnWait | None = None, *, share: float = 1.0
    ) -> BaseShopClient:
        """The client of an account, which may use that share of its calls.

        Raises:
            Misconfigured: there is no such account.
            AccountStopped: the account is switched off.
        """
        account = self.accounts(account_id)[0]
        if not account.active:
            raise AccountStopped(f"{account.label} is switched off (active = false)")
        opened, clock = self._opened, self._opened.clock
        budget = CallBudget(
            account,
            urlsplit(self._settings.base.endpoint).netloc,
            Pacer(opened.rate_buckets, clock, on_wait),
            RateWindows(opened.engine, clock),
            clock,
            multiplier=self._settings.rate_multiplier,
            share=share,
        )
        return BaseShopClient(self._api(), self.tokens(account), budget, clock)

    def tokens(self, account: Account) -> BaseTokens:
        """The account's access tokens."""

        def reload() -> Account | None:
            accounts = self.account_store.accounts(self._opened.settings_now().base.accounts)
            return next((each for each in accounts if each.id == account.id), None)

        return BaseTokens(account, self.account_store, self._api(), self._opened.clock, reload)

    @cached_property
    def listings(self) -> ListingStore:
        """Listings and decisions."""
        return ListingStore(self._opened.engine, self._opened.clock)

    @cached_property
    def price_rule(self) -> PriceRule:
        """How a selling price follows from Amazon's."""
        pricing = self._settings.pricing
        return PriceRule(
            markup=pricing.markup,
            min_difference_jpy=pricing.min_difference_jpy,
            round_to=pricing.round_to,
            bands=[PriceBand(band.up_to_jpy, band.markup) for band in pricing.bands],
            floor_jpy=pricing.floor_jpy,
            ceiling_jpy=pricing.ceiling_jpy,
        )

    def writes(self, progress: Progress | None = None) -> BaseShopSync:
        """Writes prices and visibility to the shops; `progress` hears of waits."""
        breaker = self._settings.breaker
        on_wait = (progress or Silent()).waiting
        return BaseShopSync(
            store=self.listings,
            client_for=lambda account_id: self.client(account_id, on_wait),
            clock=self._opened.clock,
            rule=self.price_rule,
            breaker=Breaker(breaker.max_hidden_share, breaker.max_repriced_share),
            proof_age=self._proof_age,
        )

    @property
    def _proof_age(self) -> timedelta:
        return PROOF_TTLS * self._settings.ttl.price

    def _api(self) -> JsonApi:
        opened = self._opened
        return JsonApi(opened.http, self._settings.base.endpoint, opened.clock, opened.redactor)
