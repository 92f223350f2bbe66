"""A metric batch as two byte strings: a header that describes it, a payload that holds it.

    header  := version u8 | flags u8 | zero u16 | series u32 | keys u32 | crc32 u32 | body
    body    := LF name LF name ... LF, "keys" bytes in all | one ENTRY per series
    name    := key | key TAB rank, sorted by code point
    payload := frames, each of one or more neighbouring series, at the offset that their entries say
    frame   := steps | timestamps | values, three columns of all its points, series after series

A header body above 2 KiB is one zstd frame (flag 1); below, a key can be looked for in the header
as it is. The header's CRC-32 is of what stands before it and of the body before compression, an
entry's of its frame as stored.

The columns are planes (see ``segment_planes``). Of steps and timestamps they have the differences
above the least difference of the series, in as many bytes (0, 1, 2, 4 or 8) as the greatest of the
frame takes; at a series' first point, which its entry has, a zero. Values are whole. A frame of few
points is PLAIN, a longer one ZSTD.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from runstone_tracking.model_chunks import StoredSegment
from runstone_tracking.model_metrics import (
    NO_RANK,
    RANK_MARK,
    Block,
    Columns,
    Doubles,
    Int64s,
    Records,
    series_name,
)
from runstone_tracking.segment_planes import ITEM, SegmentCorrupt, compress, decompress, take_planes

Planes: TypeAlias = NDArray[np.uint8]

VERSION = 2

COMPRESSED_HEADER = 2_048
"""PostgreSQL keeps rows up to about 2 KiB in one piece, where compressing gains nothing."""

MAX_HEADER = 64 * 1024 * 1024
"""Of a body; the largest batch has 4 MiB of keys and 1.5 of entries."""

PLAIN = 0
ZSTD = 1

_FLAG_COMPRESSED = 1

_HEAD = struct.Struct("<BBHII")
_CRC = struct.Struct("<I")

ENTRY = np.dtype(
    [
        ("count", "<u4"),
        ("nan_count", "<u4"),
        ("offset", "<u4"),
        ("length", "<u4"),
        ("crc", "<u4"),
        ("frame_points", "<u4"),
        ("at", "<u4"),
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
"""``offset`` to ``crc`` are the frame's, which holds ``frame_points``; ``at`` tells which of them
is the series' first. ``step`` and ``timestamp_ms`` are those of the point that was sent first;
``first`` and ``last`` are the least and the greatest point by (step, timestamp, value)."""

_ENTRY = struct.Struct("<7I4B6qd2qd2q2d")
"""ENTRY as plain numbers: numpy takes a microsecond for each field of one record."""


_NOTHING = np.empty(0, np.uint8)

_FIRSTS = ("step", "timestamp_ms")
_LOWS = ("step_delta", "timestamp_delta")


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
        min_timestamp_ms=fields[21],
        max_timestamp_ms=fields[22],
        entry=entry,
        rank=int(rank) if rank else NO_RANK,
    )


def step_range(block: Block) -> tuple[int, int]:
    """The first and the last step of a block's points."""
    fields = _ENTRY.unpack(block.entry)
    return fields[15], fields[18]


def key_patterns(key: str, rank: int | None = None) -> list[bytes]:
    """An uncompressed header has one of these if and only if its segment has such a series."""
    if rank is not None:
        return [name_block((series_name(key, rank),))]
    return [name_block((key,)), f"\n{key}{RANK_MARK}".encode()]


def flags_of_compressed() -> bytes:
    """The second byte of a header in which ``key_patterns`` cannot be looked for."""
    return bytes((_FLAG_COMPRESSED,))


def decode_blocks(blocks: Sequence[Block], data: Sequence[bytes]) -> list[Columns]:
    """The points of each block, in the order sent; ``data`` has the frame of each.

    A frame that comes again, as the same object, is not opened again. Raises SegmentCorrupt.
    """
    found = []
    last: bytes | None = None
    planes = _NOTHING
    for block, frame in zip(blocks, data, strict=True):
        place = _place(block.entry)
        if frame is not last:
            where = f"frame at {block.offset} of segment ({block.writer_id}, {block.sequence})"
            planes = _opened(frame, place, where)
            last = frame
        found.append(_ranked(block, _series(planes, place)))
    return found


def decode(stored: StoredSegment) -> list[tuple[str, Columns]]:
    """Every series of a segment: its name, and its points in the order sent, without ranks.

    Raises SegmentCorrupt.
    """
    body, name_bytes = _decode_header(stored.header)
    names = body[1 : name_bytes - 1].decode().split("\n")
    entries = np.frombuffer(body, ENTRY, offset=name_bytes)
    if len(names) != len(entries):
        raise SegmentCorrupt(f"header has {len(names)} names and {len(entries)} series")
    columns: list[Columns] = []
    for first in np.flatnonzero(entries["at"] == 0).tolist():
        place = _place(entries[first].tobytes())
        where = f"frame at {place.offset} of segment ({stored.writer_id}, {stored.sequence})"
        data = stored.payload[place.offset : place.offset + place.length]
        last = first + int(np.searchsorted(entries["offset"][first:], place.offset, "right"))
        columns += _all_series(_opened(data, place, where), place, entries[first:last])
    if len(columns) != len(names):
        raise SegmentCorrupt(f"frames hold {len(columns)} series and the header {len(names)}")
    return list(zip(names, columns, strict=True))


class _Place(NamedTuple):
    """Of an entry, what decodes it."""

    points: int
    offset: int
    length: int
    crc: int
    frame_points: int
    at: int
    encoding: int
    widths: tuple[int, int]
    firsts: tuple[int, int]
    lows: tuple[int, int]

    @property
    def size(self) -> int:
        """Bytes of the frame's columns."""
        return self.frame_points * (sum(self.widths) + ITEM)


def _place(entry: bytes) -> _Place:
    count, _, offset, length, crc, points, at, encoding, *rest = _ENTRY.unpack(entry)
    step_width, time_width, _, step, step_low, time, time_low = rest[:7]
    if at + count > points or max(step_width, time_width) > ITEM:
        raise SegmentCorrupt(f"an entry has {count} points at {at} of {points}")
    widths = (step_width, time_width)
    firsts, lows = (step, time), (step_low, time_low)
    return _Place(count, offset, length, crc, points, at, encoding, widths, firsts, lows)


def _opened(data: bytes, place: _Place, where: str) -> Planes:
    if len(data) != place.length or crc32(data) != place.crc:
        raise SegmentCorrupt(f"{where} of {place.length} bytes is damaged")
    if place.encoding == ZSTD:
        return np.frombuffer(decompress(data, place.size), np.uint8)
    if place.encoding == PLAIN and len(data) == place.size:
        return np.frombuffer(data, np.uint8)
    raise SegmentCorrupt(f"{where} has encoding {place.encoding} and {len(data)} bytes")


def _series(planes: Planes, place: _Place) -> Columns:
    """The points of one series of a frame."""
    columns = _columns(planes, place, place.at, place.at + place.points)
    found = []
    for rests, first, low in zip(columns[:2], place.firsts, place.lows, strict=True):
        column = np.empty(place.points, np.int64)
        column[1:] = low if rests is None else rests[1:] + low
        column[0] = first
        found.append(np.cumsum(column, out=column))
    return Columns(found[0], found[1], columns[2])


def _all_series(planes: Planes, place: _Place, entries: Any) -> list[Columns]:
    """The points of each series of a frame."""
    if place.points == place.frame_points:
        return [_series(planes, place)]
    counts = entries["count"].astype(np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    if ends[-1] != place.frame_points or not np.array_equal(entries["at"], starts):
        raise SegmentCorrupt(f"a frame has {place.frame_points} points and its series {ends[-1]}")
    columns = _columns(planes, place, 0, place.frame_points)
    found = []
    for rests, first, low in zip(columns[:2], _FIRSTS, _LOWS, strict=True):
        column = np.repeat(entries[low], counts)
        if rests is not None:
            column += rests
        column[starts] = 0
        np.cumsum(column, out=column)
        # Each series goes on where the one before ended; that is taken away again.
        column += np.repeat(entries[first] - column[starts], counts)
        found.append(column)
    steps, times, values = found[0], found[1], columns[2]
    return [
        Columns(steps[start:end], times[start:end], values[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _columns(
    planes: Planes, place: _Place, start: int, end: int
) -> tuple[Int64s | None, Int64s | None, Doubles]:
    """The points from ``start`` to ``end`` of a frame's columns; None for a column of no bytes."""
    points = place.frame_points
    found: list[Int64s | None] = []
    at = 0
    for width in (*place.widths, ITEM):
        column = planes[at : at + points * width].reshape(width, points)[:, start:end]
        found.append(take_planes(column, end - start, width).view(np.int64) if width else None)
        at += points * width
    assert found[2] is not None
    return found[0], found[1], found[2].view(np.float64)


def _ranked(block: Block, points: Columns) -> Columns:
    if block.rank == NO_RANK:
        return points
    ranks = np.full(len(points), block.rank, np.int32)
    return Columns(points.steps, points.timestamps_ms, points.values, ranks)


def name_block(names: tuple[str, ...]) -> bytes:
    """How names stand in a header's body."""
    return ("\n" + "\n".join(names) + "\n").encode()


def header_of(keys: bytes, entries: Records) -> bytes:
    """The header of a ``name_block`` and its entries."""
    body = keys + entries.tobytes()
    flags = _FLAG_COMPRESSED if len(body) > COMPRESSED_HEADER else 0
    head = _HEAD.pack(VERSION, flags, 0, len(entries), len(keys))
    stored = compress(body) if flags else body
    return head + _CRC.pack(crc32(body, crc32(head))) + stored


def _decode_header(header: bytes) -> tuple[bytes, int]:
    """The body, uncompressed, and how many bytes of it are keys."""
    at = _HEAD.size + _CRC.size
    if len(header) < at:
        raise SegmentCorrupt(f"header has {len(header)} bytes")
    version, flags, _, series, key_bytes = _HEAD.unpack_from(header)
    if version != VERSION or flags > _FLAG_COMPRESSED:
        raise SegmentCorrupt(f"header has version {version} and flags {flags}")
    size = key_bytes + series * ENTRY.itemsize
    if size > MAX_HEADER:
        raise SegmentCorrupt(f"header claims {size} bytes")
    body = decompress(header[at:], size) if flags else header[at:]
    (crc,) = _CRC.unpack_from(header, _HEAD.size)
    if len(body) != size or crc32(body, crc32(header[: _HEAD.size])) != crc:
        raise SegmentCorrupt("header is damaged")
    return body, key_bytes
