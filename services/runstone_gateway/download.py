"""Files on their way to a client: ranges, flat memory, back-pressure both ways.

While a chunk is sent, the next one is fetched; no more of a file is in memory. A service that
goes away in the middle is asked for the rest, of the same bytes: the digest says so. What cannot
be had in the end breaks the connection, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from isal.isal_zlib import crc32
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runstone.artifact.v1 import artifact_pb2 as messages
from runstone_gateway import mimes
from runstone_gateway.call import Call, left
from runstone_gateway.errors import refused
from runstone_gateway.places import Place
from runstone_gateway.streaming import STALLED_S
from runstone_gateway.upload import STREAM_S, slot
from runstone_kit.peers import failure

PATIENCE_S = 30.0
"""How long a service that went away, or has no place, is asked again."""

PAUSE_S = 0.1

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")

_log = structlog.get_logger("runstone_gateway.download")


@dataclass(frozen=True, slots=True)
class Span:
    """``count`` bytes of a file from ``first``; ``partial``: a range was asked for."""

    file: messages.Artifact
    first: int
    count: int
    partial: bool

    @classmethod
    def whole(cls, file: messages.Artifact) -> Span:
        """All of the file."""
        return cls(file, 0, file.size, partial=False)

    def headers(self, path: str) -> dict[str, str]:
        """What is said before the bytes."""
        said = {**mimes.headers(self.file, path), "content-length": str(self.count)}
        if self.partial:
            last = self.first + self.count - 1
            said["content-range"] = f"bytes {self.first}-{last}/{self.file.size}"
        return said

    @property
    def status(self) -> int:
        """The answer's."""
        return 206 if self.partial else 200


async def download(call: Call, place: Place) -> Response:
    """The answer that hands a file out, whole or a range of it. Raises GatewayError."""
    asked = call.request.headers
    if call.request.method != "HEAD" and "range" not in asked and "if-none-match" not in asked:
        return await _opened(call, place, None)
    request = messages.GetArtifactRequest(owner=place.owner, path=place.path)
    file = (await call.ask(call.artifact.GetArtifact, request)).artifact
    if file.is_directory:
        raise refused(f"Artifact path refers to a directory, not a file: {place.path!r}")
    said = mimes.headers(file, place.path)
    if _names(asked.get("if-none-match", ""), said["etag"]):
        return Response(status_code=304, headers=said)
    span = wanted(asked, file)
    if not span.count and span.partial:
        said["content-range"] = f"bytes */{file.size}"
        return Response(status_code=416, headers=said)
    if call.request.method == "HEAD":
        return Response(status_code=span.status, headers=span.headers(place.path))
    return await _opened(call, place, span)


def wanted(asked: Mapping[str, str], file: messages.Artifact) -> Span:
    """What a Range asks for; no bytes when the file has none there.

    The whole file without a Range, with several, with one that cannot be read, and when If-Range
    names other bytes (RFC 9110).
    """
    parsed = _RANGE.fullmatch(asked.get("range", "").strip())
    if parsed is None or asked.get("if-range", mimes.etag(file)) != mimes.etag(file):
        return Span.whole(file)
    first, last = parsed[1], parsed[2]
    if not first and last:
        count = min(int(last), file.size)
        return Span(file, file.size - count, count, partial=True)
    if not first or (last and int(last) < int(first)):
        return Span.whole(file)
    end = min(int(last), file.size - 1) if last else file.size - 1
    return Span(file, int(first), max(0, end - int(first) + 1), partial=True)


def _names(tags: str, etag: str) -> bool:
    """Whether an If-None-Match names the ETag."""
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in tags.split(","))


async def _opened(call: Call, place: Place, span: Span | None) -> Response:
    """The answer with a span's bytes; None is the whole of a file that nobody looked at yet."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slot(call))
        source = _Source(call, place, span)
        stack.callback(source.close)
        file = await source.open()
        # From here on they are the answer's to let go.
        return _Passing(span or Span.whole(file), place.path, source, stack.pop_all())


class _Damaged(Exception):
    """A chunk is not what the service sent."""


class _Source:
    """The bytes of a span, from the artifact service."""

    def __init__(self, call: Call, place: Place, span: Span | None) -> None:
        self._call = call
        self._place = place
        self._sha256 = "" if span is None else span.file.sha256
        self._at = 0 if span is None else span.first
        self._left = None if span is None else span.count
        self._waiting: Any = None
        self._stream: Any = None

    async def open(self) -> messages.Artifact:
        """The file, once its bytes are under way. Raises AioRpcError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        request = messages.DownloadArtifactRequest(
            owner=self._place.owner,
            path=self._place.path,
            offset=self._at,
            length=self._left or 0,
            sha256=self._sha256,
        )
        while True:
            self._stream = self._call.opened(
                self._call.artifact.DownloadArtifact, request, seconds=STREAM_S
            )
            try:
                chunk = await self._stream.read()
            except grpc.aio.AioRpcError as error:
                if not _passes(error) or loop.time() > until:
                    raise
            else:
                break
            await asyncio.sleep(PAUSE_S)
        file: messages.Artifact = chunk.artifact
        self._sha256 = file.sha256
        if self._left is None:
            self._left = file.size
        self._waiting = chunk
        return file

    async def next(self) -> bytes | memoryview:
        """The next bytes, empty at the end. Raises AioRpcError, _Damaged."""
        while self._left:
            try:
                chunk, self._waiting = self._waiting, None
                if chunk is None:
                    chunk = await self._stream.read()
            except grpc.aio.AioRpcError as error:
                if not _passes(error):
                    raise
                await self.open()
                continue
            if chunk is grpc.aio.EOF or crc32(chunk.data) != chunk.crc32:
                raise _Damaged
            if chunk.data:
                self._at += len(chunk.data)
                self._left -= len(chunk.data)
                return chunk.data  # type: ignore[no-any-return]
        # The service has no more to send; its call ends as one that went well.
        with suppress(grpc.aio.AioRpcError):
            await self._stream.read()
        return b""

    def close(self) -> None:
        """Have no more sent."""
        if self._stream is not None:
            self._stream.cancel()


def _passes(error: grpc.aio.AioRpcError) -> bool:
    """Whether another try may succeed soon."""
    said = failure(error)
    return said.code == "UNAVAILABLE" or said.reason == "OVERLOADED"


class _Passing(Response):
    """Passes a source on, and lets go of what ``held`` holds."""

    def __init__(self, span: Span, path: str, source: _Source, held: AsyncExitStack) -> None:
        super().__init__(status_code=span.status, headers=span.headers(path))
        self._path = path
        self._source = source
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A broken one stays without its end, upon which the HTTP server hangs up."""
        gone = asyncio.ensure_future(left(receive))
        try:
            async with self._held:
                await self._pass(send, gone)
        except (grpc.aio.AioRpcError, _Damaged, TimeoutError) as error:
            _log.warning("download broken off", path=self._path, error=type(error).__name__)
        finally:
            gone.cancel()

    async def _pass(self, send: Send, gone: asyncio.Future[None]) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        fetching = asyncio.ensure_future(self._source.next())
        try:
            while data := await fetching:
                fetching = asyncio.ensure_future(self._source.next())
                if gone.done():
                    return
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            fetching.cancel()
