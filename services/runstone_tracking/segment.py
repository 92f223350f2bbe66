"""A metric batch as two byte strings: a header that describes it, a payload that holds it.

    header  := version u8 | flags u8 | zero u16 | series u32 | keys u32 | crc32 u32 | body
    body    := LF name LF name ... LF, "keys" bytes in all | one ENTRY per series
    name    := key | key TAB rank, sorted by code point
    payload := one block per series, at the entry's offset

A header body above 2 KiB is one zstd frame (flag 1); below, a key can be looked for in the header
as it is. The header's CRC-32 is of the body before compression, an entry's of its block as stored.

A block of few points is RAW: (step, timestamp, value) one point after the other. A longer one is
a zstd frame of three columns: steps and timestamps as differences above their least difference, in
as many bytes (0, 1, 2, 4 or 8) as the greatest takes; values whole. In each column the first bytes
of all items come first, then all second bytes, and so on, since the high bytes are alike.
Everything is little-endian, and every bit of a value is kept.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from typing import Any

import numpy as np
import zstandard
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from runstone_tracking.model_chunks import StoredSegment
from runstone_tracking.model_metrics import (
    NO_RANK,
    RANK_MARK,
    Block,
    Columns,
    Int64s,
    MetricBatch,
    NewSegment,
    Records,
    series_name,
)
from runstone_tracking.segment_statistics import (
    Deltas,
    Statistics,
    deltas,
    series_starts,
    statistics,
    summarize,
)

VERSION = 1

MIN_COMPRESSED = 64
"""Points of a series worth a frame: below, its 10 µs cost more than the kilobyte it saves."""

LEVEL = -1
"""zstd: level 1 takes twice as long for 0 to 7 % fewer bytes (of losses: 8 and 18 ns a point)."""

COMPRESSED_HEADER = 2_048
"""PostgreSQL keeps rows up to about 2 KiB in one piece, where compressing gains nothing."""

_POINT = 24
_ITEM = 8
_DIGEST = 16

_RAW = 0
_PLANES = 1
_FLAG_COMPRESSED = 1

_HEAD = struct.Struct("<BBHIII")

ENTRY = np.dtype(
    [
        ("count", "<u4"),
        ("nan_count", "<u4"),
        ("offset", "<u4"),
        ("length", "<u4"),
        ("crc", "<u4"),
        ("encoding", "u1"),
        ("step_width", "u1"),
        ("timestamp_width", "u1"),
        ("zero", "u1"),
        ("step", "<i8"),
        ("step_delta", "<i8"),
        ("timestamp_ms", "<i8"),
        ("timestamp_delta", "<i8"),
        ("first_step", "<i8"),
        ("first_timestamp_ms", "<i8"),
        ("first_value", "<f8"),
        ("last_step", "<i8"),
        ("last_timestamp_ms", "<i8"),
        ("last_value", "<f8"),
        ("min_timestamp_ms", "<i8"),
        ("max_timestamp_ms", "<i8"),
        ("min_value", "<f8"),
        ("max_value", "<f8"),
    ]
)
"""``step`` and ``timestamp_ms`` are the point's that was sent first; ``first`` and ``last`` are the
least and the greatest point by (step, timestamp, value)."""

_ENTRY = struct.Struct("<5I4B6qd2qd2q2d")
"""ENTRY as plain numbers: numpy takes a microsecond for each field of one record."""

_WIDTHS = np.array([0, 1, 2, 4, 8], np.uint8)
_WIDTH_LIMITS = np.array([0, 2**8 - 1, 2**16 - 1, 2**32 - 1], np.uint64)


class SegmentCorrupt(ValueError):
    """The stored bytes are not a segment that this code wrote, or not any more."""


class _Codecs(threading.local):
    """zstd contexts are costly to make and must not be shared by threads."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


def encode(run_id: str, writer_id: str, sequence: int, batch: MetricBatch) -> NewSegment:
    """The segment of a batch, with its digest and summaries."""
    starts = series_starts(batch.counts)
    step_deltas = deltas(batch.points.steps, starts, batch.counts)
    found = statistics(batch, starts, step_deltas)
    entries = _describe(batch, starts, found)
    payload = _encode_blocks(batch, starts, step_deltas, entries)
    keys = _name_block(batch.names)
    return NewSegment(
        run_id,
        writer_id,
        sequence,
        _digest(batch, keys),
        len(batch.points),
        _encode_header(keys, entries),
        payload,
        summarize(batch, found),
    )


def find_blocks(
    writer_id: str, sequence: int, header: bytes, key: str, rank: int | None = None
) -> list[Block]:
    """Where the series of a key lie in the segment with this header: all, or that of one rank.

    Raises SegmentCorrupt.
    """
    body, name_bytes = _decode_header(header)
    found = []
    for pattern in key_patterns(key, rank):
        place = body.find(pattern, 0, name_bytes)
        while place >= 0:
            end = body.index(b"\n", place + 1, name_bytes)
            name = body[place + 1 : end].decode()
            at = name_bytes + body.count(b"\n", 0, place) * ENTRY.itemsize
            found.append(_block(writer_id, sequence, name, body[at : at + ENTRY.itemsize]))
            # The names of a key's ranks are neighbours: the next one begins where this one ends.
            place = end if body.startswith(pattern, end) and end + 1 < name_bytes else -1
    return found


def _block(writer_id: str, sequence: int, name: str, entry: bytes) -> Block:
    fields = _ENTRY.unpack(entry)
    rank = name.partition(RANK_MARK)[2]
    return Block(
        writer_id,
        sequence,
        offset=fields[2],
        length=fields[3],
        count=fields[0],
        min_timestamp_ms=fields[19],
        max_timestamp_ms=fields[20],
        entry=entry,
        rank=int(rank) if rank else NO_RANK,
    )


def step_range(block: Block) -> tuple[int, int]:
    """The first and the last step of a block's points."""
    fields = _ENTRY.unpack(block.entry)
    return fields[13], fields[16]


def key_patterns(key: str, rank: int | None = None) -> list[bytes]:
    """An uncompressed header has one of these if and only if its segment has such a series."""
    if rank is not None:
        return [_name_block((series_name(key, rank),))]
    return [_name_block((key,)), f"\n{key}{RANK_MARK}".encode()]


def is_compressed_prefix() -> bytes:
    """The first bytes of a header in which ``key_patterns`` cannot be looked for."""
    return bytes((VERSION, _FLAG_COMPRESSED))


def decode_block(block: Block, data: bytes) -> Columns:
    """The points of a block, in the order sent. Raises SegmentCorrupt."""
    return _ranked(block, _decoded(block, data))


def _decoded(block: Block, data: bytes) -> Columns:
    fields = _ENTRY.unpack(block.entry)
    count, crc, encoding, step_width, time_width = fields[0], *fields[4:8]
    if len(data) != block.length or crc32(data) != crc:
        raise SegmentCorrupt(
            f"block of {block.length} bytes at {block.offset} of segment "
            f"({block.writer_id}, {block.sequence}) is damaged"
        )
    if encoding == _RAW and len(data) == count * _POINT:
        return _decode_raw(data)
    if encoding == _PLANES and count and step_width <= _ITEM and time_width <= _ITEM:
        return _decode_planes(
            count, (step_width, *fields[9:11]), (time_width, *fields[11:13]), data
        )
    raise SegmentCorrupt(f"encoding {encoding} of {len(data)} bytes is not known")


def decode(stored: StoredSegment) -> list[tuple[str, Columns]]:
    """Every series of a segment: its name, and its points in the order sent, without ranks.

    Raises SegmentCorrupt.
    """
    body, name_bytes = _decode_header(stored.header)
    names = body[1 : name_bytes - 1].decode().split("\n")
    entries = np.frombuffer(body, ENTRY, offset=name_bytes)
    if len(names) != len(entries):
        raise SegmentCorrupt(f"header has {len(names)} names and {len(entries)} series")
    points = _whole_raw(entries, stored.payload)
    if points is not None:
        ends = np.cumsum(entries["count"], dtype=np.int64).tolist()
        places = zip([0, *ends], ends, strict=False)
        return [
            (name, _slice(points, start, end))
            for name, (start, end) in zip(names, places, strict=True)
        ]
    found = []
    for place, name in enumerate(names):
        at = name_bytes + place * ENTRY.itemsize
        block = _block(stored.writer_id, stored.sequence, name, body[at : at + ENTRY.itemsize])
        data = stored.payload[block.offset : block.offset + block.length]
        found.append((name, _decoded(block, data)))
    return found


def _whole_raw(entries: Any, payload: bytes) -> Columns | None:
    """The points of a segment of short series at once: each by itself takes 10 µs."""
    if entries["encoding"].any() or len(payload) != int(entries["length"].sum()):
        return None
    if not np.array_equal(entries["offset"], series_starts(entries["length"].astype(np.int64))):
        return None
    view = memoryview(payload)
    for offset, length, crc in entries[["offset", "length", "crc"]].tolist():
        if crc32(view[offset : offset + length]) != crc:
            return None
    return _decode_raw(payload) if len(payload) == entries["count"].sum() * _POINT else None


def _slice(points: Columns, start: int, end: int) -> Columns:
    return Columns(
        points.steps[start:end], points.timestamps_ms[start:end], points.values[start:end]
    )


def _ranked(block: Block, points: Columns) -> Columns:
    if block.rank == NO_RANK:
        return points
    ranks = np.full(len(points), block.rank, np.int32)
    return Columns(points.steps, points.timestamps_ms, points.values, ranks)


def _name_block(names: tuple[str, ...]) -> bytes:
    return ("\n" + "\n".join(names) + "\n").encode()


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


def _describe(batch: MetricBatch, starts: Int64s, found: Statistics) -> Records:
    points = batch.points
    entries = np.zeros(len(starts), ENTRY)
    entries["count"] = batch.counts
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


def _encode_header(keys: bytes, entries: Records) -> bytes:
    body = keys + entries.tobytes()
    crc = crc32(body)
    flags = 0
    if len(body) > COMPRESSED_HEADER:
        flags = _FLAG_COMPRESSED
        body = _codecs.compress(body)
    return _HEAD.pack(VERSION, flags, 0, len(entries), len(keys), crc) + body


def _decode_header(header: bytes) -> tuple[bytes, int]:
    """The body, uncompressed, and how many bytes of it are keys."""
    if len(header) < _HEAD.size:
        raise SegmentCorrupt(f"header has {len(header)} bytes")
    version, flags, _, series, key_bytes, crc = _HEAD.unpack_from(header)
    if version != VERSION or flags > _FLAG_COMPRESSED:
        raise SegmentCorrupt(f"header has version {version} and flags {flags}")
    size = key_bytes + series * ENTRY.itemsize
    body = header[_HEAD.size :]
    if flags & _FLAG_COMPRESSED:
        body = decompress(body, size)
    if len(body) != size or crc32(body) != crc:
        raise SegmentCorrupt("header is damaged")
    return body, key_bytes


def _encode_blocks(
    batch: MetricBatch, starts: Int64s, step_deltas: Deltas, entries: Records
) -> bytes:
    """The payload; fills in where each block lies and how it is encoded."""
    large = batch.counts >= MIN_COMPRESSED
    parts = [] if large.all() else [_encode_raw(batch, entries)]
    if large.any():
        frames = _encode_frames(batch, starts, step_deltas, entries, large)
        lengths = np.fromiter(map(len, frames), np.int64, len(frames))
        entries["offset"][large] = series_starts(lengths) + sum(map(len, parts))
        entries["length"][large] = lengths
        entries["crc"][large] = [crc32(frame) for frame in frames]
        entries["encoding"][large] = _PLANES
        parts += frames
    return b"".join(parts)


def _encode_frames(
    batch: MetricBatch, starts: Int64s, steps: Deltas, entries: Any, large: NDArray[np.bool_]
) -> list[bytes]:
    """The frames of the large series. Loops over plain numbers: numpy's scalars cost 1 µs each."""
    times = deltas(batch.points.timestamps_ms, starts, batch.counts)
    _choose_widths(entries, "step", steps)
    _choose_widths(entries, "timestamp", times)
    step_rests, time_rests, values = _rests(steps), _rests(times), batch.points.values
    frames = []
    for start, count, step_width, step_low, time_width, time_low in zip(
        starts[large].tolist(),
        batch.counts[large].tolist(),
        entries["step_width"][large].tolist(),
        steps.low[large].view(np.uint64),
        entries["timestamp_width"][large].tolist(),
        times.low[large].view(np.uint64),
        strict=True,
    ):
        out = np.empty((count - 1) * (step_width + time_width) + count * _ITEM, np.uint8)
        end = start + count
        at = 0
        if step_width:
            at = put_planes(out, at, step_rests[start + 1 : end] - step_low, step_width)
        if time_width:
            at = put_planes(out, at, time_rests[start + 1 : end] - time_low, time_width)
        put_planes(out, at, values[start:end], _ITEM)
        frames.append(_codecs.compress(out.data))
    return frames


def _rests(column: Deltas) -> NDArray[np.uint64]:
    """Unsigned, so that a difference above the least one fits whatever the range."""
    return column.values.view(np.uint64)


def _encode_raw(batch: MetricBatch, entries: Any) -> bytes:
    small = batch.counts < MIN_COMPRESSED
    points = batch.points
    columns = (points.steps, points.timestamps_ms, points.values.view(np.int64))
    if not small.all():
        mask = np.repeat(small, batch.counts)
        columns = (columns[0][mask], columns[1][mask], columns[2][mask])
    table = np.empty((len(columns[0]), 3), "<i8")
    for index, column in enumerate(columns):
        table[:, index] = column
    data = table.tobytes()
    lengths = batch.counts[small] * _POINT
    offsets = series_starts(lengths)
    view = memoryview(data)
    sums = [
        crc32(view[start : start + length])
        for start, length in zip(offsets.tolist(), lengths.tolist(), strict=True)
    ]
    entries["offset"][small] = offsets
    entries["length"][small] = lengths
    entries["crc"][small] = sums
    return data


def _decode_raw(data: bytes) -> Columns:
    table = np.frombuffer(data, "<i8").reshape(-1, 3)
    return Columns(
        np.ascontiguousarray(table[:, 0]),
        np.ascontiguousarray(table[:, 1]),
        np.ascontiguousarray(table[:, 2]).view(np.float64),
    )


def _choose_widths(entries: Any, name: str, column: Deltas) -> None:
    spread = column.high.view(np.uint64) - column.low.view(np.uint64)
    entries[f"{name}_width"] = _WIDTHS[np.searchsorted(_WIDTH_LIMITS, spread)]
    entries[f"{name}_delta"] = column.low


def _decode_planes(
    count: int, steps: tuple[int, int, int], times: tuple[int, int, int], data: bytes
) -> Columns:
    times_at = (count - 1) * steps[0]
    values_at = times_at + (count - 1) * times[0]
    planes = np.frombuffer(decompress(data, values_at + count * _ITEM), np.uint8)
    return Columns(
        _take_deltas(planes[:times_at], count, *steps),
        _take_deltas(planes[times_at:values_at], count, *times),
        take_planes(planes[values_at:], count, _ITEM).view(np.float64),
    )


def _take_deltas(
    planes: NDArray[np.uint8], count: int, width: int, first: int, delta: int
) -> Int64s:
    column = np.empty(count, np.int64)
    if width:
        np.add(take_planes(planes, count - 1, width).view(np.int64), delta, out=column[1:])
    else:
        column[1:] = delta
    column[0] = first
    return np.cumsum(column, out=column)


def put_planes(out: NDArray[np.uint8], at: int, column: NDArray[Any], width: int) -> int:
    """Write the low ``width`` bytes of each item of ``column`` to ``out[at:]``; returns the end."""
    count = len(column)
    end = at + count * width
    if width == 1:
        out[at:end] = column
    else:
        planes = out[at:end].reshape(width, count)
        planes[...] = column.view(np.uint8).reshape(count, _ITEM).T[:width]
    return end


def take_planes(planes: NDArray[np.uint8], count: int, width: int) -> NDArray[np.uint64]:
    """The inverse of put_planes."""
    if width == 1:
        return planes.astype(np.uint64)
    return join_planes(planes, count, width, _ITEM).view(np.uint64)


def join_planes(planes: NDArray[np.uint8], count: int, width: int, size: int) -> NDArray[np.uint8]:
    """The bytes of items of ``size`` bytes whose low ``width`` bytes are planes."""
    items = (
        np.empty((count, size), np.uint8) if width == size else np.zeros((count, size), np.uint8)
    )
    # Plane by plane: numpy takes five times as long for the transpose as a whole.
    for place, plane in enumerate(planes.reshape(width, count)):
        items[:, place] = plane
    return items.reshape(-1)


def decompress(data: bytes, size: int) -> bytes:
    """The content of a frame that must be ``size`` bytes; asked before memory is taken for it."""
    try:
        if zstandard.frame_content_size(data) == size:
            return _codecs.decompress(data)
    except zstandard.ZstdError as error:
        raise SegmentCorrupt(f"zstd: {error}") from error
    raise SegmentCorrupt(f"a frame does not hold the {size} bytes it should")
