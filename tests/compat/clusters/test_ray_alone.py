"""The hooks of Ray where no cluster is needed to see what they do."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

import runstone
from support.held import held, runs_of

pytestmark = pytest.mark.filterwarnings("ignore")


def trial(name: str, **config: Any) -> Any:
    class Trial(SimpleNamespace):
        def __str__(self) -> str:
            return f"train_{self.trial_id}"

    return Trial(trial_id=name, config=config, checkpoint=None)


def callback(**arguments: Any) -> Any:
    from runstone.integrations.ray import RunstoneLoggerCallback

    return RunstoneLoggerCallback(**arguments)


def test_trials_beside_each_other() -> None:
    hook = callback(experiment_name="ray alone", tags={"team": "risk"})
    hook.setup()
    first, second = trial("a1", lr=0.1, model={"layers": [1]}), trial("b2", lr=5.0)
    for each in (first, second):
        hook.log_trial_start(each)
    for step in (1, 2):
        for each in (first, second):
            result = {"loss": 1.0, "training_iteration": step, "config": {}, "pid": 3, "x": "y"}
            hook.log_trial_result(step, each, {**result, "deep": {"n": step}})
    hook.log_trial_end(first)
    hook.log_trial_end(second, failed=True)
    runs = {run.name: run for run in runs_of("ray alone")}
    assert {name: run.status for name, run in runs.items()} == {
        "train_a1": "FINISHED",
        "train_b2": "FAILED",
    }
    assert runs["train_a1"].params == {"lr": "0.1", "model/layers": "[1]"}
    points = runs["train_a1"].points
    assert points == {"loss": [1, 2], "training_iteration": [1, 2], "deep/n": [1, 2]}
    assert runs["train_a1"].tags["team"] == "risk"


def test_an_experiment_that_is_restored_goes_on_in_its_runs() -> None:
    hook = callback(experiment_name="ray restored")
    hook.log_trial_start(trial("c3", lr=0.1))
    hook.log_trial_result(1, trial("c3", lr=0.1), {"loss": 1.0, "training_iteration": 1})
    run_id = hook.run_id("c3")
    hook.on_experiment_end([])
    assert held(run_id).status == "KILLED"
    again = pickle.loads(pickle.dumps(callback(experiment_name="ray restored")))
    again.set_state(hook.get_state())
    again.log_trial_start(trial("c3", lr=0.1))
    again.log_trial_result(2, trial("c3", lr=0.1), {"loss": 0.5, "training_iteration": 2})
    again.log_trial_end(trial("c3", lr=0.1))
    assert again.run_id("c3") == run_id
    assert (held(run_id).status, held(run_id).points["loss"]) == ("FINISHED", [1, 2])


def test_setup_outside_of_ray() -> None:
    from runstone.integrations.ray import setup_runstone

    ids = []

    def train(config: dict[str, Any]) -> None:
        with setup_runstone(config) as inside:
            inside.log_metric("loss", 0.5, step=3)
            ids.append(inside.run_id)
            raise ValueError("too fast")

    with pytest.raises(ValueError, match="too fast"):
        train({"a": {"b": 1}})
    run = held(ids[0])
    assert (run.status, run.params, run.points) == ("FAILED", {"a/b": "1"}, {"loss": [3]})
    assert runstone.active_run() is None
