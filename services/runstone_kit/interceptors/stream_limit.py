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
    unary calls of every other their threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = threading.BoundedSemaphore(limit)

    def wrap(self, method: Method, call: Call) -> Call:
        """``call``, with a place of its own if it streams."""
        streams = method.request_streaming or method.response_streaming
        if not streams or not method.known or method.refused:
            return call

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            self._take()
            try:
                return call(request, context)
            finally:
                self._free.release()

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self._take()
            try:
                yield from call(request, context)
            finally:
                self._free.release()

        return stream if method.response_streaming else unary

    def _take(self) -> None:
        if not self._free.acquire(blocking=False):
            raise ResourceExhausted(
                f"{self._limit} streams are under way, which is the limit; try again",
                reason="OVERLOADED",
                retry_after=RETRY_AFTER_S,
            )
