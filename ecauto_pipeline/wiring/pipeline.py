"""Everything opened: database, stores, clients and flows, from the settings in force."""

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from ecauto_pipeline.clients.amazon.auth import AmazonCredentials, LwaTokens
from ecauto_pipeline.clients.amazon.client import BATCH, COMPETITIVE_PRICING, AmazonClient
from ecauto_pipeline.clients.base_shop.auth import BaseTokens
from ecauto_pipeline.clients.base_shop.client import BaseShopClient, CallBudget
from ecauto_pipeline.clients.http import JsonApi, open_http
from ecauto_pipeline.clients.rate_limit import Pacer
from ecauto_pipeline.clock import Clock, SystemClock
from ecauto_pipeline.domain.amazon.facts import BuyFrom, Fact
from ecauto_pipeline.domain.amazon.freshness import FreshnessRules, Scope
from ecauto_pipeline.domain.base_shop.accounts import Account
from ecauto_pipeline.domain.base_shop.changes import Breaker
from ecauto_pipeline.domain.base_shop.pricing import PriceBand, PriceRule
from ecauto_pipeline.domain.uploads.rules import JAPAN, UploadRules
from ecauto_pipeline.domain.v1.report import ImportReport
from ecauto_pipeline.errors import (
    AccountStopped,
    DatabaseUnusable,
    EcautoError,
    Misconfigured,
    Unavailable,
)
from ecauto_pipeline.settings import redaction
from ecauto_pipeline.settings.model import Settings, load_settings
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.amazon.product_files import FOLDER, ProductFiles
from ecauto_pipeline.storage.amazon.products import ProductStore
from ecauto_pipeline.storage.base_shop.accounts import AccountStore
from ecauto_pipeline.storage.base_shop.listings import ListingStore
from ecauto_pipeline.storage.cipher import Cipher
from ecauto_pipeline.storage.rate_buckets import RateBuckets, RateWindows
from ecauto_pipeline.storage.screening.rule_files import read_rules
from ecauto_pipeline.storage.screening.verdicts import ScreeningStore
from ecauto_pipeline.storage.uploads.attempts import Checkpoint, UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.inbox import Inbox
from ecauto_pipeline.storage.uploads.intake import IntakeStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.storage.v1.additions import ImportStore
from ecauto_pipeline.sync.amazon.refresh import AmazonRefresher, OffersCheck, OnWait, RefreshPlan
from ecauto_pipeline.sync.base_shop.writes import BaseShopSync
from ecauto_pipeline.sync.progress import Progress, Silent
from ecauto_pipeline.sync.screening import Screener
from ecauto_pipeline.sync.uploads.consistency import ConsistencyCheck, ConsistencyReport
from ecauto_pipeline.sync.uploads.intake import Intake
from ecauto_pipeline.sync.uploads.lookup import LookupReport, resolve_unknown
from ecauto_pipeline.sync.uploads.queue import fill_queue
from ecauto_pipeline.sync.uploads.uploader import Fence, Uploader
from ecauto_pipeline.sync.v1 import import_v1
from ecauto_pipeline.wiring.shopify import Mirrors

UPLOAD_SHARE = 0.9
"""Of an account's calls an hour, so much may go into uploads; prices and stock have the rest."""

PROOF_TTLS = 2
"""A fact older than so many of its TTLs neither shows a listing nor reprices it."""


class Pipeline:
    """What the assets, sensors and commands work with; opened once per process or run.

    `checkpoint` hears of each boundary between the statements of an upload.
    """

    def __init__(
        self,
        read_settings: Callable[[], Settings] = load_settings,
        clock: Clock | None = None,
        checkpoint: Checkpoint = lambda _: None,
    ) -> None:
        self._read_settings = read_settings
        self._checkpoint = checkpoint
        self.settings = read_settings()
        self.clock = clock or SystemClock()
        self.redactor = redaction.Redactor(self.settings.secrets())
        self._show_secrets_again = redaction.install(self.redactor)
        try:
            self.engine = _open_database(self.settings)
        except EcautoError:
            self._show_secrets_again()
            raise

    def close(self) -> None:
        """Close all connections."""
        if "_http" in self.__dict__:
            self._http.close()
        if "_urgent_amazon_client" in self.__dict__:
            self._urgent_amazon_client.close()
        if "mirrors" in self.__dict__:
            self.mirrors.close()
        self.engine.dispose()
        self._show_secrets_again()

    @cached_property
    def products(self) -> ProductStore:
        """The caches of Amazon's facts."""
        return ProductStore(self.engine, self.clock, self.freshness_rules)

    @cached_property
    def listings(self) -> ListingStore:
        """Listings and decisions."""
        return ListingStore(self.engine, self.clock)

    @cached_property
    def accounts(self) -> AccountStore:
        """BASE accounts and their tokens."""
        cipher = Cipher(self.settings.secret_key.get_secret_value())
        return AccountStore(self.engine, cipher, self.clock)

    @cached_property
    def rate_buckets(self) -> RateBuckets:
        """The quotas shared by all processes."""
        return RateBuckets(self.engine, self.clock)

    @cached_property
    def freshness_rules(self) -> FreshnessRules:
        """The TTLs in force."""
        ttl, refresh = self.settings.ttl, self.settings.refresh
        return FreshnessRules(
            ttl={
                Fact.CATALOG: ttl.catalog,
                Fact.CLASSIFICATION: ttl.classification,
                Fact.PRICE: ttl.price,
                Fact.STOCK: ttl.stock,
            },
            tiered=refresh.policy == "tiered",
            hot=timedelta(days=refresh.hot_days),
            warm=timedelta(days=refresh.warm_days),
        )

    @cached_property
    def mirrors(self) -> Mirrors:
        """The mirrors of Shopify stores."""
        return Mirrors(self._read_settings, self.engine, self.clock, self.redactor)

    @cached_property
    def refresher(self) -> AmazonRefresher:
        """Refreshes the caches."""
        amazon = self.settings.amazon
        return AmazonRefresher(
            store=self.products,
            files=ProductFiles(self.settings.data_dir / FOLDER),
            client_for=self._amazon_client,
            clock=self.clock,
            rules=self.freshness_rules,
            buy_from=BuyFrom(amazon.buy_from, amazon.seller_ids),
        )

    def refresh_plan(self, scope: Scope) -> RefreshPlan:
        """What to fetch, and for how long: no more than the sweep's quota reaches in that time."""
        refresh = self.settings.refresh
        per_second = self.settings.amazon.rates[COMPETITIVE_PRICING].per_second
        reach = refresh.time_budget.total_seconds() * per_second * BATCH
        return RefreshPlan(
            scope=scope,
            time_budget=refresh.time_budget,
            recheck_budget=refresh.recheck_budget,
            limit=int(reach * self.settings.rate_multiplier) + BATCH,
        )

    @cached_property
    def price_rule(self) -> PriceRule:
        """How a selling price follows from Amazon's."""
        pricing = self.settings.pricing
        return PriceRule(
            markup=pricing.markup,
            min_difference_jpy=pricing.min_difference_jpy,
            round_to=pricing.round_to,
            bands=[PriceBand(band.up_to_jpy, band.markup) for band in pricing.bands],
            floor_jpy=pricing.floor_jpy,
            ceiling_jpy=pricing.ceiling_jpy,
        )

    def base_shop_sync(self, progress: Progress | None = None) -> BaseShopSync:
        """Writes to BASE shops; `progress` hears of waits."""
        breaker = self.settings.breaker
        on_wait = (progress or Silent()).waiting
        return BaseShopSync(
            store=self.listings,
            client_for=lambda account_id: self.base_shop_client(account_id, on_wait),
            clock=self.clock,
            rule=self.price_rule,
            breaker=Breaker(breaker.max_hidden_share, breaker.max_repriced_share),
            proof_age=PROOF_TTLS * self.settings.ttl.price,
        )

    def import_v1(self, source: Path, *, dry_run: bool) -> ImportReport:
        """Take over v1.0.

        Raises:
            Misconfigured: there is nothing to take over, or it is not v1.0's.
        """
        return import_v1(
            source,
            ImportStore(self.engine),
            self.accounts,
            self.clock,
            toml_file=self.settings.data_dir / "ecauto.toml",
            dry_run=dry_run,
        )

    def base_accounts(self, only: str | None = None) -> list[Account]:
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

    def known_accounts(self) -> list[Account]:
        """All accounts, configured or imported, also those that are switched off."""
        return self.accounts.accounts(self.settings.base.accounts)

    def base_shop_client(
        self, account_id: str, on_wait: OnWait | None = None, *, share: float = 1.0
    ) -> BaseShopClient:
        """The client of an account.

        Raises:
            Misconfigured: there is no such account.
            AccountStopped: the account is switched off.
        """
        account = self.base_accounts(account_id)[0]
        if not account.active:
            raise AccountStopped(f"{account.label} is switched off (active = false)")
        settings = self.settings
        host = urlsplit(settings.base.endpoint).netloc
        pacer = Pacer(self.rate_buckets, self.clock, on_wait)
        windows = RateWindows(self.engine, self.clock)
        api = JsonApi(self._http, settings.base.endpoint, self.clock, self.redactor)
        budget = CallBudget(
            account,
            host,
            pacer,
            windows,
            self.clock,
            multiplier=settings.rate_multiplier,
            share=share,
        )
        return BaseShopClient(api, self.base_tokens(account), budget, self.clock)

    @cached_property
    def upload_queue(self) -> UploadQueue:
        """The upload queue as a whole."""
        return UploadQueue(self.engine, self.clock)

    def fill_queue(
        self, account_ids: Collection[str], *, limit: int | None = None, held: bool = False
    ) -> dict[str, int]:
        """Queue these accounts' pending listings that were never queued; how many, by account."""
        accounts = [each for each in self.base_accounts() if each.id in account_ids]
        return fill_queue(
            self.upload_queue, accounts, self.clock, self.upload_rules, limit=limit, held=held
        )

    @cached_property
    def upload_rules(self) -> UploadRules:
        """How long uploads take, and how often they are tried."""
        upload = self.settings.upload
        return UploadRules(
            lease=upload.lease,
            late_apply=upload.late_apply,
            visibility_lag=upload.visibility_lag,
            look_again_after=upload.look_again_after,
            max_retries=upload.max_retries,
            from_hour=upload.from_hour,
            to_hour=upload.to_hour,
            call_timeout=self.settings.base.timeout,
        )

    @cached_property
    def upload_attempts(self) -> UploadAttempts:
        """What workers do to the queue's rows."""
        return UploadAttempts(self.engine, self.clock, self.upload_rules, self._checkpoint)

    @cached_property
    def screener(self) -> Screener:
        """The screening rules in force.

        Raises:
            Misconfigured: a rule file is malformed.
        """
        return Screener(read_rules(self.settings.data_dir / "screening"), self.screenings)

    @cached_property
    def inbox(self) -> Inbox:
        """Where files of ASINs are put to be taken in."""
        return Inbox(self.settings.data_dir / "inbox", self.clock)

    @cached_property
    def intake(self) -> Intake:
        """Takes new products in."""
        store = IntakeStore(self.engine, self.clock)
        return Intake(store, self.refresher, self.screener, self.known_accounts(), self.clock)

    def check_account(
        self, account_id: str, progress: Progress, *, run_id: str, fix: bool
    ) -> ConsistencyReport:
        """Read the account's shop whole and compare; mend what is safe if asked to."""
        client = self.base_shop_client(account_id, progress.waiting)
        report = self.consistency.check_account(
            account_id, client, progress, run_id=run_id, fix=fix
        )
        if fix and report.shop_items is not None and not report.problems:
            self.consistency.store.note_check(account_id)
        return report

    def adopt_before_uploading(self, account_id: str) -> None:
        """Once after a take-over: what v1.0 had put on the shop is adopted, not made again.

        Raises:
            Unavailable: the shop could not be read whole, so nothing may be uploaded yet.
        """
        queue, store = self.upload_queue, self.consistency.store
        if not queue.has_imported(account_id) or store.checked(account_id):
            return
        report = self.check_account(account_id, Silent(), run_id="take-over", fix=True)
        if report.problems:
            raise Unavailable(f"{account_id}: not compared with the shop yet: {report.problems[0]}")

    @cached_property
    def consistency(self) -> ConsistencyCheck:
        """Compares listings, queue and shops."""
        store = ConsistencyStore(self.engine, self.clock)
        return ConsistencyCheck(store, self.upload_attempts, self.upload_rules, self.clock)

    @cached_property
    def screenings(self) -> ScreeningStore:
        """What the rules said of products, and what people decided."""
        return ScreeningStore(self.engine, self.clock)

    def resolve_unknown(self, account_id: str) -> LookupReport:
        """Find out what became of the account's uploads whose answers were lost."""
        client = self.base_shop_client(account_id)
        return resolve_unknown(self.upload_attempts, client, self.upload_rules, account_id)

    def uploader(self, account_id: str, fence: Fence) -> Uploader:
        """Uploads the account's due rows."""
        account = self.base_accounts(account_id)[0]
        return Uploader(
            queue=self.upload_queue,
            attempts=self.upload_attempts,
            client=self.base_shop_client(account_id, share=UPLOAD_SHARE),
            clock=self.clock,
            rules=self.upload_rules,
            price_rule=self.price_rule,
            screen=self.screener.accept,
            fresh_check=OffersCheck(
                self.products,
                self._urgent_amazon_client,
                self.refresher.buy_from,
            ),
            take_daily_slot=lambda: self._take_daily_slot(account),
            fence=fence,
        )

    def _take_daily_slot(self, account: Account) -> bool:
        """Count one items/add of the account's day, which begins at midnight in Japan."""
        now = self.clock.now().astimezone(JAPAN)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        windows = RateWindows(self.engine, self.clock)
        host = urlsplit(self.settings.base.endpoint).netloc
        return windows.take(f"{host}/{account.id}/items_add", today, account.daily_upload_limit)

    def base_tokens(self, account: Account) -> BaseTokens:
        """The account's access tokens."""
        api = JsonApi(self._http, self.settings.base.endpoint, self.clock, self.redactor)

        def reload() -> Account | None:
            accounts = self.accounts.accounts(self._read_settings().base.accounts)
            return next((each for each in accounts if each.id == account.id), None)

        return BaseTokens(account, self.accounts, api, self.clock, reload)

    @cached_property
    def _urgent_amazon_client(self) -> AmazonClient:
        """Asks for one product at a time, just before it is shown."""
        return self._amazon_client(self.clock, Silent().waiting)

    def _amazon_client(self, clock: Clock, on_wait: OnWait) -> AmazonClient:
        amazon = self.settings.amazon
        client = AmazonClient(
            JsonApi(open_http(), amazon.endpoint, clock, self.redactor),
            self._lwa_tokens,
            Pacer(self.rate_buckets, clock, on_wait),
            clock,
            marketplace_id=amazon.marketplace_id,
            account=self._amazon_credentials().fingerprint(),
        )
        for operation, rate in amazon.rates.items():
            per_second = rate.per_second * self.settings.rate_multiplier
            client.configure_quota(operation, per_second, rate.burst)
        return client

    @cached_property
    def _http(self) -> httpx.Client:
        return open_http(self.settings.base.timeout.total_seconds())

    @cached_property
    def _lwa_tokens(self) -> LwaTokens:
        endpoint = self.settings.amazon.lwa_endpoint
        api = JsonApi(self._http, endpoint, self.clock, self.redactor)
        return LwaTokens(self._amazon_credentials, api, self.clock)

    def _amazon_credentials(self) -> AmazonCredentials:
        """Read again each time: a secret may have been rotated since."""
        settings = self._read_settings()
        self.redactor.add(*settings.secrets())
        return AmazonCredentials(
            settings.sp_api_refresh_token.get_secret_value(),
            settings.lwa_app_id.get_secret_value(),
            settings.lwa_client_secret.get_secret_value(),
        )


def _open_database(settings: Settings) -> sa.Engine:
    """The database, at the revision of this program; its folder is made."""
    try:
        engine = database.open_engine(settings.database)
        migrate.upgrade(engine)
    except OSError as error:
        name = "ECAUTO_DATABASE_URL" if settings.database_url else "ECAUTO_DATA_DIR"
        raise DatabaseUnusable(f"{name}: {error.filename}: {error.strerror}") from None
    return engine
