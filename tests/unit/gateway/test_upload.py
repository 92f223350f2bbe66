"""Uploads whose client is not heard of again: given up, and nothing left behind."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from runstone.artifact.v1 import artifact_pb2 as messages
from runstone_gateway import body, upload
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError
from runstone_gateway.places import Place
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Remembered


class Stream:
    """UploadChunks under way."""

    def __init__(self) -> None:
        self.cancelled = False

    async def write(self, _chunk: Any) -> None:
        pass

    def cancel(self) -> None:
        self.cancelled = True


class Artifact:
    """The artifact service; says what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stream = Stream()
        self.aborted = asyncio.Event()

    async def BeginUpload(self, *_: Any, **__: Any) -> Any:
        self.asked.append("begin")
        return SimpleNamespace(upload=SimpleNamespace(upload_id="u"))

    def UploadChunks(self, *_: Any, **__: Any) -> Stream:
        self.asked.append("chunks")
        return self.stream

    async def AbortUpload(self, request: messages.AbortUploadRequest, **_: Any) -> None:
        self.asked.append(f"abort {request.upload_id}")
        self.aborted.set()


@pytest.mark.parametrize("sent", [0, 1000, 3 * 2**20])
@pytest.mark.parametrize("size", [None, 4000, 2**30])
def test_a_body_that_stops_is_given_up(
    sent: int, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "SILENCE_S", 0.02)
    pieces = [b"x" * sent]

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        await asyncio.Event().wait()
        return {}

    async def put() -> tuple[GatewayError, Artifact, Remembered]:
        artifact = Artifact()
        remembered = Remembered(asyncio.Semaphore(1))
        upstream: Any = SimpleNamespace(
            tracking=None, artifact=artifact, registry=None, remembered=remembered
        )
        told = [] if size is None else [(b"content-length", str(size).encode())]
        request = Request({"type": "http", "method": "PUT", "headers": told}, receive)
        call = Call(request, "id", upstream, GatewaySettings())
        place = Place(messages.Owner(run_id="1" * 32), "f")
        with pytest.raises(GatewayError) as raised:
            await upload.upload(call, place)
        if artifact.asked:
            await asyncio.wait_for(artifact.aborted.wait(), 5)
        return raised.value, artifact, remembered

    error, artifact, remembered = asyncio.run(put())
    assert error.status == 408
    assert error.headers == {"connection": "close"}
    large = size == 2**30
    assert artifact.asked == (["begin", "chunks", "abort u"] if large else [])
    assert artifact.stream.cancelled == large
    assert not remembered.transfers.locked()
