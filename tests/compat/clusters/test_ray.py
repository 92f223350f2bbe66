"""The hooks of Ray Tune and Ray Train, by what the server holds.

Runs in an environment of Ray's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from support.held import held, runs_of

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    import ray

    # Workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    # Loopback: the address that it finds for itself may be one that does not lead back here.
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


def checkpoint(folder: Path, step: int) -> Any:
    from ray import tune

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text(json.dumps({"step": step}))
    return tune.Checkpoint.from_directory(str(folder))


def tuned(train: Any, folder: Path, hook: Any = None, **settings: Any) -> Any:
    from ray import tune

    run = tune.RunConfig(
        name="toys",
        storage_path=str(folder),
        callbacks=[hook] if hook is not None else None,
        verbose=0,
        failure_config=tune.FailureConfig(max_failures=settings.pop("failures", 0)),
    )
    return tune.Tuner(train, run_config=run, **settings)


def callback(**arguments: Any) -> Any:
    from runstone.integrations.ray import RunstoneLoggerCallback

    return RunstoneLoggerCallback(**arguments)


def test_a_run_for_each_trial(tmp_path: Path) -> None:
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        for step in range(3):
            kept = checkpoint(tmp_path / str(config["lr"]) / str(step), step)
            tune.report({"loss": config["lr"], "deep": {"n": step}, "said": "x"}, checkpoint=kept)
        if config["lr"] > 1:
            raise ValueError("too fast")

    hook = callback(experiment_name="ray tune", tags={"team": "risk"}, save_checkpoints=True)
    space = {"lr": tune.grid_search([0.1, 5.0]), "model": {"layers": [1, 2]}}
    tuned(train, tmp_path / "ray", hook, param_space=space).fit()
    runs = {run.params["lr"]: run for run in runs_of("ray tune")}
    assert {lr: run.status for lr, run in runs.items()} == {"0.1": "FINISHED", "5.0": "FAILED"}
    for lr, run in runs.items():
        assert run.params == {"lr": lr, "model/layers": "[1, 2]"}
        assert run.points["loss"] == run.points["deep/n"] == [1, 2, 3]
        assert not {"pid", "timestamp", "config/lr", "said"} & set(run.points)
        assert run.tags["team"] == "risk"
        assert run.name == run.tags["trial_name"]
        assert len(run.files) == 3
        assert run.files[0] == "checkpoints/checkpoint_000000/state.json"


def test_a_trial_that_is_tried_again_goes_on_in_its_run(tmp_path: Path) -> None:
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        before = tune.get_checkpoint()
        start = 0
        if before is not None:
            with before.as_directory() as folder:
                start = json.loads(Path(folder, "state.json").read_text())["step"]
        for step in range(start + 1, 4):
            kept = checkpoint(tmp_path / "state" / str(step), step)
            tune.report({"loss": 1 / step}, checkpoint=kept)
            if step == 2 and before is None:
                os._exit(1)

    hook = callback(experiment_name="ray again")
    tuned(train, tmp_path / "ray", hook, failures=1).fit()
    [run] = runs_of("ray again")
    assert run.status == "FINISHED"
    assert sorted(set(run.points["loss"])) == [1, 2, 3]


def test_setup_in_a_trial(tmp_path: Path) -> None:
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        from runstone.integrations.ray import setup_runstone

        with setup_runstone(config, experiment_name="ray setup") as inside:
            for step in range(3):
                inside.log_metric("loss", config["lr"], step=step)
            if config["lr"] > 1:
                raise ValueError("too fast")

    tuned(train, tmp_path, param_space={"lr": tune.grid_search([0.1, 5.0])}).fit()
    runs = {run.params["lr"]: run for run in runs_of("ray setup")}
    assert {lr: run.status for lr, run in runs.items()} == {"0.1": "FINISHED", "5.0": "FAILED"}
    assert all(run.points == {"loss": [0, 1, 2]} for run in runs.values())


@pytest.mark.parametrize("first", [True, False])
def test_setup_in_a_training_of_two_workers(first: bool, tmp_path: Path) -> None:
    from ray import train as training
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    name = f"ray train {first}"

    def train(config: dict[str, Any]) -> None:
        from runstone.integrations.ray import setup_runstone

        with setup_runstone(config, experiment_name=name, rank_zero_only=first) as inside:
            rank = training.get_context().get_world_rank()
            inside.log_metric("loss", float(rank), step=1)

    DataParallelTrainer(
        train,
        train_loop_config={"lr": 0.1},
        scaling_config=training.ScalingConfig(num_workers=2),
        run_config=training.RunConfig(name=name, storage_path=str(tmp_path)),
    ).fit()
    experiment = runstone.get_experiment_by_name(name)
    assert experiment is not None
    client = runstone.Client()
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == (name, "FINISHED")
    assert held(run.info.run_id).params == {"lr": "0.1"}
    points = client.get_metric_history(run.info.run_id, "loss")
    expected = [(None, 0.0)] if first else [(0, 0.0), (1, 1.0)]
    assert sorted(((each.rank, each.value) for each in points), key=str) == expected
