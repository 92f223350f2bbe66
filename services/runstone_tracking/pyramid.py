"""The pyramid of a series: what runs of its points span, so that a chart reads nodes, not points.

A chunk has a node for every 128 of its points, for every 1,024, and for every 8,192; the last node
of a level spans what is left. Each level is stored apart, so a look reads one:

    level 0, packed   0.15 to 0.33 bytes a point, 0.3 ms to decode for a whole chunk
    level 1 and 2     records as they are, 0.09: read across chunks at once, undecoded

Nodes of neighbouring points, of any level and number, ``fold`` into one; so a bucket of a chart
is a fold, and no point's value is ever outside its bucket's min and max.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.chunk_columns import pack, unpack
from runstone_tracking.model_metrics import Columns, Int64s
from runstone_tracking.segment_planes import SegmentCorrupt

SIZES = (128, 1_024, 8_192)
"""Points of a node, by level, each eight times the one below: of losses 0.16, 0.08 and 0.01 bytes a
point. From 64 on they would be twice as much, and take a loss past 4 bytes a point in all."""

RAW_FROM = 1
"""The first level whose nodes are stored as they are."""

NODE = np.dtype(
    [
        ("first", "<f8"),
        ("last", "<f8"),
        ("min", "<f8"),
        ("max", "<f8"),
        ("sum", "<f8"),
        ("count", "<u4"),
        ("nan_count", "<u4"),
        ("first_step", "<i8"),
        ("last_step", "<i8"),
        ("min_timestamp_ms", "<i8"),
        ("max_timestamp_ms", "<i8"),
    ]
)
"""``first`` and ``last`` are values in a chunk's order, NaN included; ``min``, ``max`` and ``sum``
are of numbers only: NaN, NaN and 0.0 when there is none. The mean is sum / (count - nan_count).
A sum is NaN when there are infinities of both signs. The counts of a fold are of at most 2**32 - 1
points: sum them as int64 beyond that."""

Nodes = NDArray[np.void]
"""Records of dtype NODE, in the order of their points."""

NO_NODES: Nodes = np.empty(0, NODE)

_VALUES = ("first", "last", "min", "max", "sum")


def choose_level(points: int, most: int) -> int | None:
    """The finest level that has at most about ``most`` nodes for ``points`` points.

    None when the coarsest has more: read that one, and fold it.
    """
    for level, size in enumerate(SIZES):
        if points <= most * size:
            return level
    return None


def nodes_of(points: Columns, starts: Int64s) -> Nodes:
    """A node for each run of points that begins at one of ``starts``.

    Args:
        points: One or more, in a chunk's order.
        starts: Indexes of points, ascending and distinct, the first one 0.

    Example:
        >>> points = Columns(np.arange(4), np.arange(4), np.array([1.0, np.nan, 3.0, 5.0]))
        >>> nodes_of(points, np.array([0, 3]))[["max", "sum", "nan_count"]].tolist()
        [(3.0, 4.0, 1), (5.0, 5.0, 0)]
    """
    values, times = points.values, points.timestamps_ms
    ends = _ends(starts, len(points))
    is_nan = np.isnan(values)
    found = np.empty(len(starts), NODE)
    found["first"] = values[starts]
    found["last"] = values[ends]
    found["min"] = np.fmin.reduceat(values, starts)
    found["max"] = np.fmax.reduceat(values, starts)
    if is_nan.any():
        found["nan_count"] = np.add.reduceat(is_nan.astype(np.int64), starts)
        values = np.where(is_nan, 0.0, values)
    else:
        found["nan_count"] = 0
    found["sum"] = _sums(values, starts)
    found["count"] = ends - starts + 1
    found["first_step"] = points.steps[starts]
    found["last_step"] = points.steps[ends]
    found["min_timestamp_ms"] = np.minimum.reduceat(times, starts)
    found["max_timestamp_ms"] = np.maximum.reduceat(times, starts)
    return found


def fold(nodes: Nodes, starts: Int64s) -> Nodes:
    """A node for each run of nodes that begins at one of ``starts``.

    Args:
        nodes: One or more, of neighbouring points in a chunk's order; levels may be mixed.
        starts: Indexes of nodes, ascending and distinct, the first one 0.

    Example:
        >>> points = Columns(np.arange(4), np.arange(4), np.array([1.0, 9.0, 3.0, 5.0]))
        >>> by_two = nodes_of(points, np.array([0, 2]))
        >>> fold(by_two, np.array([0]))[["first", "last", "max", "sum"]].tolist()
        [(1.0, 5.0, 9.0, 18.0)]
    """
    given: Any = nodes
    ends = _ends(starts, len(nodes))
    found = np.empty(len(starts), NODE)
    for name in ("first", "first_step"):
        found[name] = given[name][starts]
    for name in ("last", "last_step"):
        found[name] = given[name][ends]
    found["min"] = np.fmin.reduceat(given["min"], starts)
    found["max"] = np.fmax.reduceat(given["max"], starts)
    found["sum"] = _sums(given["sum"], starts)
    for name in ("count", "nan_count"):
        found[name] = np.add.reduceat(given[name], starts)
    found["min_timestamp_ms"] = np.minimum.reduceat(given["min_timestamp_ms"], starts)
    found["max_timestamp_ms"] = np.maximum.reduceat(given["max_timestamp_ms"], starts)
    return found


def levels(points: Columns) -> list[Nodes]:
    """The nodes of one chunk, a level for each of SIZES; its points in order."""
    found = [nodes_of(points, np.arange(0, len(points), SIZES[0]))]
    for below, size in pairwise(SIZES):
        found.append(fold(found[-1], np.arange(0, len(found[-1]), size // below)))
    return found


def encode_level(level: int, nodes: Nodes) -> bytes:
    """What is stored of a level of one chunk."""
    if level >= RAW_FROM:
        return nodes.tobytes()
    given: Any = nodes
    return pack(
        [
            *(np.ascontiguousarray(given[name]) for name in _VALUES),
            *(given[name].astype(np.int64) for name in ("count", "nan_count", "first_step")),
            given["last_step"] - given["first_step"],
            given["min_timestamp_ms"],
            given["max_timestamp_ms"] - given["min_timestamp_ms"],
        ]
    )


def decode_level(level: int, stored: Sequence[bytes]) -> Nodes:
    """The nodes of neighbouring chunks, one after the other; none for none.

    Raises SegmentCorrupt.
    """
    if level < RAW_FROM:
        return np.concatenate([NO_NODES, *map(_unpacked, stored)])
    if any(len(data) % NODE.itemsize for data in stored):
        raise SegmentCorrupt("a level of a chunk has a piece of a node")
    return np.frombuffer(b"".join(stored), NODE)


def _unpacked(data: bytes) -> Nodes:
    columns = unpack(data)
    names = NODE.names or ()
    if len(columns) != len(names):
        raise SegmentCorrupt(f"a level of a chunk has {len(columns)} columns")
    found = np.empty(len(columns[0]), NODE)
    for name, column in zip(names, columns, strict=True):
        found[name] = column
    found["last_step"] += found["first_step"]
    found["max_timestamp_ms"] += found["min_timestamp_ms"]
    return found


def _ends(starts: Int64s, count: int) -> Int64s:
    """The index of the last item of each run."""
    ends = np.empty(len(starts), np.int64)
    ends[:-1] = starts[1:] - 1
    ends[-1] = count - 1
    return ends


def _sums(values: Any, starts: Int64s) -> Any:
    # Infinities of both signs make NaN and huge doubles infinity, and numpy would warn of either.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.add.reduceat(values, starts)
