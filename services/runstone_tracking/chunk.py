"""Chunks: the points of one series at rest.

A chunk holds at most MAX_POINTS points by (step, timestamp, bits of the value as int64), each once.
The chunks of a series are disjoint in that order, so a range of steps is in chunks next to each
other, and the last point of the last chunk is the series' last.

    points, twice and in any order -> in_order -> parts -> encode -> stored -> decode
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runstone_tracking.chunk_columns import pack, unpack
from runstone_tracking.model_chunks import Place
from runstone_tracking.model_metrics import Columns, Int64s
from runstone_tracking.segment_planes import SegmentCorrupt

MAX_POINTS = 65_536
"""Points of a chunk: 0.25 MB of losses to read for a look at one, and 150 chunks in 10 M points."""

_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk as it is stored: what finds it, and its points."""

    count: int
    first: Place
    last: Place
    min_timestamp_ms: int
    max_timestamp_ms: int
    payload: bytes


def in_order(points: Columns) -> Columns:
    """The points of one series in a chunk's order, duplicates once. Ranks are left out."""
    steps, times, bits = points.steps, points.timestamps_ms, points.values.view(np.int64)
    if not (steps[1:] > steps[:-1]).all():
        order: Int64s = np.lexsort((bits, times, steps))
        steps, times, bits = steps[order], times[order], bits[order]
        new = np.ones(len(steps), bool)
        new[1:] = (steps[1:] != steps[:-1]) | (times[1:] != times[:-1]) | (bits[1:] != bits[:-1])
        if not new.all():
            steps, times, bits = steps[new], times[new], bits[new]
    return Columns(steps, times, bits.view(np.float64))


def parts(points: Columns, size: int = MAX_POINTS) -> Iterator[Columns]:
    """Points that are ``in_order`` in pieces of ``size``, the last one perhaps smaller."""
    for start in range(0, len(points), size):
        part = slice(start, start + size)
        yield Columns(points.steps[part], points.timestamps_ms[part], points.values[part])


def place(points: Columns, at: int) -> Place:
    """Where the point with index ``at`` stands."""
    bits = int(points.values.view(np.int64)[at])
    return int(points.steps[at]), int(points.timestamps_ms[at]), bits


def encode(points: Columns) -> EncodedChunk:
    """The chunk of points that are ``in_order``: 1 to MAX_POINTS of one series.

    Example:
        >>> points = Columns(np.array([2, 1]), np.array([20, 10]), np.array([0.25, 0.5]))
        >>> found = encode(in_order(points))
        >>> found.count, found.first[0], decode(found.payload).values.tolist()
        (2, 1, [0.5, 0.25])
    """
    times = points.timestamps_ms
    return EncodedChunk(
        len(points),
        place(points, 0),
        place(points, -1),
        int(times.min()),
        int(times.max()),
        pack([points.steps, times, points.values]),
    )


def decode(payload: bytes) -> Columns:
    """The points of a chunk, in its order. Raises SegmentCorrupt."""
    found = unpack(payload)
    if len(found) != _COLUMNS:
        raise SegmentCorrupt(f"a chunk has {len(found)} columns")
    return Columns(*found)
