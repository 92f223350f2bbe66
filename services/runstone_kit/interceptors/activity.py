"""How long a server has been idle: the embedded suite ends when nobody needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.permission import OPEN_SERVICES


class Activity:
    """Counts the calls in progress and remembers when the last one ended. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = time.monotonic()

    def idle_s(self) -> float:
        """Seconds since the last call ended (or since the start), 0 while one is running."""
        with self._lock:
            return 0.0 if self._running else time.monotonic() - self._last

    def begin(self) -> None:
        """A call has begun."""
        with self._lock:
            self._running += 1

    def end(self) -> None:
        """A call has ended."""
        with self._lock:
            self._running -= 1
            self._last = time.monotonic()


class ActivityLayer:
    """Keeps an ``Activity`` up to date; probes are no activity."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    def wrap(self, method: Method, call: Call) -> Call:
        """``call``, noted from its begin to its end."""
        if method.service in OPEN_SERVICES:
            return call
        activity = self._activity

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            activity.begin()
            try:
                return call(request, context)
            finally:
                activity.end()

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            activity.begin()
            try:
                yield from call(request, context)
            finally:
                activity.end()

        return stream if method.response_streaming else unary
