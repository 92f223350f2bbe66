"""The callback of Optuna, by what the server holds."""

from __future__ import annotations

from typing import Any

import pytest

import runstone
from support.held import held, runs_of

pytestmark = pytest.mark.filterwarnings("ignore")


def study(name: str, **arguments: Any) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.RandomSampler(seed=1)
    return optuna.create_study(study_name=name, sampler=sampler, **arguments)


def callback(*arguments: Any, **named: Any) -> Any:
    from runstone.integrations.optuna import RunstoneCallback

    return RunstoneCallback(*arguments, **named)


def objective(trial: Any) -> float:
    import optuna

    x = trial.suggest_float("x", -1, 1)
    trial.set_user_attr("kind", "even" if trial.number % 2 == 0 else "odd")
    for step in range(3):
        trial.report(x * step, step)
        if trial.number == 1 and step == 1:
            raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("no")
    return float(x * x)


STATES = ["FINISHED", "KILLED", "FAILED", "FINISHED"]


def test_a_run_for_each_trial() -> None:
    hook = callback("distance", tag_study_user_attrs=True, tags={"team": "tune"})
    tuned = study("optuna plain")
    tuned.set_user_attr("owner", "me")
    tuned.optimize(objective, n_trials=4, callbacks=[hook], catch=(ValueError,))
    runs = runs_of("optuna plain")
    assert [run.name for run in runs] == ["0", "1", "2", "3"]
    assert [run.status for run in runs] == STATES
    assert [run.tags["state"] for run in runs] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    assert runs[0].params == {"x": str(tuned.trials[0].params["x"])}
    assert runs[0].values["distance"] == tuned.trials[0].value
    assert runs[0].points["intermediate_value"] == [0, 1, 2]
    assert runs[1].points == {"intermediate_value": [0, 1]}
    expected = {"kind": "even", "owner": "me", "team": "tune", "direction": "MINIMIZE"}
    assert expected.items() <= runs[0].tags.items()
    assert "x_distribution" in runs[0].tags
    assert "runstone.run_id" not in runs[0].tags


@pytest.mark.parametrize("jobs", [1, 3])
def test_tracked(jobs: int) -> None:
    name = f"optuna tracked {jobs}"
    with runstone.start_run(run_name="search") as search:
        hook = callback()

        @hook.track_in_runstone()
        def tracked(trial: Any) -> float:
            runstone.log_metric("own", trial.number, step=5)
            return objective(trial)

        tuned = study(name)
        tuned.optimize(tracked, 4, callbacks=[hook], n_jobs=jobs, catch=(ValueError,))
        active = runstone.active_run()
        assert active is not None
        assert active.info.run_id == search.info.run_id
    runs = {run.name: run for run in runs_of(name)}
    assert [runs[str(number)].status for number in range(4)] == STATES
    for number in range(4):
        run = runs[str(number)]
        assert run.points["own"] == [5]
        assert run.values["own"] == number
        assert run.tags["number"] == str(number)
    client = runstone.Client()
    for trial in tuned.trials:
        tags = client.get_run(trial.user_attrs["runstone.run_id"]).data.tags
        assert tags["mlflow.parentRunId"] == search.info.run_id


def test_a_trial_that_ends_the_study() -> None:
    hook = callback()

    @hook.track_in_runstone()
    def tracked(trial: Any) -> float:
        runstone.log_metric("own", 1.0)
        raise KeyError("unforeseen")

    with pytest.raises(KeyError):
        study("optuna raises").optimize(tracked, n_trials=2, callbacks=[hook])
    [run] = runs_of("optuna raises")
    assert (run.status, run.points) == ("FAILED", {"own": [0]})
    assert runstone.active_run() is None


def test_several_objectives_and_an_experiment_of_ones_own() -> None:
    hook = callback(create_experiment=False, experiment_name="optuna mine")
    many = study("optuna many", directions=["minimize", "maximize"])
    many.optimize(lambda trial: (trial.suggest_int("n", 1, 3), 2.0), 1, callbacks=[hook])
    [run] = runs_of("optuna mine")
    assert sorted(run.values) == ["value_0", "value_1"]
    assert run.tags["direction"] == "['MINIMIZE', 'MAXIMIZE']"
    assert runstone.get_experiment_by_name("optuna many") is None


def test_a_hook_of_a_framework_inside_logs_to_the_trial() -> None:
    from accelerate import Accelerator

    from runstone.integrations.accelerate import RunstoneTracker

    hook = callback()

    @hook.track_in_runstone()
    def tracked(trial: Any) -> float:
        accelerator = Accelerator(log_with=[RunstoneTracker()], cpu=True)
        accelerator.init_trackers("x", config={"units": trial.suggest_int("units", 1, 9)})
        accelerator.log({"loss": 0.5}, step=3)
        accelerator.end_training()
        return 0.5

    study("optuna inside").optimize(tracked, n_trials=2, callbacks=[hook])
    for run in runs_of("optuna inside"):
        assert run.status == "FINISHED"
        assert run.points == {"loss": [3], "value": [0]}
        assert list(run.params) == ["units"]
    assert held(runstone.last_active_run().info.run_id).status == "FINISHED"  # type: ignore[union-attr]
