"""Histories as MLflow's points: written, sampled, and where a page goes on."""

import asyncio
import math
import random
import struct
from array import array
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import grpc
import orjson
import pytest
from starlette.requests import Request

from runstone.tracking.v1 import metric_pb2
from runstone_gateway import history
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError
from runstone_gateway.history import Columns
from runstone_gateway.settings import GatewaySettings

LARGEST = 1.7976931348623157e308


def columns(*points: tuple[int, int, float]) -> Columns:
    steps, times, values = zip(*points, strict=True) if points else ((), (), ())
    return Columns(array("q", steps), array("q", times), array("d", values))


@pytest.mark.parametrize("value", [0.5, -0.0, math.nan, math.inf, 5e-324])
@pytest.mark.parametrize("ranks", [(), (3, 1_048_575)])
def test_a_token_says_where_the_last_point_stands(value: float, ranks: Any) -> None:
    last = history.last_place(columns((1, 2, 0.0), (-(2**63), 2**63 - 1, value)), ranks)
    token = history.token(last)
    found = history.place(token)
    assert found is not None
    assert (found.step, found.timestamp_ms) == (-(2**63), 2**63 - 1)
    assert struct.pack("<d", found.value) == struct.pack("<d", value)
    assert found.rank == (ranks[-1] if ranks else -1)
    assert history.place("") is None


@pytest.mark.parametrize(
    "token",
    [
        *("²", "5", "-1", "x", "1_2_3_4", "1_2_0000000000000000_²", "1_2_000000000000000g_-1"),
        f"{2**63}_0_0000000000000000_-1",
        f"0_{-(2**63) - 1}_0000000000000000_-1",
        "9" * 5000,
        "1_2_0000000000000000_-1\n",
        "²_2_0000000000000000_-1",
    ],
)
def test_another_token_is_refused_by_its_name(token: str) -> None:
    with pytest.raises(GatewayError, match="'page_token'") as raised:
        history.place(token)
    assert raised.value.status == 400


def test_points_are_written_with_what_belongs_to_all_of_them() -> None:
    found = columns((1, 10, 0.5), (-2, 20, math.nan), (3, 30, -math.inf), (4, 40, 1e-7))
    told = [
        {"key": 'a"é', "value": 0.5, "timestamp": 10, "step": 1},
        {"key": 'a"é', "value": "NaN", "timestamp": 20, "step": -2},
        {"key": 'a"é', "value": -LARGEST, "timestamp": 30, "step": 3},
        {"key": 'a"é', "value": 1e-7, "timestamp": 40, "step": 4},
    ]
    assert orjson.loads(b"[" + history.written(found, 'a"é') + b"]") == told
    of_run = [{**each, "run_id": "r"} for each in told]
    assert orjson.loads(b"[" + history.written(found, 'a"é', run_id="r") + b"]") == of_run
    assert history.written(columns(), "a") == b""


def spread(steps: list[int], count: int) -> set[int]:
    """As MLflow has it: the distances between the steps are equal, by their places."""
    known = sorted(set(steps))
    if len(known) <= count:
        return set(known)
    if count == 1:
        return {known[-1]}
    return {known[round(i * (len(known) - 1) / (count - 1))] for i in range(count)}


@pytest.mark.parametrize("seed", range(8))
def test_a_sample_has_the_first_and_the_last_step(seed: int) -> None:
    chance = random.Random(seed)
    steps = [chance.randrange(-20, 20 + 40 * seed) for _ in range(1 + 40 * seed)]
    points = [(step, time, float(time)) for time, step in enumerate(steps)]
    for count in (1, 2, 3, 7, 100, 2500):
        kept = spread(steps, count)
        expected = sorted(each for each in points if each[0] in kept)[:count]
        found = history.sampled(columns(*points), count)
        assert list(zip(*found, strict=True)) == expected
    assert len(history.sampled(columns(), 5)) == 0


class Service:
    """Gives a history of points, in messages of two, and breaks off where it is told to."""

    def __init__(self, points: list[tuple[int, int, float]], breaks: list[tuple[int, Any]]) -> None:
        self.points = points
        self.breaks = breaks
        self.asked: list[int] = []

    def GetMetricHistory(self, request: metric_pb2.GetMetricHistoryRequest, **_: Any) -> Any:
        begin = request.after.step + 1 if request.HasField("after") else 0
        self.asked.append(begin)
        end, code = self.breaks.pop(0) if self.breaks else (len(self.points), None)
        return Messages([self.points[at : at + 2] for at in range(begin, end, 2)], code)


class Messages:
    def __init__(self, parts: list[list[tuple[int, int, float]]], code: Any) -> None:
        self.parts = parts
        self.code = code

    def cancel(self) -> None:
        pass

    async def __aiter__(self) -> AsyncGenerator[Any]:
        for part in self.parts:
            found = columns(*part)
            yield SimpleNamespace(
                steps=[found.steps.tobytes()],
                timestamps_ms=[found.timestamps.tobytes()],
                values=[found.values.tobytes()],
                ranks=(),
            )
        if self.code is not None:
            raise grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), grpc.aio.Metadata())


def told(service: Service, limit: int | None = None) -> Any:
    """The answer of get-history that a service's messages become."""

    async def stays() -> Any:
        await asyncio.Event().wait()

    async def ask() -> bytes:
        upstream: Any = SimpleNamespace(
            tracking=service, artifact=None, registry=None, remembered=None
        )
        request = Request({"type": "http", "method": "GET", "headers": []}, stays)
        call = Call(request, "id", upstream, GatewaySettings())
        asked = metric_pb2.GetMetricHistoryRequest(run_id="1" * 32, key="m")
        return b"".join([piece async for piece in history.pieces(call, asked, limit)])

    return orjson.loads(asyncio.run(ask()))


POINTS = [(step, step, 0.5) for step in range(10)]
WHOLE = [{"key": "m", "value": 0.5, "timestamp": step, "step": step} for step in range(10)]
LATE, AWAY = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE
INTERNAL = grpc.StatusCode.INTERNAL


def test_a_stream_that_ends_too_early_is_gone_on_with() -> None:
    service = Service(POINTS, [(4, LATE), (8, AWAY)])
    assert told(service) == {"metrics": WHOLE}
    assert service.asked == [0, 4, 8]


@pytest.mark.parametrize("breaks", [[(0, LATE)], [(4, LATE), (4, AWAY)], [(4, INTERNAL)]])
def test_a_stream_that_gives_nothing_more_is_broken_off(breaks: list[tuple[int, Any]]) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        told(Service(POINTS, breaks))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10, 11])
def test_a_page_says_whether_there_is_more(limit: int) -> None:
    answer = told(Service(POINTS, []), limit)
    assert answer["metrics"] == WHOLE[:limit]
    assert ("next_page_token" in answer) == (limit < 10)
    if limit < 10:
        assert history.place(answer["next_page_token"]).step == limit - 1  # type: ignore[union-attr]
