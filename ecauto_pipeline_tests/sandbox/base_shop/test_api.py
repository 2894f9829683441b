"""BASE over HTTP."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import Item
from ecauto_pipeline.sandbox.server import Sandbox
from ecauto_pipeline_tests.children import PATIENCE_SECONDS
from ecauto_pipeline_tests.fakes import FakeClock
from ecauto_pipeline_tests.sandbox.callers import ShopCaller
from ecauto_pipeline_tests.sandbox.conftest import SHOPS

BAD_REFRESH_TOKEN = ("invalid_request", "不正なリフレッシュトークンです。")


def refusal(response: httpx.Response) -> tuple[str, str]:
    assert response.status_code == 400
    body = response.json()
    return body["error"], body["error_description"]


def test_a_refresh_token_works_once(shop: ShopCaller) -> None:
    used = shop.shop.refresh_token
    assert refusal(shop.refresh(used)) == BAD_REFRESH_TOKEN
    assert shop.get("users/me").json()["user"]["shop_id"] == "shop-a"
    second = shop.refresh()
    assert set(second.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (second.json()["token_type"], second.json()["expires_in"]) == ("bearer", 3600)


def test_tokens_end(sandbox: Sandbox, shop: ShopCaller, clock: FakeClock) -> None:
    bad = ("invalid_request", "アクセストークンが不正です。")
    clock.advance(hours=1)
    assert refusal(shop.get("users/me")) == bad
    assert shop.refresh().status_code == 200
    assert shop.get("users/me").status_code == 200
    sandbox.expire_tokens("base")
    assert refusal(shop.get("users/me")) == bad
    clock.advance(days=30)
    error, description = refusal(shop.refresh())
    assert (error, "有効期限" in description) == ("invalid_request", True)


def test_a_refresh_needs_its_own_client(sandbox: Sandbox) -> None:
    thief = ShopCaller(sandbox.url, SHOPS[1])
    assert refusal(thief.refresh(SHOPS[0].refresh_token)) == BAD_REFRESH_TOKEN
    form = {"grant_type": "refresh_token", "client_id": "nobody", "client_secret": "x"}
    assert refusal(thief.post("oauth/token", **form))[0] == "unauthorized_client"
    assert refusal(thief.post("oauth/token", grant_type="x"))[0] == "invalid_request"
    assert refusal(thief.get("oauth/token"))[0] == "access_denied"
    thief.http.close()


def test_the_client_may_name_itself_by_basic_authentication(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        response = client.post(
            "/1/oauth/token",
            data={"grant_type": "refresh_token", "refresh_token": SHOPS[0].refresh_token},
            auth=(SHOPS[0].client_id, SHOPS[0].client_secret),
        )
    assert response.status_code == 200


def authorize(shop: ShopCaller, **change: str) -> httpx.Response:
    query = {
        "response_type": "code",
        "client_id": shop.shop.client_id,
        "redirect_uri": "http://localhost:8000/callback",
        "scope": "read_users",
        "state": "xyz",
        **change,
    }
    return shop.get("oauth/authorize", **query)


def redeem(shop: ShopCaller, code: str, **change: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": shop.shop.client_id,
        "client_secret": shop.shop.client_secret,
        "redirect_uri": "http://localhost:8000/callback",
        "code": code,
        **change,
    }
    return shop.post("oauth/token", **form)


def test_an_authorisation_gives_a_code_for_one_pair_of_tokens(shop: ShopCaller) -> None:
    response = authorize(shop)
    assert response.status_code == 302
    location = urlsplit(response.headers["location"])
    query = parse_qs(location.query)
    assert (location.path, query["state"]) == ("/callback", ["xyz"])
    [code] = query["code"]
    assert refusal(redeem(shop, code, redirect_uri="http://elsewhere/"))[0] == "invalid_request"
    tokens = redeem(shop, code).json()
    assert refusal(redeem(shop, code)) == ("invalid_request", "不正な認可コードです。")
    shop.http.headers["authorization"] = f"Bearer {tokens['access_token']}"
    assert shop.get("users/me").status_code == 200
    assert refusal(shop.get("items"))[0] == "invalid_scope"


def test_a_bad_authorisation_gives_none(shop: ShopCaller, clock: FakeClock) -> None:
    assert refusal(authorize(shop, client_id="nobody"))[0] == "unauthorized_client"
    assert refusal(authorize(shop, scope="everything"))[0] == "invalid_scope"
    assert refusal(authorize(shop, redirect_uri=""))[0] == "invalid_request"
    code = parse_qs(urlsplit(authorize(shop).headers["location"]).query)["code"][0]
    clock.advance(hours=2)
    assert refusal(redeem(shop, code))[1] == "認可コードの有効期限が切れています。"


def test_an_item_is_added_read_edited_and_deleted(shop: ShopCaller, clock: FakeClock) -> None:
    added = shop.add(detail="説明", identifier="b-B000000001-1", visible=0).json()["item"]
    assert added["item_id"] == 126_000_001
    assert added["img1_origin"] is None
    assert (added["visible"], added["list_order"]) == (0, 1)
    clock.advance(seconds=5)
    edit = shop.post("items/edit", item_id=added["item_id"], price=2980).json()["item"]
    changed = {key for key in added if added[key] != edit[key]}
    assert changed == {"price", "modified"}
    detail = shop.get(f"items/detail/{added['item_id']}").json()["item"]
    assert detail["price"] == 2980
    assert "img1_origin" not in detail
    assert shop.post("items/delete", item_id=added["item_id"]).json() == {"result": True}
    assert refusal(shop.get(f"items/detail/{added['item_id']}"))[0] == "no_item"
    gone = ("bad_item_id", "不正なitem_idです。")
    assert refusal(shop.post("items/edit", item_id=added["item_id"], visible=0)) == gone


def test_adding_twice_makes_two_items(shop: ShopCaller) -> None:
    first, second = (shop.add(identifier="same").json()["item"]["item_id"] for _ in range(2))
    assert second == first + 1


def test_the_second_shop_counts_beyond_32_bits(sandbox: Sandbox) -> None:
    shop = ShopCaller(sandbox.url, SHOPS[1])
    shop.refresh()
    assert shop.add().json()["item"]["item_id"] > 2**31
    shop.http.close()


@pytest.mark.parametrize(
    "change",
    [
        {"title": "𠮷野家"},
        {"detail": "🎁"},
        {"title": " "},
        {"price": "12.5"},
        {"price": "-1"},
        {"stock": "many"},
        {"visible": 2},
    ],
)
def test_what_is_not_valid_is_refused(
    sandbox: Sandbox, shop: ShopCaller, change: dict[str, str | int]
) -> None:
    expected = ("validation_error", "バリデーションエラーです。")
    assert refusal(shop.add(**change)) == expected
    assert sandbox.items("account_a") == []


def test_only_forms_are_read(shop: ShopCaller) -> None:
    body = {"title": "品", "price": 1980, "stock": 1}
    assert refusal(shop.http.post("/1/items/add", json=body))[0] == "validation_error"
    assert refusal(shop.get("items/add"))[0] == "not_post_method"


def test_an_item_is_named_by_the_path(shop: ShopCaller) -> None:
    item_id = shop.add().json()["item"]["item_id"]
    assert refusal(shop.get("items/detail", item_id=item_id))[0] == "no_item_id"
    assert refusal(shop.get("items/detail/1"))[0] == "no_item"


def test_an_image_fills_its_slot(shop: ShopCaller) -> None:
    item_id = shop.add().json()["item"]["item_id"]
    url = "https://m.media-amazon.com/images/I/1.jpg"
    item = shop.post("items/add_image", item_id=item_id, image_no=2, image_url=url).json()["item"]
    assert item["img2_origin"].startswith("https://base-ec2.akamaized.net/images/item/origin/")
    assert (item["img1_origin"], item["img2_300"]) == (None, None)
    assert "img2_300" in shop.get(f"items/detail/{item_id}").json()["item"]
    for bad in ({"image_no": 21}, {"image_no": 0}, {"image_no": "x"}):
        assert refusal(shop.post("items/add_image", item_id=item_id, image_url=url, **bad))[0] == (
            "bad_params"
        )
    nothing = shop.post("items/add_image", item_id=item_id, image_no=1, image_url="1.jpg")
    assert refusal(nothing)[0] == "no_image"


def test_variations_sum_up_to_the_stock(shop: ShopCaller) -> None:
    variations = {"variation[0]": "黒", "variation_stock[0]": 6, "variation[1]": "白"}
    item = shop.add(**variations, **{"variation_stock[1]": 4}).json()["item"]
    assert item["stock"] == 10
    change = {"variation_id[0]": 1, "variation[0]": "黒", "variation_stock[0]": 0}
    edit = shop.post("items/edit", item_id=item["item_id"], **change).json()["item"]
    assert edit["stock"] == 4
    change["variation_id[0]"] = 9
    response = shop.post("items/edit", item_id=item["item_id"], **change)
    assert response.status_code == 400


def titles(response: httpx.Response) -> list[str]:
    return [item["title"] for item in response.json()["items"]]


def test_items_come_in_pages_without_a_total(world: World, clock: FakeClock) -> None:
    items = [
        Item(str(number), 1000, 1, visible=number % 2, created=number, modified=1000 - number)
        for number in range(250)
    ]
    with Sandbox(world, SHOPS, {"account_a": items}, clock=clock) as sandbox:
        shop = ShopCaller(sandbox.url, SHOPS[0])
        shop.refresh()
        assert len(titles(shop.get("items"))) == 20
        assert set(shop.get("items").json()) == {"items"}
        pages = [titles(shop.get("items", limit=100, offset=start)) for start in (0, 100, 200, 300)]
        assert [len(page) for page in pages] == [100, 100, 50, 0]
        assert [title for page in pages for title in page] == [str(n) for n in range(250)]
        assert len(titles(shop.get("items", limit=1000))) == 100
        newest = shop.get("items", order="created", sort="desc", limit=2)
        assert titles(newest) == ["249", "248"]
        assert titles(shop.get("items", order="modified", limit=1)) == ["249"]
        assert titles(shop.get("items", visible=0, limit=2)) == ["0", "2"]
        assert refusal(shop.get("items", order="price"))[0] == "bad_params"
        shop.http.close()


def test_shops_do_not_see_each_other(sandbox: Sandbox, shop: ShopCaller) -> None:
    item_id = shop.add().json()["item"]["item_id"]
    other = ShopCaller(sandbox.url, SHOPS[1])
    other.refresh()
    assert titles(other.get("items")) == []
    assert refusal(other.post("items/delete", item_id=item_id))[0] == "bad_item_id"
    other.http.close()


def test_an_unknown_path_is_bases_404(shop: ShopCaller) -> None:
    response = shop.get("savings")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


def test_a_restarted_sandbox_still_knows_tokens_and_items(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    state = str(tmp_path / "state.db")
    with Sandbox(world, SHOPS, clock=clock, state=state) as sandbox:
        shop = ShopCaller(sandbox.url, SHOPS[0])
        shop.refresh()
        shop.add(title="残る")
        shop.http.close()
    with Sandbox(world, SHOPS, clock=clock, state=state) as sandbox:
        again = ShopCaller(sandbox.url, SHOPS[0])
        assert refusal(again.refresh(SHOPS[0].refresh_token)) == BAD_REFRESH_TOKEN
        assert again.refresh(shop.refresh_token).status_code == 200
        assert titles(again.get("items")) == ["残る"]
        again.http.close()
