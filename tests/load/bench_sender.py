"""What the sender takes while a training process logs: ten metrics, a thousand times a second.

The server, the training and the sender that it starts are processes of their own on this machine.
The sender is looked at once it has settled; memory is the most that is resident.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from logging_calls import KEYS
from report import Row, megabytes, print_table

import runstone
from support.processes import wait_until
from support.suites import clean_environment, suite

CALLS_PER_S = 1_000
SETTLE_S = 4.0
SECONDS = 20.0
LOOK_S = 0.05
MEMORY_REACH = 60e6
CORE_REACH = 0.05


def train() -> None:
    """The training process: logs at its pace and prints how many calls it made, and its run."""
    steps = int((SETTLE_S + SECONDS + 1) * CALLS_PER_S)
    with runstone.start_run() as active:
        begin = time.monotonic()
        for step in range(steps):
            time.sleep(max(0.0, begin + step / CALLS_PER_S - time.monotonic()))
            metrics = {key: step * 0.37 + place for place, key in enumerate(KEYS)}
            runstone.log_metrics(metrics, step=step)
    print(steps, active.info.run_id)


def run() -> list[Row]:
    """Memory and processor time of the sender."""
    with (
        tempfile.TemporaryDirectory() as name,
        suite(Path(name) / "data", "--grpc-port", "0") as server,
    ):
        uri = f"runstone://{server.status['tcp']}"
        environment = clean_environment(
            RUNSTONE_TRACKING_URI=uri, RUNSTONE_JOURNAL_DIR=str(Path(name) / "journal")
        )
        training = subprocess.Popen(
            [sys.executable, __file__, "--train"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        sender = wait_until(lambda: sender_of(training.pid), 30.0, "the sender's start")
        most, cores = watched(sender)
        output = training.communicate(timeout=60)[0]
        assert training.returncode == 0, "the training failed"
        steps, run_id = output.split()
        summaries = runstone.Client(uri).list_metric_keys(run_id)
        assert [each.count for each in summaries] == [int(steps)] * len(KEYS)
    what = f"sender of {CALLS_PER_S * len(KEYS):,} points/s for {SECONDS:.0f} s"
    return [
        Row(
            f"{what}: memory",
            megabytes(most),
            f"<= {megabytes(MEMORY_REACH)}",
            most <= MEMORY_REACH,
        ),
        Row(
            f"{what}: of a core",
            f"{cores:.1%}",
            f"<= {CORE_REACH:.0%}",
            cores <= CORE_REACH,
        ),
    ]


def sender_of(pid: int) -> psutil.Process | None:
    """The sender that a process has started."""
    for child in psutil.Process(pid).children():
        if "runstone._sender" in child.cmdline():
            return child
    return None


def watched(sender: psutil.Process) -> tuple[int, float]:
    """The most memory of a process, and the cores that it takes."""
    time.sleep(SETTLE_S)
    before, began = sum(sender.cpu_times()[:2]), time.monotonic()
    most = 0
    while time.monotonic() < began + SECONDS:
        most = max(most, sender.memory_info().rss)
        time.sleep(LOOK_S)
    return most, (sum(sender.cpu_times()[:2]) - before) / (time.monotonic() - began)


if __name__ == "__main__":
    if "--train" in sys.argv:
        train()
    else:
        print_table(run())
