"""Evaluation of a classifier and a regressor, with metrics of one's own, against thresholds."""

import mlflow
import pandas as pd
from mlflow.models import MetricThreshold, make_metric
from mlflow.models.evaluation.validation import ModelValidationFailedException
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

CONFIG = {"log_model_explainability": False}
mlflow.set_experiment("evaluation")

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
data = X.assign(target=y)


def judged(model):
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model.fit(X, y),
            name="model",
            input_example=X.head(1),
            serialization_format="cloudpickle",
        )
        return mlflow.evaluate(
            info.model_uri,
            data,
            targets="target",
            model_type="classifier",
            evaluators="default",
            evaluator_config=CONFIG,
        )


candidate = judged(DecisionTreeClassifier(max_depth=2, random_state=7))
baseline = judged(DummyClassifier(strategy="most_frequent"))
print({key: round(float(value), 6) for key, value in sorted(candidate.metrics.items())})
print(sorted(candidate.artifacts))

good = {"accuracy_score": MetricThreshold(0.8, min_relative_change=0.1, greater_is_better=True)}
mlflow.validate_evaluation_results(good, candidate, baseline)
bad = {"accuracy_score": MetricThreshold(threshold=0.999, greater_is_better=True)}
try:
    mlflow.validate_evaluation_results(bad, candidate, baseline)
except ModelValidationFailedException:
    print("not good enough")


def half_off(predictions, targets, metrics):
    return float((predictions - targets).abs().mean() / 2)


X, y = load_diabetes(return_X_y=True, as_frame=True)
frame = pd.DataFrame({"target": y, "prediction": LinearRegression().fit(X, y).predict(X)})
with mlflow.start_run() as run:
    result = mlflow.evaluate(
        data=frame,
        targets="target",
        predictions="prediction",
        model_type="regressor",
        extra_metrics=[make_metric(eval_fn=half_off, greater_is_better=False)],
        evaluator_config=CONFIG,
    )
print({key: round(float(value), 6) for key, value in sorted(result.metrics.items())})
print(sorted(mlflow.get_run(run.info.run_id).data.metrics) == sorted(result.metrics))
