"""Innermost: no work is begun, and no stream continued, for a caller who has stopped waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from runstone_kit.context import current
from runstone_kit.errors import DeadlineExceeded
from runstone_kit.interceptors.chain import Call, Method


class DeadlineLayer:
    """Refuses calls whose deadline passed in the queue; ends streams at the first message after it.

    A unary call that has begun is never broken off: what it writes is written.
    """

    def wrap(self, method: Method, call: Call) -> Call:
        """``call``, begun in time or not at all."""

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            check_deadline()
            return call(request, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            check_deadline()
            for response in call(request, context):
                yield response
                check_deadline()

        return stream if method.response_streaming else unary


def check_deadline() -> None:
    """Raise DeadlineExceeded when the current call's deadline has passed."""
    remaining = current().remaining()
    if remaining is not None and remaining <= 0:
        raise DeadlineExceeded("the deadline passed before the work was done")
