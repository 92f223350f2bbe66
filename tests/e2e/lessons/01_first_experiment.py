"""Lesson 1: a first experiment.

An experiment is a named group of runs. A run is one training: its parameters say what was chosen,
its metrics what came out. Nothing needs to be started before: without any setting all of it is
kept in ./runstone-data, by a small server in the background that ends when nobody uses it.
"""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split

import runstone

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)
alpha, l1_ratio = 0.01, 0.5

runstone.set_experiment("diabetes")  # made if it is not there
with runstone.start_run(run_name="elastic net"):
    runstone.log_params({"alpha": alpha, "l1_ratio": l1_ratio})
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=7).fit(X_train, y_train)
    predicted = model.predict(X_test)
    runstone.log_metrics(
        {"mae": mean_absolute_error(y_test, predicted), "r2": r2_score(y_test, predicted)}
    )
    runstone.sklearn.log_model(model, name="model", input_example=X_train.head(2))

run = runstone.last_active_run()
print("run     ", run.info.run_name, run.info.status)
print("params  ", run.data.params)
print("metrics ", {name: round(value, 3) for name, value in run.data.metrics.items()})
print("Look at it with: runstone runs search --experiment diabetes")
