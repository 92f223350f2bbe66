"""What a script written for MLflow asks of this module in vain, and what to do instead."""

from __future__ import annotations

_FLAVORS = frozenset(
    {
        "pmdarima",
        *("langchain", "openai", "fastai", "h2o", "paddle", "shap"),
    }
)

_SAVE = "save the model with its own library, then log the file with runstone.log_artifact"
_TIME = "time the code yourself and log it with runstone.log_metric"
_KEEP = "keep the text as a file, with runstone.log_text"
_JUDGE = "log what was judged with runstone.log_metrics and runstone.log_table"

_INSTEAD = {
    **dict.fromkeys(
        ("log_model", "save_model"), "log it by its framework, such as runstone.sklearn"
    ),
    "load_model": "load it by its framework, or as a function by runstone.pyfunc.load_model",
    "MlflowException": "catch runstone.RunstoneException",
    **dict.fromkeys(("genai",), _JUDGE),
    **dict.fromkeys(("log_assessment", "log_feedback", "log_expectation"), _JUDGE),
    **dict.fromkeys(("trace", "tracing", "start_span", "start_span_no_context"), _TIME),
    **dict.fromkeys(("log_trace", "get_trace", "search_traces", "update_current_trace"), _TIME),
    **dict.fromkeys(("register_prompt", "load_prompt", "search_prompts"), _KEEP),
    "set_active_model": "name the model: log_metric of runstone.Client takes model_id",
    "log_outputs": "runstone.Client has log_outputs, and log_model does it by itself",
}
"""Names of MLflow's fluent API that have no counterpart yet."""


def explanation(name: str) -> str:
    """The message of the AttributeError for a name that ``runstone`` does not have."""
    instead = _SAVE if name in _FLAVORS else _INSTEAD.get(name)
    if instead is not None:
        return f"runstone.{name} does not exist yet; {instead}"
    return f"module 'runstone' has no attribute {name!r}{_meant(name)}"


def _meant(name: str) -> str:
    if name.startswith("_"):  # asked for by tools, not typed
        return ""
    from difflib import get_close_matches

    import runstone

    near = get_close_matches(name, runstone.__all__, n=1, cutoff=0.8)
    return f" (did you mean {near[0]}?)" if near else ""
