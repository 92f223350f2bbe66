"""Which evaluators are asked for, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runstone._values import invalid

MODEL_TYPES = ("classifier", "regressor")
EVALUATORS = ("default", *MODEL_TYPES, "shap")


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        measure: Options of metrics, plots and the user's functions; None to leave them out.
        explain: Options of the SHAP plots; None to leave them out.
    """

    measure: Mapping[str, Any] | None
    explain: Mapping[str, Any] | None

    @property
    def options(self) -> Mapping[str, Any]:
        """Those of the metrics, else those of the plots."""
        return self.measure if self.measure is not None else self.explain or {}


def plan(evaluators: Any, config: Any, model_type: str | None) -> Plan:
    """What ``evaluators`` and ``evaluator_config`` say, in any of MLflow's forms.

    The options are a dict for all evaluators, or for a list of evaluators a dict of dicts by their
    names; ``default`` stands for those of the model's type.

    Raises:
        InvalidField: an evaluator is unknown or does not go with the model's type, or the options
            are of another form.
    """
    if config is not None and not isinstance(config, Mapping):
        raise invalid("evaluator_config", f"must be a dict, not {type(config).__name__}")
    names = _names(evaluators)
    by_name = _by_name(evaluators, names, config or {})
    own = model_type or "default"
    for name in names:
        if name in MODEL_TYPES and name != own:
            if evaluators is None:
                continue
            raise invalid("evaluators", f"has {name!r}, and model_type is {model_type!r}")
    measured = [name for name in ("default", own) if name in names]
    measure = _first(by_name, (own, "default")) if measured else None
    explain: Mapping[str, Any] | None = None
    if model_type is not None and {"default", "shap"} & set(names):
        explain = _first(by_name, ("shap", "default") if "shap" in names else ("default",))
        if not explain.get("log_model_explainability", True):
            explain = None
    if measure is None and explain is None:
        raise invalid("evaluators", f"has none that can evaluate model_type {model_type!r}")
    return Plan(measure, explain)


def _names(evaluators: Any) -> list[str]:
    if evaluators is None:
        return list(EVALUATORS)
    names = [evaluators] if isinstance(evaluators, str) else evaluators
    if not isinstance(names, list | tuple):
        raise invalid("evaluators", f"must be a name or a list, not {type(names).__name__}")
    for name in names:
        if name not in EVALUATORS:
            raise invalid("evaluators", f"must be of {', '.join(EVALUATORS)}, not {name!r:.80}")
    return list(names)


def _by_name(
    evaluators: Any, names: list[str], config: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    nested = {name: config[name] for name in names if name in config}
    if isinstance(evaluators, str) or (evaluators is None and not nested):
        return dict.fromkeys(names, config)
    wrong = [str(key) for key in config if key not in names]
    if wrong and evaluators is not None:
        raise invalid(
            "evaluator_config",
            f"must have the options of each evaluator under its name; {', '.join(wrong)} is none",
        )
    for name, options in nested.items():
        if not isinstance(options, Mapping):
            raise invalid(
                f"evaluator_config[{name!r}]", f"must be a dict, not {type(options).__name__}"
            )
    return nested


def _first(by_name: Mapping[str, Mapping[str, Any]], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((by_name[name] for name in names if by_name.get(name)), {})
