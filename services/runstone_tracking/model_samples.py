"""What charts of metrics ask for and get."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runstone_tracking.model_metrics import Int64s, Records


class Axis(Enum):
    """What buckets divide: steps, milliseconds since the start of the run, Unix milliseconds."""

    STEP = 1
    RELATIVE_TIME = 2
    WALL_TIME = 3


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """A checked SampleMetrics. ``ranks``: empty for all; ``start`` and ``end`` are in the range."""

    run_ids: tuple[str, ...]
    keys: tuple[str, ...]
    ranks: tuple[int, ...]
    buckets: int
    axis: Axis
    start: int | None
    end: int | None
    across_ranks: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """One series: a record of dtype ``pyramid.NODE`` for each bucket that holds a point.

    ``numbers`` are the buckets', ascending; that of the first bucket of the range is 0.
    """

    run_id: str
    key: str
    rank: int
    nodes: Records
    numbers: Int64s


@dataclass(frozen=True, slots=True)
class Grid:
    """``buckets`` divide the range from ``start`` to ``end``, which is in it."""

    start: int
    end: int
    buckets: int


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What a watcher is told next; the fields are those of WatchMetricsResponse."""

    reset: bool = False
    grid: Grid | None = None
    changed: Sampled | None = None
    whole: bool = False
    complete: bool = False
