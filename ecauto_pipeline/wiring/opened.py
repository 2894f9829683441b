"""What every room of the wiring is given: settings, database, clock, quotas and a connection."""

from collections.abc import Callable
from functools import cached_property

import httpx
import sqlalchemy as sa

from ecauto_pipeline.clients.http import open_http
from ecauto_pipeline.clock import Clock
from ecauto_pipeline.errors import DatabaseUnusable, EcautoError
from ecauto_pipeline.settings import redaction
from ecauto_pipeline.settings.loading import Settings
from ecauto_pipeline.storage import database, migrate
from ecauto_pipeline.storage.rate_buckets import RateBuckets


class Opened:
    """The settings in force, and what they open; closed as a whole.

    Raises:
        DatabaseUnusable: the database cannot be opened or brought to this program's revision.
    """

    def __init__(self, read_settings: Callable[[], Settings], clock: Clock) -> None:
        self._read_settings = read_settings
        self.settings = read_settings()
        self.clock = clock
        self.redactor = redaction.Redactor(self.settings.secrets())
        self._show_secrets_again = redaction.install(self.redactor)
        try:
            self.engine = _open_database(self.settings)
        except EcautoError:
            self._show_secrets_again()
            raise

    def close(self) -> None:
        """Close all connections."""
        if "http" in self.__dict__:
            self.http.close()
        self.engine.dispose()
        self._show_secrets_again()

    def settings_now(self) -> Settings:
        """Read again, as a secret may have been rotated since; what is secret stays unseen."""
        settings = self._read_settings()
        self.redactor.add(*settings.secrets())
        return settings

    @cached_property
    def rate_buckets(self) -> RateBuckets:
        """The quotas shared by all processes."""
        return RateBuckets(self.engine, self.clock)

    @cached_property
    def http(self) -> httpx.Client:
        """The connections to Amazon's and BASE's token servers and shops."""
        return open_http(self.settings.base.timeout.total_seconds())


def _open_database(settings: Settings) -> sa.Engine:
    """The database, at the revision of this program; its folder is made."""
    try:
        engine = database.open_engine(settings.database)
        migrate.upgrade(engine)
    except OSError as error:
        name = "ECAUTO_DATABASE_URL" if settings.database_url else "ECAUTO_DATA_DIR"
        raise DatabaseUnusable(f"{name}: {error.filename}: {error.strerror}") from None
    return engine
