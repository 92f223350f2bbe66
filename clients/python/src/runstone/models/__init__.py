"""Models: what they take and give, and how they are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstone._evaluation.artifacts import EvaluationArtifact
    from runstone._evaluation.evaluate import evaluate
    from runstone._evaluation.metric import EvaluationMetric, make_metric
    from runstone._evaluation.result import EvaluationResult
    from runstone._evaluation.thresholds import MetricThreshold, validate_evaluation_results
    from runstone._flavors.code_model import ModelConfig, set_model
    from runstone._flavors.importing import import_model
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._models.signatures import get_model_info, set_signature
    from runstone._serving.predicting import predict
    from runstone._serving.serving_input import (
        convert_input_example_to_serving_input,
        validate_serving_input,
    )
    from runstone.models.signature import ModelSignature, infer_signature

__all__ = [
    "EvaluationArtifact",
    "EvaluationMetric",
    "EvaluationResult",
    "MetricThreshold",
    "Model",
    "ModelConfig",
    "ModelInfo",
    "ModelSignature",
    "convert_input_example_to_serving_input",
    "evaluate",
    "get_model_info",
    "import_model",
    "infer_signature",
    "make_metric",
    "predict",
    "set_model",
    "set_signature",
    "validate_evaluation_results",
    "validate_serving_input",
]

_HOMES = {
    **dict.fromkeys(("ModelSignature", "infer_signature"), "runstone.models.signature"),
    "Model": "runstone._models.model",
    "ModelInfo": "runstone._models.info",
    "import_model": "runstone._flavors.importing",
    **dict.fromkeys(("get_model_info", "set_signature"), "runstone._models.signatures"),
    **dict.fromkeys(
        ("convert_input_example_to_serving_input", "validate_serving_input"),
        "runstone._serving.serving_input",
    ),
    **dict.fromkeys(("ModelConfig", "set_model"), "runstone._flavors.code_model"),
    "predict": "runstone._serving.predicting",
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
