"""Live charts through the client: a training elsewhere, and a server that comes and goes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone import exceptions
from runstone.entities import MetricUpdate
from support import fluent
from support.suites import SuiteProcess, end_suite

TRAINING = """
import runstone

with runstone.start_run() as run:
    print(run.info.run_id, flush=True)
    for step in range(3_000):
        runstone.log_metrics({"loss": 1 / (step + 1), "acc": step / 3_000}, step=step)
        if step == 1_000:
            runstone.flush()
    runstone.log_metric("loss", 7.0, step=5)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    with (
        fluent.embedded(tmp_path) as folder,
        fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(folder)),
    ):
        yield folder


def test_a_chart_of_a_training_in_another_process(data_dir: Path) -> None:
    client = runstone.Client()
    client.create_run("0")
    command = [sys.executable, "-c", TRAINING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        run_id = training.stdout.readline().strip()
        watch = client.watch_metrics(run_id, ["loss", "acc"], buckets=100)
        updates = list(watch)
    assert training.returncode == 0
    assert updates[0].reset
    assert len(updates) < 30
    last = updates[-1]
    assert (last.start, last.end, last.buckets) == (0, 3_199, 100)
    asked = {"buckets": last.buckets, "start": last.start, "end": last.end}
    assert watch.sample() == client.sample_metrics(run_id, ["loss", "acc"], **asked)
    [loss, acc] = watch.sample()
    assert (sum(loss.count), sum(acc.count)) == (3_001, 3_000)
    assert loss.max[0] == 7.0
    # What an ended run has is told at once.
    again = client.watch_metrics(run_id, ["loss", "acc"], buckets=100)
    assert [each.reset for each in again] == [True]
    assert again.sample() == watch.sample()
    with pytest.raises(exceptions.InvalidField, match="buckets"):
        next(client.watch_metrics(run_id, "loss", 5000))
    with pytest.raises(exceptions.RunNotFound):
        next(client.watch_metrics([run_id, "0" * 32], "loss"))


def test_a_server_that_is_stopped_and_one_that_comes(data_dir: Path) -> None:
    """The first goes within its grace though a page is open; the second is found by itself."""
    suite = SuiteProcess(data_dir)
    try:
        suite.wait_serving()
        client = runstone.Client()
        run_id = client.create_run("0").info.run_id
        client.log_metric(run_id, "loss", 1.0, step=0)
        watch = client.watch_metrics(run_id, "loss")
        assert counted(next(watch)) == 1
        client.log_metric(run_id, "loss", 1.0, step=1)
        assert counted(next(watch)) == 1
        began = time.monotonic()
        assert suite.terminate() == 0
        assert time.monotonic() - began < 9.0
        client.log_metric(run_id, "loss", 1.0, step=2)
        update = next(watch)
        assert (update.reset, counted(update)) == (True, 3)
        client.set_terminated(run_id)
        assert list(watch) == []
    finally:
        suite.kill()
        end_suite(data_dir)


def counted(update: MetricUpdate) -> int:
    return sum(sum(each.series.count) for each in update.series)
