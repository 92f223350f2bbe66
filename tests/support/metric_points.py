"""Metric batches for tests: made from plain points, compared bit for bit."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

from runstone_tracking.model_metrics import Columns, MetricBatch

Point = tuple[int, int, float]
"""Step, timestamp in milliseconds, value."""


def columns(points: Sequence[Point]) -> Columns:
    """The points as columns, in the order given."""
    return Columns(
        np.array([point[0] for point in points], np.int64),
        np.array([point[1] for point in points], np.int64),
        np.array([point[2] for point in points], np.float64),
    )


def batch(series: Mapping[str, Sequence[Point]]) -> MetricBatch:
    """The batch with these series, by name."""
    keys = tuple(sorted(series))
    return MetricBatch(
        keys,
        np.array([len(series[key]) for key in keys], np.int64),
        columns([point for key in keys for point in series[key]]),
    )


def points_of(found: Columns) -> list[Point]:
    """The columns as points."""
    return list(
        zip(
            found.steps.tolist(),
            found.timestamps_ms.tolist(),
            found.values.tolist(),
            strict=True,
        )
    )


def bits(points: Sequence[Point]) -> list[tuple[int, int, bytes]]:
    """The points in a form that compares every bit, NaN and -0.0 included."""
    return [(step, time, struct.pack("<d", value)) for step, time, value in points]


def total_order(point: Point) -> tuple[int, int, bool, float]:
    """Sorts points of one series as "latest" does: NaN below every number."""
    step, time, value = point
    is_number = value == value  # noqa: PLR0124 - the definition of NaN
    return (step, time, is_number, value if is_number else 0.0)
