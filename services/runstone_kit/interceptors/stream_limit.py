"""Streams last as long as their callers please: they get some of the threads, never all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc

from runstone_kit.errors import ResourceExhausted
from runstone_kit.interceptors.chain import Call, Method

RETRY_AFTER_S = 0.5
"""A stream that ends in the meantime leaves its place; sooner would only be refused again."""


class StreamLimitLayer:
    """Refuses a stream, of requests or of responses, while ``limit`` others are under way.

    One layer serves all methods of a server, so that a slow reader of one service leaves the
    unary calls of every other their threads. ``watches`` are paths of streams that last as long as
    a page is open, on threads of their own: ``max_watches`` of them, and none takes the place of
    another stream.
    """

    def __init__(
        self, limit: int, watches: frozenset[str] = frozenset(), max_watches: int = 0
    ) -> None:
        self._streams = _Places(limit)
        self._watches = _Places(max_watches)
        self._paths = watches

    def wrap(self, method: Method, call: Call) -> Call:
        """``call``, with a place of its own if it streams."""
        streams = method.request_streaming or method.response_streaming
        if not streams or not method.known or method.refused:
            return call

        places = self._watches if method.path in self._paths else self._streams

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            places.take()
            try:
                return call(request, context)
            finally:
                places.leave()

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            places.take()
            try:
                yield from call(request, context)
            finally:
                places.leave()

        return stream if method.response_streaming else unary


class _Places:
    """So many at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = threading.Semaphore(limit)
        self.leave = self._free.release

    def take(self) -> None:
        """Raises ResourceExhausted (OVERLOADED) when none is free."""
        if not self._free.acquire(blocking=False):
            raise ResourceExhausted(
                f"{self._limit} streams are under way, which is the limit; try again",
                reason="OVERLOADED",
                retry_after=RETRY_AFTER_S,
            )
