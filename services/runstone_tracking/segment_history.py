"""Points of one series, put in the order of a history: by (timestamp, step, value).

NaN is below every number, and 0.0 and -0.0 are different values that are equal in order. An exact
duplicate, bit for bit, stays once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runstone_tracking.model_metrics import Columns, Int64s

MAX_CHUNK = 65_536
"""Points of one piece, as the contract says: 1.5 MiB on the wire."""

NO_POINTS = Columns(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def concatenate(parts: Sequence[Columns]) -> Columns:
    """All parts, one after the other."""
    return Columns(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
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


def cut(points: Columns) -> Iterator[Columns]:
    """Pieces of at most MAX_CHUNK points; none for no points."""
    for start in range(0, len(points), MAX_CHUNK):
        part = slice(start, start + MAX_CHUNK)
        yield Columns(points.steps[part], points.timestamps_ms[part], points.values[part])


def _without_duplicates(points: Columns) -> Columns:
    is_number = ~np.isnan(points.values)
    number = np.where(is_number, points.values, 0.0)
    bits = points.values.view(np.int64)
    found = _pick(points, np.lexsort((bits, number, is_number, points.steps, points.timestamps_ms)))
    bits = found.values.view(np.int64)
    new = np.ones(len(found), bool)
    new[1:] = (
        (found.timestamps_ms[1:] != found.timestamps_ms[:-1])
        | (found.steps[1:] != found.steps[:-1])
        | (bits[1:] != bits[:-1])
    )
    return found if new.all() else _pick(found, np.flatnonzero(new))


def _pick(points: Columns, at: Int64s) -> Columns:
    return Columns(points.steps[at], points.timestamps_ms[at], points.values[at])
