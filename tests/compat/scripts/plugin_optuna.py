"""Optuna's MLflow callback reports its trials through the plug-in."""

import os

import mlflow
import optuna
from mlflow import MlflowClient
from optuna_integration.mlflow import MLflowCallback

NAME = f"optuna {os.getpid()}"
TRIALS = 5

callback = MLflowCallback(
    tracking_uri=mlflow.get_tracking_uri(),
    metric_name="loss",
    mlflow_kwargs={"tags": {"by": "optuna"}},
)


@callback.track_in_mlflow()
def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -1, 1)
    mlflow.log_metric("squared", x * x, step=trial.number)
    return x * x


def main() -> None:
    study = optuna.create_study(study_name=NAME, sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=TRIALS, callbacks=[callback])
    experiment = mlflow.get_experiment_by_name(NAME)
    runs = MlflowClient().search_runs([experiment.experiment_id], order_by=["metrics.loss ASC"])
    assert len(runs) == TRIALS
    assert all(run.info.status == "FINISHED" for run in runs)
    assert [run.data.metrics["loss"] for run in runs] == sorted(
        trial.value for trial in study.trials
    )
    best = runs[0].data
    assert best.metrics["loss"] == best.metrics["squared"] == study.best_value
    assert float(best.params["x"]) == study.best_params["x"]
    assert best.tags["by"] == "optuna"


if __name__ == "__main__":
    main()
