"""BASE's API v1: its calls, as far as a shop's items need them."""

import re
from collections.abc import Mapping
from dataclasses import replace

from ecauto_pipeline.clock import Clock
from ecauto_pipeline.sandbox.base_shop.auth import Refused, ShopAuthority
from ecauto_pipeline.sandbox.base_shop.items import (
    DEFAULT_IMAGES,
    MOST_IMAGES,
    SIZES,
    all_images,
    edited,
    item_from,
    item_json,
    used_images,
    whole,
)
from ecauto_pipeline.sandbox.base_shop.state import Item, ShopState
from ecauto_pipeline.sandbox.quotas import Exceeded, ShopQuotas
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

# Both are published.
MOST_ITEMS = 100
DEFAULT_ITEMS = 20

SCOPE_OF = {
    "users/me": "read_users",
    "items": "read_items",
    "items/detail": "read_items",
    "items/add": "write_items",
    "items/edit": "write_items",
    "items/delete": "write_items",
    "items/add_image": "write_items",
}
OPERATIONS = ("oauth/authorize", "oauth/token", *SCOPE_OF)
POSTED = frozenset({"items/add", "items/edit", "items/delete", "items/add_image"})

NOT_POSTED = "POSTで送信してください。"
BAD_ITEM_ID = ("bad_item_id", "不正なitem_idです。")
NO_ITEM = ("no_item", "商品が見つかりませんでした。")
NO_ITEM_ID = ("no_item_id", "item_idは必須です。")
BAD_PARAMS = ("bad_params", "不正なパラメーターです。")
NO_IMAGE = ("no_image", "画像を取得できませんでした。")

# Of how a shop looks nothing is set.
LOOKS = {
    "shop_introduction": "",
    "twitter_id": "",
    "facebook_id": "",
    "ameba_id": "",
    "instagram_id": "",
    "background": None,
    "display_background": 0,
    "repeat_background": 0,
    "logo": None,
    "display_logo": 0,
}

ITEM_PATH = re.compile(r"items/detail/([^/]+)")


class BaseShopApi:
    """Answers BASE's calls about the shops of a state."""

    def __init__(self, state: ShopState, clock: Clock, *, rate_multiplier: float = 1.0) -> None:
        self._state = state
        self._clock = clock
        self._authority = ShopAuthority(state, clock)
        self._quotas = ShopQuotas(state, clock, rate_multiplier)

    def operation_of(self, request: Request) -> str:
        """The name of the operation, or "unknown"."""
        name = request.path.removeprefix("/1/")
        if ITEM_PATH.fullmatch(name):
            return "items/detail"
        return name if name in OPERATIONS else "unknown"

    def account_of(self, request: Request) -> str | None:
        """Whose access token came with a call."""
        with self._state.lock:
            grant = self._authority.grant_of(request)
        return grant.account_id if grant else None

    def expire_tokens(self) -> None:
        """Let all access tokens have expired by now."""
        with self._state.lock:
            self._state.expire_access(self._clock.now())
            self._state.commit()

    def answer(self, operation: str, request: Request) -> Response:
        """The response to a call."""
        with self._state.lock:
            try:
                return self._serve(operation, request)
            except Refused as refused:
                body = {"error": refused.error, "error_description": refused.description}
                return json_response(400, body)
            finally:
                self._state.commit()

    def _serve(self, operation: str, request: Request) -> Response:
        if operation == "oauth/authorize":
            return self._authority.authorize(request)
        if operation == "oauth/token":
            if request.method != "POST":
                raise Refused("access_denied", NOT_POSTED)
            return self._authority.grant(request)
        if operation not in SCOPE_OF:
            body = {"error": "not_found", "error_description": "ページが見つかりませんでした。"}
            return json_response(404, body)
        account_id = self._authority.check(request, SCOPE_OF[operation]).account_id
        _refuse(self._quotas.take_call(account_id))
        if operation in POSTED and request.method != "POST":
            raise Refused("not_post_method", NOT_POSTED)
        match operation:
            case "users/me":
                shop = self._state.shop(account_id)
                shop_id = shop.shop_id if shop else ""
                names = {"shop_id": shop_id, "shop_name": f"{shop_id} ショップ"}
                address = {"shop_url": f"https://{shop_id}.thebase.in"}
                told = {"user": {**names, **address, **LOOKS}}
            case "items":
                told = self._items(account_id, request.query)
            case "items/detail":
                match = ITEM_PATH.fullmatch(request.path.removeprefix("/1/"))
                # BASE takes no notice of an item_id in the query.
                if match is None:
                    raise Refused(*NO_ITEM_ID)
                item = self._item(account_id, match[1], NO_ITEM)
                told = {"item": item_json(item, used_images(item, SIZES, MOST_IMAGES))}
            case _:
                told = self._written(operation, account_id, request.form())
        return json_response(200, told)

    def _items(self, account_id: str, query: Mapping[str, str]) -> object:
        order, sort = query.get("order", "list_order"), query.get("sort", "asc")
        if order not in {"list_order", "created", "modified"} or sort not in {"asc", "desc"}:
            raise Refused(*BAD_PARAMS)
        limit = min(MOST_ITEMS, whole(query, "limit", DEFAULT_ITEMS))
        # Hidden items are listed too, and no total is told: the list ends with a short page.
        items = self._state.items(
            account_id,
            order=order,
            descending=sort == "desc",
            visible=whole(query, "visible", 1) if "visible" in query else None,
            page=(limit, whole(query, "offset", 0)),
        )
        most = min(MOST_IMAGES, whole(query, "max_image_no", DEFAULT_IMAGES))
        sizes = tuple(query.get("image_size", SIZES[0]).split(","))
        return {"items": [item_json(item, used_images(item, sizes, most)) for item in items]}

    def _written(self, operation: str, account_id: str, form: Mapping[str, str]) -> object:
        """Do a write; gives what it answers, which is the item as it is then."""
        now = int(self._clock.now().timestamp())
        match operation:
            case "items/add":
                item = item_from(form, now)
                _refuse(self._quotas.take_add(account_id))
                item_id = self._state.add_item(account_id, item)
            case "items/edit":
                item = self._item(account_id, form.get("item_id", ""), BAD_ITEM_ID)
                item_id = item.item_id
                self._state.put_item(account_id, edited(item, form, now))
            case "items/delete":
                if "item_id" not in form:
                    raise Refused(*NO_ITEM_ID)
                self._state.delete_item(
                    account_id, self._item(account_id, form.get("item_id", ""), BAD_ITEM_ID).item_id
                )
                return {"result": True}
            case _:
                number, url = form.get("image_no", ""), form.get("image_url", "")
                if not number.isdecimal() or not 1 <= int(number) <= MOST_IMAGES:
                    raise Refused(*BAD_PARAMS)
                item = self._item(account_id, form.get("item_id", ""), BAD_ITEM_ID)
                item_id = item.item_id
                if not url.startswith(("http://", "https://")):
                    raise Refused(*NO_IMAGE)
                # The same number again replaces the image.
                images = {**item.images, int(number): url}
                self._state.put_item(account_id, replace(item, images=images, modified=now))
        written = self._state.item(account_id, item_id)
        return {"item": item_json(written, all_images(written))} if written else {}

    def _item(self, account_id: str, number: str, missing: tuple[str, str]) -> Item:
        item = self._state.item(account_id, int(number)) if number.isdecimal() else None
        if item is None:
            raise Refused(*missing)
        return item


def _refuse(exceeded: Exceeded | None) -> None:
    if exceeded is not None:
        raise Refused(exceeded.error, exceeded.description)
