"""What a person is told by the inventory sync, beyond what the halves report themselves."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.cli.inventory_sync import SyncOptions, sync_inventory
from ecauto_pipeline.domain.amazon.asin import shard_of
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline.wiring.pipeline import Pipeline

ASIN = "B0FGQJ45HW"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECAUTO_DATA_DIR", str(tmp_path / "data"))


def test_listings_of_an_account_that_is_configured_nowhere_are_not_passed_over(
    tmp_path: Path,
) -> None:
    pipeline = Pipeline()
    now = pipeline.clock.now()
    with pipeline.engine.begin() as connection:
        fresh = {f"{fact}_updated_at": now for fact in Fact}
        times = {"created_at": now, "updated_at": now}
        connection.execute(
            sa.insert(products).values(asin=ASIN, shard=shard_of(ASIN), **fresh, **times)
        )
        connection.execute(
            sa.insert(listings).values(asin=ASIN, platform="base", account_id="forgotten", **times)
        )
    (tmp_path / "home").mkdir()
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path / "home"), overrides=overrides) as instance:
        report = sync_inventory(instance, pipeline, SyncOptions())
    pipeline.close()
    assert not report.succeeded
    assert report.problems == [
        "forgotten: it has listings, but is not configured: add it to ECAUTO_BASE__ACCOUNTS"
    ]
