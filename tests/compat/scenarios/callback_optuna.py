"""Optuna: its MLflowCallback, a run for each trial."""

import warnings

import mlflow
import optuna
from _recorder import Recorder
from optuna_integration import MLflowCallback

warnings.simplefilter("ignore")
r = Recorder()
client = mlflow.MlflowClient()
callback = MLflowCallback(
    tracking_uri=mlflow.get_tracking_uri(),
    metric_name="distance",
    mlflow_kwargs={"nested": True},
    tag_study_user_attrs=True,
)


@callback.track_in_mlflow()
def objective(trial):
    mlflow.log_metric("half", trial.number / 2)
    x = trial.suggest_float("x", -1, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("squared", kind == "a")
    return x * x


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(study_name=r.name, sampler=optuna.samplers.RandomSampler(seed=1))
study.set_user_attr("team", "vision")
study.optimize(objective, n_trials=4, callbacks=[callback])

# --- What it left -----------------------------------------------------------------------------

experiment = client.get_experiment_by_name(r.name)
r.experiment(experiment.experiment_id)
r.note("experiment", experiment)
runs = client.search_runs([experiment.experiment_id], order_by=["run_name"])
varying = ("datetime_start", "datetime_complete")
for run in runs:
    tags = {k: v for k, v in run.data.tags.items() if k not in varying}
    r.note(f"trial {run.info.run_name}", [run.info, run.data.params, run.data.metrics, tags])
r.call(
    "best",
    lambda: (
        client.search_runs([experiment.experiment_id], order_by=["metrics.distance"])[
            0
        ].info.run_name
    ),
)

r.finish()
