"""The consistency check and the screening of what is listed, as assets, and the asset check."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from ecauto_pipeline.defs.partitions import BASE_ACCOUNTS, account_range, ensure_partitions
from ecauto_pipeline.domain.uploads.consistency import FindingKind
from ecauto_pipeline.sandbox.demo.listings import ACCOUNTS
from ecauto_pipeline.sandbox.demo.v1 import write_demo_v1
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline.storage.tables import listings, products, upload_queue
from ecauto_pipeline.wiring.pipeline import Pipeline
from ecauto_pipeline_tests.defs.runs import Runs, failure, rows

FIRST, SECOND = ACCOUNTS

KINDS = {str(kind) for kind in FindingKind}
NUMBERS = KINDS | {f"mended_{kind}" for kind in KINDS} | {
    "mended", "shop_empty", "calls", "shop_items",
}  # fmt: skip


@pytest.fixture(autouse=True)
def taken_over(pipeline: Pipeline, sandbox: Sandbox, tmp_path: Path) -> None:
    """Both shops, with nothing pending: all agrees."""
    write_demo_v1(tmp_path / "v1", sandbox.world)
    pipeline.import_v1(tmp_path / "v1", dry_run=False)
    with pipeline.engine.begin() as connection:
        connection.execute(sa.delete(upload_queue))
        connection.execute(sa.delete(listings).where(listings.c.status == "pending"))


def check(runs: Runs, *, fix: bool = False) -> dg.ExecuteInProcessResult:
    tags = account_range(ensure_partitions(runs.instance, BASE_ACCOUNTS, ACCOUNTS), ACCOUNTS)
    return runs.run("consistency_check", tags, consistency={"fix": fix})


def agreement(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """What the check of the queue says."""
    [evaluation] = result.get_asset_check_evaluations()
    assert evaluation.check_name == "listings_agree_with_queue"
    assert evaluation.asset_key == dg.AssetKey("upload_queue")
    return evaluation


def delete_item(sandbox: Sandbox, account: str) -> str:
    """Delete an item on the shop as its owner might; returns its ASIN."""
    item = sandbox.items(account)[0]
    with sandbox.state.lock:
        sandbox.state.delete_item(account, item.item_id)
        sandbox.state.commit()
    return (item.identifier or "").split("-")[1]


def forget(pipeline: Pipeline, asin: str) -> None:
    """Let the listing be pending although its upload is noted as a success."""
    now = pipeline.clock.now()
    mine = listings.c.asin == asin
    with pipeline.engine.begin() as connection:
        account = connection.execute(sa.select(listings.c.account_id).where(mine)).scalar_one()
        changed = {"status": "pending", "platform_item_id": None}
        connection.execute(sa.update(listings).where(mine).values(changed))
        row = {"asin": asin, "platform": "base", "account_id": account, "status": "success"}
        connection.execute(
            sa.insert(upload_queue).values(row | {"created_at": now, "processed_at": now})
        )


def status_of(pipeline: Pipeline, asin: str) -> str:
    query = sa.select(listings.c.status).where(listings.c.asin == asin)
    with pipeline.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def test_where_all_agrees_nothing_is_found(runs: Runs, sandbox: Sandbox) -> None:
    result = check(runs)
    assert result.success
    numbers = runs.metadata(result, "consistency")
    assert set(numbers) == set(ACCOUNTS)
    for account, of in numbers.items():
        assert of.keys() == NUMBERS
        assert of["shop_items"] == len(sandbox.items(str(account)))
        assert (of["calls"], of["mended"], of["shop_empty"]) == (1, 0, False)
        assert not any(of[kind] for kind in KINDS)
    assert agreement(result).passed


def test_the_check_keeps_the_mirror_of_what_it_has_read(runs: Runs, sandbox: Sandbox) -> None:
    gone = delete_item(sandbox, FIRST)
    result = check(runs, fix=True)
    numbers = runs.metadata(result, "base_listings")
    assert numbers.keys() == set(ACCOUNTS)
    assert numbers[FIRST]["dagster/row_count"] == len(sandbox.items(FIRST))
    [difference] = rows(numbers[FIRST]["differences"].records)
    assert (difference["asin"], difference["what"]) == (gone, "deleted")
    assert sandbox.calls("items", status=200) == len(ACCOUNTS)


def test_what_disagrees_is_counted_and_left_until_it_may_be_mended(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    gone = delete_item(sandbox, FIRST)
    forgotten = (sandbox.items(SECOND)[0].identifier or "").split("-")[1]
    forget(pipeline, forgotten)
    result = check(runs)
    assert result.success
    numbers = runs.metadata(result, "consistency")
    assert (numbers[FIRST]["gone_from_shop"], numbers[SECOND]["gone_from_shop"]) == (1, 0)
    assert (numbers[FIRST]["success_but_pending"], numbers[SECOND]["success_but_pending"]) == (0, 1)
    [row] = rows(numbers[FIRST]["findings"].records)
    assert (row["kind"], row["asin"], row["mend"]) == ("gone_from_shop", gone, "safe")
    assert (status_of(pipeline, gone), status_of(pipeline, forgotten)) == ("listed", "pending")

    result = check(runs, fix=True)
    assert result.success
    numbers = runs.metadata(result, "consistency")
    assert [numbers[account]["mended"] for account in ACCOUNTS] == [1, 1]
    [row] = rows(numbers[SECOND]["findings"].records)
    assert row["mend"] == "mended"
    assert (status_of(pipeline, gone), status_of(pipeline, forgotten)) == ("delisted", "listed")

    result = check(runs)
    for of in runs.metadata(result, "consistency").values():
        assert not any(of[kind] for kind in KINDS)
    assert agreement(result).passed


def test_the_check_of_the_queue_warns_without_asking_a_shop(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    forget(pipeline, (sandbox.items(SECOND)[0].identifier or "").split("-")[1])
    evaluation = agreement(check(runs))
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    found = {name: value.value for name, value in evaluation.metadata.items()}
    assert found.keys() == KINDS
    assert {name for name, count in found.items() if count} == {"success_but_pending"}
    assert sandbox.calls(account=FIRST, status=200) == sandbox.calls(account=SECOND, status=200)


def test_a_shop_that_cannot_be_read_does_not_keep_the_other_from_being_mended(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    gone = [delete_item(sandbox, account) for account in ACCOUNTS]
    closed = Fault(
        r"/1/items$", FaultKind.BASE_ERROR, account=FIRST, error="access_denied",
        error_description="ショップが停止されています。",
    )  # fmt: skip
    sandbox.faults.replace([closed])
    result = check(runs, fix=True)
    sentence = failure(result)
    assert sentence.startswith(f"{FIRST}: the shop was not read: ")
    assert SECOND not in sentence
    assert [status_of(pipeline, asin) for asin in gone] == ["listed", "delisted"]
    numbers = runs.metadata(result, "consistency")
    assert "shop_items" not in numbers[FIRST]
    assert (numbers[FIRST]["mended"], numbers[SECOND]["mended"]) == (0, 1)


def test_an_account_whose_tokens_are_dead_is_named_and_the_other_checked(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    tokens = pipeline.shops.account_store.tokens(FIRST)
    assert tokens is not None
    with sandbox.state.lock:
        sandbox.state.spend_refresh(tokens.refresh_token)
    result = check(runs)
    assert f"`ecauto base connect {FIRST}`" in failure(result)
    assert SECOND in runs.metadata(result, "consistency")


def test_a_shop_that_is_suddenly_empty_is_not_believed(
    runs: Runs, pipeline: Pipeline, sandbox: Sandbox
) -> None:
    with sandbox.state.lock:
        for item in sandbox.items(FIRST):
            sandbox.state.delete_item(FIRST, item.item_id)
        sandbox.state.commit()
    result = check(runs, fix=True)
    assert "no item at all" in failure(result)
    numbers = runs.metadata(result, "consistency")
    assert (numbers[FIRST]["shop_empty"], numbers[SECOND]["shop_empty"]) == (True, False)
    assert runs.metadata(result, "base_listings").keys() == {SECOND}
    delisted = sa.select(sa.func.count()).where(listings.c.status == "delisted")
    with pipeline.engine.connect() as connection:
        assert connection.execute(delisted).scalar() == 0


# --- screening of what is listed -------------------------------------------------------------


def rescan(runs: Runs) -> Any:
    result = runs.run("screening_rescan")
    assert result.success
    return runs.metadata(result, "screenings")[None]


def test_what_is_listed_is_screened_again_under_the_rules_of_now(
    runs: Runs, pipeline: Pipeline, tmp_path: Path
) -> None:
    query = sa.select(products.c.asin).where(
        products.c.asin.in_(sa.select(listings.c.asin).where(listings.c.status == "listed"))
    )
    with pipeline.engine.begin() as connection:
        asins = list(connection.execute(query.order_by(products.c.asin)).scalars())
        connection.execute(sa.update(products).values(title_ja="ふつうの商品"))
        for asin, title in zip(asins, ("あやしい商品", "いけない商品"), strict=False):
            mine = products.c.asin == asin
            connection.execute(sa.update(products).where(mine).values(title_ja=title))
    folder = tmp_path / "data/screening"
    folder.mkdir(parents=True)
    (folder / "prohibited.toml").write_text(
        '[[keywords]]\nname = "doubt"\nscore = 40\nwords = ["あやしい"]\n'
        '[[keywords]]\nname = "ban"\nscore = 100\nwords = ["いけない"]\n',
        "utf-8",
    )
    numbers = rescan(runs)
    assert (numbers["accepted"], numbers["review"], numbers["blocked"]) == (len(asins) - 2, 1, 1)
    blocked, doubtful = rows(numbers["listed_and_doubtful"].records)
    assert (blocked["asin"], blocked["verdict"], blocked["reasons"]) == (
        asins[1], "blocked", "ban: いけない",
    )  # fmt: skip
    assert (doubtful["asin"], doubtful["score"]) == (asins[0], 40)
    assert numbers["waiting_for_review"] == 1
    [row] = rows(numbers["review_list"].records)
    assert (row["asin"], row["reasons"]) == (asins[0], "doubt: あやしい")

    pipeline.uploads.screenings.release([asins[0]])
    assert rescan(runs)["waiting_for_review"] == 0


def test_nothing_doubtful_is_an_empty_list(runs: Runs, pipeline: Pipeline) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(sa.update(products).values(title_ja="ふつうの商品", description_ja=""))
    numbers = rescan(runs)
    assert numbers["waiting_for_review"] == 0
    assert rows(numbers["review_list"].records) == []
