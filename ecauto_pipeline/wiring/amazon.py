"""What is opened for Amazon: the caches, their refresher, and the look at one product now."""

from functools import cached_property

from ecauto_pipeline.clients.amazon.auth import AmazonCredentials, LwaTokens
from ecauto_pipeline.clients.amazon.client import BATCH, AmazonClient
from ecauto_pipeline.clients.http import JsonApi, open_http
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.domain.amazon.facts import BuyFrom
from ecauto_pipeline.domain.amazon.freshness import FreshnessRules, Scope
from ecauto_pipeline.domain.amazon.operations import COMPETITIVE_PRICING
from ecauto_pipeline.storage.amazon.product_files import FOLDER, ProductFiles
from ecauto_pipeline.storage.amazon.products import ProductStore
from ecauto_pipeline.sync.amazon.refresh import AmazonRefresher, OffersCheck, OnWait, RefreshPlan
from ecauto_pipeline.sync.progress import Silent
from ecauto_pipeline.wiring.opened import Opened


class Amazon:
    """Amazon's half: what it says of our products, and how that is kept fresh."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._settings = opened.settings

    def close(self) -> None:
        """Close the connections of its own."""
        if "_urgent_client" in self.__dict__:
            self._urgent_client.close()

    @cached_property
    def products(self) -> ProductStore:
        """The caches of Amazon's facts."""
        return ProductStore(self._opened.engine, self._opened.clock, self.freshness_rules)

    @cached_property
    def freshness_rules(self) -> FreshnessRules:
        """The TTLs in force."""
        return FreshnessRules(self._settings.ttl, self._settings.refresh)

    @cached_property
    def refresher(self) -> AmazonRefresher:
        """Refreshes the caches."""
        return AmazonRefresher(
            store=self.products,
            files=ProductFiles(self._settings.data_dir / FOLDER),
            client_for=self._client,
            clock=self._opened.clock,
            rules=self.freshness_rules,
            buy_from=self._buy_from,
        )

    def refresh_plan(self, scope: Scope) -> RefreshPlan:
        """What to fetch, and for how long: no more than the sweep's quota reaches in that time."""
        refresh = self._settings.refresh
        per_second = self._settings.amazon.rates[COMPETITIVE_PRICING].per_second
        reach = refresh.time_budget.total_seconds() * per_second * BATCH
        return RefreshPlan(
            scope=scope,
            time_budget=refresh.time_budget,
            recheck_budget=refresh.recheck_budget,
            limit=int(reach * self._settings.rate_multiplier) + BATCH,
        )

    @cached_property
    def offers_check(self) -> OffersCheck:
        """Asks for one product's offers now, just before it is shown."""
        return OffersCheck(self.products, self._urgent_client, self._buy_from)

    @cached_property
    def _buy_from(self) -> BuyFrom:
        amazon = self._settings.amazon
        return BuyFrom(amazon.buy_from, amazon.seller_ids)

    @cached_property
    def _urgent_client(self) -> AmazonClient:
        return self._client(self._opened.clock, Silent().waiting)

    def _client(self, clock: Clock, on_wait: OnWait) -> AmazonClient:
        amazon = self._settings.amazon
        client = AmazonClient(
            JsonApi(open_http(), amazon.endpoint, clock, self._opened.redactor),
            self._tokens,
            Pacer(self._opened.rate_buckets, clock, on_wait),
            clock,
            marketplace_id=amazon.marketplace_id,
            account=self._credentials().fingerprint(),
        )
        for operation, rate in amazon.rates.items():
            per_second = rate.per_second * self._settings.rate_multiplier
            client.configure_quota(operation, per_second, rate.burst)
        return client

    @cached_property
    def _tokens(self) -> LwaTokens:
        opened = self._opened
        endpoint = self._settings.amazon.lwa_endpoint
        api = JsonApi(opened.http, endpoint, opened.clock, opened.redactor)
        return LwaTokens(self._credentials, api, opened.clock)

    def _credentials(self) -> AmazonCredentials:
        settings = self._opened.settings_now()
        return AmazonCredentials(
            settings.sp_api_refresh_token.get_secret_value(),
            settings.lwa_app_id.get_secret_value(),
            settings.lwa_client_secret.get_secret_value(),
        )
