"""Answers that are sent as they are made, and work that the event loop must not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ParamSpec, TypeVar

import grpc
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runstone_gateway.call import left

STALLED_S = 60.0
"""A client that takes nothing for so long is given up: others wait for its place."""

JSON = "application/json"

T = TypeVar("T")
P = ParamSpec("P")

_log = structlog.get_logger("runstone_gateway.streaming")


async def aside(large: bool, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The result of a piece of work; in a thread when it is ``large``, so that other requests go
    on meanwhile. A thread costs a tenth of a millisecond."""
    if large:
        return await asyncio.to_thread(work, *arguments, **named)
    return work(*arguments, **named)


async def begun(pieces: AsyncGenerator[bytes], media_type: str = JSON) -> Response:
    """The answer that pieces make, once the first of them is there: what fails until then is
    raised, and can be told. One piece alone is an answer of known length."""
    first = await anext(pieces)
    try:
        second = await anext(pieces, None)
    except BaseException:
        await pieces.aclose()
        raise
    if second is None:
        return Response(first, media_type=media_type)
    return Streamed(pieces, media_type, before=(first, second))


class Streamed(Response):
    """Sends pieces as they are made, no faster than the client takes them.

    One that breaks off stays without its end, upon which the HTTP server hangs up: nobody takes a
    part for the whole. The pieces are closed in any case, and with them what they read from.
    ``before`` are the first of them, if they are there already.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        media_type: str = JSON,
        headers: Mapping[str, str] | None = None,
        before: Sequence[bytes] = (),
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        # Not known yet; the base class has told the one of nothing.
        del self.headers["content-length"]
        self._pieces = pieces
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        gone = asyncio.ensure_future(left(receive))
        try:
            async with aclosing(self._pieces):
                await self._pass(scope["method"], send, gone)
        except ClientDisconnect:
            pass
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            _log.warning("answer broken off", path=scope["path"], error=type(error).__name__)
        finally:
            gone.cancel()

    async def _pass(self, method: str, send: Send, gone: asyncio.Future[None]) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        if method != "HEAD":
            async for piece in self._all():
                if gone.done():
                    return
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _all(self) -> AsyncGenerator[bytes]:
        for piece in self._before:
            yield piece
        async for piece in self._pieces:
            yield piece


@asynccontextmanager
async def read_ahead(source: AsyncGenerator[T], count: int) -> AsyncIterator[AsyncIterator[T]]:
    """A source of which up to ``count`` items are read before they are asked for: so a slow client
    does not keep a service waiting, if what it wants is not very much. It is closed in the end."""
    room = asyncio.Semaphore(count)
    waiting: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    async def read() -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    await room.acquire()
                    waiting.put_nowait(item)
        finally:
            waiting.put_nowait(end)

    async def items() -> AsyncIterator[T]:
        while (item := await waiting.get()) is not end:
            room.release()
            yield item
        await reading

    reading = asyncio.ensure_future(read())
    # What broke it off is nobody's any more when the items were not read to their end.
    reading.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        yield items()
    finally:
        reading.cancel()
