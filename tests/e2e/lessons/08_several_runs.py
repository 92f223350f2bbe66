"""Lesson 8: several runs in one script.

Each setting gets a run of its own, below one run for the whole search. Then the best is found by a
question, not by hand.
"""

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import runstone

X, y = load_wine(return_X_y=True)
experiment = runstone.set_experiment("wine neighbours")

with runstone.start_run(run_name="search") as parent:
    for neighbours in (1, 5, 15, 45):
        with runstone.start_run(run_name=f"k={neighbours}", nested=True):
            model = make_pipeline(StandardScaler(), KNeighborsClassifier(neighbours))
            scores = cross_val_score(model, X, y, cv=5)
            runstone.log_param("neighbours", neighbours)
            for fold, score in enumerate(scores):
                runstone.log_metric("fold_accuracy", score, step=fold)
            runstone.log_metric("accuracy", scores.mean())

children = runstone.search_runs(
    [experiment.experiment_id],
    filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
    order_by=["metrics.accuracy DESC"],
)  # a DataFrame
for _, row in children.iterrows():
    print(f"{row['tags.mlflow.runName']:6} {row['metrics.accuracy']:.3f}")

best = children.iloc[0]
print("best:", best["params.neighbours"], "neighbours")
print("its parent:", runstone.get_parent_run(best["run_id"]).info.run_name)
