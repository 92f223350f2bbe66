"""Histories of metrics: read as columns, written as MLflow's points, gone on with page by page.

A page's token says where its last point stands; the service goes on behind it, at the cost of the
page alone. Points that were logged meanwhile are on a later page, or on none, but none comes twice.
"""

from __future__ import annotations

import math
import re
import struct
from array import array
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import grpc
import numpy as np
import orjson

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2
from runstone_gateway.call import Call
from runstone_gateway.fields import INT64, wrong
from runstone_gateway.render_tracking import number
from runstone_gateway.streaming import aside, read_ahead
from runstone_kit.peers import failure

STREAM_S = 600.0
"""For a whole history; as the service config has it."""

PASSING = ("DEADLINE_EXCEEDED", "UNAVAILABLE")
"""What ends a stream that may be gone on with, if anything came of it."""

AHEAD = 8
"""Messages of a history that are read before its client wants them: half a million points in 12
MiB."""

PLAIN_POINTS = 2_000
"""Are written in the event loop: a millisecond."""

NO_RANK = -1

_TOKEN = re.compile(r"(-?[0-9]{1,19})_(-?[0-9]{1,19})_([0-9a-f]{16})_(-?[0-9]{1,7})")


class Columns(NamedTuple):
    """Points of one metric of one run, by (timestamp, step, value)."""

    steps: array[int]
    timestamps: array[int]
    values: array[float]

    @classmethod
    def none(cls) -> Columns:
        """No points."""
        return cls(array("q"), array("q"), array("d"))

    @classmethod
    def of(cls, page: Any) -> Columns:
        """Those of a view of GetMetricHistoryResponse."""
        return cls(
            columnar.unpack_int64(columnar.joined(page.steps)),
            columnar.unpack_int64(columnar.joined(page.timestamps_ms)),
            columnar.unpack_double(columnar.joined(page.values)),
        )

    def __len__(self) -> int:
        return len(self.steps)

    def first(self, count: int) -> Columns:
        """The first of the points."""
        return Columns(self.steps[:count], self.timestamps[:count], self.values[:count])

    def extend(self, more: Columns) -> None:
        """Add points at the end."""
        self.steps.extend(more.steps)
        self.timestamps.extend(more.timestamps)
        self.values.extend(more.values)


def last_place(points: Columns, ranks: Any) -> metric_pb2.HistoryPlace:
    """Where the last of the points stands; ``ranks`` are theirs, empty when none has one."""
    return metric_pb2.HistoryPlace(
        timestamp_ms=points.timestamps[-1],
        step=points.steps[-1],
        value=points.values[-1],
        rank=ranks[len(points) - 1] if ranks else NO_RANK,
    )


def token(last: metric_pb2.HistoryPlace) -> str:
    """The page token behind a place."""
    bits = struct.pack(">d", last.value).hex()
    return f"{last.timestamp_ms}_{last.step}_{bits}_{last.rank}"


def place(page_token: str) -> metric_pb2.HistoryPlace | None:
    """Where a page begins; None for the first one. Raises GatewayError."""
    if not page_token:
        return None
    found = _TOKEN.fullmatch(page_token)
    if found is None or int(found[1]) not in INT64 or int(found[2]) not in INT64:
        raise wrong(page_token, "page_token", "the next_page_token of the page before")
    (value,) = struct.unpack(">d", bytes.fromhex(found[3]))
    return metric_pb2.HistoryPlace(
        timestamp_ms=int(found[1]), step=int(found[2]), value=value, rank=int(found[4])
    )


def written(points: Columns, key: str, run_id: str = "") -> bytes:
    """Points as JSON, with commas between them; each tells its key, and its run if that is said."""
    values: list[Any] = points.values.tolist()
    # NaN and infinities are rare, and one shows in the sum.
    if not math.isfinite(sum(values)):
        values = [number(value) for value in values]
    head = b'{"key":%b,"value":' % orjson.dumps(key)
    tail = b',"run_id":%b}' % orjson.dumps(run_id) if run_id else b"}"
    if not values:
        return b""
    return b",".join(
        b'%b%b,"timestamp":%d,"step":%d%b' % (head, value, time, step, tail)
        for value, time, step in zip(
            orjson.dumps(values)[1:-1].split(b","), points.timestamps, points.steps, strict=True
        )
    )


async def pieces(
    call: Call, request: metric_pb2.GetMetricHistoryRequest, limit: int | None
) -> AsyncGenerator[bytes]:
    """The answer of get-history, message by message of the service: so many are in memory.

    Raises grpc.aio.AioRpcError, ClientDisconnect.
    """
    said = b'{"metrics":['
    left = math.inf if limit is None else limit
    last = ""
    async with read_ahead(_messages(call, request), AHEAD) as pages:
        async for page in pages:
            if not left:
                # There is more behind the last point that was wanted.
                said += b'],"next_page_token":' + orjson.dumps(last)
                break
            points = Columns.of(page)
            more = len(points) > left
            if more:
                points = points.first(int(left))
            left -= len(points)
            last = token(last_place(points, page.ranks))
            text = await aside(len(points) > PLAIN_POINTS, written, points, request.key)
            if not said.endswith(b"["):
                yield said
                said = b","
            said += text
            if more:
                said += b'],"next_page_token":' + orjson.dumps(last)
                break
        else:
            said += b"]"
    yield said + b"}"


async def _messages(call: Call, request: metric_pb2.GetMetricHistoryRequest) -> AsyncGenerator[Any]:
    """The messages of a history. A stream whose time is over, since its client is slow, and one of
    a service that goes away, is gone on with behind the last point that came."""
    while True:
        last: metric_pb2.HistoryPlace | None = None
        try:
            async with call.stream(
                call.tracking.GetMetricHistory, request, seconds=STREAM_S
            ) as stream:
                async for page in stream:
                    last = last_place(Columns.of(page), page.ranks)
                    yield page
        except grpc.aio.AioRpcError as error:
            if last is None or failure(error).code not in PASSING:
                raise
            request.after.CopyFrom(last)
        else:
            return


async def first_points(
    call: Call, request: metric_pb2.GetMetricHistoryRequest, limit: int
) -> Columns:
    """At most so many points. Raises grpc.aio.AioRpcError, ClientDisconnect."""
    found = Columns.none()
    async with call.stream(call.tracking.GetMetricHistory, request, seconds=STREAM_S) as pages:
        async for page in pages:
            found.extend(Columns.of(page).first(limit - len(found)))
            if len(found) >= limit:
                break
    return found


async def points_between(
    call: Call, request: metric_pb2.GetMetricHistoryRequest, start: int, end: int
) -> Columns:
    """All points of these steps. Raises grpc.aio.AioRpcError, ClientDisconnect."""
    found = Columns.none()
    async with call.stream(call.tracking.GetMetricHistory, request, seconds=STREAM_S) as pages:
        async for page in pages:
            found.extend(_between(Columns.of(page), start, end))
    return found


def _between(points: Columns, start: int, end: int) -> Columns:
    steps = np.frombuffer(points.steps, np.int64)
    inside = (steps >= start) & (steps <= end)
    return points if inside.all() else _chosen(points, np.flatnonzero(inside))


def _chosen(points: Columns, which: Any) -> Columns:
    return Columns(
        array("q", np.frombuffer(points.steps, np.int64)[which].tobytes()),
        array("q", np.frombuffer(points.timestamps, np.int64)[which].tobytes()),
        array("d", np.frombuffer(points.values, np.float64)[which].tobytes()),
    )


def sampled(points: Columns, count: int) -> Columns:
    """At most ``count`` points, by step and time: those of steps at equal distances, the first and
    the last step among them."""
    steps = np.frombuffer(points.steps, np.int64)
    known = np.unique(steps)
    if len(known) > count:
        last = len(known) - 1
        places = [round(i * last / (count - 1)) for i in range(count)] if count > 1 else [last]
        known = known[places]
    which = np.flatnonzero(np.isin(steps, known))
    times = np.frombuffer(points.timestamps, np.int64)
    which = which[np.lexsort((times[which], steps[which]))]
    return _chosen(points, which[:count])
