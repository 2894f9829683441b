"""The Shopify mirrors: customers, products with variants, orders with line items."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from ecauto_pipeline.clock import JAPAN
from ecauto_pipeline.defs.assets.reporting import RunLog, table
from ecauto_pipeline.defs.freshness import MIRROR_POLICIES
from ecauto_pipeline.defs.partitions import SINGLE_RUN, STORE_DAYS, days_by_store
from ecauto_pipeline.domain.shopify.mirror import Entity, Window
from ecauto_pipeline.errors import EcautoError, RunIncomplete
from ecauto_pipeline.wiring.pipeline import Pipeline

if TYPE_CHECKING:
    from ecauto_pipeline.sync.shopify.report import MirrorReport

GROUP = "shopify"
CHECK = "as_many_as_the_shop"

KEYS = {entity: dg.AssetKey(f"shopify_{entity}") for entity in Entity}

_TABLES = {
    Entity.CUSTOMERS: "shopify_customers",
    Entity.PRODUCTS: "shopify_products, shopify_product_variants",
    Entity.ORDERS: "shopify_orders, shopify_order_items",
}

_DESCRIPTIONS = {
    Entity.CUSTOMERS: "Every customer of each store, with consents and default address.",
    Entity.PRODUCTS: "Every product of each store, with all its variants.",
    Entity.ORDERS: "Every order of each store, whatever its status, with its line items.",
}


class MirrorConfig(dg.Config):
    """What to read: `window` the run's days, `increment` all since the watermark, `full` all."""

    mode: Literal["window", "increment", "full"] = "window"


def mirror(entity: Entity) -> dg.AssetsDefinition:
    """The asset that mirrors one entity of all stores."""

    @dg.asset(
        key=KEYS[entity],
        description=_DESCRIPTIONS[entity],
        group_name=GROUP,
        kinds={"shopify", "sql"},
        partitions_def=STORE_DAYS,
        backfill_policy=SINGLE_RUN,
        freshness_policy=MIRROR_POLICIES[entity],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=KEYS[entity], description="Rows that are not deleted, by store."
            )
        ],
        output_required=False,
        metadata={"dagster/table_name": _TABLES[entity]},
    )
    def mirrored(
        context: dg.AssetExecutionContext,
        config: MirrorConfig,
        pipeline: dg.ResourceParam[Pipeline],
    ) -> Iterator[dg.AssetCheckResult]:
        """Read what changed and save it, store by store; one's trouble is not another's."""
        stores = days_by_store(context.partition_keys)
        failures: list[Exception] = []
        for store_id, days in stores.items():
            try:
                _mirror(context, pipeline, (store_id, entity), days, config.mode)
            except EcautoError as error:
                failures.append(error)
        yield count_check(entity, pipeline)
        _raise(failures, list(stores))

    return mirrored


def _mirror(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    mirrored: tuple[str, Entity],
    days: list[date],
    mode: str,
) -> None:
    from ecauto_pipeline.sync.shopify.mirror import Mode  # noqa: PLC0415 - imports the clients

    store_id, entity = mirrored
    log = RunLog(context, pipeline.clock)
    report = pipeline.mirrors.sync.sync(store_id, entity, log, Mode(mode), _window(days))
    for note in report.notes:
        context.log.warning("%s: %s", store_id, note)
    context.log_event(dg.AssetObservation(KEYS[entity], metadata=_totals(report)))
    if report.problems:
        raise RunIncomplete("; ".join(report.problems))
    for day in days:
        _materialize(context, report, day, is_last=day == days[-1])


def _materialize(
    context: dg.AssetExecutionContext, report: "MirrorReport", day: date, *, is_last: bool
) -> None:
    """Each day with its own count; the totals of the run with the last one."""
    partition = dg.MultiPartitionKey({"store": report.store_id, "day": day.isoformat()})
    metadata: dict[str, Any] = {"changed_that_day": report.days[day.isoformat()]}
    if is_last:
        metadata |= _totals(report)
        metadata["dagster/row_count"] = report.mirror_count or report.read
    context.log_event(
        dg.AssetMaterialization(KEYS[report.entity], partition=partition, metadata=metadata)
    )


def _totals(report: "MirrorReport") -> dict[str, Any]:
    return {"store": report.store_id, **report.numbers()}


def _window(days: list[date]) -> Window:
    """From the beginning of the first day in Japan to the end of the last."""
    after = max(days) + timedelta(days=1)
    return Window(since=_midnight(min(days)), until=_midnight(after))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=JAPAN)


def _raise(failures: list[Exception], stores: list[str]) -> None:
    """The failure of the only store as it is, those of several in one."""
    if not failures:
        return
    if len(stores) == 1:
        raise failures[0]
    raise RunIncomplete("; ".join(str(failure) for failure in failures))


def count_check(entity: Entity, pipeline: Pipeline) -> dg.AssetCheckResult:
    """Whether each store's mirror held as many as the shop when they were last counted."""
    counted = [
        state
        for state in pipeline.mirrors.states.all()
        if state.entity is entity and state.source_count is not None
    ]
    rows = [
        {
            "store": state.store_id,
            "shop": state.source_count,
            "mirror": state.mirror_count,
            "counted_at": state.counted_at.isoformat() if state.counted_at else None,
        }
        for state in counted
    ]
    differing = [state for state in counted if state.source_count != state.mirror_count]
    return dg.AssetCheckResult(
        asset_key=KEYS[entity],
        check_name=CHECK,
        passed=not differing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "stores": len(counted),
            "differing": len(differing),
            "counts": table(("store", "shop", "mirror", "counted_at"), rows),
        },
    )


ALL = [mirror(entity) for entity in Entity]
