"""Faults on request."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS
from ecauto_pipeline.sandbox.faults import Fault, FaultKind, Faults, fault_from, read_faults
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller, ShopCaller

ASIN = FIRST_ASINS[0]


@pytest.fixture
def strike(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Sets a rule."""

    def set_rule(match: str, kind: str, **members: Any) -> None:
        sandbox.faults.replace([fault_from({"match": match, "kind": kind, **members})])

    yield set_rule
    sandbox.faults.replace([])


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("throttle_429_empty", 429, b""),
        ("error_500_errors_empty", 500, b'{"errors":[]}'),
        ("empty_body", 200, b""),
    ],
)
def test_an_answer_is_replaced(
    amazon: AmazonCaller, strike: Callable[..., None], kind: str, status: int, body: bytes
) -> None:
    strike("getCompetitivePricing", kind)
    response = amazon.competitive([ASIN])
    assert (response.status_code, response.content) == (status, body)
    assert amazon.offers(ASIN).status_code == 200


def test_a_throttle_looks_like_amazons(amazon: AmazonCaller, strike: Callable[..., None]) -> None:
    strike("searchCatalogItems", "throttle_429", times=1)
    response = amazon.search([ASIN])
    assert response.status_code == 429
    assert response.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert response.json()["errors"][0]["code"] == "QuotaExceeded"
    assert amazon.search([ASIN]).status_code == 200


def test_a_503_is_a_page_of_html(amazon: AmazonCaller, strike: Callable[..., None]) -> None:
    strike("/catalog/", "error_503_html")
    response = amazon.item(ASIN)
    assert response.status_code == 503
    assert response.headers["content-type"] == "text/html"


def test_truncated_json_is_no_json(amazon: AmazonCaller, strike: Callable[..., None]) -> None:
    strike("getItemOffersBatch", "truncated_json")
    response = amazon.batch([ASIN])
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_slow_answer_takes_its_time(
    amazon: AmazonCaller, strike: Callable[..., None], clock: FakeClock
) -> None:
    strike("getCatalogItem", "slow", seconds=40)
    assert amazon.item(ASIN).status_code == 200
    assert clock.slept == [40]


@pytest.mark.parametrize(
    ("kind", "added"), [("drop_before", 0), ("drop_after", 1), ("error_after", 1)]
)
def test_a_write_is_done_or_not_as_the_kind_says(
    sandbox: Sandbox, shop: ShopCaller, strike: Callable[..., None], kind: str, added: int
) -> None:
    strike("items/add", kind)
    try:
        assert shop.add().status_code == 500
    except httpx.RemoteProtocolError:
        assert kind != "error_after"
        assert sandbox.calls("items/add", status=0) == 1
    assert len(sandbox.items("account_a")) == added
    image = shop.post("items/add_image", item_id=1, image_no=1, image_url="https://x/1.jpg")
    assert image.status_code == 400


def test_an_error_of_bases_is_as_asked(shop: ShopCaller, strike: Callable[..., None]) -> None:
    restricted = "利用が制限されているユーザーです"
    strike("items/edit", "base_error", error="access_denied", error_description=restricted)
    response = shop.post("items/edit", item_id=1)
    body = {"error": "access_denied", "error_description": restricted}
    assert (response.status_code, response.json()) == (400, body)
    strike("items/edit", "base_error", error="db_error", status=200)
    assert shop.post("items/edit", item_id=1).status_code == 200


def test_any_answer_can_be_given(shop: ShopCaller, strike: Callable[..., None]) -> None:
    strike("items", "body", status=520, text="[]", content_type="text/plain")
    response = shop.get("items")
    assert (response.status_code, response.text) == (520, "[]")
    assert response.headers["content-type"] == "text/plain"


def test_a_rule_can_be_for_one_account(shop: ShopCaller, strike: Callable[..., None]) -> None:
    strike("items", "error_503_html", account="account_b")
    assert shop.get("items").status_code == 200
    strike("items", "error_503_html", account="account_a")
    assert shop.get("items").status_code == 503


def struck(rule: Fault, seed: int = 1, calls: int = 400) -> list[bool]:
    faults = Faults([rule], ["items"], seed)
    return [faults.strike("items", "/1/items", None) is not None for _ in range(calls)]


def test_a_share_is_met_and_repeats() -> None:
    rule = Fault("items", FaultKind.DROP_BEFORE, share=0.3)
    assert sum(struck(rule)) == pytest.approx(120, abs=30)
    assert struck(rule) == struck(rule)
    assert struck(rule) != struck(rule, seed=2)


def test_after_and_times_bound_a_rule() -> None:
    rule = Fault("items", FaultKind.DROP_BEFORE, after=2, times=3)
    assert struck(rule, calls=7) == [False, False, True, True, True, False, False]


def test_an_operations_name_means_only_that_operation() -> None:
    faults = Faults([Fault("items", FaultKind.SLOW)], ["items", "items/add"])
    assert faults.strike("items/add", "/1/items/add", None) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"match": "items"},
        {"match": "items", "kind": "earthquake"},
        {"match": "items", "kind": "slow", "often": 1},
        {"match": "(", "kind": "slow"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"fault|earthquake|expression"):
        fault_from(document)


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"match": "items", "kind": "slow", "seconds": 2}]', "utf-8")
    assert read_faults(path) == (Fault("items", FaultKind.SLOW, seconds=2),)
