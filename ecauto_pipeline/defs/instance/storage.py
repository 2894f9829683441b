"""Where Dagster keeps its runs and events: SQLite in DAGSTER_HOME, or PostgreSQL.

What dagster.yaml says cannot depend on a variable, so it names this class, which does.
"""

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from ecauto_pipeline.settings.environment import dagster_home
from ecauto_pipeline.settings.loading import load_settings


class ChosenStorage(DagsterSqliteStorage):
    """SQLite, unless ECAUTO_DAGSTER_POSTGRES_URL is set."""

    @classmethod
    def config_type(cls) -> Any:
        """Nothing is configured in dagster.yaml."""
        return {}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster hands it in by name
    ) -> DagsterStorage:
        """The storage that the settings ask for."""
        url = load_settings().dagster_postgres_url.get_secret_value()
        if not url:
            return DagsterSqliteStorage.from_local(str(dagster_home()), inst_data)
        from dagster_postgres import DagsterPostgresStorage  # noqa: PLC0415 - only when asked for

        return DagsterPostgresStorage(url, should_autocreate_tables=True, inst_data=inst_data)
