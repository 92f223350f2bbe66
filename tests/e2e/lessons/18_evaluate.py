"""Lesson 18: evaluate a model.

One call computes what is usual for a classifier or a regressor, draws the plots, and keeps all of
it with the run.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import runstone

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7, stratify=y)
model = RandomForestClassifier(n_estimators=30, random_state=7).fit(X_train, y_train)

runstone.set_experiment("evaluation")
with runstone.start_run(run_name="forest") as run:
    info = runstone.sklearn.log_model(model, name="forest", input_example=X_test.head(1))
    result = runstone.evaluate(
        info.model_uri,
        X_test.assign(benign=y_test),
        targets="benign",
        model_type="classifier",
        evaluator_config={"log_model_explainability": False},  # True needs shap
    )

for name, value in sorted(result.metrics.items()):
    print(f"{name:24} {value:.3f}")
for name, artifact in sorted(result.artifacts.items()):
    print(f"{name:24} {artifact.uri.rpartition('/')[2]}")
print("could not be made:", result.failures)

kept = runstone.get_run(run.info.run_id).data.metrics
print("kept with the run:", kept["accuracy_score"] == result.metrics["accuracy_score"])
