"""Signals that set events, safe at whatever instruction they arrive."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def ending(*events: threading.Event) -> Iterator[None]:
    """While inside, the first SIGTERM or SIGINT sets the first event that is not set, the next one
    the next.

    A handler runs in the main thread, between any two of its instructions: also while it holds the
    lock of the very event, in ``Event.wait``, and that lock is not reentrant. So another thread
    sets it. Enter it from the main thread.
    """
    asked: list[threading.Event] = []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        left = _next(events, asked)
        if left is not None:
            asked.append(left)
            _thread.start_new_thread(left.set, ())

    previous = {number: signal.signal(number, on_signal) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _next(
    events: Sequence[threading.Event], asked: Sequence[threading.Event]
) -> threading.Event | None:
    # ``is_set`` takes no lock.
    return next((event for event in events if not event.is_set() and event not in asked), None)
