"""Merging summaries gives what the points of all batches together give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runstone_tracking import segment_encode
from runstone_tracking.model_metrics import Summaries
from runstone_tracking.segment_statistics import merge, merge_all
from support.metric_points import Point, batch, total_order

points = st.tuples(
    st.integers(-2, 2),
    st.integers(0, 2),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.5, -1.0]),
)
all_series = st.dictionaries(
    st.sampled_from("abcd"), st.lists(points, min_size=1, max_size=4), min_size=1
)


def _summaries(series: dict[str, list[Point]]) -> Summaries:
    return segment_encode.encode("r", "w", 1, batch(series)).summaries


def _plain(summaries: Summaries) -> list[object]:
    return [
        (key, total_order((record[1], record[2], record[0])), repr(record[3:]))
        for key, record in zip(summaries.keys, summaries.records.tolist(), strict=True)
    ]


@given(all_series, all_series)
def test_merge(left: dict[str, list[Point]], right: dict[str, list[Point]]) -> None:
    together = {key: left.get(key, []) + right.get(key, []) for key in {*left, *right}}
    before = _plain(_summaries(left))
    mine = _summaries(left)
    assert _plain(merge(mine, _summaries(right))) == _plain(_summaries(together))
    assert _plain(mine) == before


@given(st.lists(all_series, min_size=1, max_size=9))
def test_merge_all(several: list[dict[str, list[Point]]]) -> None:
    keys = {key for series in several for key in series}
    together = {key: [each for series in several for each in series.get(key, [])] for key in keys}
    mine = [_summaries(series) for series in several]
    before = [_plain(each) for each in mine]
    assert _plain(merge_all(mine)) == _plain(_summaries(together))
    assert [_plain(each) for each in mine] == before
