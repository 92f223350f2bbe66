"""Batches as segments; see ``segment`` for the format.

What is computed of series is computed of all series of some batches at once: numpy takes a
microsecond or more for each call, however few numbers it is given.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from runstone_tracking.model_metrics import (
    Append,
    Columns,
    Int64s,
    MetricBatch,
    NewSegment,
    Records,
)
from runstone_tracking.segment import ENTRY, PLAIN, ZSTD, header_of, name_block
from runstone_tracking.segment_planes import ITEM, compress, put_planes
from runstone_tracking.segment_statistics import (
    Deltas,
    Statistics,
    deltas,
    over_ranks,
    series_starts,
    statistics,
    summaries,
)

MIN_COMPRESSED = 64
"""Points worth a frame of zstd: below, its 10 µs cost more than the half kilobyte it saves."""

FRAME_POINTS = 4_096
"""Points of a frame, unless one series has more: whoever reads one series reads its frame."""

BUNCH_POINTS = 12_288
"""Points of batches that are encoded together: columns of more leave the processor's cache, and
malloc takes them from the kernel and gives them back each time."""

_DIGEST = 16
_WIDTHS = np.array([0, 1, 2, 4, 8], np.uint8)
_WIDTH_LIMITS = np.array([0, 2**8 - 1, 2**16 - 1, 2**32 - 1], np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """How series lie in frames, an item for each frame: its first series, series and points."""

    first: Int64s
    series: Int64s
    points: Int64s
    ends: list[int]
    """Behind the last frame of each batch."""


def encode(run_id: str, writer_id: str, sequence: int, batch: MetricBatch) -> NewSegment:
    """The segment of one batch."""
    [made] = encode_all([Append(run_id, writer_id, sequence, batch)])
    return made


def encode_all(appends: Sequence[Append]) -> list[NewSegment]:
    """The segment of each batch, with its digest and summaries."""
    return [made for together in _bunches(appends) for made in _encode_together(together)]


def _bunches(appends: Sequence[Append]) -> Iterator[list[Append]]:
    bunch: list[Append] = []
    points = 0
    for each in appends:
        points += len(each.batch.points)
        if bunch and points > BUNCH_POINTS:
            yield bunch
            bunch, points = [], len(each.batch.points)
        bunch.append(each)
    if bunch:
        yield bunch


def _encode_together(appends: Sequence[Append]) -> list[NewSegment]:
    batches = [each.batch for each in appends]
    whole = _joined(batches)
    starts = series_starts(whole.counts)
    step_deltas = deltas(whole.points.steps, starts, whole.counts)
    found = statistics(whole, starts, step_deltas)
    entries = _describe(whole, starts, found)
    records = summaries(whole, found)
    frames = _frames(batches, whole.counts)
    data = _encode_frames(whole, starts, step_deltas, frames, entries)
    made = []
    series = frame = 0
    for each, frame_end in zip(appends, frames.ends, strict=True):
        batch = each.batch
        end = series + len(batch.names)
        keys = name_block(batch.names)
        made.append(
            NewSegment(
                each.run_id,
                each.writer_id,
                each.sequence,
                _digest(batch, keys),
                len(batch.points),
                header_of(keys, entries[series:end]),
                b"".join(data[frame:frame_end]),
                over_ranks(batch.names, records[series:end]),
            )
        )
        series, frame = end, frame_end
    return made


def _joined(batches: Sequence[MetricBatch]) -> MetricBatch:
    """All series of all batches; only of one batch do they have names."""
    if len(batches) == 1:
        return batches[0]
    points = [batch.points for batch in batches]
    return MetricBatch(
        (),
        np.concatenate([batch.counts for batch in batches]),
        Columns(
            np.concatenate([each.steps for each in points]),
            np.concatenate([each.timestamps_ms for each in points]),
            np.concatenate([each.values for each in points]),
        ),
    )


def _describe(whole: MetricBatch, starts: Int64s, found: Statistics) -> Records:
    points = whole.points
    entries = np.zeros(len(starts), ENTRY)
    entries["count"] = whole.counts
    entries["nan_count"] = found.nan_count
    entries["step"] = points.steps[starts]
    entries["timestamp_ms"] = points.timestamps_ms[starts]
    for name, at in (("first", found.first), ("last", found.last)):
        entries[f"{name}_step"] = points.steps[at]
        entries[f"{name}_timestamp_ms"] = points.timestamps_ms[at]
        entries[f"{name}_value"] = points.values[at]
    entries["min_timestamp_ms"] = found.min_timestamp_ms
    entries["max_timestamp_ms"] = found.max_timestamp_ms
    entries["min_value"] = found.min_value
    entries["max_value"] = found.max_value
    return entries


def _frames(batches: Sequence[MetricBatch], counts: Int64s) -> _Frames:
    """Neighbouring series of a batch share a frame as long as they fit."""
    first: list[int] = []
    ends: list[int] = []
    at = 0
    for batch in batches:
        if len(batch.points) <= FRAME_POINTS:
            first.append(at)
        else:
            first += (at + place for place in _cuts(batch.counts))
        at += len(batch.names)
        ends.append(len(first))
    starts = np.array(first, np.int64)
    return _Frames(starts, np.diff(starts, append=at), np.add.reduceat(counts, starts), ends)


def _cuts(counts: Int64s) -> Iterator[int]:
    points = FRAME_POINTS
    for place, count in enumerate(counts.tolist()):
        points += count
        if points > FRAME_POINTS:
            yield place
            points = count


def _encode_frames(
    whole: MetricBatch, starts: Int64s, steps: Deltas, frames: _Frames, entries: Any
) -> list[bytes]:
    """The frames; fills in where each series lies and how it is encoded."""
    times = deltas(whole.points.timestamps_ms, starts, whole.counts)
    step_widths, time_widths = _widths(steps, frames), _widths(times, frames)
    step_rests = _rests(steps, starts, whole.counts) if step_widths.any() else None
    time_rests = _rests(times, starts, whole.counts) if time_widths.any() else None
    values = whole.points.values
    first_points = starts[frames.first]
    made: list[bytes] = []
    for start, count, step_width, time_width in zip(
        first_points.tolist(),
        frames.points.tolist(),
        step_widths.tolist(),
        time_widths.tolist(),
        strict=True,
    ):
        out = np.empty(count * (step_width + time_width + ITEM), np.uint8)
        end = start + count
        at = 0
        if step_width and step_rests is not None:
            at = put_planes(out, at, step_rests[start:end], step_width)
        if time_width and time_rests is not None:
            at = put_planes(out, at, time_rests[start:end], time_width)
        put_planes(out, at, values[start:end], ITEM)
        made.append(compress(out.data) if count >= MIN_COMPRESSED else out.tobytes())
    lengths = np.fromiter(map(len, made), np.int64, len(made))
    of_frame = {
        "offset": _offsets(lengths, frames.ends),
        "length": lengths,
        "crc": np.fromiter(map(crc32, made), np.int64, len(made)),
        "frame_points": frames.points,
        "encoding": np.where(frames.points >= MIN_COMPRESSED, ZSTD, PLAIN),
        "step_width": step_widths,
        "timestamp_width": time_widths,
    }
    for name, numbers in of_frame.items():
        entries[name] = np.repeat(numbers, frames.series)
    entries["at"] = starts - np.repeat(first_points, frames.series)
    entries["step_delta"] = steps.low
    entries["timestamp_delta"] = times.low
    return made


def _offsets(lengths: Int64s, ends: Sequence[int]) -> Int64s:
    """Where each frame lies in its own batch's payload."""
    places = series_starts(lengths)
    firsts = np.array([0, *ends[:-1]], np.int64)
    frames = np.diff(firsts, append=len(lengths))
    offsets: Int64s = places - np.repeat(places[firsts], frames)
    return offsets


def _widths(column: Deltas, frames: _Frames) -> Any:
    """Bytes that the differences above their series' least one take, for each frame."""
    spread = column.high.view(np.uint64) - column.low.view(np.uint64)
    widest = np.maximum.reduceat(spread, frames.first)
    return _WIDTHS[np.searchsorted(_WIDTH_LIMITS, widest)]


def _rests(column: Deltas, starts: Int64s, counts: Int64s) -> Any:
    """The differences above the least, which fit in as many bytes; zero for each first point."""
    rests = column.values.view(np.uint64) - np.repeat(column.low.view(np.uint64), counts)
    rests[starts] = 0
    return rests


def _digest(batch: MetricBatch, keys: bytes) -> bytes:
    """Tells batches apart at a fifth of the cost of a cryptographic hash of every point.

    It guards against a writer's mistake, not against a forger, who would harm only himself.
    """
    points = batch.points
    sums = struct.pack(
        "<3I",
        crc32(points.steps.data),
        crc32(points.timestamps_ms.data),
        crc32(points.values.data),
    )
    counts = batch.counts.astype("<i8").tobytes()
    return hashlib.blake2b(sums + counts + keys, digest_size=_DIGEST).digest()
