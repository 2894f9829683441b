"""`ECAUTO_TIMEZONE` is the zone that times are shown in, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from ecauto_pipeline.cli.inventory_report import SyncReport
from ecauto_pipeline.cli.shopify_sync import MirrorsReport
from ecauto_pipeline.cli.status import status_lines
from ecauto_pipeline.cli.uploads import queue_lines
from ecauto_pipeline.domain.uploads.rules import UploadRules
from ecauto_pipeline.settings.loading import Settings, load_settings
from ecauto_pipeline_tests.fakes import MIDDAY

PROJECT = Path(__file__).parents[2]

ROW = {
    "id": 1,
    "asin": "B0FGQJ45HW",
    "account_id": "one",
    "status": "pending",
    "scheduled_time": MIDDAY,
    "priority": 5,
    "error_message": None,
}

STATUS: dict[str, Any] = {
    "freshness": {},
    "listings": {},
    "queue": {},
    "accounts": [],
    "quotas": [],
    "mirrors": [
        {
            "store_id": "main",
            "entity": "orders",
            "rows": 1,
            "problem": "",
            "watermark_at": MIDDAY.isoformat(),
        }
    ],
    "runs": [{"started_at": MIDDAY.isoformat(), "job": "refresh", "status": "success"}],
}


@pytest.fixture(params=[("UTC", "03:00"), ("", "12:00"), ("America/New_York", "22:00")])
def zoned(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[Settings, str]:
    """The settings with a zone, and what its clocks show at midday in Japan."""
    zone, shown = request.param
    monkeypatch.setenv("ECAUTO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ECAUTO_TIMEZONE", zone)
    return load_settings(), shown


def test_every_report_shows_times_in_the_zone(zoned: tuple[Settings, str]) -> None:
    settings, shown = zoned
    zone = settings.zone
    assert f" {shown} " in list(queue_lines({}, [ROW], zone))[1]
    assert f" {shown}:00" in next(iter(MirrorsReport(MIDDAY, MIDDAY).lines(zone)))
    report = list(SyncReport(MIDDAY, MIDDAY).lines(zone))
    assert sum(f" {shown}:00" in line for line in report) == 2
    assert sum(f" {shown}:00" in line for line in status_lines(STATUS, zone)) == 2


def test_the_hours_of_upload_are_japans_in_every_zone(zoned: tuple[Settings, str]) -> None:
    settings, _ = zoned
    upload = settings.upload
    rules = UploadRules(from_hour=upload.from_hour, to_hour=upload.to_hour)
    opening = rules.opens_at(MIDDAY.replace(hour=16))
    assert opening.isoformat() == f"2026-11-21T{upload.from_hour:02d}:00:00+09:00"


@pytest.mark.parametrize("example", [".env.example", "data/ecauto.example.toml"])
def test_the_examples_say_what_it_does(example: str) -> None:
    told = (
        "# The zone that times are shown in; days, hours of upload and schedules are Japan's"
        " whatever it is."
    )
    assert told in (PROJECT / example).read_text(encoding="utf-8")
