"""Points of metrics as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.model import MetricSummary

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Doubles = NDArray[np.float64]
Records = NDArray[np.void]

NO_RANK = -1

RANK_MARK = "\t"
"""Between key and rank in the name of a series: no key has it, and it sorts below all they have."""

POINT_BYTES = 24

SERIES_POINTS = 10
"""What is said of a series takes about as much as so many points."""

SUMMARY = np.dtype(
    [
        ("value", "<f8"),
        ("step", "<i8"),
        ("timestamp_ms", "<i8"),
        ("min", "<f8"),
        ("max", "<f8"),
        ("count", "<i8"),
        ("nan_count", "<i8"),
        ("first_step", "<i8"),
    ]
)
"""MetricSummary as a numpy record. The latest point has the greatest step, so ``step`` is
``last_step`` too; ``min`` and ``max`` are NaN when every value is."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points: arrays of equal length. Without ``ranks`` no point has one, else NO_RANK says so."""

    steps: Int64s
    timestamps_ms: Int64s
    values: Doubles
    ranks: Int32s | None = None

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """Where a point stands in a history; ``rank`` is NO_RANK for a point without one."""

    timestamp_ms: int
    step: int
    value: float
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class MetricBatch:
    """The points of one AppendMetrics, series after series.

    ``names`` (see ``series_name``) are sorted by code point, distinct and without line feeds;
    series ``i`` is ``counts[i]`` consecutive points of ``points``, at least one, in the order sent.
    """

    names: tuple[str, ...]
    counts: Int64s
    points: Columns


@dataclass(frozen=True, slots=True, eq=False)
class Summaries:
    """Records of dtype SUMMARY, one for each of ``keys``, which are sorted by code point.

    A key's ranks are summarized together.
    """

    keys: tuple[str, ...]
    records: Records


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """A batch that is to be stored; ``(run_id, writer_id, sequence)`` is its identity."""

    run_id: str
    writer_id: str
    sequence: int
    batch: MetricBatch

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        batch = self.batch
        points = len(batch.points) + SERIES_POINTS * len(batch.names)
        return POINT_BYTES * points + sum(map(len, batch.names))


@dataclass(frozen=True, slots=True, eq=False)
class NewSegment:
    """A batch ready to be stored.

    ``(run_id, writer_id, sequence)`` is its identity; ``digest`` depends on the points alone.
    """

    run_id: str
    writer_id: str
    sequence: int
    digest: bytes
    points: int
    header: bytes
    payload: bytes
    summaries: Summaries

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.header) + len(self.payload) + self.summaries.records.nbytes


@dataclass(frozen=True, slots=True)
class Block:
    """Where the points of one series of one segment lie, and what decodes them.

    ``offset`` and ``length`` are bytes of the payload; ``entry`` is the header's record of it.
    """

    writer_id: str
    sequence: int
    offset: int
    length: int
    count: int
    min_timestamp_ms: int
    max_timestamp_ms: int
    entry: bytes
    rank: int = NO_RANK


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Whether a run is ``over``, ended or deleted, and how many points of each key were appended.

    A count rises with every batch that has points of its key, whatever is folded meanwhile.
    """

    over: bool
    counts: Mapping[str, int]


def series_name(key: str, rank: int = NO_RANK) -> str:
    """What names a series in its run. The names of one key are neighbours when sorted."""
    return key if rank == NO_RANK else f"{key}{RANK_MARK}{rank}"


def summary(key: str, record: tuple[float, int, int, float, float, int, int, int]) -> MetricSummary:
    """The summary of ``key`` from a SUMMARY record's items."""
    value, step, timestamp_ms, low, high, count, nan_count, first_step = record
    return MetricSummary(
        key, value, step, timestamp_ms, low, high, count, nan_count, first_step, step
    )
