"""Inside the error mapping: a claimed name that is too long is refused, never cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from runstone_kit.context import ACTOR_METADATA, current
from runstone_kit.errors import invalid_field
from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.request_context import MAX_ACTOR


class ActorLayer:
    """Refuses calls whose ``x-runstone-user`` does not fit: audit would name somebody else."""

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` for callers whose name fits."""

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            _check()
            return call(request, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            _check()
            yield from call(request, context)

        return stream if method.response_streaming else unary


def _check() -> None:
    if len(current().actor) > MAX_ACTOR:
        raise invalid_field(ACTOR_METADATA, f"must have at most {MAX_ACTOR} characters")
