"""Joins requests that come at the same time into one prediction; only where the user asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from runstone._serving.engine import Engine, Loaded


@dataclass(slots=True)
class _Waiting:
    frame: Any
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class _Batch:
    loaded: Loaded
    waiting: list[_Waiting]
    rows: int
    timer: asyncio.TimerHandle


class Batcher:
    """Joins DataFrames of the same columns and types; each caller gets the rows of its own.

    Args:
        run: Runs a function in the pool of the server.
    """

    def __init__(self, engine: Engine, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._engine = engine
        self._run = run
        self._most = engine.settings.batch_rows
        self._wait_s = engine.settings.batch_wait_ms / 1000
        self._open: dict[tuple[Any, ...], _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, loaded: Loaded, frame: Any) -> Any:
        """The predictions for one request's rows, made together with others'. Raises Refusal."""
        key = (id(loaded), tuple(frame.columns), tuple(map(str, frame.dtypes)))
        loop = asyncio.get_running_loop()
        mine = _Waiting(frame, loop.create_future())
        batch = self._open.get(key)
        if batch is not None and batch.rows + len(frame) > self._most:
            self._send(key)
            batch = None
        if batch is None:
            timer = loop.call_later(self._wait_s, self._send, key)
            batch = self._open[key] = _Batch(loaded, [], 0, timer)
        batch.waiting.append(mine)
        batch.rows += len(frame)
        if batch.rows >= self._most:
            self._send(key)
        return await mine.answer

    def _send(self, key: tuple[Any, ...]) -> None:
        batch = self._open.pop(key)
        batch.timer.cancel()
        task = asyncio.get_running_loop().create_task(self._answer(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: _Batch) -> None:
        frames = [each.frame for each in batch.waiting]
        found = await self._run(lambda: self._together(batch.loaded, frames))
        for each, (value, error) in zip(batch.waiting, found, strict=True):
            if each.answer.done():  # its caller's time is over
                continue
            if error is not None:
                each.answer.set_exception(error)
            else:
                each.answer.set_result(value)

    def _together(self, loaded: Loaded, frames: list[Any]) -> list[tuple[Any, Exception | None]]:
        """Value or error for each: of one prediction, or of one each when that does not work."""
        import pandas as pd

        if len(frames) > 1:
            try:
                found = self._engine.predict(loaded, pd.concat(frames, ignore_index=True))
                parts = _parts(found, [len(frame) for frame in frames])
            except Exception:
                # Whose rows are at fault only shows when they are alone.
                parts = None
            if parts is not None:
                return [(part, None) for part in parts]
        return [self._alone(loaded, frame) for frame in frames]

    def _alone(self, loaded: Loaded, frame: Any) -> tuple[Any, Exception | None]:
        try:
            return self._engine.predict(loaded, frame), None
        except Exception as error:
            return None, error


def _parts(found: Any, lengths: list[int]) -> list[Any] | None:
    """The predictions of each request; None when they are not one for each row."""
    rows = getattr(found, "iloc", found)
    if isinstance(found, dict | str) or not hasattr(found, "__len__") or len(found) != sum(lengths):
        return None
    parts, begin = [], 0
    for length in lengths:
        part = rows[begin : begin + length]
        parts.append(part.reset_index(drop=True) if hasattr(part, "reset_index") else part)
        begin += length
    return parts
