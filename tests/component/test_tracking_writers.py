"""Many writers of one run at once, through two services on one PostgreSQL.

What comes out is compared with a plain evaluation of all that was sent: a batch that was lost, or
applied twice, or summarized in another order than it came changes a count or a latest value.
"""

import math
import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import grpc
import psycopg
import pytest

from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_kit import dbengine
from support.metric_points import Point, bits, total_order
from support.tracking import ON_POSTGRESQL
from support.tracking_service import LARGE, tracking_address

pytestmark = ON_POSTGRESQL

WRITERS = 64
BATCHES = 5
OWN_KEY = 4
"""The batch of a writer that may have a key that no other has."""

KEYS = [f"shared/{number}" for number in range(10)]
SETS = (KEYS, KEYS[:6], KEYS[3:], KEYS[::2])
"""Few sets of keys, for those that a run is known to have are appended by a shorter way."""
ONCE, AFTER, AT_ONCE = range(3)
VALUES = [math.nan, math.inf, -math.inf, 0.5, -0.5, 2.0, 1e300]


class Batch(NamedTuple):
    """One call: its series in the order sent, and how it is sent."""

    writer: int
    sequence: int
    series: dict[str, list[Point]]
    logged: bool
    """By LogBatch, with a param and a tag."""
    repeated: int
    """ONCE, AFTER it was answered, or AT_ONCE and after."""


def planned(writer: int) -> list[Batch]:
    """What a writer sends: few steps and times, so that points of many writers compete."""
    drawn = random.Random(writer)
    batches = []
    for sequence in range(1, BATCHES + 1):
        keys = list(drawn.choice(SETS))
        if sequence == OWN_KEY and writer % 4 == 0:
            # New to the run, so that the longer way goes on beside the shorter one.
            keys.append(f"own/{writer}")
        drawn.shuffle(keys)
        series = {
            key: [
                (drawn.randint(-3, 3), drawn.randint(0, 3), drawn.choice(VALUES))
                for _ in range(drawn.randint(1, 4))
            ]
            for key in keys
        }
        logged = (writer + sequence) % 4 == 0
        repeated = drawn.choice((ONCE, AFTER, AT_ONCE))
        batches.append(Batch(writer, sequence, series, logged, repeated))
    return batches


class Writer:
    """Sends batches one after the other, now to one service and now to the other."""

    def __init__(self, run_id: str, stubs: Sequence[TrackingServiceStub]) -> None:
        self._run_id = run_id
        self._stubs = stubs

    def send(self, batch: Batch) -> None:
        """Send a batch as often as it says."""
        name = "LogBatch" if batch.logged else "AppendMetrics"
        calls = [getattr(stub, name) for stub in self._stubs]
        if batch.sequence % 2:
            calls.reverse()
        request = self._request(batch)
        twins = calls if batch.repeated == AT_ONCE else calls[:1]
        answers = [each.result() for each in [call.future(request, timeout=60) for call in twins]]
        if batch.repeated:
            answers.append(calls[1](request, timeout=60))
        if not batch.logged:
            applied = [not each.duplicate for each in answers]
            assert applied.count(True) == 1
            assert len(answers) == 1 or not applied[-1]

    def _request(self, batch: Batch) -> Any:
        identity: dict[str, Any] = {
            "run_id": self._run_id,
            "writer_id": f"w{batch.writer}",
            "sequence": batch.sequence,
            "series": [
                metric_pb2.Series(
                    key=key,
                    steps=[point[0] for point in points],
                    timestamps_ms=[point[1] for point in points],
                    values=[point[2] for point in points],
                )
                for key, points in batch.series.items()
            ],
        }
        if not batch.logged:
            return metric_pb2.AppendMetricsRequest(**identity)
        return run_pb2.LogBatchRequest(
            **identity, params={param(batch): "set"}, tags={"last": param(batch)}
        )


def param(batch: Batch) -> str:
    """The param that a batch sets if it is logged."""
    return f"{batch.writer}/{batch.sequence}"


@contextmanager
def stubs_of(addresses: Sequence[str]) -> Iterator[list[TrackingServiceStub]]:
    """Stubs of the services, over connections of their own."""
    options = [*LARGE, ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack:
        yield [
            TrackingServiceStub(stack.enter_context(grpc.insecure_channel(address, options)))
            for address in addresses
        ]


def expected(key: str, points: Sequence[Point]) -> dict[str, Any]:
    """The summary of a key that has these points."""
    step, time, value = max(points, key=total_order)
    numbers = [value for _, _, value in points if not math.isnan(value)]
    return {
        "key": key,
        "value": value,
        "step": step,
        "timestamp_ms": time,
        "min": min(numbers, default=math.nan),
        "max": max(numbers, default=math.nan),
        "count": len(points),
        "nan_count": len(points) - len(numbers),
        "first_step": min(step for step, _, _ in points),
        "last_step": step,
    }


def told(summary: Any) -> dict[str, Any]:
    """A summary's message, field by field."""
    return {field.name: getattr(summary, field.name) for field in summary.DESCRIPTOR.fields}


def check_metrics(
    stub: TrackingServiceStub, run_id: str, points: Mapping[str, Sequence[Point]]
) -> None:
    """The run has these points: its summaries count each, its histories tell each once."""
    listed = stub.ListMetricKeys(metric_pb2.ListMetricKeysRequest(run_id=run_id)).metrics
    # As text, in which NaN is equal to NaN.
    assert [repr(told(each)) for each in listed] == [
        repr(expected(key, points[key])) for key in sorted(points)
    ]
    for key in points:
        request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key)
        found = [
            point
            for page in stub.GetMetricHistory(request, timeout=60)
            for point in zip(page.steps, page.timestamps_ms, page.values, strict=True)
        ]
        assert sorted(bits(found)) == sorted(set(bits(points[key])))


def deadlocks(url: str) -> int:
    """How many PostgreSQL has had to end; all that used the database must have left it."""
    with psycopg.connect(url) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        found = connection.execute(query).fetchone()
        assert found is not None
        return int(found[0])


def test_many_writers_of_one_run_at_once(
    tracking_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than PostgreSQL takes to find a deadlock, so that none passes for a lock held long.
    monkeypatch.setattr(dbengine, "LOCK_WAIT_S", 30)
    batches = {writer: planned(writer) for writer in range(WRITERS)}
    sent = [batch for of_writer in batches.values() for batch in of_writer]
    points: dict[str, list[Point]] = defaultdict(list)
    for batch in sent:
        for key, some in batch.series.items():
            points[key] += some
    with (
        tracking_address(tracking_url) as one,
        tracking_address(tracking_url) as two,
        stubs_of([one, two]) as (stub, _),
    ):
        run_id = stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id
        start = threading.Barrier(WRITERS)

        def write(writer: int) -> None:
            with stubs_of([one, two]) as stubs:
                sender = Writer(run_id, stubs)
                start.wait(60)
                for batch in batches[writer]:
                    sender.send(batch)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        check_metrics(stub, run_id, points)
        run = stub.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run
        logged = [param(batch) for batch in sent if batch.logged]
        assert dict(run.params) == dict.fromkeys(logged, "set")
        assert run.tags["last"] in logged
    assert deadlocks(tracking_url) == 0
