"""Judging models, under the names that MLflow has in ``mlflow.models.evaluation``."""

from runstone._evaluation.artifacts import EvaluationArtifact
from runstone._evaluation.evaluate import evaluate
from runstone._evaluation.metric import EvaluationMetric, make_metric
from runstone._evaluation.result import EvaluationResult
from runstone._evaluation.thresholds import MetricThreshold

__all__ = [
    "EvaluationArtifact",
    "EvaluationMetric",
    "EvaluationResult",
    "MetricThreshold",
    "evaluate",
    "make_metric",
]
