"""Running several flows side by side: quotas are separate, so nothing waits for another's."""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ecauto_pipeline.clock import StoppableClock, Stopped

Emit = Callable[[Any], None]
"""Hands an event to the thread that runs the lanes."""

Lane = Callable[[Emit], None]

STOP_PATIENCE_SECONDS = 2.0
"""How long a stopped lane may take to finish the call it is in before it is left behind."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A lane came to its end, or to an error."""

    error: BaseException | None = None


def run_lanes(
    lanes: Sequence[Lane],
    events: "queue.SimpleQueue[Any]",
    clock: StoppableClock,
    handle: Emit,
    wake: Callable[[], None],
) -> None:
    """Run the lanes in a thread each, and handle their events in this one, in order.

    When a lane fails, or this thread is interrupted, all are stopped (`wake` is called for those
    that wait for each other), and the error goes on.
    """

    def run(lane: Lane) -> None:
        try:
            lane(events.put)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            events.put(_Ended(error))
        else:
            events.put(_Ended())

    threads = [threading.Thread(target=run, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            event = events.get()
            if not isinstance(event, _Ended):
                handle(event)
            elif event.error is None or isinstance(event.error, Stopped):
                running -= 1
            else:
                raise event.error
    finally:
        clock.stop()
        wake()
        for thread in threads:
            thread.join(STOP_PATIENCE_SECONDS)
