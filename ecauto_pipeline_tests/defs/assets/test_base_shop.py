"""The BASE assets: what a run writes to which shop, and what it leaves alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, account_range, ensure_partitions
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import decisions, listings, products, shop_items
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.runs import Runs, failure, rows
from ecauto_pipeline_tests.program import expected_shops, shops

FIRST, SECOND = ACCOUNTS

NUMBERS = {
    "listings", "in_stock", "out_of_stock", "unknown", "planned", "written", "failed", "held",
    "deferred", "hidden", "shown", "calls", "errors", "seconds",
}  # fmt: skip

EDITS = "items/edit"


@pytest.fixture(autouse=True)
def taken_over(pipeline: Pipeline, sandbox: Sandbox, tmp_path: Path) -> None:
    """Both shops, and Amazon's present truth in the caches."""
    write_demo_v1(tmp_path / "v1", sandbox.world)
    pipeline.import_v1(tmp_path / "v1", dry_run=False)
    now = pipeline.clock.now()
    proven = {"stock_updated_at": now, "price_updated_at": now}
    with pipeline.engine.begin() as connection:
        for asin in connection.execute(sa.select(products.c.asin)).scalars().all():
            truth = sandbox.world.truth(asin)
            if truth.in_stock is None:
                continue
            values: dict[str, Any] = {"amazon_in_stock": truth.in_stock, **proven}
            if truth.price_jpy is not None:
                values["amazon_price_jpy"] = truth.price_jpy
            connection.execute(sa.update(products).where(products.c.asin == asin).values(values))


def both(runs: Runs) -> dict[str, str]:
    return account_range(ensure_partitions(runs.instance, BASE_ACCOUNTS, ACCOUNTS), ACCOUNTS)


def prices(sandbox: Sandbox) -> dict[int, int]:
    return {item_id: price for item_id, (price, _) in shops(sandbox).items()}


def recorded(pipeline: Pipeline, *columns: str) -> list[tuple[Any, ...]]:
    query = sa.select(*(decisions.c[name] for name in columns)).order_by(decisions.c.id)
    with pipeline.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def of_account(sandbox: Sandbox, account: str) -> dict[int, tuple[int, int]]:
    return {item.item_id: (item.price, item.visible) for item in sandbox.items(account)}


def test_both_shops_end_as_amazon_says(pipeline: Pipeline, runs: Runs, sandbox: Sandbox) -> None:
    expected = expected_shops(sandbox, prices(sandbox))
    assert expected != shops(sandbox)
    assert runs.run("base_sync", both(runs)).success
    assert shops(sandbox) == expected
    for asset in ("base_visibility", "base_prices"):
        assert runs.materialized(asset) == set(ACCOUNTS)
    query = sa.select(
        listings.c.platform_item_id, listings.c.selling_price, listings.c.visibility
    ).where(listings.c.status == "listed")
    with pipeline.engine.connect() as connection:
        ours = {int(row[0]): (row[1], row[2] == "public") for row in connection.execute(query)}
    assert ours == expected


def test_the_numbers_of_each_account_plot_over_time(runs: Runs, sandbox: Sandbox) -> None:
    result = runs.run("base_sync", both(runs))
    for asset in ("base_visibility", "base_prices"):
        numbers = runs.metadata(result, asset)
        assert set(numbers) == set(ACCOUNTS)
        for account, of in numbers.items():
            assert of.keys() == NUMBERS | {"changed", "dry_run"}, account
            assert all(isinstance(of[name], int | float) for name in NUMBERS)
            assert of["listings"] == len(sandbox.items(str(account)))
            assert of["listings"] == of["in_stock"] + of["out_of_stock"] + of["unknown"]
            assert (of["calls"], of["errors"], of["failed"]) == (of["written"], 0, 0)
            changed = rows(of["changed"].records)
            assert len(changed) == of["written"]
            assert changed[0].keys() == {"asin", "old", "new", "reason", "outcome"}
    writes = [
        numbers["written"]
        for asset in ("base_visibility", "base_prices")
        for numbers in runs.metadata(result, asset).values()
    ]
    assert sum(writes) == sandbox.calls(EDITS)


def test_one_account_leaves_the_other_alone(runs: Runs, sandbox: Sandbox) -> None:
    before = of_account(sandbox, FIRST)
    both(runs)
    assert runs.run("base_sync", partition=SECOND).success
    assert runs.materialized("base_prices") == {SECOND}
    assert of_account(sandbox, FIRST) == before
    assert sandbox.calls(account=FIRST) == 0


def test_a_second_run_calls_nobody(runs: Runs, sandbox: Sandbox) -> None:
    runs.run("base_sync", both(runs))
    calls = sandbox.calls()
    result = runs.run("base_sync", both(runs))
    assert result.success
    assert sandbox.calls() == calls
    for asset in ("base_visibility", "base_prices"):
        for numbers in runs.metadata(result, asset).values():
            assert numbers["written"] == numbers["calls"] == 0
            assert "changed" not in numbers


def test_only_prices(runs: Runs, sandbox: Sandbox) -> None:
    visible = {item_id: shown for item_id, (_, shown) in shops(sandbox).items()}
    assert runs.run("price_sync", both(runs)).success
    assert {item_id: shown for item_id, (_, shown) in shops(sandbox).items()} == visible
    assert runs.materialized("base_visibility") == set()
    assert runs.materialized("base_prices") == set(ACCOUNTS)


def test_a_trouble_with_one_account_is_not_the_others(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    expected = expected_shops(sandbox, prices(sandbox))
    spend = pipeline.shops.account_store.tokens(FIRST)
    assert spend is not None
    with sandbox.state.lock:
        sandbox.state.spend_refresh(spend.refresh_token)
    sentence = failure(runs.run("base_sync", both(runs)))
    assert sentence.startswith(f"{FIRST}: Account {FIRST}")
    assert f"`ecauto base connect {FIRST}`" in sentence
    assert "\n" not in sentence
    assert runs.materialized("base_prices") >= {SECOND}
    for item in sandbox.items(SECOND):
        assert (item.price, bool(item.visible)) == expected[item.item_id]


def test_a_wrong_client_secret_of_one_account_is_not_the_others_trouble(
    runs: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = expected_shops(sandbox, prices(sandbox))
    wrong = [{"id": FIRST, "client_secret": "not the right one"}]
    monkeypatch.setenv("ECAUTO_BASE__ACCOUNTS", json.dumps(wrong))
    sentence = failure(runs.run("base_sync", both(runs)))
    assert sentence.startswith(f"{FIRST}: BASE does not accept the client_id and client_secret")
    assert "not the right one" not in sentence
    assert runs.materialized("base_prices") >= {SECOND}
    for item in sandbox.items(SECOND):
        assert (item.price, bool(item.visible)) == expected[item.item_id]


def test_a_refused_item_is_named_and_the_others_are_written(runs: Runs, sandbox: Sandbox) -> None:
    refusal = Fault(EDITS, FaultKind.BASE_ERROR, times=1, account=FIRST, error="bad_params")
    sandbox.faults.replace([refusal])
    result = runs.run("base_sync", both(runs))
    assert "BASE refuses it" in failure(result)
    numbers = runs.metadata(result, "base_visibility")
    assert numbers[FIRST]["failed"] == numbers[FIRST]["errors"] == 1
    assert numbers[SECOND]["failed"] == 0
    assert runs.run("base_sync", both(runs)).success
    assert shops(sandbox) == expected_shops(sandbox, prices(sandbox))


def test_a_dry_run_decides_the_same_and_writes_nothing(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    before = shops(sandbox)
    result = runs.run("base_sync", both(runs), base_writes={"dry_run": True})
    assert result.success
    assert (shops(sandbox), sandbox.calls()) == (before, 0)
    planned = recorded(pipeline, "listing_id", "kind", "old", "new", "rule", "reason")
    assert set(recorded(pipeline, "dry_run", "outcome")) == {(True, "planned")}
    for asset in ("base_visibility", "base_prices"):
        for numbers in runs.metadata(result, asset).values():
            assert numbers["dry_run"] is True
            assert (numbers["written"], numbers["calls"]) == (0, 0)
    runs.run("base_sync", both(runs))
    really = recorded(pipeline, "listing_id", "kind", "old", "new", "rule", "reason")
    assert sorted(really[len(planned) :]) == sorted(planned)


def test_the_breaker_holds_a_large_change_until_it_is_accepted(
    runs: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECAUTO_BREAKER__MAX_REPRICED_SHARE", "0.01")
    expected, before = expected_shops(sandbox, prices(sandbox)), shops(sandbox)
    result = runs.run("price_sync", partition_of(runs, FIRST))
    assert "ecauto sync --accept-large-change" in failure(result)
    assert runs.metadata(result, "base_prices")[FIRST]["held"] >= 5
    assert shops(sandbox) == before
    accept = {"accept_large_change": True}
    assert runs.run("base_sync", both(runs), base_writes=accept).success
    assert shops(sandbox) == expected


def partition_of(runs: Runs, account: str) -> dict[str, str]:
    return account_range(ensure_partitions(runs.instance, BASE_ACCOUNTS, [account]), [account])


def test_an_account_that_is_switched_off_is_left_out(
    runs: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_account(sandbox, FIRST)
    off = [{"id": FIRST, "active": False}]
    monkeypatch.setenv("ECAUTO_BASE__ACCOUNTS", json.dumps(off))
    assert runs.run("base_sync", both(runs)).success
    assert runs.materialized("base_prices") == {SECOND}
    assert of_account(sandbox, FIRST) == before


def test_the_mirror_shows_where_a_shop_is_not_what_we_think(runs: Runs, sandbox: Sandbox) -> None:
    item = sandbox.items(FIRST)[0]
    with sandbox.state.lock:
        sandbox.state.delete_item(FIRST, item.item_id)
        sandbox.state.commit()
    result = runs.run("base_mirror", both(runs))
    assert result.success
    assert runs.materialized("base_listings") == set(ACCOUNTS)
    numbers = runs.metadata(result, "base_listings")
    assert numbers[FIRST]["dagster/row_count"] == len(sandbox.items(FIRST))
    assert (numbers[FIRST]["drift"], numbers[SECOND]["drift"]) == (1, 0)
    [difference] = rows(numbers[FIRST]["differences"].records)
    assert (difference["item_id"], difference["shop_price"]) == (str(item.item_id), "")


def test_a_mirror_that_fails_for_one_account_is_made_of_the_other(
    runs: Runs, sandbox: Sandbox
) -> None:
    closed = Fault(
        r"/1/items$", FaultKind.BASE_ERROR, account=FIRST, error="access_denied",
        error_description="ショップが停止されています。",
    )  # fmt: skip
    sandbox.faults.replace([closed])
    sentence = failure(runs.run("base_mirror", both(runs)))
    assert sentence.startswith(f"{FIRST}: BASE has restricted the shop")
    assert runs.materialized("base_listings") == {SECOND}


EMPTY = Fault(r"/1/items$", FaultKind.BODY, account=FIRST, text='{"items": []}')


def mirrored(pipeline: Pipeline) -> dict[str, int]:
    """How many items of each shop are kept."""
    query = sa.select(shop_items.c.account_id, sa.func.count()).group_by(shop_items.c.account_id)
    with pipeline.engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def test_a_shop_that_is_suddenly_empty_keeps_its_mirror(
    pipeline: Pipeline, runs: Runs, sandbox: Sandbox
) -> None:
    assert runs.run("base_mirror", both(runs)).success
    before = mirrored(pipeline)
    sandbox.faults.replace([EMPTY])
    result = runs.run("base_mirror", both(runs))
    sentence = failure(result)
    assert sentence.startswith(f"{FIRST}: the shop shows no item at all, and none of the ")
    assert runs.metadata(result, "base_listings").keys() == {SECOND}
    assert mirrored(pipeline) == before == {name: len(sandbox.items(name)) for name in ACCOUNTS}
