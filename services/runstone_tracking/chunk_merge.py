"""Which chunks of a series new points are merged with.

Points that come in order make chunks behind the last one; a small last chunk is taken up into
them. So a series has chunks that are full, and behind them a few of falling sizes, and a point is
written anew a handful of times, however few come at a time. Points that come late are merged with
the chunks they lie in.

    chunks    [ full ][ full ][  16 k ][ 2 k ]            one of 2 k and 500 new points
    points                                    ....        are one chunk of 2.5 k afterwards
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from runstone_tracking.chunk import MAX_POINTS
from runstone_tracking.model_chunks import ChunkRef, Place
from runstone_tracking.model_metrics import Columns

ABSORBED = 4
"""A chunk beside new points is taken up when it is not more than so many times their size. With 4 a
point is written anew about five times on its way from a chunk of 64 points to a full one."""

MOST_CHUNKS = 16
"""Touched by one merge: a million points in memory at a time, however far late points are apart."""


@dataclass(slots=True)
class Merge:
    """Chunks that neighbour each other, and the new points from ``start`` to ``end`` to be put into
    them.
    """

    start: int
    end: int
    chunks: list[ChunkRef] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Points at most: duplicates are in it."""
        return self.end - self.start + sum(chunk.count for chunk in self.chunks)


def plan(chunks: Sequence[ChunkRef], points: Columns, full: int = MAX_POINTS) -> list[Merge]:
    """The merges that put new points into a series, disjoint and in order.

    Args:
        chunks: All of the series, in order.
        points: One or more, ``in_order``.
        full: Points of a full chunk.
    """
    merges: list[Merge] = []
    current: Merge | None = None
    before: list[ChunkRef] = []
    at = 0
    for chunk in chunks:
        begins, ends = _rank(points, chunk.first)[0], _rank(points, chunk.last)[1]
        if begins > at:
            # Points in front of the chunk.
            current = current or Merge(at, at)
            current.end = begins
        if ends > begins:
            current = current or Merge(begins, begins)
            current.end = ends
            current.chunks.append(chunk)
            if len(current.chunks) >= MOST_CHUNKS:
                merges.append(_finished(current, before, full))
                current, before = None, []
        elif current is not None and _absorbs(current, chunk, full):
            current.chunks.append(chunk)
        else:
            if current is not None:
                merges.append(_finished(current, before, full))
                current, before = None, []
            before.append(chunk)
        at = max(at, ends)
    if at < len(points):
        current = current or Merge(at, at)
        current.end = len(points)
    if current is not None:
        merges.append(_finished(current, before, full))
    return merges


def _finished(merge: Merge, before: list[ChunkRef], full: int) -> Merge:
    """With the chunks before it that are small enough; ``before`` is in order."""
    while before and _absorbs(merge, before[-1], full):
        merge.chunks.insert(0, before.pop())
    return merge


def _absorbs(merge: Merge, chunk: ChunkRef, full: int) -> bool:
    return chunk.count < full and chunk.count <= ABSORBED * merge.count


def _rank(points: Columns, place: Place) -> tuple[int, int]:
    """How many points are before a place, and how many are not behind it."""
    low, high = 0, len(points)
    columns = (points.steps, points.timestamps_ms, points.values.view(np.int64))
    for column, value in zip(columns, place, strict=True):
        part = column[low:high]
        low, high = (
            low + int(np.searchsorted(part, value, "left")),
            low + int(np.searchsorted(part, value, "right")),
        )
    return low, high
