"""Charts through the client: a call for what a page of curves shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone import exceptions
from support import fluent


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("samples")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def process(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


def test_a_chart_of_what_was_just_logged() -> None:
    with runstone.start_run() as run:
        for step in range(1000):
            value = 7.0 if step == 501 else math.cos(step / 100)
            runstone.log_metrics({"loss": value, "bad": math.nan}, step=step)
        client = runstone.Client()
        run_id = run.info.run_id
        loss, bad = client.sample_metrics(run_id, ["loss", "bad", "absent"], buckets=50)
        assert (loss.run_id, loss.key, loss.rank, len(loss)) == (run_id, "loss", None, 50)
        assert loss.steps == list(range(0, 1000, 20))
        assert loss.last_steps == list(range(19, 1000, 20))
        assert loss.max[25] == 7.0
        assert loss.count == [20] * 50
        assert (loss.first[0], loss.last[-1]) == (1.0, math.cos(9.99))
        assert loss.mean[0] == pytest.approx(sum(math.cos(step / 100) for step in range(20)) / 20)
        assert bad.nan_count == [20] * 50
        assert all(map(math.isnan, bad.mean))
        [zoomed] = client.sample_metrics(run_id, "loss", start=500, end=502)
        assert (zoomed.steps, zoomed.max) == ([500, 501, 502], [math.cos(5), 7.0, math.cos(5.02)])
        [timed] = client.sample_metrics([run_id], ["loss"], 10, axis="relative_time")
        assert sum(timed.count) == 1000
        assert all(
            begin <= end for begin, end in zip(timed.timestamps, timed.last_timestamps, strict=True)
        )


def test_ranks_apart_and_together() -> None:
    client = runstone.Client()
    run = client.create_run("0").info.run_id
    for rank in range(4):
        steps = list(range(100))
        values = [float(rank)] * 100
        client.append_metrics(run, {"loss": (steps, [1000] * 100, values)}, rank=rank)
    apart = client.sample_metrics(run, "loss", ranks=[1, 3])
    assert [(each.rank, each.mean[0]) for each in apart] == [(1, 1.0), (3, 3.0)]
    [together] = client.sample_metrics(run, "loss", 10, across_ranks=True)
    assert together.rank is None
    assert (together.min[0], together.mean[0], together.max[0]) == (0.0, 1.5, 3.0)
    assert together.count == [40] * 10


def test_what_is_wrong_is_named() -> None:
    client = runstone.Client()
    with pytest.raises(exceptions.InvalidField, match="axis must be one of step, relative_time"):
        client.sample_metrics("0" * 32, "loss", axis="epoch")
    with pytest.raises(exceptions.InvalidField, match="buckets"):
        client.sample_metrics("0" * 32, "loss", 5000)
    with pytest.raises(exceptions.RunNotFound):
        client.sample_metrics("0" * 32, "loss")
