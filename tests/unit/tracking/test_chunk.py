"""Chunks: their order, duplicates, and what finds them."""

import math
import random
import struct

import numpy as np
import pytest

from runstone_tracking import chunk, chunk_columns
from runstone_tracking.model_metrics import Columns
from runstone_tracking.segment import SegmentCorrupt
from support.metric_points import Point, bits, columns, points_of

PAYLOAD: float = struct.unpack("<d", bytes.fromhex("efbeadde0000fc7f"))[0]
VALUES = [math.nan, PAYLOAD, math.inf, -math.inf, 0.0, -0.0, 0.25, 0.1]


def _place(point: Point) -> tuple[int, int, int]:
    return (*point[:2], struct.unpack("<q", struct.pack("<d", point[2]))[0])


def _points(seed: int, size: int) -> list[Point]:
    chosen = random.Random(seed)
    spread = chosen.choice([3, size, 2**62])
    return [
        (
            chosen.randint(-spread, spread),
            chosen.randint(0, 3),
            chosen.choice([*VALUES, chosen.random()]),
        )
        for _ in range(size)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_points_come_back_in_order_and_once(seed: int) -> None:
    sent = _points(seed, random.Random(seed).choice([1, 2, 20, 500]))
    found = chunk.encode(chunk.in_order(columns(sent)))
    expected = sorted({_place(point) for point in sent})
    stored = points_of(chunk.decode(found.payload))
    assert [_place(point) for point in stored] == expected
    assert bits(stored) == bits(points_of(chunk.in_order(columns(stored))))
    assert found.count == len(expected)
    assert (found.first, found.last) == (expected[0], expected[-1])
    times = [time for _, time, _ in expected]
    assert (found.min_timestamp_ms, found.max_timestamp_ms) == (min(times), max(times))


def test_parts_fill_chunks() -> None:
    points = columns([(step, step, 0.5) for step in range(25)])
    assert [len(part) for part in chunk.parts(points, 10)] == [10, 10, 5]
    joined = [point for part in chunk.parts(points, 10) for point in points_of(part)]
    assert joined == points_of(points)
    assert [len(part) for part in chunk.parts(points, 25)] == [25]


def test_extreme_steps() -> None:
    sent = [(-(2**63), 0, 0.5), (0, 2**63 - 1, 0.5), (2**63 - 1, -(2**63), 0.5)]
    found = chunk.decode(chunk.encode(chunk.in_order(columns(sent))).payload)
    assert points_of(found) == sent


def test_columns_of_something_else() -> None:
    with pytest.raises(SegmentCorrupt, match="2 columns"):
        chunk.decode(chunk_columns.pack([np.arange(3), np.arange(3)]))


def test_a_full_chunk_of_losses() -> None:
    chosen = np.random.default_rng(3)
    count = chunk.MAX_POINTS
    noise = chosen.normal(0, 0.02, count)
    losses = (2 * np.exp(-np.arange(count) / 20_000) + 0.1 + noise).astype(np.float32)
    times = 1_700_000_000_000 + np.cumsum(chosen.integers(10, 201, count))
    points = Columns(np.arange(count), times, losses.astype(np.float64))
    found = chunk.decode(chunk.encode(chunk.in_order(points)).payload)
    assert found.values.tobytes() == points.values.tobytes()
    assert found.timestamps_ms.tolist() == times.tolist()
