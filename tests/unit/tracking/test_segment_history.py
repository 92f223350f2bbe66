"""Histories: the order of points, duplicates, pieces."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runstone_tracking.model_metrics import NO_RANK, Columns, HistoryPlace
from runstone_tracking.segment_history import (
    MAX_CHUNK,
    NO_POINTS,
    behind,
    concatenate,
    cut,
    ordered,
    split,
)
from support.metric_points import Point, bits, columns, points_of, total_order

VALUES = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]

points = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.integers(0, 4),
        st.sampled_from(VALUES),
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


@given(points, st.tuples(st.integers(-2, 2), st.integers(-1, 5), st.sampled_from(VALUES)))
def test_behind_a_place(sent: list[Point], place: Point) -> None:
    step, time, value = place
    found = behind(ordered(columns(sent)), HistoryPlace(time, step, value, NO_RANK))
    whole = points_of(ordered(columns([*sent, place])))
    [at] = [at for at, each in enumerate(bits(whole)) if each == bits([place])[0]]
    assert bits(points_of(found)) == bits(whole[at + 1 :])


def test_behind_a_place_of_a_rank() -> None:
    same = columns([(1, 1, 0.5)] * 3)
    ranked = Columns(
        same.steps, same.timestamps_ms, same.values, np.array([NO_RANK, 0, 7], np.int32)
    )
    for rank, left in ((NO_RANK, [0, 7]), (0, [7]), (3, [7]), (7, [])):
        found = behind(ranked, HistoryPlace(1, 1, 0.5, rank))
        assert found.ranks is not None
        assert found.ranks.tolist() == left


def test_cut_and_concatenate() -> None:
    assert list(cut(NO_POINTS)) == []
    sent = columns([(i, i, float(i)) for i in range(MAX_CHUNK + 1)])
    pieces = list(cut(sent))
    assert [len(piece) for piece in pieces] == [MAX_CHUNK, 1]
    assert points_of(concatenate([NO_POINTS, *pieces])) == points_of(sent)
