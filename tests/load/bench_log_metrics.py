"""What `log_metrics` of ten metrics costs the thread that trains; see `logging_calls`.

`make bench` measures ours, `make bench-peers` tensorboardX and W&B offline beside it, each in
a process of its own: in a tight loop, and at a call every half millisecond, as a fast training step
does, between which others use the processor and its caches.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from logging_calls import CALLS, KEYS
from report import Row, p50, p99, print_table

from support.suites import clean_environment

PACES = {"in a loop": 0.0, "every 0.5 ms": 0.0005}

P50_US, P99_US = 10.0, 50.0
"""Promise 4 of the design, and what the median should be."""

PROGRAM = Path(__file__).with_name("logging_calls.py")


def measured(python: str, name: str, pause: float) -> tuple[float, float]:
    """p50 and p99 of a logger's call, in microseconds."""
    finished = subprocess.run(
        [python, str(PROGRAM), name, str(pause)],
        check=True,
        stdout=subprocess.PIPE,
        env=clean_environment(),
    )
    # A logger may print before.
    samples = json.loads(finished.stdout.splitlines()[-1])
    return p50(samples), p99(samples)


def run(peers: dict[str, str] | None = None) -> list[Row]:
    """Ours, and those of the peers: name to the Python that has them."""
    rows = []
    for pace, pause in PACES.items():
        what = f"log_metrics of {len(KEYS)}, {CALLS:,} calls {pace}"
        median, late = measured(sys.executable, "runstone", pause)
        rows += [
            Row(f"{what}, p50", f"{median:.1f} µs", f"<= {P50_US:.0f} µs", median <= P50_US),
            Row(f"{what}, p99", f"{late:.1f} µs", f"<= {P99_US:.0f} µs", late <= P99_US),
        ]
        for name, python in (peers or {}).items():
            its_median, its_late = measured(python, name, pause)
            rows.append(
                Row(
                    f"{name}: the same {pace}, p50 / p99",
                    f"{its_median:.1f} / {its_late:.1f} µs",
                    detail=f"{its_median / median:.1f}x / {its_late / late:.1f}x of ours",
                )
            )
    return rows


if __name__ == "__main__":
    print_table(run())
