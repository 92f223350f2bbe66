"""Outermost: who calls, under which request id, until when."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import grpc

from runstone_kit.context import ACTOR_METADATA, REQUEST_ID_METADATA, RequestContext, enter
from runstone_kit.ids import IdMaker
from runstone_kit.interceptors.chain import Call, Method

MAX_ACTOR = 256
"""What a run's ``user_id`` takes; the actor is kept in audit rows too."""

FOREVER_S = 10**8
"""gRPC tells "no deadline" as one in the far future; nobody waits three years."""

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OUTSIDE = RequestContext()


class RequestContextLayer:
    """Makes the ``RequestContext`` current and returns the request id in the trailing metadata.

    The caller's ``x-request-id`` is kept when it is up to 128 printable ASCII characters, else a
    new one is made. ``x-runstone-user`` is percent-encoded UTF-8. A call without a deadline gets
    ``default_deadline_s`` (None: no deadline).
    """

    def __init__(self, ids: IdMaker, default_deadline_s: float | None) -> None:
        self._ids = ids
        self._default_deadline_s = default_deadline_s

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` inside a request context."""
        path = method.path

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            enter(self._begin(path, context))
            try:
                return call(request, context)
            finally:
                enter(_OUTSIDE)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            # gRPC takes every message of a response from one thread, so the context stays put.
            enter(self._begin(path, context))
            try:
                yield from call(request, context)
            finally:
                enter(_OUTSIDE)

        return stream if method.response_streaming else unary

    def _begin(self, path: str, context: grpc.ServicerContext) -> RequestContext:
        request_id = actor = ""
        for key, value in context.invocation_metadata():
            if key == REQUEST_ID_METADATA:
                request_id = str(value)
            elif key == ACTOR_METADATA:
                actor = read_actor(str(value))
        if _REQUEST_ID.fullmatch(request_id) is None:
            request_id = self._ids.hex_id()
        context.set_trailing_metadata(((REQUEST_ID_METADATA, request_id),))
        return RequestContext(request_id, actor, path, self._deadline(context))

    def _deadline(self, context: grpc.ServicerContext) -> float | None:
        remaining = context.time_remaining()
        if remaining is None or remaining > FOREVER_S:
            if self._default_deadline_s is None:
                return None
            remaining = self._default_deadline_s
        return time.monotonic() + remaining


def read_actor(value: str) -> str:
    """The claimed name in a metadata value: one line.

    One character more than MAX_ACTOR tells ``ActorLayer`` that it is too long.
    """
    if "%" in value:
        value = unquote(value)
    return _UNPRINTABLE.sub("", value)[: MAX_ACTOR + 1]
