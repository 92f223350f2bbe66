"""Batches of metric points, and which of them are missing."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from runstone._entities.columns import MetricColumns
from runstone._migrate.model import PIECE_POINTS, Points

BATCH_POINTS = 100_000
"""24 bytes each, and one piece more: below the 4 MiB of a message."""

BATCH_KEYS = 4_000
"""Of at most 250 characters."""


def batches(pieces: Iterable[Points]) -> Iterator[list[Points]]:
    """Pieces gathered to what one call takes; no key stands twice in a batch."""
    batch: dict[str, Points] = {}
    size = 0
    for piece in pieces:
        for part in _cut(piece):
            if part.key in batch:
                batch[part.key].extend(part)
            else:
                batch[part.key] = part
            size += len(part)
            if size >= BATCH_POINTS or len(batch) >= BATCH_KEYS:
                yield list(batch.values())
                batch, size = {}, 0
    if batch:
        yield list(batch.values())


def _cut(piece: Points) -> Iterator[Points]:
    """In parts of at most PIECE_POINTS; some sources give a metric whole."""
    if len(piece) <= PIECE_POINTS:
        if len(piece):
            yield piece
        return
    for start in range(0, len(piece), PIECE_POINTS):
        end = start + PIECE_POINTS
        yield Points(
            piece.key,
            piece.steps[start:end],
            piece.timestamps[start:end],
            piece.values[start:end],
        )


def writer_of(batch: Iterable[Points]) -> str:
    """A writer for this very batch: sent again, after a kill too, it is known by it."""
    digest = hashlib.blake2b(digest_size=20)
    for each in batch:
        digest.update(f"{each.key}\0{len(each)}\0".encode())
        for column in (each.steps, each.timestamps, each.values):
            digest.update(column)
    return f"import-{digest.hexdigest()}"


class Missing:
    """Gives of a run's points those that the target does not have.

    Args:
        counts: Key to how many points the target has of it.
        columns: Reads the target's points of a key.
    """

    def __init__(self, counts: Mapping[str, int], columns: Callable[[str], MetricColumns]) -> None:
        self._counts = counts
        self._columns = columns
        self._last: MetricColumns | None = None

    def of(self, pieces: Iterable[Points]) -> Iterator[Points]:
        """Pieces without the points that are there."""
        for piece in pieces:
            if not self._counts.get(piece.key):
                yield piece
                continue
            if self._last is None or self._last.key != piece.key:
                self._last = self._columns(piece.key)
            left = _without(piece, self._last)
            if len(left):
                yield left


def _without(piece: Points, there: MetricColumns) -> Points:
    found = Points.empty(piece.key)
    for step, timestamp, value in zip(piece.steps, piece.timestamps, piece.values, strict=True):
        if not _has(there, step, timestamp, value):
            found.add(step, timestamp, value)
    return found


def _has(there: MetricColumns, step: int, timestamp: int, value: float) -> bool:
    """Whether a point is among those, which are ordered by timestamp, then by step."""
    low = bisect_left(there.timestamps, timestamp)
    high = bisect_right(there.timestamps, timestamp, low)
    low = bisect_left(there.steps, step, low, high)
    high = bisect_right(there.steps, step, low, high)
    return any(_same(value, there.values[index]) for index in range(low, high))


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
