"""What a call that logs ten metrics costs the thread that trains: one logger, one process.

`python logging_calls.py runstone|tensorboardX|wandb PAUSE` prints the microseconds of each call as
JSON. It needs nothing but the standard library and the logger: a peer is run by the Python of an
environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEYS = tuple(f"train/metric_{number}" for number in range(10))

CALLS = 20_000

FIRST = 200
"""Not counted: files are opened, and code runs for the first time."""

Log = Callable[[dict[str, float], int], Any]


@contextmanager
def runstone_logger(folder: Path) -> Iterator[Log]:
    """The fluent API on an embedded suite; its sender delivers meanwhile."""
    os.environ["RUNSTONE_DATA_DIR"] = str(folder / "data")
    os.environ["RUNSTONE_JOURNAL_DIR"] = str(folder / "journal")
    import runstone
    from runstone._journal import outlet

    with runstone.start_run():
        yield lambda metrics, step: runstone.log_metrics(metrics, step=step)
    for each in outlet.outlets():
        # Else it would look for the folder after it is gone.
        if each.sender is not None:
            each.sender.close(60)


@contextmanager
def tensorboardx_logger(folder: Path) -> Iterator[Log]:
    """Event files; it has no call for many metrics."""
    from tensorboardX import SummaryWriter  # type: ignore[import-not-found]

    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(metrics: dict[str, float], step: int) -> None:
        for key, value in metrics.items():
            writer.add_scalar(key, value, step)

    yield log
    writer.close()


@contextmanager
def wandb_logger(folder: Path) -> Iterator[Log]:
    """Offline, to its own file."""
    import wandb  # type: ignore[import-not-found]

    run = wandb.init(mode="offline", dir=str(folder), settings=wandb.Settings(silent=True))
    yield lambda metrics, step: run.log(metrics, step=step)
    run.finish()


LOGGERS = {
    "runstone": runstone_logger,
    "tensorboardX": tensorboardx_logger,
    "wandb": wandb_logger,
}


def measure(name: str, pause: float) -> list[float]:
    """Microseconds of each call."""
    times = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LOGGERS[name](Path(folder)) as log,
    ):
        for step in range(FIRST + CALLS):
            metrics = {key: step * 0.37 + place for place, key in enumerate(KEYS)}
            began = time.perf_counter_ns()
            log(metrics, step)
            times.append((time.perf_counter_ns() - began) / 1000)
            if pause:
                time.sleep(pause)
    return times[FIRST:]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]))))
