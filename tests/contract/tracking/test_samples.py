"""What charts are told of series, beside a plain evaluator."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from runstone_tracking import service_samples
from runstone_tracking.errors import RunNotFound
from runstone_tracking.model_samples import Axis, Sampled, SampleQuery
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from support.compaction import Writer, fold
from support.metric_points import Point
from support.tracking import add_run, run_id

INT64 = 2**63


def sample(transactions: SqlTransactions, runs: Sequence[str], **how: Any) -> list[Sampled]:
    asked: dict[str, Any] = {
        "keys": ("k",), "ranks": (), "buckets": 10, "axis": Axis.STEP, "start": None, "end": None,
        "across_ranks": False,
    } | how  # fmt: skip
    return list(MetricService(transactions).sample(SampleQuery(tuple(runs), **asked)))


def expected(points: Sequence[Point], start: int, end: int, buckets: int, column: int = 0) -> Any:
    """By bucket: first and last step, min, max, count, count of NaN, and the sum."""
    found: dict[int, list[Point]] = {}
    for point in sorted(set(points), key=lambda each: each[:2]):
        if start <= point[column] <= end:
            number = (point[column] - start) * buckets // (end - start + 1)
            found.setdefault(number, []).append(point)
    return [
        (
            some[0][0],
            some[-1][0],
            min((value for *_, value in some if value == value), default=math.nan),  # noqa: PLR0124
            max((value for *_, value in some if value == value), default=math.nan),  # noqa: PLR0124
            len(some),
            sum(value != value for *_, value in some),  # noqa: PLR0124
        )
        for _, some in sorted(found.items())
    ]


def told(sampled: Sampled) -> Any:
    names = ["first_step", "last_step", "min", "max", "count", "nan_count"]
    return sampled.nodes[names].tolist()


def same(left: Any, right: Any) -> bool:
    return np.array_equal(np.array(left, float), np.array(right, float), equal_nan=True)


@pytest.mark.parametrize("folded", ["segments", "chunks", "both"])
@pytest.mark.parametrize("seed", range(3))
def test_a_short_series_is_divided_exactly(
    transactions: SqlTransactions, run: str, seed: int, folded: str
) -> None:
    chance = random.Random(seed)
    points: list[Point] = [
        (step * 3, 1000 + step * 2, chance.choice((math.nan, chance.random(), -step)))
        for step in range(500)
    ]
    writer = Writer(transactions, run)
    writer.append({"k": points[:300], "other": points[:1]})
    if folded != "segments":
        fold(transactions, run, chunk_points=2_000)
    writer.append({"k": points[250:]})
    if folded == "chunks":
        fold(transactions, run, chunk_points=2_000)
    for buckets in (1, 7, 1000, 4096):
        [found] = sample(transactions, [run], buckets=buckets)
        assert (found.run_id, found.key, found.rank) == (run, "k", -1)
        assert same(told(found), expected(points, 0, 1497, buckets))
        assert len(found.nodes) <= buckets
    for start, end in ((100, 200), (-5, 3), (1497, 1497), (3, 10**6)):
        [found] = sample(transactions, [run], start=start, end=end)
        assert same(told(found), expected(points, start, end, 10))
    assert sample(transactions, [run], start=1, end=2) == []
    [found] = sample(transactions, [run], axis=Axis.WALL_TIME)
    assert same(told(found), expected(points, 1000, 1998, 10, column=1))
    begin = transactions.read(lambda s: s.runs.start_time(run))
    [found] = sample(transactions, [run], axis=Axis.RELATIVE_TIME, start=1000 - begin, end=1100)
    assert same(told(found), expected(points, 1000, 1100 + begin, 10, column=1))


@pytest.mark.parametrize("axis", [Axis.STEP, Axis.WALL_TIME])
def test_no_spike_of_a_long_series_is_lost(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch, axis: Axis
) -> None:
    """Whatever level is read, whatever the range, and wherever the spike is."""
    monkeypatch.setattr(service_samples, "EXACT_POINTS", 1_000)
    chance = random.Random(5)
    total = 20_000
    values = [math.sin(step / 50) for step in range(total)]
    spikes = [*chance.sample(range(total), 40), 0, total - 1]
    for step in spikes:
        values[step] = 100.0 + step
    writer = Writer(transactions, run)
    points = [(step, 10 * step, values[step]) for step in range(total)]
    for begin in range(0, total, 4_000):
        writer.append({"k": points[begin : begin + 4_000]})
        if begin < 16_000:
            fold(transactions, run, chunk_points=2_000)
    scale = 1 if axis is Axis.STEP else 10
    ranges = [(0, total - 1), (17, 12_345), (1_990, 2_010), (5_000, total - 1), (15_990, 16_010)]
    for begin, end in ranges:
        for buckets in (1, 10, 100, 1_000):
            [found] = sample(
                transactions,
                [run],
                buckets=buckets,
                axis=axis,
                start=begin * scale,
                end=end * scale,
            )
            nodes: Any = found.nodes
            assert len(nodes) <= buckets
            assert int(nodes["count"].sum()) == end - begin + 1
            assert (nodes["first_step"][0], nodes["last_step"][-1]) == (begin, end)
            # Every bucket tells of just the points that it says it has.
            assert (nodes["first_step"][1:] == nodes["last_step"][:-1] + 1).all()
            for node in nodes:
                inside = values[node["first_step"] : node["last_step"] + 1]
                assert (node["min"], node["max"]) == (min(inside), max(inside))
                assert (node["first"], node["last"]) == (inside[0], inside[-1])
                assert node["sum"] == pytest.approx(sum(inside))


def test_many_runs_keys_and_ranks_in_one_call(transactions: SqlTransactions, run: str) -> None:
    other, empty = transactions.write(add_run), transactions.write(add_run)
    for number, each in enumerate((run, other)):
        writer = Writer(transactions, each)
        for rank in (0, 2, 11):
            points = [(step, step, 10.0 * rank + number) for step in range(100)]
            writer.append({f"k\t{rank}": points, "k b": points[:1]})
        if number:
            fold(transactions, each, chunk_points=2_000)
    asked = [other, run, empty]
    found = sample(transactions, asked, keys=("k b", "k", "absent"))
    assert [(each.run_id, each.key, each.rank) for each in found] == [
        (each, key, rank)
        for each in (other, run)
        for key, ranks in (("k b", (-1,)), ("k", (0, 2, 11)))
        for rank in ranks
    ]
    assert [each.rank for each in sample(transactions, [run], ranks=(2, 11))] == [2, 11]
    for each in sample(transactions, asked, across_ranks=True):
        nodes: Any = each.nodes
        number = 1.0 if each.run_id == other else 0.0
        assert each.rank == -1
        assert len(nodes) == 10
        assert (nodes["count"] == 30).all()
        assert (nodes["min"] == number).all()
        assert (nodes["max"] == 110.0 + number).all()
        assert np.allclose(nodes["sum"] / nodes["count"], 130 / 3 + number)
    with pytest.raises(RunNotFound):
        sample(transactions, [run, run_id()])


def test_a_range_of_few_points_is_divided_exactly_whatever_chunks_it_touches(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_samples, "EXACT_POINTS", 2_500)
    points = [(step, step, float(step)) for step in range(6_000)]
    Writer(transactions, run).append({"k": points})
    fold(transactions, run, chunk_points=2_000)
    [found] = sample(transactions, [run], start=1_900, end=4_100, buckets=2_000)
    assert same(told(found), expected(points, 1_900, 4_100, 2_000))


def test_points_of_one_step_are_told_in_the_order_of_time(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_samples, "EXACT_POINTS", 1_000)
    writer = Writer(transactions, run)
    writer.append({"k": [(0, 100 + number, 1.0 + number) for number in range(2_000)]})
    fold(transactions, run, chunk_points=2_000)
    writer.append({"k": [(0, 1, -1.0), (0, 9_999, -2.0)]})
    [found] = sample(transactions, [run], buckets=1)
    nodes: Any = found.nodes
    assert (nodes["first"][0], nodes["last"][0], nodes["count"][0]) == (-1.0, -2.0, 2_002)


def test_more_ranks_than_are_held_at_a_time(transactions: SqlTransactions, run: str) -> None:
    ranks = service_samples.SERIES * 2 + 3
    series = {
        f"k\t{rank}": [(step, step, float(rank)) for step in range(10)] for rank in range(ranks)
    }
    Writer(transactions, run).append(series)
    [found] = sample(transactions, [run], across_ranks=True)
    nodes: Any = found.nodes
    assert nodes["count"].tolist() == [ranks] * 10
    assert (nodes["min"][3], nodes["max"][3]) == (0.0, ranks - 1)
    assert nodes["sum"].tolist() == [sum(range(ranks))] * 10


def test_steps_at_the_ends_of_int64(transactions: SqlTransactions, run: str) -> None:
    points = [(-INT64, 5, 1.0), (0, 6, math.inf), (INT64 - 1, 7, -math.inf)]
    Writer(transactions, run).append({"k": points})
    for buckets in (1, 2, 4096):
        [found] = sample(transactions, [run], buckets=buckets)
        nodes: Any = found.nodes
        assert int(nodes["count"].sum()) == 3
        assert (nodes["first_step"][0], nodes["last_step"][-1]) == (-INT64, INT64 - 1)
    [found] = sample(transactions, [run], start=INT64 - 1, end=INT64 - 1)
    assert told(found)[0][:2] == (INT64 - 1, INT64 - 1)
    end = INT64 - 1
    [found] = sample(transactions, [run], axis=Axis.RELATIVE_TIME, start=-INT64, end=end)
    assert int(found.nodes["count"].sum()) == 3


def test_times_that_do_not_follow_steps(transactions: SqlTransactions, run: str) -> None:
    """As when a run is resumed from an earlier checkpoint on another machine."""
    points = [(step, (step * 7919) % 1000, float(step)) for step in range(1000)]
    Writer(transactions, run).append({"k": points})
    [found] = sample(transactions, [run], axis=Axis.WALL_TIME, buckets=20)
    nodes: Any = found.nodes
    assert (nodes["count"] == 50).all()
    assert nodes["min_timestamp_ms"].tolist() == list(range(0, 1000, 50))
    assert nodes["max_timestamp_ms"].tolist() == list(range(49, 1000, 50))


def test_a_sample_goes_on_when_its_segments_are_folded(
    transactions: SqlTransactions, run: str
) -> None:
    writer = Writer(transactions, run)
    for begin in range(0, 100, 10):
        points = [(step, step, 0.5) for step in range(begin, begin + 10)]
        writer.append({"a": points, "b": points})
    found = []
    query = SampleQuery((run,), ("a", "b"), (), 10, Axis.STEP, None, None, across_ranks=False)
    for each in MetricService(transactions).sample(query):
        found.append((each.key, int(each.nodes["count"].sum())))
        fold(transactions, run, chunk_points=2_000)
    assert found == [("a", 100), ("b", 100)]
