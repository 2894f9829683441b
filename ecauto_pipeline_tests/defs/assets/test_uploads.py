"""The upload queue and the uploads as assets: what a run makes on which shop, and what it says."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, account_range, ensure_partitions
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.runs import Runs, failure, rows
from ecauto_pipeline_tests.program import settings_for

FIRST, SECOND = ACCOUNTS

ADD = "items/add"

NOW = {"now": True}

RESULTS = {"published", "hidden", "failed", "unknown", "put_back", "overtaken"}
UPLOAD_NUMBERS = RESULTS | {
    "adopted", "not_found", "rescued", "calls", "workers_lost", "waiting",
}  # fmt: skip
QUEUE_NUMBERS = {"queued", "pending", "uploading", "unknown", "success", "failed"}


@pytest.fixture(autouse=True)
def taken_over(pipeline: Pipeline, sandbox: Sandbox, tmp_path: Path) -> None:
    """Both shops; the queue is as a program that never uploads would leave it: empty."""
    write_demo_v1(tmp_path / "v1", sandbox.world)
    pipeline.import_v1(tmp_path / "v1", dry_run=False)
    asins = pending(pipeline)
    with pipeline.engine.begin() as connection:
        connection.execute(sa.delete(upload_queue))
        for asin in asins:
            truth = sandbox.world.truth(asin)
            values = {"title_ja": f"商品 {asin}", "amazon_price_jpy": truth.price_jpy or 1000}
            connection.execute(sa.update(products).where(products.c.asin == asin).values(values))


def both(runs: Runs) -> dict[str, str]:
    return account_range(ensure_partitions(runs.instance, BASE_ACCOUNTS, ACCOUNTS), ACCOUNTS)


def pending(pipeline: Pipeline, account: str | None = None) -> list[str]:
    """The pending listings."""
    query = sa.select(listings.c.asin).where(listings.c.status == "pending")
    if account:
        query = query.where(listings.c.account_id == account)
    with pipeline.engine.connect() as connection:
        return list(connection.execute(query).scalars())


def on_shop(sandbox: Sandbox, account: str) -> Counter[str]:
    """How many items each product has on the account's shop."""
    return Counter((item.identifier or "").split("-")[1] for item in sandbox.items(account))


def fill(runs: Runs) -> dg.ExecuteInProcessResult:
    result = runs.run("queue_fill", both(runs))
    assert result.success
    return result


def upload(runs: Runs, **config: Any) -> dg.ExecuteInProcessResult:
    return runs.run("upload", both(runs), uploads=NOW | config)


def waiting(numbers: Mapping[str | None, Mapping[str, Any]]) -> dict[str | None, int]:
    return {account: of["waiting"] for account, of in numbers.items()}


def test_every_pending_listing_is_queued_once(pipeline: Pipeline, runs: Runs) -> None:
    expected = {account: len(pending(pipeline, account)) for account in ACCOUNTS}
    numbers = runs.metadata(fill(runs), "upload_queue")
    for account, of in numbers.items():
        assert of.keys() == QUEUE_NUMBERS
        assert of["queued"] == of["pending"] == expected[str(account)] > 0
    assert runs.materialized("upload_queue") == set(ACCOUNTS)
    again = runs.metadata(fill(runs), "upload_queue")
    assert {account: (of["queued"], of["pending"]) for account, of in again.items()} == {
        account: (0, count) for account, count in expected.items()
    }


def test_what_is_queued_is_uploaded_once(pipeline: Pipeline, runs: Runs, sandbox: Sandbox) -> None:
    wanted = {account: set(pending(pipeline, account)) for account in ACCOUNTS}
    fill(runs)
    result = upload(runs)
    assert result.success
    numbers = runs.metadata(result, "uploads")
    for account in ACCOUNTS:
        of = numbers[account]
        assert of.keys() - {"notes"} == UPLOAD_NUMBERS
        assert of["published"] + of["hidden"] == len(wanted[account])
        assert of["calls"] > 2 * len(wanted[account])
        items = on_shop(sandbox, account)
        assert set(items.values()) == {1}
        assert wanted[account] <= items.keys()
        if of["hidden"]:
            assert all("left hidden: " in row["note"] for row in rows(of["notes"].records))
    assert pending(pipeline) == []
    calls = sandbox.calls(ADD)
    again = runs.metadata(upload(runs), "uploads")
    assert sandbox.calls(ADD) == calls
    assert all(not of[name] for of in again.values() for name in RESULTS)


def test_a_limit_is_each_accounts(runs: Runs, sandbox: Sandbox) -> None:
    queued = {account: of["queued"] for account, of in runs.metadata(
        fill(runs), "upload_queue"
    ).items()}  # fmt: skip
    numbers = runs.metadata(upload(runs, limit=1), "uploads")
    assert sandbox.calls(ADD) == len(ACCOUNTS)
    assert waiting(numbers) == {account: count - 1 for account, count in queued.items()}


def test_uploads_wait_for_their_time(runs: Runs, pipeline: Pipeline, sandbox: Sandbox) -> None:
    fill(runs)
    with pipeline.engine.begin() as connection:
        never = datetime.fromisoformat("2100-01-01T00:00:00+00:00")
        connection.execute(sa.update(upload_queue).values(scheduled_time=never))
    result = runs.run("upload", both(runs))
    assert result.success
    assert sandbox.calls(ADD) == 0
    assert all(count > 0 for count in waiting(runs.metadata(result, "uploads")).values())


def test_one_account_leaves_the_other_alone(runs: Runs, sandbox: Sandbox) -> None:
    fill(runs)
    result = runs.run("upload", partition=SECOND, uploads=NOW)
    assert result.success
    assert runs.materialized("uploads") == {SECOND}
    assert sandbox.calls(ADD, account=FIRST) == 0
    assert sandbox.calls(ADD, account=SECOND) > 0


def test_a_refusal_by_base_fails_the_row_and_not_the_run(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    fill(runs)
    refusal = Fault(ADD, FaultKind.BASE_ERROR, times=1, account=FIRST, error="bad_params")
    sandbox.faults.replace([refusal])
    result = upload(runs)
    assert result.success
    numbers = runs.metadata(result, "uploads")
    assert (numbers[FIRST]["failed"], numbers[SECOND]["failed"]) == (1, 0)
    assert pipeline.uploads.queue.counts(FIRST)["failed"] == 1


def test_an_account_that_needs_a_person_does_not_stop_the_other(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    wanted = {account: set(pending(pipeline, account)) for account in ACCOUNTS}
    fill(runs)
    tokens = pipeline.shops.account_store.tokens(FIRST)
    assert tokens is not None
    with sandbox.state.lock:
        sandbox.state.spend_refresh(tokens.refresh_token)
    result = upload(runs)
    numbers = runs.metadata(result, "uploads")
    assert wanted[SECOND] <= on_shop(sandbox, SECOND).keys()
    assert set(pending(pipeline)) == wanted[FIRST]
    assert sandbox.calls(ADD, account=FIRST) == 0
    assert numbers[SECOND]["waiting"] == 0
    sentence = failure(result) if not result.success else str(numbers[FIRST]["stopped"])
    assert f"`ecauto base connect {FIRST}`" in sentence
    assert pipeline.uploads.queue.counts(FIRST)["pending"] == len(wanted[FIRST])


def test_a_worker_that_cannot_start_is_told_of_for_each_account(
    runs: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rules are read in the worker only."""
    fill(runs)
    folder = Path(settings_for(sandbox, Path("data"))["ECAUTO_DATA_DIR"]) / "screening"
    folder.mkdir(parents=True)
    (folder / "prohibited.toml").write_text("this is no table", "utf-8")
    sentence = failure(upload(runs))
    for account in ACCOUNTS:
        assert f"{account}: " in sentence
    assert "prohibited.toml" in sentence
    assert sandbox.calls(ADD) == 0
    assert runs.materialized("uploads") == set(ACCOUNTS)


def test_a_retry_tells_the_queue_of_each_account_that_had_failed_rows(
    runs: Runs, pipeline: Pipeline
) -> None:
    fill(runs)
    mine = upload_queue.c.account_id == FIRST
    with pipeline.engine.begin() as connection:
        ids = list(connection.execute(sa.select(upload_queue.c.id).where(mine)).scalars())[:2]
        failed = sa.update(upload_queue).where(upload_queue.c.id.in_(ids))
        connection.execute(failed.values(status="failed"))
    result = runs.run("queue_retry", retry_failed_uploads={"ids": ids})
    assert result.success
    assert result.output_for_node("retry_failed_uploads") == {"put_back": 2}
    [(account, of)] = runs.metadata(result, "upload_queue").items()
    assert (account, of["queued"], of["failed"]) == (FIRST, 2, 0)


def test_a_decision_about_a_product_that_was_never_screened_is_refused(runs: Runs) -> None:
    decision = {"decision": "refuse", "asins": ["B000000000"]}
    result = runs.run("review_decision", decide_about_products=decision)
    assert failure(result) == "B000000000: never screened, so there is nothing to decide"
    with pytest.raises(dg.DagsterInvalidConfigError):
        runs.run("review_decision", decide_about_products=decision | {"decision": "perhaps"})
