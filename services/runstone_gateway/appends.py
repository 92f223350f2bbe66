"""Small batches of points on their way to the tracking service: what comes at once goes together.

A call costs both processes much more than the point in it: in the service alone threads change some
fifteen times. So two calls are under way at most, and who comes meanwhile goes with the next one;
while nothing is under way, nobody waits. Each is answered when its call is: its points are
committed then, or refused for a reason of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import grpc

from runstone.tracking.v1 import metric_pb2
from runstone_gateway.call import Call
from runstone_kit.peers import refusal

UNDER_WAY = 2
"""Calls at a time, of each caller: one is committed while the next is on its way."""

SMALL_BYTES = 16 * 1024
"""A larger batch goes alone: it costs more than its call."""

TOGETHER = 200
"""Batches of one call: some 3 MiB at most, where the contract has 4 MiB."""


class _Waiting(NamedTuple):
    call: Call
    batch: metric_pb2.AppendMetricsRequest
    answered: asyncio.Future[None]


class Line:
    """The batches of one caller: services judge a call by its caller, so no other's go with it."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._sent = 0
        """Batches that are under way."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way; then nothing waits, either."""
        return not self._calls

    def join(self, waiting: _Waiting) -> None:
        """Send it, now or with those who come."""
        self._waiting.append(waiting)
        self._go_on()

    def _go_on(self) -> None:
        # A second call is worth it once as many wait as are under way: of some who come back at the
        # same time, the first would else go alone.
        if len(self._calls) >= UNDER_WAY or len(self._waiting) < max(1, self._sent):
            return
        group = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        self._sent += len(group)
        call = asyncio.get_running_loop().create_task(_send(group))
        self._calls.add(call)
        call.add_done_callback(lambda call: self._over(call, group))

    def _over(self, call: asyncio.Task[None], group: Sequence[_Waiting]) -> None:
        self._calls.discard(call)
        self._sent -= len(group)
        self._go_on()
        if self.is_empty:
            group[0].call.remembered.lines.pop(group[0].call.caller, None)


async def append(call: Call, batch: metric_pb2.AppendMetricsRequest) -> None:
    """Append a batch. Raises grpc.aio.AioRpcError, as AppendMetrics of this batch alone.

    A batch goes under the request id of the first one that it goes with.
    """
    if batch.ByteSize() > SMALL_BYTES:
        await call.ask(call.tracking.AppendMetrics, batch)
        return
    answered = asyncio.get_running_loop().create_future()
    line = call.remembered.lines.setdefault(call.caller, Line())
    line.join(_Waiting(call, batch, answered))
    await answered


async def _send(group: Sequence[_Waiting]) -> None:
    try:
        left = await _together(group) if len(group) > 1 else group
        await asyncio.gather(*(_alone(each) for each in left))
    except Exception as error:
        for each in group:
            _answer(each, error)
    finally:
        # When the process ends.
        for each in group:
            each.answered.cancel()


async def _together(group: Sequence[_Waiting]) -> Sequence[_Waiting]:
    """Send them in one call; returns those that have to go alone after all."""
    call = group[0].call
    request = metric_pb2.AppendBatchesRequest(batches=[each.batch for each in group])
    try:
        found = await call.ask(call.tracking.AppendBatches, request)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            # The service is still of the release before.
            return group
        raise
    left = []
    for each, outcome in zip(group, found.outcomes, strict=True):
        refused = refusal(outcome.status) if outcome.HasField("status") else None
        if refused is not None and refused.code() is grpc.StatusCode.UNAVAILABLE:
            # The channel repeats calls that are answered so, and knows nothing of outcomes.
            left.append(each)
        else:
            _answer(each, refused)
    return left


async def _alone(waiting: _Waiting) -> None:
    call = waiting.call
    try:
        await call.ask(call.tracking.AppendMetrics, waiting.batch)
    except Exception as error:
        _answer(waiting, error)
    else:
        _answer(waiting, None)


def _answer(waiting: _Waiting, error: Exception | None) -> None:
    if waiting.answered.done():
        # Its request was given up meanwhile.
        return
    if error is None:
        waiting.answered.set_result(None)
    else:
        waiting.answered.set_exception(error)
