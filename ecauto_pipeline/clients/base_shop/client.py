"""BASE's API v1, as far as items need it: list, read and edit them, within the account's budget."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol, TypeVar, cast

from ecauto_pipeline.clients.base_shop.auth import (
    BaseTokens,
    TokenRefused,
    Verdict,
    refusal,
    shop_from,
)
from ecauto_pipeline.clients.http import JsonApi, retrying
from ecauto_pipeline.clients.rate_limit import Pacer, Turn
from ecauto_pipeline.clock import JAPAN, Clock
from ecauto_pipeline.domain.base_shop.accounts import Shop
from ecauto_pipeline.domain.shops.accounts import Account
from ecauto_pipeline.domain.shops.changes import Item, NewItem
from ecauto_pipeline.errors import Deferred, NoProof, Rejected, Throttled

PAGE_ITEMS = 100
"""The most that BASE gives at once."""

RECENT_ITEMS = 5 * PAGE_ITEMS
"""How far a look for new items goes back, unless it is thorough."""

LARGEST = 2**63 - 1
"""Ids have been nine digits long; more than this no database of ours holds."""

CALLS_PER_DAY = 100_000

CALLS_PER_SECOND, BURST = 5.0, 5.0
"""BASE publishes no such limit; this is only to be a gentle guest."""

CLOCKS_DIFFER = timedelta(seconds=30)
"""So soon after the full hour, BASE may still mean the hour before."""

_T = TypeVar("_T")


class Windows(Protocol):
    """Budgets that start afresh at a full hour or day, counted for all processes."""

    def take(self, bucket: str, window_start: datetime, limit: int, cost: int = 1) -> bool:
        """Count `cost` in the window, if that leaves it within its limit."""
        ...

    def exhaust(self, bucket: str, window_start: datetime, limit: int) -> None:
        """Take the window for used up."""
        ...


@dataclass(frozen=True, slots=True)
class _Window:
    """A budget for a calendar hour or day."""

    name: str
    code: str
    bucket: str
    limit: int
    length: timedelta

    def start(self, now: datetime) -> datetime:
        """The last full hour, or the last midnight in Japan."""
        local = now.astimezone(JAPAN).replace(minute=0, second=0, microsecond=0)
        return (local if self.name == "hour" else local.replace(hour=0)).astimezone(UTC)


class CallBudget:
    """What one account may call: by hour and day as BASE counts, and gently by second."""

    def __init__(
        self,
        account: Account,
        host: str,
        pacer: Pacer,
        windows: Windows,
        clock: Clock,
        *,
        multiplier: float = 1.0,
        share: float = 1.0,
    ) -> None:
        self._label = account.label
        self._pacer = pacer
        self._windows = windows
        self._clock = clock
        self._bucket = bucket = f"{host}/{account.id}"
        # Uploads are given a share only: prices and visibility must never wait for them.
        hourly = int(account.calls_per_hour * multiplier * share)
        daily = int(CALLS_PER_DAY * multiplier * share)
        self._all = (
            _Window("hour", "hour_api_limit", f"{bucket}/hour", hourly, timedelta(hours=1)),
            _Window("day", "day_api_limit", f"{bucket}/day", daily, timedelta(days=1)),
        )
        self._uploads = _Window(
            "day", "", f"{bucket}/items_add", account.daily_upload_limit, timedelta(days=1)
        )
        pacer.configure(bucket, CALLS_PER_SECOND * multiplier, max(1.0, BURST * multiplier))

    def take(self, until: datetime | None) -> Turn:
        """Count one call and wait for its turn.

        Raises:
            Deferred: the budget is used up, or the turn comes after `until`.
        """
        now = self._clock.now()
        for window in self._all:
            if not self._windows.take(window.bucket, window.start(now), window.limit):
                raise self._used_up(window, now)
        return self._pacer.wait_turn(self._bucket, until)

    def take_upload(self) -> bool:
        """Count one items/add of the account's day in Japan; False: the day has none left."""
        window = self._uploads
        return self._windows.take(window.bucket, window.start(self._clock.now()), window.limit)

    def answered(self, turn: Turn, sent_at: datetime) -> None:
        """An answer came, of whatever kind."""
        self._pacer.answered(turn, sent_at, self._clock.now())

    def throttled(self, turn: Turn, retry_after: float | None) -> None:
        """BASE asks for fewer calls a second."""
        self._pacer.throttled(turn, retry_after)

    def exhausted(self, code: str, sent_at: datetime) -> Deferred:
        """BASE says that a budget is used up; returns what to raise."""
        now = self._clock.now()
        for window in self._all:
            if window.code == code:
                start = window.start(now)
                if start == window.start(sent_at) and now - start >= CLOCKS_DIFFER:
                    self._windows.exhaust(window.bucket, start, window.limit)
                return self._used_up(window, now)
        return Deferred(f"BASE account {self._label}: {code}")

    def _used_up(self, window: _Window, now: datetime) -> Deferred:
        again = (window.start(now) + window.length).astimezone(JAPAN)
        return Deferred(
            f"BASE account {self._label}: the calls of this {window.name} are used up;"
            f" the rest follows after {again:%Y-%m-%d %H:%M} JST"
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """A call; but for `items/add` all may be made twice: they read, or set absolute values."""

    operation: str
    path: str
    query: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    before_send: Callable[[], None] | None = None


class BaseShopClient:
    """The items of one shop; `calls` counts what was sent, by operation.

    No call is made, or waits for its turn, after `until`.
    """

    label = "BASE"
    max_images = 20

    def __init__(
        self,
        api: JsonApi,
        tokens: BaseTokens,
        budget: CallBudget,
        clock: Clock,
        *,
        until: datetime | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._budget = budget
        self._clock = clock
        self._chance = chance
        self.until = until
        self.calls: Counter[str] = Counter()

    def take_upload_slot(self) -> bool:
        """Count one upload of the account's day; False: its daily limit is reached."""
        return self._budget.take_upload()

    def items(self, *, newest_first: bool = False) -> Iterator[Item]:
        """Every item of the shop once, hidden ones too.

        Raises:
            NoProof: an answer is no listing, or the listing does not come to an end.
        """
        seen: set[str] = set()
        order, sort = ("created", "desc") if newest_first else ("list_order", "asc")
        query = {"order": order, "sort": sort, "limit": str(PAGE_ITEMS), "max_image_no": "1"}
        offset = 0
        while True:
            page = self._call(_Call("items", "items", {**query, "offset": str(offset)}), _page)
            # Pages shift when items are added meanwhile: some then come twice.
            fresh = {item.item_id: item for item in page if item.item_id not in seen}
            yield from fresh.values()
            seen |= fresh.keys()
            if len(page) < PAGE_ITEMS:
                return
            if not fresh:
                raise NoProof(f"BASE gives the same items again at offset {offset}")
            offset += len(page)

    def item(self, item_id: str) -> Item:
        """The item as the shop has it now.

        Raises:
            ItemGone: there is none with this id.
        """
        _check(item_id)
        call = _Call("items/detail", f"items/detail/{item_id}")
        return self._call(call, lambda body: _the_item(body, item_id))

    def look_up(self, identifiers: Collection[str], *, thorough: bool) -> list[Item]:
        """The items that carry one of these identifiers, hidden ones too, the newest first.

        Unless it is `thorough`, only the newest ones are looked at.
        """
        # BASE's search knows neither identifiers nor, for up to an hour, new items.
        newest = islice(self.items(newest_first=True), None if thorough else RECENT_ITEMS)
        return [item for item in newest if item.identifier in identifiers]

    def edit(
        self,
        item_id: str,
        price_jpy: int | None = None,
        visible: bool | None = None,  # noqa: FBT001 - a value to be set, not a flag
        stock: int | None = None,
    ) -> Item:
        """Set these values and leave the others; returns the item as it is then.

        Raises:
            ItemGone: there is none with this id.
            Rejected: BASE refuses, or says nothing and does not do it.
        """
        _check(item_id)
        asked = {"price": price_jpy, "visible": visible, "stock": stock}
        form = {name: str(int(value)) for name, value in asked.items() if value is not None}
        if not form:
            raise ValueError("nothing to edit")
        call = _Call("items/edit", "items/edit", form={"item_id": item_id, **form})
        item = self._call(call, lambda body: _the_item(body, item_id))
        now = {"price": item.price_jpy, "visible": int(item.visible), "stock": item.stock}
        if differing := [name for name, value in form.items() if str(now[name]) != value]:
            said = ", ".join(f"{name} {form[name]} (is {now[name]})" for name in differing)
            raise Rejected(f"BASE item {item_id}: not applied: {said}", "not_applied")
        return item

    def add(self, new: NewItem, before_send: Callable[[], None]) -> Item:
        """Make the item, hidden. The call is made once: BASE would make it again.

        `before_send` is called when nothing but the sending itself is left to do; what it raises
        keeps the call from being sent.

        Raises:
            NotSent, Throttled, Deferred, Rejected, AccountStopped: nothing was made.
            Unavailable: any other; nobody knows whether the item was made.
        """
        form = {
            "title": new.title,
            "detail": new.detail,
            "price": str(new.price_jpy),
            "stock": str(new.stock),
            "visible": "0",
            "identifier": new.identifier,
        }
        call = _Call("items/add", "items/add", form=form, before_send=before_send)
        return item_from(_mapping(self._authorised(call).get("item")))

    def add_image(self, item_id: str, number: int, url: str) -> None:
        """Let BASE fetch a picture into a slot from 1 to 20; again is the same as once.

        Raises:
            ItemGone: there is no such item.
            Rejected: BASE cannot use the picture.
        """
        _check(item_id)
        form = {"item_id": item_id, "image_no": str(number), "image_url": url}
        call = _Call("items/add_image", "items/add_image", form=form)
        self._call(call, lambda body: _the_item(body, item_id))

    def me(self) -> Shop:
        """The shop that the account's token is for."""
        return self._call(_Call("users/me", "users/me"), shop_from)

    def _call(self, call: _Call, read: Callable[[dict[str, Any]], _T]) -> _T:
        """What `read` makes of the answer; failures that may pass are tried again."""

        def attempt() -> _T:
            return read(self._authorised(call))

        return retrying(self._clock, self._chance, but_not=(TokenRefused,))(attempt)

    def _authorised(self, call: _Call) -> dict[str, Any]:
        """The answer to one call; a refused token is replaced once."""
        try:
            return self._once(call)
        except TokenRefused as refused:
            self._tokens.refused(refused.token)
        return self._once(call)

    def _once(self, call: _Call) -> dict[str, Any]:
        turn = self._budget.take(self.until)
        # Only now: a token could expire while waiting for the turn.
        token = self._tokens.access_token()
        if call.before_send:
            call.before_send()
        self.calls[call.operation] += 1
        sent_at = self._clock.now()
        method, path = "GET" if call.form is None else "POST", f"/1/{call.path}"
        try:
            answer = self._api.send(method, path, query=call.query, form=call.form, token=token)
        except Throttled as throttled:
            self._budget.throttled(turn, throttled.retry_after)
            raise
        self._budget.answered(turn, sent_at)
        refused = refusal(answer, self._api)
        if refused and refused.verdict is Verdict.TOKEN:
            raise TokenRefused(f"BASE refuses its access token ({refused.said})", token)
        self._tokens.accepted()
        if refused and refused.verdict is Verdict.LIMIT:
            raise self._budget.exhausted(refused.code, sent_at)
        if refused:
            raise self._tokens.error_for(refused)
        return answer.object()


def item_from(node: Mapping[str, Any]) -> Item:
    """The item in BASE's JSON.

    Raises:
        NoProof: something that every item has is missing or malformed.
    """
    identifier, visible = node.get("identifier"), _whole(node, "visible")
    if visible not in {0, 1}:
        raise NoProof(f"BASE gives an item with visible {visible}")
    modified = node.get("modified")
    try:
        modified_at = datetime.fromtimestamp(modified, UTC) if isinstance(modified, int) else None
    except (OverflowError, ValueError, OSError):
        modified_at = None  # nothing depends on it
    return Item(
        item_id=str(_whole(node, "item_id")),
        identifier=str(identifier) if identifier else None,
        title=str(node.get("title") or ""),
        price_jpy=_whole(node, "price"),
        stock=_whole(node, "stock"),
        visible=visible == 1,
        modified_at=modified_at,
    )


def _page(body: Mapping[str, Any]) -> list[Item]:
    nodes = body.get("items")
    if not isinstance(nodes, list):
        raise NoProof("BASE's answer holds no list of items")
    return [item_from(_mapping(node)) for node in cast("list[object]", nodes)]


def _the_item(body: Mapping[str, Any], item_id: str) -> Item:
    item = item_from(_mapping(body.get("item")))
    if item.item_id != item_id:
        raise NoProof(f"BASE answers with item {item.item_id} instead of {item_id}")
    return item


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NoProof("BASE's answer holds no item")
    return cast("dict[str, Any]", value)


def _whole(node: Mapping[str, Any], name: str) -> int:
    """A whole number; BASE's own clients have met them as text, too."""
    value = node.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) <= len(str(LARGEST)) else None
    if not isinstance(value, int) or abs(value) > LARGEST:
        raise NoProof(f"BASE gives an item without a whole number as {name}")
    return int(value)


def _check(item_id: str) -> None:
    if not (item_id.isascii() and item_id.isdecimal()):
        raise Rejected(f"{item_id!r} is no item id of BASE's", "bad_request")
