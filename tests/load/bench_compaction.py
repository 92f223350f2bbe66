"""Folding segments into chunks on PostgreSQL, and what a point takes then.

The segments are written first, as AppendMetrics of 10 series of 1,000 points writes them; then one
thread folds them all. Bytes are those of the chunks' columns, pyramid included: of losses that hold
float32 values, as training logs them, and of random doubles, which nothing can shorten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from report import Row, print_table
from sqlalchemy import func, select

from runstone_kit.database import Database
from runstone_tracking import segment_encode
from runstone_tracking.model_metrics import Columns, MetricBatch, NewSegment
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.tables_metrics import metric_chunks
from support import tracking
from support.compaction import fold
from support.postgres import PostgresServer

KEYS = 10
POINTS = 1_000
CALLS = 400
GROUP = 8
LOSSES = "losses"
DOUBLES = "doubles"
REACH_BYTES = {LOSSES: 4.0, DOUBLES: 10.0}
REACH_HISTORY = 5_000_000
LONG = 1_000_000


def values(kind: str, steps: Any, random: Any) -> Any:
    """What is logged: a noisy loss as float32, or any doubles."""
    if kind == DOUBLES:
        return random.standard_normal(len(steps))
    losses = np.exp(-steps / 50_000) + 0.01 * random.standard_normal(len(steps))
    return losses.astype(np.float32).astype(np.float64)


def made(run_id: str, call: int, kind: str, keys: int, points: int) -> NewSegment:
    """The segment of one call: a step every 190 ms or so."""
    random = np.random.default_rng((call, keys))
    steps = np.arange(call * points, (call + 1) * points)
    times = 1_700_000_000_000 + steps * 190 + random.integers(0, 10, points)
    columns = Columns(
        np.tile(steps, keys),
        np.tile(times, keys),
        np.concatenate([values(kind, steps, random) for _ in range(keys)]),
    )
    names = tuple(sorted(f"train/loss_{key}" for key in range(keys)))
    batch = MetricBatch(names, np.full(keys, points, np.int64), columns)
    return segment_encode.encode(run_id, "rank-0", call + 1, batch)


@contextmanager
def migrated(url: str) -> Iterator[Database]:
    """The service's database, with its tables."""
    tracking.migrate_database(url)
    with tracking.opened(url) as database:
        yield database


def fill(transactions: SqlTransactions, calls: int, make: Callable[[int], NewSegment]) -> int:
    """Append the segments of so many calls; how many points they hold."""
    total = 0
    for begin in range(0, calls, GROUP):
        group = [make(call) for call in range(begin, min(begin + GROUP, calls))]
        _append(transactions, group)
        total += sum(each.points for each in group)
    return total


def _append(transactions: SqlTransactions, group: list[NewSegment]) -> None:
    transactions.write(lambda session: session.metrics.append(group))


def folded(transactions: SqlTransactions, run_id: str) -> float:
    """Seconds that folding a run to its last point takes."""
    began = time.perf_counter()
    fold(transactions, run_id)
    return time.perf_counter() - began


def stored(database: Database, run_id: str) -> int:
    """Bytes of a run's chunks."""
    blobs = [metric_chunks.c[name] for name in ("points", "level0", "level1", "level2")]
    size = sum(func.coalesce(func.octet_length(blob), 0) for blob in blobs)
    with database.read() as connection:
        query = select(func.sum(size)).where(metric_chunks.c.run_id == run_id)
        return int(connection.execute(query).scalar_one())


def read(transactions: SqlTransactions, run_id: str, key: str) -> tuple[int, float]:
    """Points of a whole history, and the seconds it takes within the service."""
    began = time.perf_counter()
    points = sum(len(each) for each in MetricService(transactions).history(run_id, key))
    return points, time.perf_counter() - began


def run() -> list[Row]:
    """Losses and doubles folded; a long history before and after."""
    rows = []
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url, migrated(url) as database:
            transactions = SqlTransactions(database)
            for kind in (LOSSES, DOUBLES):
                rows += folds(transactions, database, kind)
            rows += histories(transactions)
        return rows
    finally:
        server.close()


def folds(transactions: SqlTransactions, database: Database, kind: str) -> list[Row]:
    """One run of ten series: how fast it is folded, and what a point takes then."""
    run_id = transactions.write(tracking.add_run)
    points = fill(transactions, CALLS, lambda call: made(run_id, call, kind, KEYS, POINTS))
    took = folded(transactions, run_id)
    each = stored(database, run_id) / points
    reach = REACH_BYTES[kind]
    return [
        Row(f"fold {kind}, one thread", f"{points / took / 1e6:.2f} M points/s"),
        Row(
            f"stored, {kind}",
            f"{each:.2f} bytes a point",
            f"<= {reach:.0f} bytes",
            each <= reach,
        ),
    ]


def histories(transactions: SqlTransactions) -> list[Row]:
    """A series of a million points, read whole from segments and from chunks."""
    run_id = transactions.write(tracking.add_run)
    fill(transactions, LONG // POINTS, lambda call: made(run_id, call, LOSSES, 1, POINTS))
    found = []
    for where in ("segments", "chunks"):
        points, took = min(
            (read(transactions, run_id, "train/loss_0") for _ in range(3)), key=lambda each: each[1]
        )
        assert points == LONG
        rate = points / took
        found.append(
            Row(
                f"history of 1 M points from {where}, in the service",
                f"{rate / 1e6:.1f} M points/s",
                f">= {REACH_HISTORY / 1e6:.0f} M points/s",
                rate >= REACH_HISTORY,
            )
        )
        folded(transactions, run_id)
    return found


if __name__ == "__main__":
    print_table(run())
