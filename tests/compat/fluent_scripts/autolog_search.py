"""Autologging of a grid search: parameters, scores, child runs and the best model."""

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_wine
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

mlflow.set_experiment("autolog")
mlflow.sklearn.autolog(max_tuning_runs=3, log_datasets=False)
X, y = load_wine(return_X_y=True, as_frame=True)

with mlflow.start_run(run_name="search") as run:
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=7), {"max_depth": [1, 2, 3, 4]}, cv=3
    ).fit(X, y)
    print("best", search.best_params_)

client = MlflowClient()
found = client.get_run(run.info.run_id)
print(sorted(found.data.params.items()))
print({key: round(value, 6) for key, value in sorted(found.data.metrics.items())})
print({key: found.data.tags[key] for key in ("estimator_name", "estimator_class")})
print(sorted(item.path for item in client.list_artifacts(run.info.run_id)))
children = client.search_runs(
    [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
)
for child in sorted(children, key=lambda each: each.data.params["max_depth"]):
    scores = {k: round(v, 6) for k, v in sorted(child.data.metrics.items()) if "time" not in k}
    print(child.data.params["max_depth"], scores)
best = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/best_estimator")
print(type(best).__name__, best.get_params()["max_depth"])

mlflow.sklearn.autolog(disable=True)
LinearRegression().fit(X, y)
print(len(client.search_runs([run.info.experiment_id])))

mlflow.sklearn.autolog(log_models=False, silent=True)
LinearRegression().fit(X, y)
last = mlflow.last_active_run()
print(sorted(last.data.params.items()))
print({key: round(value, 6) for key, value in sorted(last.data.metrics.items())})
mlflow.sklearn.autolog(disable=True)
