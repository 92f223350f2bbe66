"""Columns of numbers as bytes: split into planes, and compressed.

The first bytes of all items come first, then all second bytes, and so on: the high bytes of
neighbours are alike, so a frame of zstd takes fewer bytes and less time. Everything is
little-endian, and every bit is kept.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

ITEM = 8
"""Bytes of an item before its high ones are left out."""

FAST_LEVEL = -1
"""zstd, while callers wait: level 1 takes twice as long for 0 to 7 % fewer bytes (of losses: 8 and
18 ns a point)."""


class SegmentCorrupt(ValueError):
    """The stored bytes are not what this code wrote, or not any more."""


class _Codecs(threading.local):
    """zstd contexts are costly to make and must not be shared by threads."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=FAST_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


def compress(data: Any) -> bytes:
    """A frame of FAST_LEVEL that holds ``data``, a buffer of bytes."""
    frame: bytes = _codecs.compress(data)
    return frame


def decompress(data: bytes, size: int) -> bytes:
    """The content of a frame that must be ``size`` bytes; asked before memory is taken for it.

    Raises SegmentCorrupt.
    """
    try:
        if zstandard.frame_content_size(data) == size:
            return _codecs.decompress(data)
    except zstandard.ZstdError as error:
        raise SegmentCorrupt(f"zstd: {error}") from error
    raise SegmentCorrupt(f"a frame does not hold the {size} bytes it should")


def put_planes(out: NDArray[np.uint8], at: int, column: NDArray[Any], width: int) -> int:
    """Write the low ``width`` bytes of each item of ``column`` to ``out[at:]``; returns the end."""
    count = len(column)
    end = at + count * width
    if width == 1:
        out[at:end] = column
    else:
        planes = out[at:end].reshape(width, count)
        planes[...] = column.view(np.uint8).reshape(count, ITEM).T[:width]
    return end


def take_planes(planes: NDArray[np.uint8], count: int, width: int) -> NDArray[np.uint64]:
    """The inverse of put_planes; ``planes`` may be rows of a wider array."""
    if width == 1:
        return planes.reshape(count).astype(np.uint64)
    return join_planes(planes, count, width, ITEM).view(np.uint64)


def join_planes(planes: NDArray[np.uint8], count: int, width: int, size: int) -> NDArray[np.uint8]:
    """The bytes of items of ``size`` bytes whose low ``width`` bytes are planes."""
    items = (
        np.empty((count, size), np.uint8) if width == size else np.zeros((count, size), np.uint8)
    )
    # Plane by plane: numpy takes five times as long for the transpose as a whole.
    for place, plane in enumerate(planes.reshape(width, count)):
        items[:, place] = plane
    return items.reshape(-1)
