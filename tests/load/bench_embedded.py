"""AppendMetrics to the embedded suite, as one training process that logs as fast as it can.

The suite is the one that a client starts by itself: a process of its own on this machine with
SQLite in its data folder, reached by a unix socket. A call is 10 series of 1,000 points and is
counted when it was answered, which is after the commit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import psutil
from bench_append_metrics import KEYS, POINTS, SECONDS, append_calls, new_runs
from report import Row, megabytes, milliseconds, p50, p99, print_table

from support.suites import suite

REACH = 1e6


def run() -> list[Row]:
    """Points a second of one writer, and the memory of the suite then."""
    with tempfile.TemporaryDirectory() as name, suite(Path(name) / "data", background=True) as made:
        address = made.status["address"]
        found = append_calls(address, new_runs(address, 1), POINTS, range(1))
        memory = psutil.Process(made.process.pid).memory_info().rss
    samples = found["samples"]
    rate = found["calls"] * KEYS * POINTS / SECONDS
    return [
        Row(
            f"embedded (SQLite): AppendMetrics of {KEYS * POINTS:,}, 1 caller",
            f"{rate / 1e6:.2f} M points/s",
            f">= {REACH / 1e6:g} M points/s",
            rate >= REACH,
            f"a call p50 {milliseconds(p50(samples))}, p99 {milliseconds(p99(samples))};"
            f" the suite {megabytes(memory)}",
        )
    ]


if __name__ == "__main__":
    print_table(run())
