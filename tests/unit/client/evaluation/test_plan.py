"""Evaluators and their options, in each of the forms that MLflow has."""

from __future__ import annotations

from typing import Any

import pytest

from runstone._evaluation.plan import Plan, plan
from runstone.exceptions import InvalidField

OPTIONS = {"pos_label": 1}
QUIET = {"log_model_explainability": False}


@pytest.mark.parametrize(
    ("evaluators", "config", "model_type", "expected"),
    [
        (None, None, "classifier", Plan({}, {})),
        (None, OPTIONS, "classifier", Plan(OPTIONS, OPTIONS)),
        (None, QUIET, "regressor", Plan(QUIET, None)),
        (None, {"default": OPTIONS}, "classifier", Plan(OPTIONS, OPTIONS)),
        (None, {"classifier": OPTIONS, "shap": QUIET}, "classifier", Plan(OPTIONS, None)),
        (None, OPTIONS, None, Plan(OPTIONS, None)),
        ("default", OPTIONS, "regressor", Plan(OPTIONS, OPTIONS)),
        ("default", OPTIONS, None, Plan(OPTIONS, None)),
        ("classifier", OPTIONS, "classifier", Plan(OPTIONS, None)),
        ("shap", OPTIONS, "classifier", Plan(None, OPTIONS)),
        (["default"], {"default": QUIET}, "regressor", Plan(QUIET, None)),
        (["regressor", "shap"], {"regressor": OPTIONS}, "regressor", Plan(OPTIONS, {})),
    ],
)
def test_forms(evaluators: Any, config: Any, model_type: Any, expected: Plan) -> None:
    assert plan(evaluators, config, model_type) == expected


@pytest.mark.parametrize(
    ("evaluators", "config", "model_type", "told"),
    [
        ("best", None, "classifier", "evaluators must be of default"),
        (3, None, "classifier", "evaluators must be a name or a list"),
        ("regressor", None, "classifier", "evaluators has 'regressor'"),
        ("shap", None, None, "evaluators has none that can evaluate model_type None"),
        ([], None, "classifier", "evaluators has none"),
        (None, [1], "classifier", "evaluator_config must be a dict"),
        (["default"], OPTIONS, "classifier", "evaluator_config must have the options of each"),
        (
            ["default"],
            {"default": 3},
            "classifier",
            r"evaluator_config\['default'\] must be a dict",
        ),
    ],
)
def test_what_is_wrong_is_told(evaluators: Any, config: Any, model_type: Any, told: str) -> None:
    with pytest.raises(InvalidField, match=f"^{told}"):
        plan(evaluators, config, model_type)
