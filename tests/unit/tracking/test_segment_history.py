"""Histories: the order of points, duplicates, pieces."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runstone_tracking.segment_history import (
    MAX_CHUNK,
    NO_POINTS,
    concatenate,
    cut,
    ordered,
    split,
)
from support.metric_points import Point, bits, columns, points_of, total_order

points = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.integers(0, 4),
        st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]),
    ),
    max_size=20,
)


def _key(point: Point) -> tuple[int, tuple[int, int, bool, float]]:
    return (point[1], total_order(point))


@given(points)
def test_ordered(sent: list[Point]) -> None:
    found = points_of(ordered(columns(sent)))
    assert all(_key(left) <= _key(right) for left, right in pairwise(found))
    assert sorted(set(bits(sent))) == sorted(bits(found))


@given(points, st.integers(0, 5))
def test_split(sent: list[Point], time: int) -> None:
    before, after = split(columns(sent), time)
    assert bits(points_of(before)) == bits([point for point in sent if point[1] < time])
    assert bits(points_of(after)) == bits([point for point in sent if point[1] >= time])


def test_cut_and_concatenate() -> None:
    assert list(cut(NO_POINTS)) == []
    sent = columns([(i, i, float(i)) for i in range(MAX_CHUNK + 1)])
    pieces = list(cut(sent))
    assert [len(piece) for piece in pieces] == [MAX_CHUNK, 1]
    assert points_of(concatenate([NO_POINTS, *pieces])) == points_of(sent)
