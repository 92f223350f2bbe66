"""What charts of metrics ask for and get."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runstone_tracking.model_metrics import Records


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
    """One series: a record of dtype ``pyramid.NODE`` for each bucket that holds a point."""

    run_id: str
    key: str
    rank: int
    nodes: Records
