"""Points of a stretch of a journal, gathered as columns and cut into calls.

The calls of a stretch depend on its bytes alone: a sender that starts anew makes the same calls
with the same numbers, which is what lets the server know them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from runstone._sender.wire import POINT_BYTES, SERIES_BYTES, Series

MAX_SERIES = 10_000
"""What AppendMetrics takes in one call."""

MAX_CALL_BYTES = 3 * 2**20
"""Of points, keys and lengths in one call: well below the 4 MiB of AppendMetrics, so that run and
writer fit in any case, and the copies of one call fit a sender's memory."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one AppendMetrics takes, without its number."""

    run_id: str
    series: list[Series]

    @property
    def points(self) -> int:
        """How many points it holds."""
        return sum(len(each.steps) for each in self.series)


class Columns:
    """The points of one run that have the same keys: a row for each ``log_metrics``."""

    __slots__ = ("keys", "rank", "run_id", "steps", "timestamps_ms", "values")

    def __init__(self, run_id: str, rank: int, keys: tuple[str, ...]) -> None:
        self.run_id = run_id
        self.rank = rank
        self.keys = keys
        self.steps: array[int] = array("q")
        self.timestamps_ms: array[int] = array("q")
        self.values: array[float] = array("d")
        """Row by row: all keys of the first row, then of the second."""

    def add(self, step: int, timestamp_ms: int, values: bytes | memoryview) -> None:
        """Append a row; ``values`` are native doubles, one for each key."""
        self.steps.append(step)
        self.timestamps_ms.append(timestamp_ms)
        self.values.frombytes(values)


class Batch:
    """What is gathered for the next calls."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, int, tuple[str, ...]], Columns] = {}
        self.request_bytes = 0
        """About the size of the requests that this makes."""

    def columns(self, run_id: str, rank: int, keys: tuple[str, ...]) -> Columns:
        """Where points of these keys go. Whoever adds a row adds ``row_bytes`` to the size."""
        place = (run_id, rank, keys)
        found = self._columns.get(place)
        if found is None:
            found = self._columns[place] = Columns(run_id, rank, keys)
            self.request_bytes += sum(map(_bytes, keys)) + SERIES_BYTES * len(keys)
        return found

    @property
    def empty(self) -> bool:
        """Whether there is no point in it."""
        return not any(each.steps for each in self._columns.values())

    def runs(self) -> list[str]:
        """The runs that have points, in the order in which they first came."""
        return list(dict.fromkeys(each.run_id for each in self._columns.values()))

    def calls(self) -> Iterator[Call]:
        """Cut into calls, in the order in which the runs first came."""
        for run_id in self.runs():
            every = (part for series in self._merged(run_id) for part in _split(series))
            yield from _cut(run_id, every)

    def _merged(self, run_id: str) -> list[Series]:
        """Each key once: it may stand in several sets of keys."""
        found: dict[tuple[str, int], Series] = {}
        for each in self._columns.values():
            if each.run_id != run_id:
                continue
            width = len(each.keys)
            for number, key in enumerate(each.keys):
                values = each.values[number::width]
                series = found.get((key, each.rank))
                if series is None:
                    found[key, each.rank] = Series(
                        key, each.rank, each.steps, each.timestamps_ms, values
                    )
                else:
                    # Not in place: the columns of steps and times are shared by many keys.
                    series.steps = series.steps + each.steps
                    series.timestamps_ms = series.timestamps_ms + each.timestamps_ms
                    series.values = series.values + values
        return list(found.values())


def row_bytes(keys: tuple[str, ...]) -> int:
    """What one row of these keys adds to the requests."""
    return POINT_BYTES * len(keys)


def _size(series: Series) -> int:
    return len(series.steps) * POINT_BYTES + _bytes(series.key) + SERIES_BYTES


def _bytes(key: str) -> int:
    """A key may have letters of any script."""
    return len(key) if key.isascii() else len(key.encode())


def _split(series: Series) -> Iterator[Series]:
    """A series too long for one call, in parts."""
    most = (MAX_CALL_BYTES - _bytes(series.key) - SERIES_BYTES) // POINT_BYTES
    if len(series.steps) <= most:
        yield series
        return
    for start in range(0, len(series.steps), most):
        part = slice(start, start + most)
        yield Series(
            series.key,
            series.rank,
            series.steps[part],
            series.timestamps_ms[part],
            series.values[part],
        )


def _cut(run_id: str, every: Iterator[Series]) -> Iterator[Call]:
    gathered: list[Series] = []
    inside: set[tuple[str, int]] = set()
    size = 0
    for series in every:
        place = (series.key, series.rank)
        full = len(gathered) == MAX_SERIES or size + _size(series) > MAX_CALL_BYTES
        # A call holds a key once, so the parts of a long series go into calls of their own.
        if gathered and (full or place in inside):
            yield Call(run_id, gathered)
            gathered, inside, size = [], set(), 0
        gathered.append(series)
        inside.add(place)
        size += _size(series)
    if gathered:
        yield Call(run_id, gathered)
