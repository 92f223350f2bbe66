"""Lesson 9: several experiments in one script, and questions across them."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import runstone

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7, stratify=y)

trials = {
    "cancer linear": [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength)) for strength in (0.1, 1.0)
    ],
    "cancer bayes": [GaussianNB()],
    "cancer trees": [DecisionTreeClassifier(max_depth=d, random_state=7) for d in (2, 4)],
}
for name, models in trials.items():
    runstone.set_experiment(name)
    for number, model in enumerate(models):
        with runstone.start_run(run_name=f"{name} {number}"):
            predicted = model.fit(X_train, y_train).predict(X_test)
            runstone.log_param("steps", type(model).__name__)
            runstone.log_metric("accuracy", accuracy_score(y_test, predicted))
            runstone.log_metric("f1", f1_score(y_test, predicted))

for experiment in runstone.search_experiments(
    filter_string="name LIKE 'cancer%'", order_by=["name ASC"]
):
    runs = runstone.search_runs([experiment.experiment_id], output_format="list")
    print(f"{experiment.name}: {len(runs)} runs")

best = runstone.search_runs(
    experiment_names=list(trials),
    filter_string="metrics.f1 > 0.8",
    order_by=["metrics.accuracy DESC"],
    max_results=3,
)
print(best[["tags.mlflow.runName", "metrics.accuracy", "metrics.f1"]].round(3).to_string())
