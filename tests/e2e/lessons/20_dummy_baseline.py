"""Lesson 20: is it better than guessing? A baseline, and thresholds.

A DummyClassifier always says what is most frequent. A model that does not beat it by far has
learned nothing, however good its accuracy looks.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import runstone
from runstone.exceptions import ModelValidationFailed
from runstone.models import MetricThreshold

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7, stratify=y)
test = X_test.assign(benign=y_test)


def judged(model, name):
    with runstone.start_run(run_name=name):
        return runstone.evaluate(
            model.fit(X_train, y_train),
            test,
            targets="benign",
            model_type="classifier",
            evaluator_config={"log_model_explainability": False},
        )


runstone.set_experiment("baseline")
baseline = judged(DummyClassifier(strategy="most_frequent"), "dummy")
candidate = judged(DecisionTreeClassifier(max_depth=3, random_state=7), "tree")
for name in ("accuracy_score", "f1_score", "roc_auc"):
    print(f"{name:15} {baseline.metrics[name]:.3f} -> {candidate.metrics[name]:.3f}")

thresholds = {
    "accuracy_score": MetricThreshold(
        threshold=0.8, min_absolute_change=0.1, min_relative_change=0.1, greater_is_better=True
    ),
    "roc_auc": MetricThreshold(threshold=0.9, greater_is_better=True),
}
runstone.validate_evaluation_results(thresholds, candidate, baseline)
print("The tree is good enough.")

try:
    runstone.validate_evaluation_results(thresholds, baseline)
except ModelValidationFailed as error:
    print("The dummy is not:", error)
