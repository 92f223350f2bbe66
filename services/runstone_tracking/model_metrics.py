"""Points of metrics as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.model import MetricSummary

Int64s = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points: three arrays of equal length."""

    steps: Int64s
    timestamps_ms: Int64s
    values: Doubles

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True, eq=False)
class MetricBatch:
    """The points of one AppendMetrics, series after series.

    ``keys`` are sorted by code point and distinct; series ``i`` is ``counts[i]`` consecutive
    points of ``points``, at least one, in the order sent.
    """

    keys: tuple[str, ...]
    counts: Int64s
    points: Columns


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A batch ready to be stored.

    ``(run_id, writer_id, sequence)`` is its identity; ``digest`` depends on the points alone.
    ``summaries`` has one entry per key, ordered by key.
    """

    run_id: str
    writer_id: str
    sequence: int
    digest: bytes
    points: int
    header: bytes
    payload: bytes
    summaries: tuple[MetricSummary, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Where one series of one segment lies, and what its points span.

    ``offset`` and ``length`` are bytes of the payload; ``entry`` is what decoding needs.
    """

    writer_id: str
    sequence: int
    offset: int
    length: int
    count: int
    min_timestamp_ms: int
    max_timestamp_ms: int
    entry: bytes
