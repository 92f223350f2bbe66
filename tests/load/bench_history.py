"""The whole history of a long series through the public client, to numpy.

PostgreSQL and `runstone-tracking` are processes of their own on this machine. The series is read
from the segments of a thousand calls first, and then from the chunks that they were folded into;
the service does not fold by itself meanwhile. Of a run that logs, only the last points are in
segments, so that row has nothing to reach.
"""

from __future__ import annotations

import time

import numpy as np
from bench_compaction import LONG, LOSSES, POINTS, fill, folded, made, migrated
from report import Row, milliseconds, p50, print_table

import runstone
from runstone_tracking.sqlstore import SqlTransactions
from support import tracking
from support.postgres import PostgresServer
from support.tracking_service import tracking_process

READS = 7
REACH = 5e6
KEY = "train/loss_0"


def read(client: runstone.Client, run_id: str) -> float:
    """Seconds of a whole history, until its arrays are there."""
    began = time.perf_counter()
    found = client.get_metric_columns(run_id, KEY).to_numpy()
    took = time.perf_counter() - began
    assert np.array_equal(found["step"], np.arange(LONG))
    return took


def run() -> list[Row]:
    """From segments, and from chunks."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url, migrated(url) as database:
            transactions = SqlTransactions(database)
            run_id = transactions.write(tracking.add_run)
            fill(transactions, LONG // POINTS, lambda call: made(run_id, call, LOSSES, 1, POINTS))
            with tracking_process(url, RUNSTONE_TRACKING_COMPACTION="false") as process:
                client = runstone.Client(f"runstone://{process.address}")
                before = [read(client, run_id) for _ in range(READS)]
                folded(transactions, run_id)
                return rows(before, [read(client, run_id) for _ in range(READS)])
    finally:
        server.close()


def rows(before: list[float], after: list[float]) -> list[Row]:
    """With the medians."""
    rate = LONG / p50(after)
    what = "client: history of 1 M points to numpy"
    return [
        Row(
            f"{what}, folded",
            f"{rate / 1e6:.1f} M points/s",
            f">= {REACH / 1e6:.0f} M points/s",
            rate >= REACH,
            f"p50 {milliseconds(p50(after))}, best {milliseconds(min(after))}",
        ),
        Row(
            f"{what}, not folded yet",
            f"{LONG / p50(before) / 1e6:.1f} M points/s",
            detail=f"p50 {milliseconds(p50(before))}, best {milliseconds(min(before))}",
        ),
    ]


if __name__ == "__main__":
    print_table(run())
