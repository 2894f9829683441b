"""The switches of the sandbox: what tests and people ask of it under /sandbox/."""

import dataclasses
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from ecauto_pipeline.sandbox.amazon.products import BuyFrom
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop.state import ShopState
from ecauto_pipeline.sandbox.faults import Faults, faults_from
from ecauto_pipeline.sandbox.shopify.bodies import rest_bodies
from ecauto_pipeline.sandbox.shopify.records import ENTITIES
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, json_response

PREFIX = "/sandbox/"
OPERATIONS = (
    "GET calls",
    "GET stats",
    "GET truth",
    "POST expire_tokens",
    "POST faults",
    "POST move",
    "POST reset_stats",
)
OF_SHOPIFY = ("GET shopify", "POST shopify/move")
# Enough for any test; a demonstration that runs for days must not fill the memory.
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
        known = sorted((*OPERATIONS, *(OF_SHOPIFY if self.shopify else ())))
        if name not in known:
            return json_response(404, {"error": f"no {name}; there are {known}"})
        try:
            told = self._told if request.method == "GET" else self._done
            return json_response(200, told(name, request))
        except ValueError as error:
            return json_response(400, {"error": str(error)})

    def _told(self, name: str, request: Request) -> object:
        """What is known; nothing is changed by asking."""
        query = request.query
        match name:
            case "GET stats":
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
            case "GET truth":
                return self._truth(query)
            case "GET calls":
                return [
                    {**dataclasses.asdict(call), "at": call.at.isoformat()}
                    for call in self.journal.calls()
                    if query.get("operation") in {None, call.operation}
                ]
            case _:
                entity = query.get("entity", "")
                if entity not in ENTITIES:
                    raise ValueError(f"entity is one of {ENTITIES}, not {entity}")
                return {entity: rest_bodies(self._store(query.get("store")), entity)}

    def _done(self, name: str, request: Request) -> object:
        """What was asked for, done; tells what became of it."""
        members = request.json()
        match name:
            case "POST move":
                steps = members.get("steps", request.query.get("steps", 1))
                return {"step": self.world.move(int(str(steps)))}
            case "POST faults":
                rules = faults_from(request.document())
                self.faults.replace(rules)
                return {"faults": len(rules)}
            case "POST expire_tokens":
                api = members.get("api")
                self.expire_tokens(None if api is None else str(api))
                return {"expired": api or "all"}
            case "POST reset_stats":
                self.journal.clear()
                return {}
            case _:
                shop = self._store(members.get("store"))
                return {
                    "edited": shop.edit_random(int(str(members.get("edits", 0)))),
                    "deleted": shop.delete_random(int(str(members.get("deletes", 0)))),
                }

    def _truth(self, query: Mapping[str, str]) -> object:
        """What a correct reader of Amazon must conclude, and what the BASE shops hold."""
        buy_from = query.get("buy_from", "any")
        if buy_from not in ("any", "fba", "amazon"):
            raise ValueError(f"buy_from is one of {get_args(BuyFrom)}, not {buy_from}")
        asins = query["asins"].split(",") if query.get("asins") else self.world.asins
        with self.state.lock:
            accounts = {
                shop.account_id: {
                    str(item.item_id): {
                        "identifier": item.identifier,
                        "price": item.price,
                        "visible": item.visible,
                        "stock": item.stock,
                        "images": len(item.images),
                    }
                    for item in self.state.items(shop.account_id)
                }
                for shop in self.state.shops()
            }
        return {
            "step": self.world.step,
            "asins": {asin: dataclasses.asdict(self.world.truth(asin, buy_from)) for asin in asins},
            "accounts": accounts,
        }

    def _store(self, name: object) -> ShopifyShop:
        shop = self.shopify.get(str(name))
        if shop is None:
            raise ValueError(f"store is one of {sorted(self.shopify)}, not {name}")
        return shop
