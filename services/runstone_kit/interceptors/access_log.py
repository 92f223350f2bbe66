"""One line per call: method, code, time, request id, actor; for failures the public message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from runstone_kit.context import current
from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.outcome import failure_code, success_code
from runstone_kit.interceptors.permission import OPEN_SERVICES

AccessWriter = Callable[[str, str, float, str, str, str], None]
"""(method, code, milliseconds, request id, actor, public message of a failure)"""


ANSWERS = frozenset({"NOT_FOUND", "ALREADY_EXISTS"})
"""What whoever looks before creating, or creates and then looks, expects: nothing has failed."""


class AccessLogLayer:
    """Writes the line when the call has ended. Probes (health, reflection) are not logged.

    ``failures_only`` leaves out the calls that ended with OK, or with an answer that callers ask
    for (ANSWERS).
    """

    def __init__(self, write: AccessWriter, *, failures_only: bool = False) -> None:
        self._write = write
        self._failures_only = failures_only

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` followed by its line in the log."""
        if method.service in OPEN_SERVICES:
            return call
        path = method.path
        end = self._end
        clock = time.perf_counter

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            start = clock()
            try:
                response = call(request, context)
            except BaseException as error:
                end(path, failure_code(context, error), clock() - start, context)
                raise
            end(path, success_code(context), clock() - start, context)
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            start = clock()
            try:
                yield from call(request, context)
            except BaseException as error:
                end(path, failure_code(context, error), clock() - start, context)
                raise
            end(path, success_code(context), clock() - start, context)

        return stream if method.response_streaming else unary

    def _end(self, path: str, code: str, seconds: float, context: grpc.ServicerContext) -> None:
        if self._failures_only and (code == "OK" or code in ANSWERS):
            return
        details = "" if code == "OK" else _text(context)
        about = current()
        self._write(path, code, seconds * 1000, about.request_id, about.actor, details)


def _text(context: grpc.ServicerContext) -> str:
    details: Any = context.details()  # type: ignore[attr-defined]
    if isinstance(details, bytes):
        return details.decode("utf-8", "replace")
    return details or ""
