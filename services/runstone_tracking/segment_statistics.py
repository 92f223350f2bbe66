"""What a batch's series span: computed for all series at once, and merged over batches.

Points of a series are ordered by (step, timestamp, value) with NaN below every number; the
latest point is the greatest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.model_metrics import (
    RANK_MARK,
    SUMMARY,
    Columns,
    Doubles,
    Int64s,
    MetricBatch,
    Records,
    Summaries,
)

_KEYS = attrgetter("keys")

_INT64 = np.iinfo(np.int64)
_SAFE_STEP = 2**62
"""The difference of two steps up to here does not wrap."""


@dataclass(frozen=True, slots=True, eq=False)
class Deltas:
    """Differences of neighbours in a column, modulo 2**64, and their range per series.

    ``values[i]`` belongs to points ``i - 1`` and ``i``; at a series' first point it means nothing.
    The range of a series of one point is 0 to 0.
    """

    values: Int64s
    low: Int64s
    high: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """One item per series; ``first`` and ``last`` are indexes of points."""

    first: Int64s
    last: Int64s
    min_timestamp_ms: Int64s
    max_timestamp_ms: Int64s
    min_value: Doubles
    max_value: Doubles
    nan_count: Int64s


def series_starts(counts: Int64s) -> Int64s:
    """The index of each series' first point."""
    starts = np.zeros(len(counts), np.int64)
    np.cumsum(counts[:-1], out=starts[1:])
    return starts


def deltas(column: Int64s, starts: Int64s, counts: Int64s) -> Deltas:
    """The differences within ``column``."""
    values = np.empty_like(column)
    np.subtract(column[1:], column[:-1], out=values[1:])
    # The first place of a series takes part in its range, so it repeats the second.
    values[starts] = 0
    several = starts[counts > 1]
    values[several] = values[several + 1]
    return Deltas(values, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))


def statistics(batch: MetricBatch, starts: Int64s, step_deltas: Deltas) -> Statistics:
    """The statistics of every series of ``batch``."""
    points = batch.points
    if _is_increasing(points.steps, batch.counts, step_deltas):
        first, last = starts, starts + batch.counts - 1
    else:
        first = _extreme(points, starts, batch.counts, greatest=False)
        last = _extreme(points, starts, batch.counts, greatest=True)
    low, high, nan_count = _value_range(points.values, starts, batch.counts)
    return Statistics(
        first,
        last,
        np.minimum.reduceat(points.timestamps_ms, starts),
        np.maximum.reduceat(points.timestamps_ms, starts),
        low,
        high,
        nan_count,
    )


def summaries(batch: MetricBatch, found: Statistics) -> Records:
    """The summary of each series of a batch with these statistics, of dtype SUMMARY."""
    records = np.empty(len(batch.counts), SUMMARY)
    records["value"] = batch.points.values[found.last]
    records["step"] = batch.points.steps[found.last]
    records["timestamp_ms"] = batch.points.timestamps_ms[found.last]
    records["min"] = found.min_value
    records["max"] = found.max_value
    records["count"] = batch.counts
    records["nan_count"] = found.nan_count
    records["first_step"] = batch.points.steps[found.first]
    return records


def over_ranks(names: tuple[str, ...], records: Records) -> Summaries:
    """The summaries of series with these names, those of a key's ranks merged."""
    if RANK_MARK not in "".join(names):
        return Summaries(names, records)
    keys = [name.partition(RANK_MARK)[0] for name in names]
    if len(set(keys)) == len(keys):
        # As mostly: the writer's own rank. A mark sorts below all of a key, so the order stays.
        return Summaries(tuple(keys), records)
    # Each round takes one series of every key.
    rounds: list[list[int]] = []
    seen: dict[str, int] = {}
    for place, key in enumerate(keys):
        number = seen[key] = seen.get(key, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(place)
    first, *others = (
        Summaries(tuple(keys[place] for place in places), records[places]) for places in rounds
    )
    for other in others:
        first = merge(first, other)
    return first


def merge(left: Summaries, right: Summaries) -> Summaries:
    """The summaries of both together."""
    if left.keys == right.keys:
        return Summaries(left.keys, _merge_records(left.records, right.records))
    keys = tuple(sorted({*left.keys, *right.keys}))
    place = {key: index for index, key in enumerate(keys)}
    left_at = np.fromiter((place[key] for key in left.keys), np.int64, len(left.keys))
    right_at = np.fromiter((place[key] for key in right.keys), np.int64, len(right.keys))
    records = np.empty(len(keys), SUMMARY)
    records[left_at] = left.records
    in_left = np.zeros(len(keys), bool)
    in_left[left_at] = True
    both = in_left[right_at]
    records[right_at[~both]] = right.records[~both]
    shared = right_at[both]
    records[shared] = _merge_records(records[shared], right.records[both])
    return Summaries(keys, records)


def merge_all(several: Sequence[Summaries]) -> Summaries:
    """The summaries of all together: those of the same keys at once, in halves."""
    merged: list[Summaries] = []
    for keys, alike in groupby(sorted(several, key=_KEYS), key=_KEYS):
        # Records are copied as bytes: numpy copies them field by field.
        rows = [each.records.tobytes() for each in alike]
        left = len(rows)
        data = np.frombuffer(bytearray(b"".join(rows)), np.uint8).reshape(left, -1)
        while left > 1:
            half = left // 2
            low, high = data[:half].view(SUMMARY), data[left - half : left].view(SUMMARY)
            data[:half] = _merge_records(low, high).view(np.uint8)
            left -= half
        records = data[0].view(SUMMARY)
        merged.append(Summaries(keys, records))
    first, *others = merged
    for other in others:
        first = merge(first, other)
    return first


def _merge_records(left: Records, right: Records) -> Records:
    a: Any = left
    b: Any = right
    merged = left.copy()
    same_step = b["step"] == a["step"]
    same_time = same_step & (b["timestamp_ms"] == a["timestamp_ms"])
    with np.errstate(invalid="ignore"):
        greater = ~np.isnan(b["value"]) & (np.isnan(a["value"]) | (b["value"] > a["value"]))
        merged["min"] = np.fmin(a["min"], b["min"])
        merged["max"] = np.fmax(a["max"], b["max"])
    newer = (
        (b["step"] > a["step"])
        | (same_step & (b["timestamp_ms"] > a["timestamp_ms"]))
        | (same_time & greater)
    )
    for name in ("value", "step", "timestamp_ms"):
        merged[name] = np.where(newer, b[name], a[name])
    merged["count"] += b["count"]
    merged["nan_count"] += b["nan_count"]
    merged["first_step"] = np.minimum(a["first_step"], b["first_step"])
    return merged


def _value_range(
    values: Doubles, starts: Int64s, counts: Int64s
) -> tuple[Doubles, Doubles, Int64s]:
    """Least and greatest number of each series, NaN where there is none, and the count of NaN."""
    is_nan = np.isnan(values)
    if not is_nan.any():
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        return low, high, np.zeros(len(starts), np.int64)
    # Not by fmin and fmax: they answer NaN when one of the NaN is a signalling one.
    low = np.minimum.reduceat(np.where(is_nan, np.inf, values), starts)
    high = np.maximum.reduceat(np.where(is_nan, -np.inf, values), starts)
    nan_count = np.add.reduceat(is_nan, starts, dtype=np.int64)
    only_nan = nan_count == counts
    low[only_nan] = high[only_nan] = np.nan
    return low, high, nan_count


def _is_increasing(steps: Int64s, counts: Int64s, step_deltas: Deltas) -> bool:
    """Whether each series' steps increase strictly, as they mostly do."""
    if not ((step_deltas.low > 0) | (counts == 1)).all():
        return False
    return bool(steps.min() >= -_SAFE_STEP and steps.max() <= _SAFE_STEP)


def _extreme(points: Columns, starts: Int64s, counts: Int64s, *, greatest: bool) -> Int64s:
    """The index of each series' least or greatest point."""
    reduce: Any = np.maximum.reduceat if greatest else np.minimum.reduceat
    beyond = _INT64.min if greatest else _INT64.max
    tied = points.steps == np.repeat(reduce(points.steps, starts), counts)
    times = np.where(tied, points.timestamps_ms, beyond)
    tied &= points.timestamps_ms == np.repeat(reduce(times, starts), counts)
    at = np.flatnonzero(tied)
    if len(at) == len(starts):
        return at
    return _extreme_value(points.values, at, starts, greatest=greatest)


def _extreme_value(
    values: Doubles, at: NDArray[np.intp], starts: Int64s, *, greatest: bool
) -> Int64s:
    """Among the points ``at``, the index of each series' least or greatest value."""
    series = np.searchsorted(starts, at, side="right")
    candidates = values[at]
    is_number = ~np.isnan(candidates)
    order = np.lexsort((np.where(is_number, candidates, 0.0), is_number, series))
    ordered = series[order]
    if greatest:
        chosen = np.append(ordered[1:] != ordered[:-1], True)
    else:
        chosen = np.insert(ordered[1:] != ordered[:-1], 0, True)
    found: Int64s = at[order[chosen]]
    return found
