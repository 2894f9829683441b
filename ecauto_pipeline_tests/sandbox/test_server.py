"""The server and its switches."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.server import Sandbox, run_sandbox
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller, ShopCaller


@pytest.fixture
def switches(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{sandbox.url}/sandbox/", trust_env=False, timeout=PATIENCE_SECONDS
    ) as client:
        yield client


def test_calls_are_counted(
    sandbox: Sandbox, switches: httpx.Client, amazon: AmazonCaller, shop: ShopCaller
) -> None:
    amazon.item(FIRST_ASINS[0])
    amazon.item("B0NOWHERE1")
    shop.get("items")
    assert sandbox.calls("getCatalogItem") == 2
    assert sandbox.calls("getCatalogItem", status=404) == 1
    assert sandbox.calls(account="account_a") == 1
    stats = switches.get("stats").json()
    assert stats["calls"]["getCatalogItem"] == {"200": 1, "404": 1}
    assert stats["accounts"]["account_a"] == {"items": 1}
    [first, _] = switches.get("calls", params={"operation": "getCatalogItem"}).json()
    assert (first["status"], first["account"]) == (200, "amazon")
    switches.post("reset_stats")
    assert sandbox.calls() == 0


def test_the_truth_is_told(switches: httpx.Client, shop: ShopCaller, world: World) -> None:
    item_id = shop.add(identifier="b-1", visible=0).json()["item"]["item_id"]
    told = switches.get("truth", params={"buy_from": "amazon"}).json()
    assert told["step"] == 0
    assert set(told["asins"]) == set(world.asins)
    truth = world.truth(FIRST_ASINS[0], "amazon")
    expected = {"price_jpy": truth.price_jpy, "in_stock": truth.in_stock}
    assert told["asins"][FIRST_ASINS[0]] == expected
    assert told["accounts"]["account_b"] == {}
    item = told["accounts"]["account_a"][str(item_id)]
    assert (item["price"], item["visible"], item["identifier"]) == (1980, 0, "b-1")
    few = switches.get("truth", params={"asins": FIRST_ASINS[1]}).json()
    assert list(few["asins"]) == [FIRST_ASINS[1]]
    assert switches.get("truth", params={"buy_from": "moon"}).status_code == 400


def test_the_world_moves_on_request(switches: httpx.Client, world: World) -> None:
    assert switches.post("move").json() == {"step": 1}
    assert switches.post("move", json={"steps": 3}).json() == {"step": 4}
    assert world.step == 4


def test_faults_and_expiry_come_by_request(switches: httpx.Client, shop: ShopCaller) -> None:
    rules = {"rules": [{"match": "items", "kind": "error_503_html", "times": 1}]}
    assert switches.post("faults", json=rules).json() == {"faults": 1}
    assert [shop.get("items").status_code for _ in range(2)] == [503, 200]
    [fault] = switches.get("stats").json()["faults"]
    assert (fault["matched"], fault["struck"]) == (2, 1)
    assert switches.post("faults", json=[{"match": "items"}]).status_code == 400
    assert switches.post("faults", json=[]).json() == {"faults": 0}
    assert switches.post("expire_tokens").json() == {"expired": "all"}
    assert shop.get("items").status_code == 400
    assert switches.post("expire_tokens", json={"api": "ebay"}).status_code == 400


def test_an_unknown_switch_names_the_known_ones(switches: httpx.Client) -> None:
    response = switches.get("shopify")
    assert response.status_code == 404
    assert "GET truth" in response.json()["error"]


def test_the_world_moves_by_the_clock_if_so_started(clock: FakeClock) -> None:
    world = World(count=20)
    with Sandbox(world, clock=clock, move_every=3600) as sandbox:
        client = AmazonCaller(sandbox.url)
        clock.advance(seconds=3599)
        client.renew()
        assert world.step == 0
        clock.advance(hours=2)
        client.renew()
        client.renew()
        client.http.close()
    assert world.step == 2


def test_many_clients_at_once_get_their_own_answers(sandbox: Sandbox, world: World) -> None:
    asins = world.asins[:11]
    answers: list[tuple[str, str]] = []

    def ask(asin: str) -> None:
        caller = AmazonCaller(sandbox.url)
        answers.extend((asin, caller.item(asin).json()["asin"]) for _ in range(20))
        caller.http.close()

    threads = [threading.Thread(target=ask, args=(asin,)) for asin in asins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 220
    assert all(asked == got for asked, got in answers)
    assert sandbox.calls("getCatalogItem") == 220


def test_the_port_is_on_loopback_and_free_again_afterwards() -> None:
    sandbox = Sandbox(World([]))
    sandbox.start()
    url = sandbox.url
    assert url.startswith("http://127.0.0.1:")
    sandbox.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False, timeout=PATIENCE_SECONDS)


class Enough(Exception):
    """Ends `run_sandbox` from within."""


def test_the_command_runs_the_demonstration() -> None:
    def ready(sandbox: Sandbox) -> None:
        assert len(sandbox.items("base_account_2")) > 5
        assert (
            httpx.get(
                f"{sandbox.url}/sandbox/stats", trust_env=False, timeout=PATIENCE_SECONDS
            ).status_code
            == 200
        )
        raise Enough

    with pytest.raises(Enough):
        run_sandbox(0, 30, ready=ready)
