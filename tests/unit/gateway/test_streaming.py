"""Streams of a service and answers in pieces: who ends them, and what is left when they break."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runstone_gateway import streaming
from runstone_gateway.call import Call
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.streaming import Streamed, begun, read_ahead


class Rpc:
    """A streaming RPC under way, as grpc.aio has it."""

    def __init__(self, answers: list[Any], endless: bool = False) -> None:
        self.answers = answers
        self.endless = endless
        self.cancelled = False
        self._over = asyncio.Event()

    def cancel(self) -> None:
        self.cancelled = True
        self._over.set()

    async def __aiter__(self) -> AsyncGenerator[Any]:
        for each in self.answers:
            if isinstance(each, Exception):
                raise each
            yield each
        if self.endless:
            await self._over.wait()
            raise asyncio.CancelledError


def refused() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing)


class Upstream:
    tracking = artifact = registry = remembered = None


def call(receive: Callable[[], Awaitable[Any]]) -> Call:
    request = Request({"type": "http", "method": "GET", "headers": []}, receive)
    return Call(request, "id", Upstream(), GatewaySettings())  # type: ignore[arg-type]


async def stays() -> Any:
    await asyncio.Event().wait()


async def leaves() -> Any:
    return {"type": "http.disconnect"}


def test_a_stream_that_is_not_read_to_its_end_is_ended() -> None:
    async def broken_off(problem: Exception | None) -> Rpc:
        rpc = Rpc([1, 2, 3])
        try:
            async with call(stays).stream(lambda *_, **__: rpc, None) as answers:
                async for _ in answers:
                    if problem is not None:
                        raise problem
                    break
        except ValueError:
            pass
        return rpc

    assert asyncio.run(broken_off(None)).cancelled
    assert asyncio.run(broken_off(ValueError("a handler's"))).cancelled


async def answers_of(rpc: Rpc, receive: Callable[[], Awaitable[Any]]) -> AsyncGenerator[Any]:
    async with call(receive).stream(lambda *_, **__: rpc, None) as answers:
        async for each in answers:
            yield each


async def read_all(rpc: Rpc, receive: Callable[[], Awaitable[Any]], ahead: int = 0) -> None:
    answers = answers_of(rpc, receive)
    if not ahead:
        async for _ in answers:
            pass
    else:
        async with read_ahead(answers, ahead) as read:
            async for _ in read:
                pass


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_stream_ends_when_its_client_leaves(ahead: int) -> None:
    async def left() -> Rpc:
        rpc = Rpc([1], endless=True)
        with pytest.raises(ClientDisconnect):
            await read_all(rpc, leaves, ahead)
        return rpc

    assert asyncio.run(left()).cancelled


def test_a_stream_whose_handler_is_cancelled_is_cancelled_as_that() -> None:
    async def stopped() -> Rpc:
        rpc = Rpc([], endless=True)
        task = asyncio.ensure_future(read_all(rpc, stays))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return rpc

    assert asyncio.run(stopped()).cancelled


def test_so_much_is_read_ahead_and_no_more() -> None:
    async def read() -> tuple[list[int], list[int]]:
        asked: list[int] = []

        async def source() -> AsyncGenerator[int]:
            for number in range(9):
                asked.append(number)
                yield number

        async with read_ahead(source(), 3) as ahead:
            for _ in range(50):
                await asyncio.sleep(0)
            first = list(asked)
            return first, [number async for number in ahead]

    first, found = asyncio.run(read())
    assert first == [0, 1, 2, 3]
    assert found == list(range(9))


def test_what_breaks_a_source_off_is_raised_behind_what_came() -> None:
    async def read(found: list[int]) -> None:
        async with read_ahead(answers_of(Rpc([1, 2, refused()]), stays), 5) as ahead:
            async for each in ahead:
                found.append(each)  # noqa: PERF401 - what came before the error counts

    found: list[int] = []
    with pytest.raises(grpc.aio.AioRpcError):
        asyncio.run(read(found))
    assert found == [1, 2]


class Client:
    """The other end of an answer."""

    def __init__(self, takes: float = float("inf"), leaves_after: float = float("inf")) -> None:
        self.sent: list[Any] = []
        self.takes = takes
        self.leaves_after = leaves_after
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        bodies = len(self.sent) - 1
        if bodies >= self.leaves_after:
            self.gone.set()
            # The one who looks for it comes to know.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if bodies > self.takes:
            await asyncio.Event().wait()

    async def get(self, answer: Response, method: str = "GET") -> bytes:
        scope = {"type": "http", "path": "/", "method": method}
        await answer(scope, self.receive, self.send)
        return b"".join(each.get("body", b"") for each in self.sent)

    @property
    def has_all(self) -> bool:
        last = self.sent[-1]
        return last["type"] == "http.response.body" and "more_body" not in last


class Source:
    """Pieces, and whether they were closed."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.given = 0
        self.closed = False

    async def read(self) -> AsyncGenerator[bytes]:
        try:
            for each in self.pieces:
                if isinstance(each, Exception):
                    raise each
                self.given += 1
                yield each
        finally:
            self.closed = True


def test_pieces_become_one_answer() -> None:
    async def get(*pieces: bytes, method: str = "GET") -> tuple[bytes, bool, bool, Any]:
        source, client = Source(*pieces), Client()
        answer = await begun(source.read())
        return await client.get(answer, method), client.has_all, source.closed, answer.headers

    body, whole, closed, headers = asyncio.run(get(b"a", b"b", b"c"))
    assert (body, whole, closed) == (b"abc", True, True)
    assert "content-length" not in headers
    body, whole, closed, headers = asyncio.run(get(b"one"))
    assert (body, whole, closed) == (b"one", True, True)
    assert headers["content-length"] == "3"
    body, whole, closed, _ = asyncio.run(get(b"a", b"b", b"c", method="HEAD"))
    assert (body, whole, closed) == (b"", True, True)


@pytest.mark.parametrize("before", [(), (b"a",)])
def test_what_fails_before_the_first_byte_is_raised(before: tuple[bytes, ...]) -> None:
    async def ask() -> None:
        await begun(Source(*before, refused()).read())

    with pytest.raises(grpc.aio.AioRpcError):
        asyncio.run(ask())


def test_what_fails_later_leaves_the_answer_without_an_end() -> None:
    async def get() -> tuple[bytes, bool, bool]:
        source, client = Source(b"a", b"b", refused()), Client()
        return await client.get(await begun(source.read())), client.has_all, source.closed

    assert asyncio.run(get()) == (b"ab", False, True)


def test_a_client_that_leaves_or_takes_nothing_ends_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "STALLED_S", 0.01)

    async def get(client: Client) -> tuple[int, bool, bool]:
        source = Source(*[b"x"] * 10)
        await client.get(Streamed(source.read()))
        return source.given, client.has_all, source.closed

    async def left() -> tuple[int, bool, bool]:
        return await get(Client(leaves_after=2))

    async def stalled() -> tuple[int, bool, bool]:
        return await get(Client(takes=2))

    assert asyncio.run(left()) == (3, False, True)
    assert asyncio.run(stalled()) == (3, False, True)
