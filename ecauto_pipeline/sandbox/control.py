"""The switches of the sandbox: what tests and people ask of it under /sandbox/."""

import dataclasses
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ecauto_pipeline.sandbox.amazon.products import BuyFrom
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import Item, ShopState
from ecauto_pipeline.sandbox.faults import Faults, faults_from
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.records import ENTITIES
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

PREFIX = "/sandbox/"
JOURNAL_LENGTH = 200_000
DROPPED = 0
"""The status of a call whose connection was closed without an answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client."""

    operation: str
    account: str | None
    status: int
    at: datetime
    path: str
    fault: str | None = None


class Journal:
    """All calls; the latest in full, the others as numbers."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=JOURNAL_LENGTH)
        self._numbers: Counter[tuple[str, str | None, int]] = Counter()
        self._lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Keep a call."""
        with self._lock:
            self._calls.append(call)
            self._numbers[call.operation, call.account, call.status] += 1

    def calls(self) -> tuple[Call, ...]:
        """The calls, oldest first."""
        with self._lock:
            return tuple(self._calls)

    def numbers(self) -> Mapping[tuple[str, str | None, int], int]:
        """How many calls there were of each (operation, account, status)."""
        with self._lock:
            return dict(self._numbers)

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()
            self._numbers.clear()


@dataclass(frozen=True, slots=True)
class Control:
    """Answers the calls under /sandbox/."""

    world: World
    state: ShopState
    faults: Faults
    journal: Journal
    expire_tokens: Callable[[str | None], None]
    shopify: Mapping[str, ShopifyShop]

    def answer(self, request: Request) -> Response:
        """The response to a control call."""
        name = f"{request.method} {request.path.removeprefix(PREFIX)}"
        operations: Mapping[str, Callable[[Request], object]] = {
            "GET stats": self._stats,
            "GET truth": self._truth,
            "GET calls": self._calls,
            "POST move": self._move,
            "POST faults": self._replace_faults,
            "POST expire_tokens": self._expire_tokens,
            "POST reset_stats": self._reset_stats,
        }
        if self.shopify:
            of_shopify = {"GET shopify": self._shopify, "POST shopify/move": self._shopify_move}
            operations = {**operations, **of_shopify}
        if name not in operations:
            return json_response(404, {"error": f"no {name}; there are {sorted(operations)}"})
        try:
            return json_response(200, operations[name](request))
        except ValueError as error:
            return json_response(400, {"error": str(error)})

    def _stats(self, request: Request) -> object:
        operations: dict[str, Counter[str]] = {}
        accounts: dict[str, Counter[str]] = {}
        for (operation, account, status), number in self.journal.numbers().items():
            operations.setdefault(operation, Counter())[str(status)] += number
            if account is not None:
                accounts.setdefault(account, Counter())[operation] += number
        return {
            "step": self.world.step,
            "asins": len(self.world.asins),
            "calls": operations,
            "accounts": accounts,
            "faults": [
                {**dataclasses.asdict(rule), **dataclasses.asdict(strikes)}
                for rule, strikes in self.faults.strikes()
            ],
        }

    def _truth(self, request: Request) -> object:
        buy_from = _buy_from(request.query.get("buy_from", "any"))
        named = request.query.get("asins")
        asins = named.split(",") if named else self.world.asins
        return {
            "step": self.world.step,
            "asins": {asin: dataclasses.asdict(self.world.truth(asin, buy_from)) for asin in asins},
            "accounts": self._accounts(),
        }

    def _accounts(self) -> dict[str, dict[str, object]]:
        with self.state.lock:
            return {
                shop.account_id: _items(self.state.items(shop.account_id))
                for shop in self.state.shops()
            }

    def _calls(self, request: Request) -> object:
        operation = request.query.get("operation")
        return [
            {**dataclasses.asdict(call), "at": call.at.isoformat()}
            for call in self.journal.calls()
            if operation in {None, call.operation}
        ]

    def _move(self, request: Request) -> object:
        steps = request.json().get("steps", request.query.get("steps", 1))
        return {"step": self.world.move(int(str(steps)))}

    def _replace_faults(self, request: Request) -> object:
        rules = faults_from(request.document())
        self.faults.replace(rules)
        return {"faults": len(rules)}

    def _expire_tokens(self, request: Request) -> object:
        api = request.json().get("api")
        self.expire_tokens(None if api is None else str(api))
        return {"expired": api or "all"}

    def _shopify(self, request: Request) -> object:
        entity = request.query.get("entity", "")
        if entity not in ENTITIES:
            raise ValueError(f"entity is one of {ENTITIES}, not {entity}")
        return {entity: rest_bodies(self._store(request.query.get("store")), entity)}

    def _shopify_move(self, request: Request) -> object:
        members = request.json()
        shop = self._store(members.get("store"))
        return {
            "edited": shop.edit_random(int(str(members.get("edits", 0)))),
            "deleted": shop.delete_random(int(str(members.get("deletes", 0)))),
        }

    def _store(self, name: object) -> ShopifyShop:
        shop = self.shopify.get(str(name))
        if shop is None:
            raise ValueError(f"store is one of {sorted(self.shopify)}, not {name}")
        return shop

    def _reset_stats(self, request: Request) -> object:
        self.journal.clear()
        return {}


def _buy_from(text: str) -> BuyFrom:
    choices: tuple[BuyFrom, ...] = ("any", "fba", "amazon")
    for choice in choices:
        if text == choice:
            return choice
    raise ValueError(f"buy_from is one of {choices}, not {text}")


def _items(items: Iterable[Item]) -> dict[str, object]:
    return {
        str(item.item_id): {
            "identifier": item.identifier,
            "price": item.price,
            "visible": item.visible,
            "stock": item.stock,
            "images": len(item.images),
        }
        for item in items
    }
