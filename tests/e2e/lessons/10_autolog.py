"""Lesson 10: autologging.

With one line every training of scikit-learn (and of XGBoost, LightGBM, Keras, Lightning ...) logs
its parameters, metrics, plots and model by itself, each in a run of its own.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, train_test_split

import runstone

runstone.set_experiment("by itself")
runstone.autolog(log_input_examples=True)

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)

model = RandomForestClassifier(n_estimators=20, max_depth=4, random_state=7)
model.fit(X_train, y_train)

run = runstone.last_active_run()
print("estimator:", run.data.tags["estimator_name"])
print("params:   ", len(run.data.params), "such as max_depth =", run.data.params["max_depth"])
for name, value in sorted(run.data.metrics.items()):
    print(f"{name:26} {value:.3f}")
for file in runstone.artifacts.list_artifacts(run_id=run.info.run_id):
    print("file:     ", file.path)

# Within a run of yours it goes there, and what you log besides does too.
with runstone.start_run(run_name="search"):
    search = GridSearchCV(model, {"max_depth": [2, 6]}, cv=3).fit(X_train, y_train)
    runstone.log_metric("test_accuracy", search.score(X_test, y_test))

runs = runstone.search_runs(output_format="list")
print("runs:     ", len(runs), "of which trials of the search:", len(runs) - 2)
loaded = runstone.sklearn.load_model(f"runs:/{run.info.run_id}/model")
print("loaded:   ", type(loaded).__name__)

runstone.autolog(disable=True)
