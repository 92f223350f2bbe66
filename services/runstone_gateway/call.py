"""One request under way: who asks, and the services that it may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from runstone_gateway.errors import GatewayError
from runstone_gateway.identity import authorization_of
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Upstream
from runstone_kit.context import ACTOR_METADATA, AUTHORIZATION_METADATA, REQUEST_ID_METADATA

MAX_USER = 255
"""Characters of a user's name that are passed on."""


class Call:
    """What a handler works with.

    ``request`` is the HTTP request, ``settings`` are the gateway's. ``tracking``, ``artifact`` and
    ``registry`` are the services' asyncio stubs, whose methods ``ask`` and ``stream`` call;
    ``opened`` calls one that is written to or read from by hand. ``remembered`` lives as long as
    the process; ``authorization`` is the caller's, which the services judge; ``unreadable`` says
    why there is none though a header was sent: it may be meant for a proxy on the way.
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
        self.authorization = ""
        self.unreadable: GatewayError | None = None
        try:
            self.authorization = authorization_of(request.headers.get(AUTHORIZATION_METADATA, ""))
        except GatewayError as error:
            self.unreadable = error
        if self.authorization:
            self._metadata.append((AUTHORIZATION_METADATA, self.authorization))

    @property
    def caller(self) -> tuple[tuple[str, str], ...]:
        """What the services are told of who asks."""
        return tuple(self._metadata[1:])

    async def ask(self, method: Any, message: Any, *, seconds: float | None = None) -> Any:
        """The response of a unary RPC, or of one to which a stream is sent.

        Raises grpc.aio.AioRpcError, which becomes the answer.
        """
        return await method(message, metadata=self._metadata, timeout=self._limit(seconds))

    @asynccontextmanager
    async def stream(
        self, method: Any, message: Any, *, seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """The responses of an RPC that streams them, for as long as the context lasts.

        Then the service is told to stop, whatever ended it; also when the client goes away. Raises
        ClientDisconnect.
        """
        under_way = method(message, metadata=self._metadata, timeout=self._limit(seconds))
        gone = asyncio.ensure_future(left(self.request.receive))
        gone.add_done_callback(lambda _: under_way.cancel())
        try:
            yield under_way
        except asyncio.CancelledError:
            if gone.done() and not gone.cancelled():
                raise ClientDisconnect from None
            raise
        finally:
            gone.cancel()
            under_way.cancel()

    def opened(self, method: Any, *message: Any, seconds: float) -> Any:
        """A streaming RPC under way: grpc.aio's call object."""
        return method(*message, metadata=self._metadata, timeout=seconds)

    def _limit(self, seconds: float | None) -> float:
        return self.settings.default_deadline_s if seconds is None else seconds


async def left(receive: Receive) -> None:
    """Return when the client has gone. For a request whose body is read, or not wanted."""
    while (await receive())["type"] != "http.disconnect":
        pass
