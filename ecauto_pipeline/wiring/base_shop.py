"""What is opened for the BASE shops: their accounts, tokens and clients."""

from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

from ecauto_pipeline.clients.base_shop.auth import BaseTokens
from ecauto_pipeline.clients.base_shop.client import BaseShopClient, CallBudget
from ecauto_pipeline.clients.http import JsonApi
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.rate_buckets import RateWindows
from ecauto_pipeline.sync.amazon.refresh import OnWait
from ecauto_pipeline.wiring.shops import Shops


class BaseShops(Shops):
    """BASE's half: the accounts, and what is written to their shops."""

    @property
    def call_timeout(self) -> timedelta:
        """The longest that a call to BASE may take."""
        return self._settings.base.timeout

    @cached_property
    def account_store(self) -> AccountStore:
        """Accounts taken over, and everybody's tokens."""
        cipher = Cipher(self._settings.secret_key.get_secret_value())
        opened = self._opened
        return AccountStore(opened.engine, cipher, opened.clock, self.marketplace.name)

    def known_accounts(self) -> list[Account]:
        """All accounts, configured or imported, also those that are switched off."""
        return self.account_store.accounts(self._settings.base.accounts)

    def client(
        self, account_id: str, on_wait: OnWait | None = None, *, share: float = 1.0
    ) -> BaseShopClient:
        """The client of an account, which may use that share of its calls.

        Raises:
            Misconfigured: there is no such account.
            AccountStopped: the account is switched off.
        """
        account = self.active(account_id)
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

    def _api(self) -> JsonApi:
        opened = self._opened
        return JsonApi(opened.http, self._settings.base.endpoint, opened.clock, opened.redactor)
