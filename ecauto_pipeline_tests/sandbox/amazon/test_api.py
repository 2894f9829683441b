"""Amazon's operations over HTTP."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.api import AmazonCredentials
from ecauto_pipeline.sandbox.amazon.products import Kind
from ecauto_pipeline.sandbox.amazon.world import FIRST_ASINS, World
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import AmazonCaller

VALID = {
    "grant_type": "refresh_token",
    "client_id": "app",
    "client_secret": "hush",
    "refresh_token": "Atzr|1",
}


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({}, 200, None),
        ({"refresh_token": "Atzr|2"}, 400, "invalid_grant"),
        ({"client_secret": "loud"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_lwa_gives_tokens_for_valid_credentials_only(
    world: World, change: Mapping[str, str], status: int, error: str | None
) -> None:
    credentials = AmazonCredentials("app", "hush", "Atzr|1")
    with Sandbox(world, amazon_credentials=credentials) as sandbox:
        response = httpx.post(
            f"{sandbox.url}/auth/o2/token", data={**VALID, **change}, trust_env=False
        )
    assert (response.status_code, response.json().get("error")) == (status, error)
    if error is None:
        assert response.json()["access_token"].startswith("Atza|")


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["details"]


def test_an_access_token_is_needed_and_ends(
    sandbox: Sandbox, amazon: AmazonCaller, clock: FakeClock
) -> None:
    assert amazon.item(FIRST_ASINS[0]).status_code == 200
    clock.advance(hours=1)
    expired = (403, "The access token you provided has expired.")
    assert refusal(amazon.item(FIRST_ASINS[0])) == expired
    amazon.renew()
    assert amazon.item(FIRST_ASINS[0]).status_code == 200
    sandbox.expire_tokens("amazon")
    assert refusal(amazon.item(FIRST_ASINS[0])) == expired
    amazon.http.headers["x-amz-access-token"] = "Atza|made up"
    assert "malformed" in refusal(amazon.item(FIRST_ASINS[0]))[1]
    del amazon.http.headers["x-amz-access-token"]
    assert refusal(amazon.item(FIRST_ASINS[0]))[1].startswith("Access token is missing")


def test_a_search_finds_what_is_there_in_another_order(world: World, amazon: AmazonCaller) -> None:
    absent = world.of_kind(Kind.NOT_FOUND)[0]
    asked = [*world.asins[:11], absent, "B0NOWHERE1"]
    body = amazon.search(asked, pageSize="20").json()
    found = [item["asin"] for item in body["items"]]
    assert sorted(found) == sorted(world.asins[:11])
    assert found != list(world.asins[:11])
    assert body["numberOfResults"] == 11


def test_a_search_gives_ten_a_page_unless_told(world: World, amazon: AmazonCaller) -> None:
    first = amazon.search(world.asins[:11]).json()
    assert len(first["items"]) == 10
    second = amazon.search(world.asins[:11], pageToken=first["pagination"]["nextToken"]).json()
    assert len(second["items"]) == 1
    assert "nextToken" not in second["pagination"]


@pytest.mark.parametrize(
    "asins", [["B0FGQJ45HW", "b0wrong"], [f"B0000000{n:02}" for n in range(21)]]
)
def test_one_bad_asin_or_too_many_fail_the_whole_search(
    amazon: AmazonCaller, asins: list[str]
) -> None:
    response = amazon.search(asins, pageSize="20")
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "InvalidInput"


def test_the_message_for_a_malformed_asin_is_amazons(amazon: AmazonCaller) -> None:
    assert amazon.search(["wrong"]).json()["errors"][0]["message"] == "Invalid 'asin' provided."


def test_an_item_has_the_parts_asked_for(amazon: AmazonCaller) -> None:
    item = amazon.item(FIRST_ASINS[0], includedData="summaries,images,attributes").json()
    assert set(item) == {"asin", "summaries", "images", "attributes"}
    assert item["images"][0]["images"][0]["link"].startswith("https://m.media-amazon.com/images/I/")
    assert item["attributes"]["bullet_point"]
    assert amazon.item(FIRST_ASINS[0], includedData="gossip").status_code == 400


def test_an_absent_item_is_404_with_the_rate(amazon: AmazonCaller) -> None:
    response = amazon.item("B0NOWHERE1")
    assert response.status_code == 404
    assert response.headers["x-amzn-RateLimit-Limit"] == "2000"


def test_a_variation_parent_names_its_children(world: World, amazon: AmazonCaller) -> None:
    asin = world.of_kind(Kind.VARIATION_PARENT)[0]
    item = amazon.item(asin, includedData="relationships,summaries").json()
    assert item["relationships"][0]["relationships"][0]["childAsins"]
    assert item["summaries"][0]["itemClassification"] == "VARIATION_PARENT"


def competitive(amazon: AmazonCaller, asin: str) -> tuple[list[Any], dict[str, int]]:
    [price] = amazon.competitive([asin]).json()["payload"]
    assert price["status"] == "Success"
    pricing = price["Product"]["CompetitivePricing"]
    counts = {each["condition"]: each["Count"] for each in pricing["NumberOfOfferListings"]}
    return pricing["CompetitivePrices"], counts


@pytest.mark.parametrize(
    ("kind", "price_ids", "new_count"),
    [
        (Kind.SOLE_SELLER, [], 1),
        (Kind.VARIATION_PARENT, [], None),
        (Kind.USED_ONLY, ["2"], None),
        (Kind.FUTURE_BUY_BOX, ["1"], 2),
        (Kind.OUT, [], 0),
    ],
)
def test_competitive_pricing_of_the_odd_kinds(
    world: World, amazon: AmazonCaller, kind: Kind, price_ids: list[str], new_count: int | None
) -> None:
    prices, counts = competitive(amazon, world.of_kind(kind)[0])
    assert [price["CompetitivePriceId"] for price in prices] == price_ids
    assert counts.get("New") == new_count


def test_a_future_product_still_has_a_competitive_price(world: World, amazon: AmazonCaller) -> None:
    prices, counts = competitive(amazon, world.of_kind(Kind.FUTURE)[0])
    assert prices[0]["condition"] == "New"
    assert counts["New"] > 1


def test_the_landed_price_is_less_by_the_points(world: World, amazon: AmazonCaller) -> None:
    asin = world.of_kind(Kind.SHIPPING)[0]
    [price], _ = competitive(amazon, asin)
    amounts = {key: price["Price"][key]["Amount"] for key in ("ListingPrice", "Shipping")}
    points = price["Price"]["Points"]["PointsNumber"]
    assert amounts["Shipping"] > 0
    assert points > 0
    assert price["Price"]["LandedPrice"]["Amount"] == sum(amounts.values()) - points
    assert world.truth(asin).price_jpy == sum(amounts.values())


def test_an_unknown_asin_is_an_error_of_its_element_only(amazon: AmazonCaller) -> None:
    good, bad = amazon.competitive([FIRST_ASINS[0], "B0NOWHERE1"]).json()["payload"]
    assert (good["status"], bad["status"]) == ("Success", "ClientError")
    body = amazon.payloads([FIRST_ASINS[0], "B0NOWHERE1"])
    assert body[FIRST_ASINS[0]]["payload"]["status"] == "Success"
    assert body["B0NOWHERE1"]["errors"][0]["code"] == "InvalidInput"
    assert amazon.offers("B0NOWHERE1").status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.NORMAL, "Success"),
        (Kind.VARIATION_PARENT, "NoBuyableOffers"),
        (Kind.OUT, "NoBuyableOffers"),
        (Kind.TOO_SOON, "ActiveButTooSoonForProcessing"),
        (Kind.USED_ONLY, "Success"),
        (Kind.FUTURE, "Success"),
    ],
)
def test_the_status_of_offers(world: World, amazon: AmazonCaller, kind: Kind, status: str) -> None:
    payload = amazon.offers(world.of_kind(kind)[0]).json()["payload"]
    assert payload["status"] == status
    assert bool(payload["Offers"]) == (kind in {Kind.NORMAL, Kind.FUTURE})


def price_read(payload: Mapping[str, Any]) -> int | None:
    """The rule, applied to the wire format."""
    counting = [
        offer
        for offer in payload["Offers"]
        if offer["SubCondition"] == "new" and offer["ShippingTime"]["availabilityType"] == "NOW"
    ]
    counting.sort(key=lambda offer: offer["ListingPrice"]["Amount"] + offer["Shipping"]["Amount"])
    counting.sort(key=lambda offer: not offer["IsBuyBoxWinner"])
    if not counting:
        return None
    return counting[0]["ListingPrice"]["Amount"] + counting[0]["Shipping"]["Amount"]


def test_the_truth_can_be_read_from_the_offers(world: World, amazon: AmazonCaller) -> None:
    for start in (0, 20):
        asins = world.asins[start : start + 20]
        for asin, body in amazon.payloads(asins).items():
            if "payload" in body:
                assert price_read(body["payload"]) == world.truth(asin).price_jpy


def test_a_batch_refuses_duplicates_and_too_many(amazon: AmazonCaller) -> None:
    twice = amazon.batch([FIRST_ASINS[0]] * 2)
    assert twice.status_code == 400
    assert twice.json()["errors"][0]["message"].startswith("Duplicate requests submitted.")
    assert amazon.batch([f"B0000000{n:02}" for n in range(21)]).status_code == 400
    assert amazon.batch([]).status_code == 400


def test_another_marketplace_is_not_served(amazon: AmazonCaller) -> None:
    assert amazon.item(FIRST_ASINS[0], marketplaceIds="ATVPDKIKX0DER").status_code == 403


def test_an_unknown_path_is_amazons_404(amazon: AmazonCaller) -> None:
    response = amazon.http.get("/feeds/2021-06-30/feeds")
    assert response.status_code == 404
    assert response.json()["errors"][0]["code"] == "NotFound"


def test_any_asin_is_accepted_if_so_started(clock: FakeClock) -> None:
    with Sandbox(World([]), clock=clock, accept_any_asin=True) as sandbox:
        amazon = AmazonCaller(sandbox.url)
        assert amazon.item(FIRST_ASINS[0]).status_code == 200
        amazon.http.close()
    assert sandbox.world.asins == (FIRST_ASINS[0],)
