"""Columns of equal length as one byte string, small before fast: what is packed once is kept.

    packed := version u8 | columns u8 | zero u16 | items u32 | crc32 u32 | column* | zstd frame*
    column := encoding u8 | width u8 | length of its frame u32 | first i64 | least difference i64

The CRC-32 is of all else. A column is one of

    INTEGERS  differences above the least one, in as few bytes (0, 1, 2, 4, 8) as the greatest takes
    DOUBLES   the doubles whole
    FLOATS    doubles that hold float32 values, as most losses do: differences of the float32's
              bits, modulo 2**32, with the sign moved to the lowest bit

each in byte planes: the first bytes of all items, then all second bytes, and so on. A column has a
frame of its own, for zstd codes 128 KiB with one table: a frame for all of a chunk's columns is 4 %
larger. Everything is little-endian, and every bit of a double is kept.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import zstandard
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from runstone_tracking.model_metrics import Doubles, Int64s
from runstone_tracking.segment_planes import (
    SegmentCorrupt,
    decompress,
    join_planes,
    put_planes,
    take_planes,
)

VERSION = 1

LEVEL = 1
"""zstd: of float32 losses 2.7 bytes a value against 3.0 of level -1, at 5 to 7 ns; 3 gains nothing
but takes three times as long."""

_INTEGERS = 0
_DOUBLES = 1
_FLOATS = 2

_ITEM = 8
_FLOAT = 4

_HEAD = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
_COLUMN = struct.Struct("<BBIqq")
_TAIL_AT = _HEAD.size + _CRC.size

_WIDTHS = (0, 1, 2, 4, 8)


class _Compressor(threading.local):
    """A zstd context is costly to make and must not be shared by threads."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=LEVEL).compress


_compressor = _Compressor()


def pack(columns: Sequence[Int64s | Doubles]) -> bytes:
    """The columns, int64 or float64, of one length above 0, as bytes for ``unpack``.

    Example:
        >>> steps, values = unpack(pack([np.arange(3), np.array([0.5, -0.0, np.nan])]))
        >>> steps.tolist(), values.tolist()
        ([0, 1, 2], [0.5, -0.0, nan])
    """
    count = len(columns[0])
    heads, frames = zip(*(_described(column) for column in columns), strict=True)
    tail = b"".join(heads) + b"".join(frames)
    head = _HEAD.pack(VERSION, len(columns), 0, count)
    return head + _CRC.pack(crc32(tail, crc32(head))) + tail


def unpack(data: bytes) -> list[Any]:
    """The columns of ``pack``, int64 or float64. Raises SegmentCorrupt."""
    if len(data) < _TAIL_AT:
        raise SegmentCorrupt(f"packed columns have {len(data)} bytes")
    version, number, _, count = _HEAD.unpack_from(data)
    if version != VERSION:
        raise SegmentCorrupt(f"packed columns have version {version}")
    crc = crc32(memoryview(data)[_TAIL_AT:], crc32(data[: _HEAD.size]))
    if (crc,) != _CRC.unpack_from(data, _HEAD.size):
        raise SegmentCorrupt("packed columns are damaged")
    at = _TAIL_AT + number * _COLUMN.size
    columns = []
    for encoding, width, length, first, least in _COLUMN.iter_unpack(data[_TAIL_AT:at]):
        size = width * (count - 1 if encoding == _INTEGERS else count)
        planes = np.frombuffer(decompress(data[at : at + length], size) if size else b"", np.uint8)
        columns.append(_column(encoding, count, planes, width, first, least))
        at += length
    return columns


def _described(column: Any) -> tuple[bytes, bytes]:
    """The column's head and frame."""
    if column.dtype != np.float64:
        return _integers(column)
    floats = _as_floats(column)
    if floats is not None:
        frame = _compressor.compress(_planes(floats, _FLOAT))
        return _COLUMN.pack(_FLOATS, _FLOAT, len(frame), 0, 0), frame
    frame = _compressor.compress(_planes(column.view(np.uint64), _ITEM))
    return _COLUMN.pack(_DOUBLES, _ITEM, len(frame), 0, 0), frame


def _integers(column: Int64s) -> tuple[bytes, bytes]:
    rests = np.diff(column)
    low = int(rests.min()) if len(rests) else 0
    high = int(rests.max()) if len(rests) else 0
    width = next(width for width in _WIDTHS if high - low < 1 << 8 * width)
    frame = b""
    if width:
        # Modulo 2**64, so that a difference above the least one fits whatever the range.
        above = rests.view(np.uint64) - np.array(low, np.int64).view(np.uint64)
        frame = _compressor.compress(_planes(above, width))
    return _COLUMN.pack(_INTEGERS, width, len(frame), int(column[0]), low), frame


def _planes(items: NDArray[np.uint64], width: int) -> memoryview:
    out = np.empty(len(items) * width, np.uint8)
    put_planes(out, 0, items, width)
    return out.data


def _as_floats(column: Doubles) -> NDArray[np.uint64] | None:
    """The differences of a column that float32 holds bit for bit; else None."""
    # Most that are none are told by the first value.
    if not _is_float(column[:1]) or not _is_float(column):
        return None
    with np.errstate(all="ignore"):
        bits = column.astype(np.float32).view(np.uint32)
    rests = np.empty_like(bits)
    rests[0] = bits[0]
    np.subtract(bits[1:], bits[:-1], out=rests[1:])
    signs = (rests.view(np.int32) >> 31).view(np.uint32)
    return ((rests << 1) ^ signs).astype(np.uint64)


def _is_float(column: Doubles) -> bool:
    with np.errstate(all="ignore"):
        found = column.astype(np.float32).astype(np.float64)
    return np.array_equal(found.view(np.int64), column.view(np.int64))


def _column(
    encoding: int, count: int, planes: NDArray[np.uint8], width: int, first: int, least: int
) -> Any:
    if encoding == _INTEGERS and width in _WIDTHS:
        column = np.empty(count, np.int64)
        column[0] = first
        if width:
            rests = take_planes(planes, count - 1, width).view(np.int64)
            np.add(rests, np.int64(least), out=column[1:])
        else:
            column[1:] = least
        return np.cumsum(column, out=column)
    if encoding == _DOUBLES and width == _ITEM:
        return take_planes(planes, count, _ITEM).view(np.float64)
    if encoding == _FLOATS and width == _FLOAT:
        moved = join_planes(planes, count, _FLOAT, _FLOAT).view(np.uint32)
        rests = (moved >> 1) ^ (np.uint32(0) - (moved & 1))
        return np.cumsum(rests, dtype=np.uint32).view(np.float32).astype(np.float64)
    raise SegmentCorrupt(f"a column has encoding {encoding} and width {width}")
