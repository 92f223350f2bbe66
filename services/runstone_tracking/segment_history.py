"""Points of one metric, put in the order of a history: by (timestamp, step, value, rank).

NaN is below every number, and 0.0 and -0.0 are different values that are equal in order. An exact
duplicate, bit for bit and of the same rank, stays once.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.model_metrics import NO_RANK, Columns, HistoryPlace, Int32s, Int64s

MAX_CHUNK = 65_536
"""Points of one piece, as the contract says: 1.5 MiB on the wire."""

NO_POINTS = Columns(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def concatenate(parts: Sequence[Columns]) -> Columns:
    """All parts, one after the other."""
    return Columns(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        _joined_ranks(parts),
    )


def split(points: Columns, timestamp_ms: int) -> tuple[Columns, Columns]:
    """The points before a time, and the others; each in the order given."""
    before = points.timestamps_ms < timestamp_ms
    if before.all():
        return points, NO_POINTS
    return _pick(points, np.flatnonzero(before)), _pick(points, np.flatnonzero(~before))


def ordered(points: Columns) -> Columns:
    """The points in order, duplicates once."""
    times = points.timestamps_ms
    if (times[1:] > times[:-1]).all():
        return points
    order = np.argsort(times, kind="stable")
    sorted_times = times[order]
    if (sorted_times[1:] > sorted_times[:-1]).all():
        return _pick(points, order)
    return _without_duplicates(points)


def behind(points: Columns, place: HistoryPlace) -> Columns:
    """The points behind a place, of points that are in order."""
    times = points.timestamps_ms
    same = range(
        int(np.searchsorted(times, place.timestamp_ms, "left")),
        int(np.searchsorted(times, place.timestamp_ms, "right")),
    )
    wanted = _order(place.step, place.value, place.rank)

    def order(at: int) -> tuple[int, bool, float, int, int]:
        rank = NO_RANK if points.ranks is None else int(points.ranks[at])
        return _order(int(points.steps[at]), float(points.values[at]), rank)

    first = same.start + bisect_right(same, wanted, key=order)
    return points if first == 0 else _part(points, slice(first, None))


def _order(step: int, value: float, rank: int) -> tuple[int, bool, float, int, int]:
    """What points of one time are ordered by; see ``_without_duplicates``."""
    is_number = not math.isnan(value)
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    return step, is_number, value if is_number else 0.0, bits, rank


def cut(points: Columns) -> Iterator[Columns]:
    """Pieces of at most MAX_CHUNK points; none for no points."""
    for start in range(0, len(points), MAX_CHUNK):
        yield _part(points, slice(start, start + MAX_CHUNK))


def _without_duplicates(points: Columns) -> Columns:
    is_number = ~np.isnan(points.values)
    number = np.where(is_number, points.values, 0.0)
    bits = points.values.view(np.int64)
    order: list[NDArray[Any]] = [] if points.ranks is None else [points.ranks]
    order += [bits, number, is_number, points.steps, points.timestamps_ms]
    found = _pick(points, np.lexsort(order))
    bits = found.values.view(np.int64)
    new = np.ones(len(found), bool)
    new[1:] = (
        (found.timestamps_ms[1:] != found.timestamps_ms[:-1])
        | (found.steps[1:] != found.steps[:-1])
        | (bits[1:] != bits[:-1])
    )
    if found.ranks is not None:
        new[1:] |= found.ranks[1:] != found.ranks[:-1]
    return found if new.all() else _pick(found, np.flatnonzero(new))


def _part(points: Columns, part: slice) -> Columns:
    ranks = None if points.ranks is None else points.ranks[part]
    return Columns(points.steps[part], points.timestamps_ms[part], points.values[part], ranks)


def _pick(points: Columns, at: Int64s) -> Columns:
    ranks = None if points.ranks is None else points.ranks[at]
    return Columns(points.steps[at], points.timestamps_ms[at], points.values[at], ranks)


def _joined_ranks(parts: Sequence[Columns]) -> Int32s | None:
    if all(part.ranks is None for part in parts):
        return None
    return np.concatenate(
        [
            np.full(len(part), NO_RANK, np.int32) if part.ranks is None else part.ranks
            for part in parts
        ]
    )
