"""What a script written for MLflow asks of this module in vain, and what to do instead."""

from __future__ import annotations

_FLAVORS = frozenset(
    {
        *("sklearn", "pytorch", "tensorflow", "keras", "xgboost", "lightgbm", "catboost", "onnx"),
        *("statsmodels", "spark", "transformers", "pyfunc", "prophet", "pmdarima", "spacy"),
        *("langchain", "openai", "sentence_transformers", "fastai", "h2o", "paddle", "shap"),
    }
)

_SAVE = "save the model with its own library, then log the file with runstone.log_artifact"

_INSTEAD = {
    "autolog": "log with runstone.log_params and runstone.log_metrics",
    "evaluate": "compute the metrics and log them with runstone.log_metrics",
    "log_model": _SAVE,
    "models": "save signature and example beside the model, with runstone.log_dict",
    "run": "start the program yourself; it finds its run by RUNSTONE_RUN_ID",
    "projects": "start the program yourself; it finds its run by RUNSTONE_RUN_ID",
    "trace": "time the code yourself and log it with runstone.log_metric",
    "start_span": "time the code yourself and log it with runstone.log_metric",
    "tracing": "time the code yourself and log it with runstone.log_metric",
}
"""Names of MLflow's fluent API that have no counterpart yet."""


def explanation(name: str) -> str:
    """The message of the AttributeError for a name that ``runstone`` does not have."""
    instead = _SAVE if name in _FLAVORS else _INSTEAD.get(name)
    if instead is None:
        return f"module 'runstone' has no attribute {name!r}"
    return f"runstone.{name} does not exist yet; {instead}"
