"""The pyramid, against a plain loop over the points."""

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from runstone_tracking import chunk, pyramid
from runstone_tracking.model_metrics import Columns
from runstone_tracking.segment import SegmentCorrupt
from support.metric_points import Point, columns, points_of


def _same(left: float, right: float) -> bool:
    return struct.pack("<d", left) == struct.pack("<d", right)


def _check(node: Any, points: Sequence[Point]) -> None:
    values = [value for _, _, value in points]
    numbers = [value for value in values if not math.isnan(value)]
    assert _same(node["first"], values[0])
    assert _same(node["last"], values[-1])
    assert (node["first_step"], node["last_step"]) == (points[0][0], points[-1][0])
    times = [time for _, time, _ in points]
    assert (node["min_timestamp_ms"], node["max_timestamp_ms"]) == (min(times), max(times))
    assert (node["count"], node["nan_count"]) == (len(values), len(values) - len(numbers))
    if numbers:
        assert (node["min"], node["max"]) == (min(numbers), max(numbers))
    else:
        assert math.isnan(node["min"])
        assert math.isnan(node["max"])
    if {math.inf, -math.inf} <= set(numbers):
        assert math.isnan(node["sum"])
    else:
        assert node["sum"] == pytest.approx(sum(numbers), rel=1e-12, abs=1e-12)


def _points(seed: int, size: int) -> Columns:
    chosen = random.Random(seed)
    odd = [math.nan, math.inf, -math.inf, -0.0] if seed % 2 else [0.5]
    return chunk.in_order(
        columns(
            [
                (
                    chosen.randrange(size),
                    chosen.randrange(10**12),
                    chosen.choice(odd) if chosen.random() < 0.1 else chosen.uniform(-1, 1),
                )
                for _ in range(size)
            ]
        )
    )


@pytest.mark.parametrize("size", [1, 127, 128, 129, 8_193, 20_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_levels(seed: int, size: int) -> None:
    given = _points(seed, size)
    points = points_of(given)
    for level, nodes in enumerate(pyramid.levels(given)):
        span = pyramid.SIZES[level]
        stored = pyramid.encode_level(level, nodes)
        found = pyramid.decode_level(level, [stored])
        assert found.tobytes() == nodes.tobytes()
        assert len(found) == math.ceil(len(points) / span)
        for place, node in enumerate(found):
            _check(node, points[place * span : (place + 1) * span])


@pytest.mark.parametrize("seed", range(30))
def test_folds_of_any_runs(seed: int) -> None:
    chosen = random.Random(seed)
    given = _points(seed, 300)
    size = len(given)
    cuts = sorted(chosen.sample(range(1, size), chosen.randrange(1, 60)))
    nodes = pyramid.nodes_of(given, np.array([0, *cuts]))
    groups = sorted(chosen.sample(range(1, len(nodes)), chosen.randrange(len(nodes) - 1)))
    folded = pyramid.fold(nodes, np.array([0, *groups]))
    starts = [[0, *cuts][group] for group in [0, *groups]]
    points = points_of(given)
    for node, start, end in zip(folded, starts, [*starts[1:], size], strict=True):
        _check(node, points[start:end])


def test_only_nan() -> None:
    (node,) = pyramid.nodes_of(columns([(1, 2, math.nan), (2, 1, math.nan)]), np.array([0]))
    _check(node, [(1, 2, math.nan), (2, 1, math.nan)])
    assert node["sum"] == 0.0


def test_a_spike_is_in_every_level() -> None:
    points = columns([(step, step, 1.0) for step in range(20_000)])
    points.values[12_345] = 1e9
    for level, nodes in enumerate(pyramid.levels(points)):
        highest: Any = nodes["max"]
        assert highest.argmax() == 12_345 // pyramid.SIZES[level]
        assert highest.max() == 1e9


def test_steps_at_both_ends() -> None:
    """What a node spans may be more than an int64 holds."""
    sent = [(-(2**63), -(2**63), 0.5), (2**63 - 1, 2**63 - 1, 0.5)]
    nodes = pyramid.levels(columns(sent))[0]
    _check(pyramid.decode_level(0, [pyramid.encode_level(0, nodes)])[0], sent)


def test_neighbouring_chunks_are_read_at_once() -> None:
    given = _points(5, 3_000)
    chunks = list(chunk.parts(given, 1_024))
    for level in range(len(pyramid.SIZES)):
        stored = [pyramid.encode_level(level, pyramid.levels(part)[level]) for part in chunks]
        found = pyramid.decode_level(level, stored)
        assert int(found["count"].sum()) == len(given)
        assert len(pyramid.decode_level(level, [])) == 0
    with pytest.raises(SegmentCorrupt):
        pyramid.decode_level(1, [stored[0][:-1]])


def test_choose_level() -> None:
    assert pyramid.choose_level(1, 1) == 0
    assert pyramid.choose_level(128_000, 1_000) == 0
    assert pyramid.choose_level(128_001, 1_000) == 1
    assert pyramid.choose_level(1_024_001, 1_000) == 2
    assert pyramid.choose_level(10**9, 1_000) is None
