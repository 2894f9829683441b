"""What Amazon says about our products: catalog, classification, prices and stock."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.freshness import in_words, ttl_policy
from ecauto_pipeline.defs.partitions import ASIN_SHARDS, SINGLE_RUN
from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import Scope, ShardFreshness, Ttl
from ecauto_pipeline.errors import RunIncomplete
from ecauto_pipeline.sync.amazon.report import RefreshReport, Result
from ecauto_pipeline.wiring.pipeline import Pipeline

GROUP = "amazon"
POOL = "amazon_sp_api"

FACT_KEYS = {
    Fact.CATALOG: dg.AssetKey("amazon_catalog"),
    Fact.CLASSIFICATION: dg.AssetKey("amazon_classification"),
    Fact.PRICE: dg.AssetKey("amazon_prices"),
    Fact.STOCK: dg.AssetKey("amazon_stock"),
}

WATERMARK_KEYS = {
    fact: dg.AssetKey([*key.path[:-1], f"{key.path[-1]}_fresh"]) for fact, key in FACT_KEYS.items()
}

_DESCRIPTIONS = {
    Fact.CATALOG: "Title, description, brand and images of every product.",
    Fact.CLASSIFICATION: "Category and brand of every product.",
    Fact.PRICE: "What every product costs, shipping included.",
    Fact.STOCK: "Whether every product ships now.",
}

CHECK = "rows_within_ttl"
PROBLEMS_SHOWN = 10


class RefreshConfig(dg.Config):
    """Which products a refresh looks at."""

    account_id: str | None = None


@dg.multi_asset(
    name="amazon_facts",
    specs=[
        dg.AssetSpec(
            key,
            description=_DESCRIPTIONS[fact],
            group_name=GROUP,
            kinds={"amazon", "sql"},
            metadata={"dagster/table_name": "products"},
            skippable=True,
        )
        for fact, key in FACT_KEYS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(CHECK, asset=key, description="The share of rows within their TTL.")
        for key in FACT_KEYS.values()
    ],
    partitions_def=ASIN_SHARDS,
    backfill_policy=SINGLE_RUN,
    can_subset=True,
    pool=POOL,
)
def amazon_facts(
    context: dg.AssetExecutionContext,
    config: RefreshConfig,
    pipeline: dg.ResourceParam[Pipeline],
) -> Iterator[dg.AssetCheckResult]:
    """Fetch what is missing or expired; one answer refreshes every fact it carries."""
    selected = {fact for fact, key in FACT_KEYS.items() if key in context.selected_asset_keys}
    shards = list(context.partition_keys)
    scope = Scope(frozenset(selected), frozenset(shards), config.account_id)
    plan = pipeline.amazon.refresh_plan(scope)
    report = pipeline.amazon.refresher.refresh(plan, RunLog(context, pipeline.clock))
    for fact in sorted(selected):
        for shard in shards:
            _materialize(context, fact, shard, report)
    context.log_event(
        dg.AssetObservation(FACT_KEYS[min(selected)], metadata=_totals(selected, report))
    )
    for check in context.selected_asset_check_keys:
        fact = next(fact for fact, key in FACT_KEYS.items() if key == check.asset_key)
        yield ttl_check(fact, pipeline.amazon.products.freshness(Scope(frozenset({fact}))))
    if report.errors:
        raise RunIncomplete(
            f"{report.errors} products stayed without an answer from Amazon, the first because:"
            f" {report.problems[0]}. The others are stored; the next run asks again."
        )


def _materialize(
    context: dg.AssetExecutionContext, fact: Fact, shard: str, report: RefreshReport
) -> None:
    numbers = report.of(fact, shard)
    if numbers["errors"]:
        return
    changes = [
        {"asin": change.asin, "old": change.old, "new": change.new}
        for change in report.changes
        if (change.fact, change.shard) == (fact, shard)
    ]
    metadata: dict[str, Any] = {**numbers, "seconds": round(report.seconds, 1)}
    if changes:
        metadata["changed"] = table(("asin", "old", "new"), changes)
    context.log_event(dg.AssetMaterialization(FACT_KEYS[fact], partition=shard, metadata=metadata))


def _totals(facts: Iterable[Fact], report: RefreshReport) -> dict[str, Any]:
    """The run as a whole; a product whose price and stock were due counts once."""
    measures = ("due", "cache_hits", *(str(result) for result in Result))
    return {
        **{measure: report.total(facts, measure) for measure in measures},
        "calls": sum(report.calls.values()),
        "calls_by_operation": dict(report.calls),
        "changes": len(report.changes),
        "problems": report.problems[:PROBLEMS_SHOWN],
        "seconds": round(report.seconds, 1),
    }


def ttl_check(fact: Fact, shards: list[ShardFreshness]) -> dg.AssetCheckResult:
    """How many rows hold the fact within its TTL, by shard; all must, or it warns."""
    total = sum(shard.products for shard in shards)
    fresh = sum(shard.fresh[fact] for shard in shards)
    rows = [
        {"shard": shard.shard, "rows": shard.products, "fresh": shard.fresh[fact]}
        for shard in shards
    ]
    return dg.AssetCheckResult(
        asset_key=FACT_KEYS[fact],
        check_name=CHECK,
        passed=fresh == total,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "share": fresh / total if total else 1.0,
            "rows": total,
            "expired": total - fresh,
            "shards": table(("shard", "rows", "fresh"), rows),
        },
    )


def watermark(fact: Fact) -> dg.AssetsDefinition:
    """The asset that is as fresh as the oldest row of a fact."""

    @dg.asset(
        key=WATERMARK_KEYS[fact],
        description=f"Materialized only when no product's {fact} is older than its TTL.",
        group_name=GROUP,
        deps=[dg.AssetDep(FACT_KEYS[fact], partition_mapping=dg.AllPartitionMapping())],
        output_required=False,
    )
    def fresh(pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult[Any]]:
        """Nothing, unless every row is within its TTL."""
        expired, total = expired_rows(pipeline, fact)
        if not expired:
            yield dg.MaterializeResult(metadata={"rows": total})

    return fresh


def expired_rows(pipeline: Pipeline, fact: Fact) -> tuple[int, int]:
    """How many rows are older than the fact's TTL, of how many."""
    shards = pipeline.amazon.products.freshness(Scope(frozenset({fact})))
    total = sum(shard.products for shard in shards)
    return total - sum(shard.fresh[fact] for shard in shards), total


def assets_judged_by(ttl: Ttl) -> list[dg.AssetsDefinition]:
    """The assets, with the TTLs in force as their freshness policies and in their descriptions."""
    fact_of = {key: fact for keys in (FACT_KEYS, WATERMARK_KEYS) for fact, key in keys.items()}

    def judged(spec: dg.AssetSpec) -> dg.AssetSpec:
        limit = ttl[fact_of[spec.key]]
        return spec.replace_attributes(
            description=f"{spec.description} TTL: {in_words(limit)}.",
            freshness_policy=ttl_policy(limit),
        )

    assets = [amazon_facts, *(watermark(fact) for fact in Fact)]
    return [asset.map_asset_specs(judged) for asset in assets]
