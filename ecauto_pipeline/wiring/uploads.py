"""What is opened for the way from an ASIN to a published listing."""

from collections.abc import Collection
from functools import cached_property, partial

from ecauto_pipeline.storage.screening.rule_files import read_rules
from ecauto_pipeline.storage.screening.verdicts import ScreeningStore
from ecauto_pipeline.storage.uploads.attempts import Checkpoint, UploadAttempts
from ecauto_pipeline.storage.uploads.consistency import ConsistencyStore
from ecauto_pipeline.storage.uploads.inbox import Inbox
from ecauto_pipeline.storage.uploads.intake import IntakeStore
from ecauto_pipeline.storage.uploads.queue import UploadQueue
from ecauto_pipeline.sync.progress import Progress
from ecauto_pipeline.sync.screening import Screener
from ecauto_pipeline.sync.uploads.consistency import (
    ConsistencyCheck,
    ConsistencyReport,
    ShopReading,
    adopt_before_uploading,
)
from ecauto_pipeline.sync.uploads.intake import Intake
from ecauto_pipeline.sync.uploads.lookup import LookupReport, resolve_unknown
from ecauto_pipeline.sync.uploads.queue import fill_queue
from ecauto_pipeline.sync.uploads.screened import accepted
from ecauto_pipeline.sync.uploads.uploader import Fence, Uploader
from ecauto_pipeline.wiring.amazon import Amazon
from ecauto_pipeline.wiring.opened import Opened
from ecauto_pipeline.wiring.shops import Shops

UPLOAD_SHARE = 0.9
"""Of an account's calls an hour, so much may go into uploads; prices and stock have the rest."""


class Uploads:
    """Intake, queue, uploads and the consistency check of a marketplace's shops.

    `checkpoint` hears of each boundary between the statements of an upload.
    """

    def __init__(
        self, opened: Opened, amazon: Amazon, shops: Shops, checkpoint: Checkpoint
    ) -> None:
        self._opened = opened
        self._settings = opened.settings
        self._amazon = amazon
        self._shops = shops
        self._platform = shops.marketplace.name
        self._checkpoint = checkpoint

    @cached_property
    def inbox(self) -> Inbox:
        """Where files of ASINs are put to be taken in."""
        return Inbox(self._settings.data_dir / "inbox", self._opened.clock)

    @cached_property
    def screenings(self) -> ScreeningStore:
        """What the rules said of products, and what people decided."""
        return ScreeningStore(self._opened.engine, self._opened.clock)

    @cached_property
    def screener(self) -> Screener:
        """The screening rules in force.

        Raises:
            Misconfigured: a rule file is malformed.
        """
        return Screener(read_rules(self._settings.data_dir / "screening"), self.screenings)

    @cached_property
    def intake(self) -> Intake:
        """Takes new products in."""
        return Intake(
            IntakeStore(self._opened.engine, self._opened.clock, self._platform),
            self._amazon.refresher,
            self.screener,
            self._shops.known_accounts(),
            self._shops.marketplace.accounts_setting,
            self._opened.clock,
        )

    @cached_property
    def queue(self) -> UploadQueue:
        """The upload queue as a whole."""
        return UploadQueue(self._opened.engine, self._opened.clock, self._platform)

    def fill_queue(
        self, account_ids: Collection[str], *, limit: int | None = None, held: bool = False
    ) -> dict[str, int]:
        """Queue these accounts' pending listings that were never queued; how many, by account."""
        accounts = [each for each in self._shops.accounts() if each.id in account_ids]
        return fill_queue(
            self.queue, accounts, self._opened.clock, self._settings.upload, limit=limit, held=held
        )

    @cached_property
    def attempts(self) -> UploadAttempts:
        """What workers do to the queue's rows."""
        opened = self._opened
        rules = self._settings.upload
        return UploadAttempts(opened.engine, opened.clock, self._platform, rules, self._checkpoint)

    def resolve_unknown(self, account_id: str) -> LookupReport:
        """Find out what became of the account's uploads whose answers were lost."""
        client = self._shops.client(account_id)
        return resolve_unknown(self.attempts, client, self._settings.upload, account_id)

    def uploader(self, account_id: str, fence: Fence) -> Uploader:
        """Uploads the account's due rows."""
        return Uploader(
            queue=self.queue,
            attempts=self.attempts,
            shop=self._shops.client(account_id, share=UPLOAD_SHARE),
            clock=self._opened.clock,
            rules=self._settings.upload,
            price_rule=self._settings.pricing,
            screen=partial(accepted, self.screener),
            fresh_check=self._amazon.offers_check,
            call_timeout=self._shops.call_timeout,
            fence=fence,
        )

    @cached_property
    def consistency(self) -> ConsistencyCheck:
        """Compares listings, queue and shops."""
        store = ConsistencyStore(self._opened.engine, self._opened.clock, self._platform)
        return ConsistencyCheck(store, self.attempts, self._settings.upload, self._opened.clock)

    def read_shop(self, account_id: str, progress: Progress) -> ShopReading:
        """Read the account's shop whole, compare, and keep what it showed.

        Raises:
            Implausible: it shows nothing of what we have listed there.
            EcautoError: it cannot be read.
        """
        client = self._shops.client(account_id, progress.waiting)
        return self.consistency.read_shop(account_id, client)

    def check_account(
        self, account_id: str, progress: Progress, *, run_id: str, fix: bool
    ) -> ConsistencyReport:
        """Read the account's shop whole and compare; mend what is safe if asked to."""
        client = self._shops.client(account_id, progress.waiting)
        return self.consistency.check_account(account_id, client, progress, run_id=run_id, fix=fix)

    def adopt_before_uploading(self, account_id: str) -> None:
        """Once after a take-over: what v1.0 had put on the shop is adopted, not made again.

        Raises:
            Unavailable: the shop could not be read whole, so nothing may be uploaded yet.
        """
        adopt_before_uploading(
            self.queue, self.consistency, account_id, lambda: self._shops.client(account_id)
        )
