"""Models: what they take and give, and how they are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstone._evaluation.artifacts import EvaluationArtifact
    from runstone._evaluation.evaluate import evaluate
    from runstone._evaluation.metric import EvaluationMetric, make_metric
    from runstone._evaluation.result import EvaluationResult
    from runstone._evaluation.thresholds import MetricThreshold, validate_evaluation_results
    from runstone.models.signature import ModelSignature, infer_signature

__all__ = [
    "EvaluationArtifact",
    "EvaluationMetric",
    "EvaluationResult",
    "MetricThreshold",
    "ModelSignature",
    "evaluate",
    "infer_signature",
    "make_metric",
    "validate_evaluation_results",
]

_HOMES = {
    **dict.fromkeys(("ModelSignature", "infer_signature"), "runstone.models.signature"),
    "EvaluationArtifact": "runstone._evaluation.artifacts",
    **dict.fromkeys(("EvaluationMetric", "make_metric"), "runstone._evaluation.metric"),
    "EvaluationResult": "runstone._evaluation.result",
    **dict.fromkeys(
        ("MetricThreshold", "validate_evaluation_results"), "runstone._evaluation.thresholds"
    ),
    "evaluate": "runstone._evaluation.evaluate",
}
"""The module of each name, which loads with the first use of it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runstone.models' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
