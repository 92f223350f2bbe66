"""What a live chart is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from runstone._entities.tracking import SampledSeries


@dataclass(frozen=True, slots=True)
class SeriesUpdate:
    """The buckets of one series that are new or have changed.

    Entry ``i`` of each column of ``series`` replaces bucket ``buckets[i]``; 0 is the first of the
    range. With ``whole`` the series has no other buckets any more.
    """

    series: SampledSeries
    buckets: list[int]
    whole: bool


@dataclass(frozen=True, slots=True)
class MetricUpdate:
    """What changed of a chart, all of it: with it the chart shows what ``sample_metrics`` would.

    ``buckets`` buckets divide the range from ``start`` to ``end``, which is in it; these are None
    while there is no point to tell a range by. ``reset``: another range than before, and all of the
    chart; forget the buckets it had.
    """

    reset: bool
    start: int | None
    end: int | None
    buckets: int
    series: list[SeriesUpdate] = field(default_factory=list)
