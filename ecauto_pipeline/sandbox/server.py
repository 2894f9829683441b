"""The sandbox itself: one HTTP server on loopback that is Amazon, BASE and Shopify."""

import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from ecauto_pipeline.clock import Clock, SystemClock
from ecauto_pipeline.sandbox.amazon import api as amazon
from ecauto_pipeline.sandbox.amazon.api import AmazonApi, AmazonCredentials
from ecauto_pipeline.sandbox.amazon.world import World
from ecauto_pipeline.sandbox.base_shop import api as base_shop
from ecauto_pipeline.sandbox.base_shop.api import BaseShopApi
from ecauto_pipeline.sandbox.base_shop.state import Item, ShopSeed, ShopState
from ecauto_pipeline.sandbox.control import DROPPED, PREFIX, Call, Control, Journal
from ecauto_pipeline.sandbox.demo.listings import demo_items, demo_shops
from ecauto_pipeline.sandbox.demo.stores import demo_shopify_shops
from ecauto_pipeline.sandbox.faults import FIXED, Fault, FaultKind, Faults, play, read_faults
from ecauto_pipeline.sandbox.shopify import api as shopify_api
from ecauto_pipeline.sandbox.shopify.api import FIXED_HERE, PREFIXES, ShopifyApi
from ecauto_pipeline.sandbox.shopify.shop import ShopifyShop
from ecauto_pipeline.sandbox.wire import Request, Response, encode, file_parts, read_request

HOST = "127.0.0.1"
MOVE_EVERY_SECONDS = 3600


class Timetable:
    """Moves a world by the clock."""

    def __init__(self, world: World, clock: Clock, every_seconds: float | None) -> None:
        self._world = world
        self._clock = clock
        self._every = every_seconds
        self._began = clock.now()
        self._moves = 0
        self._lock = threading.Lock()

    def keep(self) -> None:
        """Make the moves that are due."""
        if self._every is None:
            return
        with self._lock:
            passed = (self._clock.now() - self._began).total_seconds()
            due = int(passed // self._every) - self._moves
            if due > 0:
                self._moves += due
                self._world.move(due)


class Sandbox:
    """The marketplaces, while started. Any number may run side by side."""

    def __init__(  # noqa: PLR0913 - all that a test may want to choose
        self,
        world: World,
        shops: Iterable[ShopSeed] = (),
        items: Mapping[str, Iterable[Item]] | None = None,
        *,
        shopify_shops: Iterable[ShopifyShop] = (),
        port: int = 0,
        clock: Clock | None = None,
        rate_multiplier: float = 1.0,
        faults: Iterable[Fault] = (),
        state: str = ":memory:",
        amazon_credentials: AmazonCredentials | None = None,
        accept_any_asin: bool = False,
        move_every: float | None = None,
        seed: int = 1,
    ) -> None:
        self.world = world
        self._clock = clock or SystemClock()
        self._port = port
        self._timetable = Timetable(world, self._clock, move_every)
        self._server: _Server | None = None
        self.state = ShopState(state, seed)
        self.state.seed_shops(shops, items or {}, self._clock.now())
        self._amazon = AmazonApi(
            world,
            self._clock,
            rate_multiplier=rate_multiplier,
            credentials=amazon_credentials,
            accept_any_asin=accept_any_asin,
        )
        self._base_shop = BaseShopApi(self.state, self._clock, rate_multiplier=rate_multiplier)
        self._shopify = ShopifyApi(shopify_shops, self._clock, rate_multiplier=rate_multiplier)
        operations = {*amazon.OPERATIONS, *base_shop.OPERATIONS, *shopify_api.OPERATIONS}
        self.faults = Faults(faults, operations, seed)
        self.journal = Journal()
        self._control = Control(
            world,
            self.state,
            self.faults,
            self.journal,
            self.expire_tokens,
            self._shopify.shops,
        )

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the port and answer from a thread."""
        self._server = _Server(self._port, self.answer)
        # It looks every 0.02 s whether to stop: closing a sandbox must not slow down the tests.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Hang up on all clients and free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None
        self._shopify.close()
        self.state.close()

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.server_address[1] if self._server else self._port

    @property
    def url(self) -> str:
        """Where clients find it; the endpoint of Amazon, of LWA, of BASE and of Shopify alike."""
        return f"http://{HOST}:{self.port}"

    def calls(
        self, operation: str | None = None, *, account: str | None = None, status: int | None = None
    ) -> int:
        """How many calls there were of an operation, an account, a status."""
        return sum(
            number
            for (its_operation, its_account, its_status), number in self.journal.numbers().items()
            if operation in {None, its_operation}
            and account in {None, its_account}
            and status in {None, its_status}
        )

    def items(self, account_id: str) -> list[Item]:
        """What a shop has."""
        with self.state.lock:
            return self.state.items(account_id)

    def shopify(self, store_id: str) -> ShopifyShop:
        """One of the Shopify stores."""
        return self._shopify.shops[store_id]

    def expire_tokens(self, api: str | None = None) -> None:
        """Let the access tokens have expired, of "amazon", of "base", of "shopify" or of all."""
        apis = {"amazon": self._amazon, "base": self._base_shop, "shopify": self._shopify}
        if api is not None and api not in apis:
            raise ValueError(f"api is one of {sorted(apis)}, not {api}")
        for each in apis.values() if api is None else (apis[api],):
            each.expire_tokens()

    def answer(self, request: Request) -> Response | None:
        """The response to a request; None closes the connection."""
        self._timetable.keep()
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        if request.path.startswith(PREFIXES):
            api, place, fixed = self._shopify, self._shopify.place_of(request), FIXED_HERE
        else:
            api = self._base_shop if request.path.startswith("/1/") else self._amazon
            place, fixed = request.path, FIXED
        operation, account = api.operation_of(request), api.account_of(request)
        fault = self.faults.strike(operation, place, account)

        def serve() -> Response:
            if fault and fault.kind is FaultKind.EMPTY_PAGE and isinstance(api, ShopifyApi):
                return api.answer(operation, request, empty=True)
            return api.answer(operation, request)

        response = play(fault, serve, self._clock, fixed) if fault else serve()
        status = response.status if response else DROPPED
        kind = fault.kind.value if fault else None
        self.journal.record(Call(operation, account, status, self._clock.now(), place, kind))
        return response


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    # Many clients may connect at once.
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Response | None]) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._threads_lock = threading.Lock()
        super().__init__((HOST, port), _Connection)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection."""
        with self._threads_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._threads_lock:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """End all connections, so that their threads end."""
        with self._threads_lock:
            for connection in self._open:
                # The client may have been quicker.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Say what went wrong, unless the client has just hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    """Answers one client until it hangs up or is hung up on."""

    # Else a small answer may wait 40 ms for the acknowledgement of the one before.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer request after request."""
        server = cast("_Server", self.server)
        server.opened(self.connection)
        try:
            while request := read_request(self.rfile):
                response = server.answer(request)
                if response is None:
                    return
                self.wfile.write(encode(response))
                for part in file_parts(response):
                    self.wfile.write(part)
                if request.headers.get("connection", "").lower() == "close":
                    return
        finally:
            server.closed(self.connection)


def demo_sandbox(
    port: int = 0,
    asins: int = 411,
    *,
    clock: Clock | None = None,
    rate_multiplier: float = 1.0,
    faults: Iterable[Fault] = (),
    state: str = ":memory:",
    move_every: float | None = None,
    seed: int = 1,
) -> Sandbox:
    """A sandbox whose BASE shops agree with the demonstration v1.0 folder of the same world.

    Two Shopify stores stand beside them.
    """
    world = World(count=asins, seed=seed)
    return Sandbox(
        world,
        demo_shops(),
        demo_items(world),
        shopify_shops=demo_shopify_shops(clock),
        port=port,
        clock=clock,
        rate_multiplier=rate_multiplier,
        faults=faults,
        state=state,
        accept_any_asin=True,
        move_every=move_every,
        seed=seed,
    )


def run_sandbox(
    port: int = 8765,
    asins: int = 411,
    rate_multiplier: float = 1.0,
    faults_file: Path | None = None,
    state: str = ":memory:",
    *,
    ready: Callable[[Sandbox], None] = lambda _: None,
) -> None:
    """Run the demonstration sandbox until interrupted; `ready` is called once it answers."""
    sandbox = demo_sandbox(
        port,
        asins,
        rate_multiplier=rate_multiplier,
        faults=read_faults(faults_file) if faults_file else (),
        state=state,
        move_every=MOVE_EVERY_SECONDS,
    )
    with sandbox:
        ready(sandbox)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
