"""How things stand: freshness, quotas, queue, accounts and the last runs."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from ecauto_pipeline.domain.amazon.facts import Fact
from ecauto_pipeline.domain.amazon.freshness import Scope
from ecauto_pipeline.domain.base_shop.accounts import AccountState
from ecauto_pipeline.wiring.pipeline import Pipeline

RUNS_SHOWN = 10


def status(pipeline: Pipeline, instance: dg.DagsterInstance) -> dict[str, Any]:
    """Everything, for `--json`."""
    return {
        "freshness": _freshness(pipeline),
        "listings": pipeline.shops.listings.counts(),
        "queue": pipeline.shops.listings.queue_counts(),
        "mirrors": _mirrors(pipeline),
        "accounts": _accounts(pipeline),
        "quotas": [
            {
                "bucket": bucket.bucket,
                "per_second": bucket.per_second,
                "free_in_seconds": round(bucket.free_in_seconds, 1),
                "blocked_seconds": round(bucket.blocked_seconds, 1),
            }
            for bucket in pipeline.rate_buckets.snapshot()
        ],
        "runs": [
            {
                "job": record.dagster_run.job_name,
                "run_id": record.dagster_run.run_id,
                "status": record.dagster_run.status.value.lower(),
                "started_at": datetime.fromtimestamp(
                    record.start_time or record.create_timestamp.timestamp(), UTC
                ).isoformat(),
            }
            for record in instance.get_run_records(limit=RUNS_SHOWN)
        ],
    }


def status_lines(shown: dict[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """The same, for people."""
    yield "Facts within their TTL"
    for fact, numbers in shown["freshness"].items():
        yield f"  {fact:<16}{numbers['fresh']:>8} of {numbers['products']} ({numbers['share']:.1%})"
    for title in ("listings", "queue"):
        yield title.capitalize()
        for name, count in shown[title].items():
            yield f"  {name:<24}{count:>8}"
    yield "Shopify mirrors"
    for mirror in shown["mirrors"]:
        place = f"{mirror['store_id']} {mirror['entity']}"
        problem = f": {mirror['problem']}" if mirror["problem"] else ""
        reach = "nothing yet"
        if moment := mirror["watermark_at"]:
            reach = f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        yield f"  {place:<32}{mirror['rows'] or 0:>8}  up to {reach}{problem}"
    yield "Accounts"
    for account in shown["accounts"]:
        reason = f": {account['reason']}" if account["reason"] else ""
        yield f"  {account['id']:<24}{account['state']}{reason}"
    yield "Quotas"
    for quota in shown["quotas"]:
        wait = max(quota["free_in_seconds"], quota["blocked_seconds"])
        yield f"  {quota['bucket']:<60}{quota['per_second']:>8g}/s, free in {wait:g} s"
    yield "Last runs"
    for run in shown["runs"]:
        started = datetime.fromisoformat(run["started_at"]).astimezone(zone)
        yield f"  {started:%Y-%m-%d %H:%M:%S}  {run['job']:<20}{run['status']}"


def _freshness(pipeline: Pipeline) -> dict[str, Any]:
    shards = pipeline.amazon.products.freshness(Scope())
    total = sum(shard.products for shard in shards)
    shown: dict[str, Any] = {}
    for fact in Fact:
        fresh = sum(shard.fresh[fact] for shard in shards)
        shown[str(fact)] = {
            "products": total,
            "fresh": fresh,
            "share": fresh / total if total else 1.0,
        }
    return shown


def _mirrors(pipeline: Pipeline) -> list[dict[str, Any]]:
    """How far each mirror reaches, and what the shop said it has."""
    letters = pipeline.mirrors.letters.counts()
    return [
        {
            "store_id": state.store_id,
            "entity": str(state.entity),
            "watermark_at": state.watermark_at.isoformat() if state.watermark_at else None,
            "synced_at": state.synced_at.isoformat() if state.synced_at else None,
            "rows": state.mirror_count,
            "on_the_shop": state.source_count,
            "dead_letters": letters.get((state.store_id, state.entity), 0),
            "problem": state.problem,
        }
        for state in pipeline.mirrors.states.all()
    ]


def _accounts(pipeline: Pipeline) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for account in pipeline.shops.known_accounts():
        tokens = pipeline.shops.account_store.tokens(account.id)
        state = tokens.state if tokens else AccountState.OK
        shown.append(
            {
                "id": account.id,
                "name": account.name,
                "active": account.active,
                "state": str(state) if account.active else "switched off",
                "reason": tokens.state_reason if tokens else "",
            }
        )
    return shown
