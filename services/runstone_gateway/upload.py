"""Bodies on their way to the artifact service: flat memory, back-pressure, whole or not at all.

A small body goes by one PutArtifacts, a large one by BeginUpload, UploadChunks and CommitUpload.
While a chunk is written, the next one is collected: so at most three chunks are in memory. When
anything fails, the client's going away included, the upload is aborted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog

from runstone._transfer.wire import UploadChunk
from runstone.artifact.v1 import artifact_pb2 as messages
from runstone_gateway.body import Body, declared_size
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, refused
from runstone_gateway.places import Place
from runstone_kit.peers import failure

CHUNK_BYTES = 2**20
"""Of one message. The HTTP server reads 64 KiB at a time: too little for a message of its own."""

SMALL_BYTES = 4 * 2**20 - 2**16
"""What one PutArtifacts takes, with room for owner and path."""

LINGER_S = 5.0
"""A slow client's bytes are passed on after so long, though they are no whole chunk yet."""

SLOT_S = 60.0
"""How long a body waits for others to end; then its client is told to come again."""

STREAM_S = 86_400.0
COMMIT_S = 3_600.0
"""As the service config has them."""

ABORT_S = 10.0
"""The service notices within seconds that a stream broke, and only then it can be aborted."""

ABORT_PAUSE_S = 0.2

_log = structlog.get_logger("runstone_gateway.upload")
_aborting: set[asyncio.Task[None]] = set()


async def upload(call: Call, place: Place, *, least: int = 0) -> None:
    """Make the request's body, of ``least`` bytes at least, the file at a place.

    Raises GatewayError, ClientDisconnect.
    """
    size = declared_size(call.request)
    body = Body(call.request)
    if size is None or size <= SMALL_BYTES:
        content = await body.read(SMALL_BYTES + 1)
        if len(content) > SMALL_BYTES:
            message = f"A body of more than {SMALL_BYTES} bytes needs a Content-Length."
            raise GatewayError("BAD_REQUEST", message, status=411)
        if len(content) < least:
            raise refused("Request must specify data.")
        file = messages.SmallFile(path=place.path, content=content)
        small = messages.PutArtifactsRequest(owner=place.owner, files=[file])
        await call.ask(call.artifact.PutArtifacts, small)
        return
    begun = await call.ask(
        call.artifact.BeginUpload,
        messages.BeginUploadRequest(owner=place.owner, path=place.path, size=size),
    )
    upload_id = begun.upload.upload_id
    try:
        async with slot(call):
            await _send(call, upload_id, body)
        request = messages.CommitUploadRequest(upload_id=upload_id)
        await call.ask(call.artifact.CommitUpload, request, seconds=COMMIT_S)
    except BaseException:
        abort(call, upload_id)
        raise


@asynccontextmanager
async def slot(call: Call) -> AsyncIterator[None]:
    """One of the transfers that may go on at once. Raises GatewayError when none gets free."""
    slots = call.remembered.transfers
    try:
        async with asyncio.timeout(SLOT_S):
            await slots.acquire()
    except TimeoutError:
        message = "Too many transfers at once; try again."
        raise GatewayError("REQUEST_LIMIT_EXCEEDED", message) from None
    try:
        yield
    finally:
        slots.release()


async def _send(call: Call, upload_id: str, body: Body) -> None:
    stream = call.opened(call.artifact.UploadChunks, seconds=STREAM_S)
    writing: asyncio.Task[None] | None = None
    offset = 0
    try:
        # Joined when they are put into the message: a copy before it would be one too many.
        while pieces := await body.pieces(CHUNK_BYTES, LINGER_S):
            if writing is not None:
                await writing
            chunk = UploadChunk(upload_id, offset, pieces)
            writing = asyncio.ensure_future(stream.write(chunk))
            offset += sum(map(len, pieces))
        if writing is not None:
            await writing
        await stream.done_writing()
        await stream
    except asyncio.InvalidStateError:
        # The service ended the call while it was written to; this raises why.
        await stream
        raise
    except grpc.aio.AioRpcError as error:
        # So grpc names a write that met the call's end, in place of why it ended.
        if error.code() is grpc.StatusCode.INTERNAL and not failure(error).reason:
            message = "The upload broke off; send it again."
            raise GatewayError("TEMPORARILY_UNAVAILABLE", message) from error
        raise
    finally:
        stream.cancel()
        if writing is not None and not writing.done():
            writing.cancel()


def abort(call: Call, upload_id: str) -> None:
    """Have an upload given up, beside whatever happens next."""
    task = asyncio.get_running_loop().create_task(_abort(call, upload_id))
    _aborting.add(task)
    task.add_done_callback(_aborting.discard)


async def _abort(call: Call, upload_id: str) -> None:
    request = messages.AbortUploadRequest(upload_id=upload_id)
    try:
        async with asyncio.timeout(ABORT_S):
            while True:
                try:
                    await call.ask(call.artifact.AbortUpload, request)
                except grpc.aio.AioRpcError as error:
                    if failure(error).reason != "UPLOAD_BUSY":
                        raise
                    await asyncio.sleep(ABORT_PAUSE_S)
                else:
                    return
    except (grpc.aio.AioRpcError, TimeoutError) as error:
        # Garbage collection takes what is left a day later.
        _log.warning("upload not aborted", upload_id=upload_id, error=type(error).__name__)
