"""Small batches that go together: who waits for whom, and what each is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from starlette.requests import Request

from runstone.tracking.v1 import metric_pb2 as pb
from runstone_gateway import appends
from runstone_gateway.call import Call
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Remembered
from runstone_kit.errors import Unavailable
from runstone_kit.interceptors.error_mapping import status_of
from runstone_kit.peers import failure, refusal
from runstone_tracking.errors import RunNotFound

GONE = status_of(RunNotFound("gone"), "tracking.runstone").SerializeToString()
BUSY = status_of(
    Unavailable("busy", reason="DATABASE_UNAVAILABLE"), "tracking.runstone"
).SerializeToString()


def failed(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


class Tracking:
    """The tracking service; answers a call when it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[list[str]] = []
        self.let_go = asyncio.Semaphore(0)
        self.before: Exception | None = None
        """What a service of the release before answers to AppendBatches."""
        self._error = error

    async def AppendMetrics(self, batch: Any, **_: Any) -> Any:
        await self._called([batch])
        if batch.run_id == "gone":
            raise refusal(GONE)

    async def AppendBatches(self, request: Any, **_: Any) -> Any:
        await self._called(request.batches)
        if self.before is not None:
            raise self.before
        refused = {"gone": GONE, "busy": BUSY}
        return pb.AppendBatchesResponse(
            outcomes=[pb.AppendOutcome(status=refused.get(each.run_id)) for each in request.batches]
        )

    async def _called(self, batches: Sequence[Any]) -> None:
        self.calls.append([each.run_id for each in batches])
        await self.let_go.acquire()
        if self._error is not None:
            raise self._error


class Front:
    """A gateway whose callers append."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self.remembered = Remembered(asyncio.Semaphore(1))
        self._upstream: Any = SimpleNamespace(
            tracking=tracking, artifact=None, registry=None, remembered=self.remembered
        )

    def start(self, run_id: str, user: str = "ann", points: int = 1) -> asyncio.Task[None]:
        headers = [(b"x-runstone-user", user.encode())]
        call = Call(
            Request({"type": "http", "method": "POST", "headers": headers}),
            "id",
            self._upstream,
            GatewaySettings(),
        )
        series = pb.Series(key="m", steps=[1] * points)
        batch = pb.AppendMetricsRequest(run_id=run_id, series=[series])
        return asyncio.get_running_loop().create_task(appends.append(call, batch))

    async def called(self, *calls: list[str]) -> None:
        """Let all go on until they wait; these are the calls then."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.tracking.calls == list(calls)


def test_one_alone_waits_for_nobody_and_those_who_come_meanwhile_go_together() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in "abcde"]
        # As many as are under way make the next call; the third would need two more to wait.
        await front.called(["a"], ["b"])
        tracking.let_go.release()
        await front.called(["a"], ["b"], ["c", "d", "e"])
        tracking.let_go.release()
        tracking.let_go.release()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)
        assert front.remembered.lines == {}

    asyncio.run(go())


def test_a_few_wait_until_they_are_as_many_as_are_under_way() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in "abcde"]
        for _ in range(2):
            tracking.let_go.release()
        await front.called(["a"], ["b"], ["c", "d", "e"])
        tasks += [front.start(name) for name in "fg"]
        await front.called(["a"], ["b"], ["c", "d", "e"])
        tasks.append(front.start("h"))
        await front.called(["a"], ["b"], ["c", "d", "e"], ["f", "g", "h"])
        for _ in range(2):
            tracking.let_go.release()
        await asyncio.gather(*tasks)

    asyncio.run(go())


def test_a_refusal_is_its_own_requests_alone() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in ("a", "b", "c", "gone", "d", "gone")]
        for _ in range(3):
            tracking.let_go.release()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert tracking.calls[2] == ["c", "gone", "d", "gone"]
        assert [found[place] for place in (0, 1, 2, 4)] == [None] * 4
        for error in (found[3], found[5]):
            assert isinstance(error, grpc.aio.AioRpcError)
            assert failure(error).reason == "RUN_NOT_FOUND"
            assert error.code() is grpc.StatusCode.NOT_FOUND

    asyncio.run(go())


def test_what_may_be_repeated_is_repeated_alone() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in ("a", "b", "c", "busy", "d")]
        for _ in range(4):
            tracking.let_go.release()
        assert await asyncio.gather(*tasks) == [None] * 5
        assert tracking.calls == [["a"], ["b"], ["c", "busy", "d"], ["busy"]]

    asyncio.run(go())


def test_a_service_of_the_release_before_gets_each_alone() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tracking.before = failed(grpc.StatusCode.UNIMPLEMENTED)
        tasks = [front.start(name) for name in ("a", "b", "c", "gone", "d")]
        for _ in range(6):
            tracking.let_go.release()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert tracking.calls[2:] == [["c", "gone", "d"], ["c"], ["gone"], ["d"]]
        assert isinstance(found.pop(3), grpc.aio.AioRpcError)
        assert found == [None] * 4

    asyncio.run(go())


def test_a_fault_of_the_channel_is_told_to_all() -> None:
    async def go() -> None:
        error = grpc.aio.UsageError("Channel is closed.")
        front = Front(tracking := Tracking(error))
        tasks = [front.start(name) for name in "abcd"]
        for _ in range(3):
            tracking.let_go.release()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 4

    asyncio.run(go())


def test_a_service_that_is_away_is_told_to_all() -> None:
    async def go() -> None:
        error = failed(grpc.StatusCode.UNAVAILABLE)
        front = Front(tracking := Tracking(error))
        tasks = [front.start(name) for name in "abcd"]
        for _ in range(3):
            tracking.let_go.release()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 4
        await asyncio.sleep(0)
        assert front.remembered.lines == {}

    asyncio.run(go())


def test_callers_are_told_apart_and_large_batches_go_alone() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in "abc"]
        tasks.append(front.start("x", user="bob"))
        tasks.append(front.start("large", points=appends.SMALL_BYTES // 8))
        await front.called(["large"], ["a"], ["b"], ["x"])
        for _ in range(5):
            tracking.let_go.release()
        await asyncio.gather(*tasks)
        assert tracking.calls[4:] == [["c"]]

    asyncio.run(go())


def test_a_request_that_is_given_up_leaves_the_others_alone() -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(name) for name in "abcd"]
        await front.called(["a"], ["b"])
        tasks[2].cancel()
        for _ in range(3):
            tracking.let_go.release()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [found[0], found[1], found[3]] == [None] * 3
        assert isinstance(found[2], asyncio.CancelledError)

    asyncio.run(go())


@pytest.mark.parametrize("count", [appends.TOGETHER + 7])
def test_a_call_is_bounded(count: int) -> None:
    async def go() -> None:
        front = Front(tracking := Tracking())
        tasks = [front.start(str(number)) for number in range(count)]
        for _ in range(4):
            tracking.let_go.release()
        await asyncio.gather(*tasks)
        assert sorted(map(len, tracking.calls)) == [1, 1, 5, appends.TOGETHER]

    asyncio.run(go())
