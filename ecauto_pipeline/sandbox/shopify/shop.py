"""A generated Shopify store: its records, what is done to them, and what its lists say."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from ecauto_pipeline.clock import JAPAN, Clock, SystemClock
from ecauto_pipeline.sandbox.draw import draw, pick, token
from ecauto_pipeline.sandbox.shopify.lists import EVERYTHING, Asked, Listed, Range, Shelf, Wanted
from ecauto_pipeline.sandbox.shopify.records import ENTITIES, Mint, Record

# So long that some orders are older than the 60 days that are visible to everybody.
SPAN = timedelta(days=400)
SCOPES = ("read_customers", "read_products", "read_orders", "read_all_orders")
RECENT_SECONDS = 60 * 24 * 3600
"""Older orders are visible with the scope `read_all_orders` only."""
FIRST_EVENT = 110_000_000_000_003
SUBJECTS = {"customers": "Customer", "products": "Product", "orders": "Order"}
EDITED = {"customers": "note", "products": "title", "orders": "note"}


@dataclass(frozen=True, slots=True)
class Event:
    """That a record was created or destroyed."""

    id: int
    subject_type: str
    subject_id: int
    verb: str
    created_at: int


@dataclass(slots=True)
class BulkSettings:
    """How the store's bulk operations go.

    They are completed at the poll of that number, or `seconds` after their start if that is set.
    The next one fails with `fail_next` as its error code, or, with `cut_next`, gives a file that
    ends too early.
    """

    polls: int = 3
    seconds: float | None = None
    fail_next: str | None = None
    cut_next: bool = False


class ShopifyShop:
    """One store. All its methods may be called from any thread."""

    def __init__(  # noqa: PLR0913 - all that a test may want to choose
        self,
        store_id: str,
        shop_domain: str,
        *,
        customers: int = 100,
        products: int = 30,
        orders: int = 60,
        access_token: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Iterable[str] = SCOPES,
        plan: str = "standard",
        pii: str = "granted",
        customers_match_whole_days: bool = False,
        currency: str = "JPY",
        timezone: ZoneInfo = JAPAN,
        span: timedelta = SPAN,
        clock: Clock | None = None,
        seed: int = 1,
    ) -> None:
        self.store_id = store_id
        self.shop_domain = shop_domain
        self.client_id = client_id
        self.client_secret = client_secret
        self.access_token = access_token
        if access_token is None and client_id is None:
            self.access_token = f"shpat_{token(32, 'shopify', store_id, seed)}"
        self.scopes = frozenset(scopes)
        self.plan = plan
        self.pii_withheld = pii == "withheld"
        self.customers_match_whole_days = customers_match_whole_days
        self.currency = currency
        self.timezone = timezone
        self.seed = seed
        self.lock = threading.RLock()
        self.bulk = BulkSettings()
        self.before_page: Callable[[int], None] | None = None
        """Called before each page of a list is made, with its number, which counts from 1."""
        self._pages = 0
        self._clock = clock or SystemClock()
        self._lag = 0.0
        self._draws = 0
        self._events: list[Event] = []
        end = self.now()
        counts = {"customers": customers, "products": products, "orders": orders}
        mint = Mint(seed, counts, end - int(span.total_seconds()), end, currency)
        self._shelves = {entity: Shelf(entity, mint) for entity in ENTITIES}

    def now(self) -> int:
        """The current second."""
        return int(self._clock.now().timestamp())

    def hold_back(self, seconds: float) -> None:
        """From now on let the lists learn of a change only that long after it."""
        with self.lock:
            self._lag = seconds

    def create(self, entity: str, **fields: Any) -> int:
        """Add a record, made up but for the fields given; returns its id."""
        with self.lock:
            now = self.now()
            fresh = self._shelves[entity].fresh()
            record = {**fresh, "created_at": now, "updated_at": now, **_plain(fields)}
            self._shelves[entity].put(record, self._due())
            self._event(entity, record["id"], "create")
            return record["id"]

    def edit(self, entity: str, record_id: int, **changes: Any) -> None:
        """Set fields; `updated_at` becomes now unless it is among them.

        Raises:
            KeyError: there is no such record, or it has no such field.
        """
        with self.lock:
            record = self._shelves[entity].record(record_id)
            if record is None or not set(changes) <= set(record):
                raise KeyError(f"{entity} {record_id} {sorted(changes)}")
            changed = {**record, "updated_at": self.now(), **_plain(changes)}
            self._shelves[entity].put(changed, self._due())

    def delete(self, entity: str, record_id: int) -> None:
        """Remove a record, which is told as an event.

        Raises:
            KeyError: there is no such record.
        """
        with self.lock:
            if self._shelves[entity].record(record_id) is None:
                raise KeyError(f"{entity} {record_id}")
            self._shelves[entity].remove(record_id, self._due())
            self._event(entity, record_id, "destroy")

    def edit_random(self, count: int, entity: str | None = None) -> list[tuple[str, int]]:
        """Edit as many records as said, which may be the same ones; tells which."""
        with self.lock:
            chosen = [self._random(entity) for _ in range(count)]
            for number, (kind, record_id) in enumerate(chosen):
                self.edit(kind, record_id, **{EDITED[kind]: f"改訂 {self._draws + number} ✏️"})
            return chosen

    def delete_random(self, count: int, entity: str | None = None) -> list[tuple[str, int]]:
        """Delete as many records as said; tells which."""
        with self.lock:
            chosen: list[tuple[str, int]] = []
            for _ in range(count):
                chosen.append(self._random(entity))
                self.delete(*chosen[-1])
            return chosen

    def record(self, entity: str, record_id: int) -> Record | None:
        """A record as it is now, in the form of `shopify_records`."""
        with self.lock:
            return self._shelves[entity].record(record_id)

    def ids(self, entity: str) -> list[int]:
        """The ids of all records as they are now, in order."""
        with self.lock:
            return self._shelves[entity].ids()

    def records(self, entity: str) -> list[Record]:
        """All records as they are now, in the order of their ids."""
        with self.lock:
            found = (self._shelves[entity].record(each) for each in self.ids(entity))
            return [record for record in found if record]

    def events(
        self,
        wanted: Wanted = EVERYTHING,
        verbs: Collection[str] = (),
        subjects: Collection[str] = (),
    ) -> list[Event]:
        """What was created and destroyed, oldest first; no verbs or subjects named: of all."""
        with self.lock:
            return [
                event
                for event in self._events
                if wanted.created.holds(event.created_at)
                and wanted.ids.holds(event.id)
                and (not verbs or event.verb in verbs)
                and (not subjects or event.subject_type.lower() in subjects)
            ]

    def page(self, entity: str, asked: Asked) -> Listed:
        """A page of a list, as the index has it."""
        with self.lock:
            self._pages += 1
            number, hook = self._pages, self.before_page
        # Outside the lock, so that it may wait for another thread.
        if hook is not None:
            hook(number)
        with self.lock:
            shelf = self._settled(entity)
            return shelf.page(replace(asked, wanted=self._visible(entity, asked.wanted)))

    def count(self, entity: str, wanted: Wanted = EVERYTHING, most: int | None = None) -> int:
        """How many records the index has, as far as `most`."""
        with self.lock:
            return self._settled(entity).count(self._visible(entity, wanted), most)

    def scan(self, entity: str, wanted: Wanted, size: int) -> Iterator[list[Record]]:
        """All that a list has, by id, so many at a time."""
        after = None
        more = True
        while more:
            asked = Asked(self._visible(entity, wanted), after=after, size=size)
            with self.lock:
                listed = self._settled(entity).page(asked)
            yield [record for _, record in listed.rows]
            more = listed.more
            after = listed.rows[-1][0] if listed.rows else None

    def sees(self, entity: str, record: Record) -> bool:
        """Whether the scopes let a client see a record at all."""
        return self._visible(entity, EVERYTHING).created.holds(record["created_at"])

    def _visible(self, entity: str, wanted: Wanted) -> Wanted:
        if entity != "orders" or "read_all_orders" in self.scopes:
            return wanted
        # Silently: a client that lacks the scope is not told that it sees a part only.
        recent = Range(low=self.now() - RECENT_SECONDS)
        return replace(wanted, created=wanted.created.within(recent))

    def _settled(self, entity: str) -> Shelf:
        self._shelves[entity].settle(self._clock.now().timestamp())
        return self._shelves[entity]

    def _due(self) -> float:
        return self._clock.now().timestamp() + self._lag

    def _random(self, entity: str | None) -> tuple[str, int]:
        self._draws += 1
        full = [each for each in ENTITIES if self.ids(each)]
        kind = entity or pick(full, self.seed, "kind", self._draws)
        ids = self.ids(kind)
        return kind, ids[draw(len(ids), self.seed, "record", self._draws)]

    def _event(self, entity: str, record_id: int, verb: str) -> None:
        # Ids rise, but with gaps.
        number = FIRST_EVENT + len(self._events) * 7
        self._events.append(Event(number, SUBJECTS[entity], record_id, verb, self.now()))


def last_order(shop: ShopifyShop, customer: Record) -> Record | None:
    """The latest order of a customer, if it is still there."""
    order_id = customer["last_order_id"]
    return None if order_id is None else shop.record("orders", order_id)


def customer_of(shop: ShopifyShop, order: Record) -> Record | None:
    """The customer of an order, if it has one who is still there."""
    customer_id = order["customer_id"]
    return None if customer_id is None else shop.record("customers", customer_id)


def sold_in(shop: ShopifyShop, line: Record) -> tuple[Record | None, Record | None]:
    """The product and the variant that a line item sold, as far as they are still there."""
    product_id = line["product_id"]
    product = None if product_id is None else shop.record("products", product_id)
    if product is None:
        return None, None
    same = (variant for variant in product["variants"] if variant["id"] == line["variant_id"])
    return product, next(same, None)


def _plain(value: Any) -> Any:
    """A value with moments as whole seconds, also in records within."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in cast("Record", value).items()}
    return value
