"""Thresholds, under the names that MLflow has in ``mlflow.models.evaluation.validation``."""

from runstone._evaluation.thresholds import MetricThreshold, validate_evaluation_results
from runstone.exceptions import ModelValidationFailed

ModelValidationFailedException = ModelValidationFailed

__all__ = [
    "MetricThreshold",
    "ModelValidationFailedException",
    "validate_evaluation_results",
]
