"""One request under way: who asks, and the services that it may ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from runstone_gateway.identity import authorization_of
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Upstream
from runstone_kit.context import ACTOR_METADATA, AUTHORIZATION_METADATA, REQUEST_ID_METADATA

MAX_USER = 255
"""Characters of a user's name that are passed on."""


class Call:
    """What a handler works with. Raises GatewayError for an Authorization that is none.

    ``request`` is the HTTP request, ``settings`` are the gateway's. ``tracking``, ``artifact`` and
    ``registry`` are the services' asyncio stubs, whose methods ``ask`` and ``stream`` call;
    ``opened`` calls one that is written to or read from by hand. ``remembered`` lives as long as
    the process; ``authorization`` is the caller's, which the services judge.
    """

    def __init__(
        self, request: Request, request_id: str, upstream: Upstream, settings: GatewaySettings
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.settings = settings
        self.tracking = upstream.tracking
        self.artifact = upstream.artifact
        self.registry = upstream.registry
        self.remembered = upstream.remembered
        self._metadata: list[tuple[str, str]] = [(REQUEST_ID_METADATA, request_id)]
        if user := request.headers.get(ACTOR_METADATA):
            self._metadata.append((ACTOR_METADATA, quote(user[:MAX_USER], safe=" %")))
        self.authorization = authorization_of(request.headers.get(AUTHORIZATION_METADATA, ""))
        if self.authorization:
            self._metadata.append((AUTHORIZATION_METADATA, self.authorization))

    async def ask(self, method: Any, message: Any, *, seconds: float | None = None) -> Any:
        """The response of a unary RPC, or of one to which a stream is sent.

        Raises grpc.aio.AioRpcError, which becomes the answer.
        """
        return await method(message, metadata=self._metadata, timeout=self._limit(seconds))

    def stream(
        self, method: Any, message: Any, *, seconds: float | None = None
    ) -> AsyncIterator[Any]:
        """The responses of an RPC that streams them."""
        limit = self._limit(seconds)
        call: AsyncIterator[Any] = method(message, metadata=self._metadata, timeout=limit)
        return call

    def opened(self, method: Any, *message: Any, seconds: float) -> Any:
        """A streaming RPC under way: grpc.aio's call object."""
        return method(*message, metadata=self._metadata, timeout=seconds)

    def _limit(self, seconds: float | None) -> float:
        return self.settings.default_deadline_s if seconds is None else seconds
