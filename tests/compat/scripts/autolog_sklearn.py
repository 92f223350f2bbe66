"""Trains with scikit-learn while MLflow, or Runstone under its name, logs by itself.

Prints what each run holds, for what was trained.
"""

import importlib
import json
import sys

import numpy as np
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

module = sys.argv[1]
mlflow = importlib.import_module(module)
importlib.import_module(f"{module}.sklearn")
mlflow.set_tracking_uri(sys.argv[2])
mlflow.set_experiment("autolog")
mlflow.sklearn.autolog(max_tuning_runs=2)

X, y = make_classification(100, 5, random_state=0)
X_more, y_more = make_classification(100, 8, n_informative=4, n_classes=3, random_state=1)
X_line, y_line = make_regression(60, 4, random_state=2)


def held(run_id):
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    tags = {key: value for key, value in run.data.tags.items() if key.startswith("estimator")}
    found = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    children = sorted(found, key=lambda child: child.data.params["max_depth"])
    return {
        "status": run.info.status,
        "own": "mlflow.autologging" in run.data.tags,
        "params": run.data.params,
        "metrics": {key: round(float(value), 9) for key, value in run.data.metrics.items()},
        "tags": tags,
        "files": sorted(
            each.path for each in client.list_artifacts(run_id) if each.path != "metric_info.json"
        ),
        "datasets": len(run.inputs.dataset_inputs),
        "models": len(run.outputs.model_outputs),
        "children": [
            [
                dict(sorted(child.data.params.items())),
                round(child.data.metrics["mean_test_score"], 9),
                sorted(child.data.metrics),
                child.info.status,
                child.data.tags["estimator_name"],
            ]
            for child in children
        ],
    }


def trained(name, train):
    train()
    found[name] = held(mlflow.last_active_run().info.run_id)


def failing():
    try:
        LogisticRegression().fit(X, None)
    except ValueError:
        return
    raise AssertionError("a training without labels must fail")


def judged():
    some, labels = X, y  # known by the names of the variables that hold them
    model = DecisionTreeClassifier(random_state=0).fit(some, labels)
    predicted = model.predict(some)
    metrics.accuracy_score(labels, predicted)
    metrics.accuracy_score(labels, predicted, normalize=True)
    model.score(some, labels)


def in_a_run():
    with mlflow.start_run():
        Ridge(alpha=0.5).fit(X_line, y=y_line)


search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3]}, cv=2)
weights = np.linspace(0.1, 1.0, len(y))
found = {}
trained("search with models", lambda: search.fit(X, y))
trained("binary", lambda: LogisticRegression(C=0.5).fit(X, y))
# To log a model takes MLflow seconds, and is the same for all of them.
mlflow.sklearn.autolog(max_tuning_runs=2, log_models=False)
trained("weighted", lambda: LogisticRegression().fit(X, y, sample_weight=weights))
trained("many classes", lambda: DecisionTreeClassifier(max_depth=3).fit(X_more, y_more))
trained("pipeline", lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y))
trained("search", lambda: search.fit(X, y))
trained("clusters", lambda: KMeans(2, n_init=1, random_state=0).fit(X))
trained("in a run", in_a_run)
trained("failing", failing)
trained("judged", judged)
trained("nothing", lambda: StandardScaler().fit(X))
print(json.dumps(found))
