"""A chart of a long series: 10 M points, 1,000 buckets, on PostgreSQL, through gRPC."""

from __future__ import annotations

import random
import time

import grpc
import numpy as np
from bench_append_metrics import service
from bench_compaction import LOSSES, fill, folded, made, migrated
from report import Row, milliseconds, p50, p99, print_table

from runstone.tracking.v1 import metric_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_tracking.sqlstore import SqlTransactions
from support import tracking
from support.postgres import PostgresServer

POINTS = 10_000_000
CALL_POINTS = 100_000
BUCKETS = 1_000
CALLS = 60
REACH_MS = 20.0
KEY = "train/loss_0"


def run() -> list[Row]:
    """The whole range, ranges of any length and place, and one with a tail that is not folded."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url, migrated(url) as database:
            transactions = SqlTransactions(database)
            run_id = transactions.write(tracking.add_run)
            calls = POINTS // CALL_POINTS
            fill(transactions, calls, lambda call: made(run_id, call, LOSSES, 1, CALL_POINTS))
            folded(transactions, run_id)
            with service(url, 1) as process, grpc.insecure_channel(process.address) as channel:
                stub = TrackingServiceStub(channel)
                whole = [sample(stub, run_id, 0, POINTS - 1) for _ in range(CALLS)]
                zooms = [sample(stub, run_id, *zoom(number)) for number in range(CALLS * 3)]
            return [
                row("10 M points to 1,000 buckets, whole range", whole),
                row("the same, any zoom", zooms),
            ]
    finally:
        server.close()


def zoom(number: int) -> tuple[int, int]:
    """A range of a hundred points to all of them, by the logarithm, anywhere."""
    chance = random.Random(number)
    length = int(10 ** chance.uniform(2, 7))
    start = chance.randrange(POINTS - length + 1)
    return start, start + length - 1


def sample(stub: TrackingServiceStub, run_id: str, start: int, end: int) -> float:
    """Seconds of a call, answered and read."""
    request = metric_pb2.SampleMetricsRequest(
        run_ids=[run_id], keys=[KEY], buckets=BUCKETS, start=start, end=end
    )
    began = time.perf_counter()
    [found] = stub.SampleMetrics(request, timeout=60)
    took = time.perf_counter() - began
    assert np.sum(found.counts) == end - start + 1
    return took


def row(what: str, samples: list[float]) -> Row:
    """With the median against what is to be reached."""
    middle = p50(samples)
    return Row(
        what,
        f"p50 {milliseconds(middle)}",
        f"<= {REACH_MS:.0f} ms",
        middle * 1000 <= REACH_MS,
        f"p99 {milliseconds(p99(samples))}",
    )


if __name__ == "__main__":
    print_table(run())
