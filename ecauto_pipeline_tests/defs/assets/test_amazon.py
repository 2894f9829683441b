"""The Amazon assets: what a run fetches, materializes, reports, and leaves out."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.definitions import defs
from ecauto_pipeline.defs.partitions import ALL_SHARDS, range_tags
from ecauto_pipeline.domain.amazon.asin import SHARDS, shard_of
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import kind_of
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import listings, products
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.runs import Runs, failure, rows
from ecauto_pipeline_tests.defs.ticks import sense

NUMBERS = {
    "due", "cache_hits", "calls", "refreshed", "unknown", "deferred", "errors", "seconds",
}  # fmt: skip

WATERMARKS = (
    "amazon_catalog_fresh",
    "amazon_classification_fresh",
    "amazon_prices_fresh",
    "amazon_stock_fresh",
)


def asins_of(shard: str, *, beginning: str = "B0") -> Iterator[str]:
    """ASINs of normal products, in order, as many as are asked for."""
    digits = 10 - len(beginning)
    for number in range(10**digits):
        asin = f"{beginning}{number:0{digits}d}"
        if shard_of(asin) == shard and kind_of(asin, seed=1) is Kind.NORMAL:
            yield asin


def some(shard: str, count: int, *, beginning: str = "B0") -> list[str]:
    return [
        asin for asin, _ in zip(asins_of(shard, beginning=beginning), range(count), strict=False)
    ]


def add_products(pipeline: Pipeline, asins: list[str], **values: object) -> None:
    now = pipeline.clock.now()
    with pipeline.engine.begin() as connection:
        for asin in asins:
            row = {"asin": asin, "shard": shard_of(asin), "created_at": now, "updated_at": now}
            connection.execute(sa.insert(products).values(row | values))


def in_stock(pipeline: Pipeline) -> dict[str, bool | None]:
    query = sa.select(products.c.asin, products.c.amazon_in_stock)
    with pipeline.engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        evaluation.asset_key.to_user_string(): evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def age(pipeline: Pipeline, **by: float) -> None:
    """Let all facts be that much older."""
    past = pipeline.clock.now() - timedelta(**by)
    times = [
        column.name for column in products.c if column.name.endswith(("updated_at", "asked_at"))
    ]
    with pipeline.engine.begin() as connection:
        connection.execute(sa.update(products).values(dict.fromkeys(times, past)))
    for file in (pipeline.settings.data_dir / "cache").rglob("*.json"):
        file.unlink()


def test_one_shard(pipeline: Pipeline, runs: Runs, sandbox: Sandbox) -> None:
    here, elsewhere = some("03", 3), some("04", 2)
    add_products(pipeline, here + elsewhere)
    result = runs.run("stock_refresh", partition="03")
    assert result.success
    assert runs.materialized("amazon_stock") == {"03"}
    assert runs.materialized("amazon_prices") == set()
    truth = {asin: sandbox.world.truth(asin).in_stock for asin in here}
    assert in_stock(pipeline) == truth | dict.fromkeys(elsewhere)


def test_the_numbers_plot_over_time_and_the_changes_are_a_table(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    asins = some("03", 3)
    add_products(pipeline, asins)
    numbers = runs.metadata(runs.run("stock_refresh", partition="03"), "amazon_stock")["03"]
    assert numbers.keys() == NUMBERS | {"changed"}
    assert all(isinstance(numbers[name], int | float) for name in NUMBERS)
    assert (numbers["due"], numbers["refreshed"], numbers["cache_hits"]) == (3, 3, 0)
    assert (numbers["unknown"], numbers["deferred"], numbers["errors"]) == (0, 0, 0)
    assert numbers["calls"] == sandbox.calls("getCompetitivePricing") == 1
    assert numbers["seconds"] > 0
    [*changed] = rows(numbers["changed"].records)
    assert sorted(change["asin"] for change in changed) == asins
    assert {(change["old"], change["new"]) for change in changed} == {("unknown", "in stock")}


def test_what_is_fresh_is_a_cache_hit_and_changes_nothing(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    add_products(pipeline, some("03", 3))
    runs.run("stock_refresh", partition="03")
    calls = sandbox.calls()
    numbers = runs.metadata(runs.run("stock_refresh", partition="03"), "amazon_stock")["03"]
    assert (numbers["due"], numbers["cache_hits"], numbers["calls"]) == (0, 3, 0)
    assert "changed" not in numbers
    assert sandbox.calls() == calls


def test_a_range_of_shards_is_one_run(pipeline: Pipeline, runs: Runs) -> None:
    add_products(pipeline, [*some("03", 2), *some("05", 1), *some("06", 1)])
    result = runs.run("price_refresh", range_tags("03", "05"))
    numbers = runs.metadata(result, "amazon_prices")
    assert {shard: numbers[shard]["due"] for shard in numbers} == {"03": 2, "04": 0, "05": 1}
    assert runs.materialized("amazon_prices") == {"03", "04", "05"}
    assert None in in_stock(pipeline).values()


def test_all_facts_of_all_shards(pipeline: Pipeline, runs: Runs, sandbox: Sandbox) -> None:
    asins = [asin for shard in SHARDS for asin in some(shard, 1)]
    add_products(pipeline, asins)
    result = runs.run("amazon_refresh", ALL_SHARDS)
    assert result.success
    for asset in ("amazon_catalog", "amazon_classification", "amazon_prices", "amazon_stock"):
        numbers = runs.metadata(result, asset)
        assert set(numbers) == runs.materialized(asset) == set(SHARDS)
        assert sum(shard["refreshed"] for shard in numbers.values()) == 24
    # A batch that spans shards is shared out among them.
    calls = sum(shard["calls"] for shard in runs.metadata(result, "amazon_catalog").values())
    assert calls == pytest.approx(sandbox.calls("searchCatalogItems"), abs=0.2)
    [observed] = result.get_asset_observation_events()
    totals = observed.asset_observation_data.asset_observation.metadata
    assert totals["calls"].value == sandbox.calls() - lwa_calls(sandbox)


def lwa_calls(sandbox: Sandbox) -> int:
    return sum(call.path == "/auth/o2/token" for call in sandbox.journal.calls())


def test_the_check_tells_which_rows_are_within_their_ttl(pipeline: Pipeline, runs: Runs) -> None:
    add_products(pipeline, [*some("03", 2), *some("04", 1)])
    passed = checks(runs.run("stock_refresh", range_tags("03", "04")))["amazon_stock"]
    assert (passed.check_name, passed.passed) == ("rows_within_ttl", True)
    add_products(pipeline, some("05", 1))
    evaluation = checks(runs.run("stock_refresh", partition="03"))["amazon_stock"]
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    values = {name: entry.value for name, entry in evaluation.metadata.items()}
    assert (values["rows"], values["expired"], values["share"]) == (4, 1, 0.75)
    table = evaluation.metadata["shards"]
    assert isinstance(table, dg.TableMetadataValue)
    assert rows(table.records) == [
        {"shard": "03", "rows": 2, "fresh": 2},
        {"shard": "04", "rows": 1, "fresh": 1},
        {"shard": "05", "rows": 1, "fresh": 0},
    ]


def test_a_watermark_is_materialized_only_when_nothing_is_expired(
    pipeline: Pipeline, runs: Runs
) -> None:
    add_products(pipeline, some("03", 2))
    selection = [dg.AssetKey(name) for name in WATERMARKS]
    job = defs.resolve_implicit_global_asset_job_def()

    def materialize() -> set[str]:
        result = job.execute_in_process(instance=runs.instance, asset_selection=selection)
        assert result.success
        events = result.get_asset_materialization_events()
        return {event.asset_key.to_user_string() for event in events if event.asset_key}

    assert materialize() == set()
    runs.run("price_refresh", partition="03")
    assert materialize() == {"amazon_prices_fresh", "amazon_stock_fresh"}
    runs.run("catalog_refresh", partition="03")
    assert materialize() == set(WATERMARKS)
    age(pipeline, hours=2)
    assert materialize() == set(WATERMARKS) - {"amazon_stock_fresh"}


def test_the_watermark_sensor_marks_the_same(pipeline: Pipeline, runs: Runs) -> None:
    add_products(pipeline, some("03", 2))
    assert sense("freshness_watermarks", runs.instance).skip_message == "rows are expired"
    runs.run("stock_refresh", partition="03")
    marks = {
        event.asset_key.to_user_string()
        for event in sense("freshness_watermarks", runs.instance).asset_events
    }
    assert marks == {"amazon_prices_fresh", "amazon_stock_fresh"}


def test_a_shard_without_an_answer_is_not_materialized_and_the_others_are(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    first, later = some("03", 20, beginning="B00"), some("04", 3, beginning="B09")
    add_products(pipeline, [*first, *later])
    fault = Fault("getCompetitivePricing", FaultKind.THROTTLE_429, after=1)
    sandbox.faults.replace([fault])
    result = runs.run("stock_refresh", range_tags("03", "04"))
    sentence = failure(result)
    assert sentence.startswith("3 products stayed without an answer from Amazon")
    assert "the quota is used up" in sentence
    assert "\n" not in sentence
    assert runs.materialized("amazon_stock") == {"03"}
    assert None not in {in_stock(pipeline)[asin] for asin in first}
    assert checks(result)["amazon_stock"].passed is False
    sandbox.faults.replace([])
    assert runs.run("stock_refresh", range_tags("03", "04")).success
    assert runs.materialized("amazon_stock") == {"03", "04"}


def test_credentials_that_are_refused_end_the_run_with_a_plain_sentence(
    pipeline: Pipeline, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_products(pipeline, some("03", 1))
    monkeypatch.setenv("LWA_CLIENT_SECRET", "")
    assert failure(runs.run("stock_refresh", partition="03")).startswith(
        "LWA_CLIENT_SECRET: not set"
    )
    assert runs.materialized("amazon_stock") == set()


def test_a_refresh_of_one_account_leaves_the_others_products(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_demo_v1(tmp_path / "v1", sandbox.world)
    pipeline.import_v1(tmp_path / "v1", dry_run=False)
    only = {"account_id": "base_account_1"}
    assert runs.run("stock_refresh", ALL_SHARDS, amazon_facts=only).success
    asked = (
        sa.select(listings.c.account_id)
        .join(products)
        .where(products.c.offers_asked_at.is_not(None))
    )
    with pipeline.engine.connect() as connection:
        assert set(connection.execute(asked).scalars()) == {"base_account_1"}
