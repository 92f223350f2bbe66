"""The least and greatest steps and times, and every kind of NaN, through the service and back.

Sent and read by the public client, as segments, as chunks, and as some of both: history, latest
value, samples and a live chart have each point as it was sent, down to the bits of its value.
"""

import random
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

import runstone
from runstone.entities import Metric
from runstone_tracking import service_samples
from runstone_tracking.sqlstore import SqlTransactions
from support import tracking
from support.compaction import fold
from support.metric_points import Point, bits, total_order
from support.tracking_service import tracking_address

LOW, HIGH = -(2**63), 2**63 - 1

# Sign, quiet or signalling, and payload: the least, the greatest, and some between.
NAN_BITS = [
    sign | quiet | payload
    for sign in (0x7FF0 << 48, 0xFFF0 << 48)
    for quiet in (0, 1 << 51)
    for payload in (0, 1, 0xDEADBEEF, 0x20000000, (1 << 51) - 1)
    if quiet | payload
]
NANS: list[float] = [struct.unpack("<d", struct.pack("<Q", each))[0] for each in NAN_BITS]

EDGES: list[Point] = [
    *((LOW, HIGH, 0.5), (LOW, 0, -0.0), (LOW + 1, 1, 2.0), (-1, 2, 5e-324), (0, 0, 0.25)),
    *((1, HIGH, 1.0), (HIGH - 1, HIGH - 1, -2.0), (HIGH, 0, 3.0), (HIGH, HIGH, 1.5)),
]
ANYWHERE = random.Random(3)
SERIES: dict[str, list[Point]] = {
    # Few points are stored as they are, many as differences, more with a pyramid.
    "edges": EDGES,
    "many edges": [point for point in EDGES for _ in range(20)],
    "alternating": [(HIGH - n if n % 2 else LOW + n, n * 7, n / 3) for n in range(300)],
    "from the least on": [(LOW + n, HIGH - n, float(n)) for n in range(1_500)],
    "up to the greatest": [(HIGH - n, n, float(n)) for n in range(1_500)],
    "anywhere": [
        (ANYWHERE.randint(LOW, HIGH), ANYWHERE.randint(0, HIGH), ANYWHERE.random())
        for _ in range(1_500)
    ],
    "nan": [(number, 0, value) for number, value in enumerate(NANS)],
    "many nan": [(number, number, value) for number, value in enumerate(NANS * 100)],
}
WHOLE = ((None, None), (LOW, HIGH))
RANGES = (*WHOLE, (LOW, LOW), (HIGH, HIGH), (LOW, -1), (0, HIGH), (LOW + 1, HIGH - 1))


def columns(points: Sequence[Point]) -> tuple[list[int], list[int], list[float]]:
    """Steps, times and values."""
    steps, times, values = zip(*points, strict=True)
    return list(steps), list(times), list(values)


def same_bits(left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether values are the same bit for bit, NaN and -0.0 included."""
    return array("d", left).tobytes() == array("d", right).tobytes()


class Run:
    """A run with all of SERIES, each sent half by half."""

    def __init__(self, client: runstone.Client) -> None:
        self.client = client
        self.id = client.create_run("0").info.run_id

    def send(self, part: slice) -> None:
        """A part of each series, by AppendMetrics."""
        found = {key: columns(points[part]) for key, points in SERIES.items() if points[part]}
        self.client.append_metrics(self.id, found)

    def check(self) -> None:
        """Everything that was sent is there, whole, and nothing else."""
        summaries = {each.key: each for each in self.client.list_metric_keys(self.id)}
        assert sorted(summaries) == sorted(SERIES)
        for key, points in SERIES.items():
            self._check_history(key, points)
            latest = max(points, key=total_order)
            summary = summaries[key]
            assert (summary.step, summary.last_step) == (latest[0], latest[0])
            assert (summary.first_step, summary.timestamp) == (min(points)[0], latest[1])
            assert repr(summary.value) == repr(latest[2])
            for axis, column in (("step", 0), ("wall_time", 1)):
                for start, end in RANGES:
                    self._check_sample(key, points, axis, column, start, end)

    def _check_history(self, key: str, points: Sequence[Point]) -> None:
        found = self.client.get_metric_columns(self.id, key)
        told = list(zip(found.steps, found.timestamps, found.values, strict=True))
        assert sorted(bits(told)) == sorted(set(bits(points)))
        order = [(time, step) for step, time, _ in told]
        assert order == sorted(order)
        one_by_one = self.client.get_metric_history(self.id, key)
        assert [(each.step, each.timestamp) for each in one_by_one] == [each[:2] for each in told]
        assert same_bits([each.value for each in one_by_one], found.values)
        assert np.array_equal(found.to_numpy()["step"], np.array([each[0] for each in told]))

    def _check_sample(
        self,
        key: str,
        points: Sequence[Point],
        axis: str,
        column: int,
        start: int | None,
        end: int | None,
    ) -> None:
        inside = [
            point
            for point in set(bits(points))
            if (start is None or start <= point[column]) and (end is None or point[column] <= end)
        ]
        for buckets in (7, 4096):
            found = self.client.sample_metrics(
                self.id, key, buckets, axis=axis, start=start, end=end
            )
            if not inside:
                assert found == []
                continue
            [sample] = found
            assert len(sample) <= buckets
            assert sum(sample.count) == len(inside)
            assert min(sample.steps) == min(point[0] for point in inside)
            assert max(sample.last_steps) == max(point[0] for point in inside)
            assert min(sample.timestamps) == min(point[1] for point in inside)
            assert max(sample.last_timestamps) == max(point[1] for point in inside)
            assert sum(sample.nan_count) == (len(inside) if "nan" in key else 0)


@contextmanager
def started(url: str) -> Iterator[tuple[runstone.Client, SqlTransactions]]:
    """A client of the service, and the service's database."""
    with tracking_address(url) as address, tracking.opened(url) as database:
        yield runstone.Client(f"runstone://{address}"), SqlTransactions(database)


@pytest.mark.parametrize("exact", [service_samples.EXACT_POINTS, 0])
def test_extremes_come_back_as_they_were_sent(
    tracking_url: str, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    # With 0, samples are read from the pyramid wherever there is one.
    monkeypatch.setattr(service_samples, "EXACT_POINTS", exact)
    with started(tracking_url) as (client, transactions):
        run = Run(client)
        run.send(slice(0, None, 2))
        run.send(slice(1, None, 2))
        run.check()
        fold(transactions, run.id, chunk_points=2_000)
        run.check()
        assert client.get_run(run.id).data.metrics["edges"] == 1.5


def test_late_extremes_are_put_into_the_chunks_that_are_there(tracking_url: str) -> None:
    with started(tracking_url) as (client, transactions):
        run = Run(client)
        run.send(slice(0, None, 3))
        fold(transactions, run.id, chunk_points=500)
        run.send(slice(1, None, 3))
        run.send(slice(2, None, 3))
        run.check()
        fold(transactions, run.id, chunk_points=500)
        run.check()


@pytest.mark.parametrize("key", ["edges", "alternating", "anywhere"])
def test_a_live_chart_of_extremes(tracking_url: str, key: str) -> None:
    with started(tracking_url) as (client, _):
        run = Run(client)
        run.send(slice(0, None))
        client.set_terminated(run.id)
        for start, end in WHOLE:
            with client.watch_metrics(run.id, key, 100, start=start, end=end) as watch:
                updates = list(watch)
                [chart] = watch.sample()
            assert (updates[0].start, updates[-1].end) == (LOW, HIGH)
            points = set(bits(SERIES[key]))
            assert sum(chart.count) == len(points)
            assert min(chart.steps) == min(point[0] for point in points)
            assert max(chart.last_steps) == max(point[0] for point in points)


def test_other_ways_in(tracking_url: str) -> None:
    """By log_batch, whose message is another one, and one by one."""
    with started(tracking_url) as (client, transactions):
        run = client.create_run("0").info.run_id
        points = [*EDGES, *((number, 5, value) for number, value in enumerate(NANS))]
        client.log_batch(run, [Metric("k", value, time, step) for step, time, value in points])
        one = client.create_run("0").info.run_id
        for step, time, value in points:
            client.log_metric(one, "k", value, time, step)
        for each in (run, one, run, one):
            found = client.get_metric_columns(each, "k")
            told = list(zip(found.steps, found.timestamps, found.values, strict=True))
            assert sorted(bits(told)) == sorted(bits(points))
            fold(transactions, each)


def test_steps_of_a_batch_whose_difference_wraps(tracking_url: str) -> None:
    """From the greatest step to the least is 1, modulo 2**64."""
    with started(tracking_url) as (client, _):
        run = client.create_run("0").info.run_id
        client.append_metrics(run, {"k": ([HIGH, LOW, LOW + 1], [0, 0, 0], [1.0, 2.0, 3.0])})
        [found] = client.list_metric_keys(run)
        assert (found.first_step, found.step, found.value) == (LOW, HIGH, 1.0)
