"""Thresholds: what passes, what is missed, and how that is told."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from runstone.exceptions import InvalidField, MlflowException, ModelValidationFailed
from runstone.models import EvaluationResult, MetricThreshold, validate_evaluation_results
from runstone.models.evaluation.validation import ModelValidationFailedException


def result(**metrics: float) -> EvaluationResult:
    return EvaluationResult(metrics, {})


def verdict(threshold: MetricThreshold, value: float, baseline: float | None = None) -> str:
    """What is told of metric ``m``; empty when it passes."""
    against = None if baseline is None else result(m=baseline)
    try:
        validate_evaluation_results({"m": threshold}, result(m=value), against)
    except ModelValidationFailed as error:
        return error.metadata["m"]
    return ""


@pytest.mark.parametrize(
    ("arguments", "value", "baseline", "told"),
    [
        ({"threshold": 0.8, "greater_is_better": True}, 0.8, None, ""),
        ({"threshold": 0.8, "greater_is_better": True}, 0.79, None, "m: 0.79 is not at least 0.8"),
        ({"threshold": 2, "greater_is_better": False}, 2, None, ""),
        ({"threshold": 2, "greater_is_better": False}, 2.5, None, "m: 2.5 is not at most 2"),
        ({"threshold": 2, "greater_is_better": False}, math.nan, None, "m: nan is not at most 2"),
        ({"min_absolute_change": 0.25, "greater_is_better": True}, 0.75, 0.5, ""),
        (
            {"min_absolute_change": 0.5, "greater_is_better": True},
            0.75,
            0.5,
            "m: 0.75 is not above the baseline's 0.5 by at least 0.5",
        ),
        ({"min_absolute_change": 1, "greater_is_better": False}, 3, 4, ""),
        (
            {"min_absolute_change": 2, "greater_is_better": False},
            3,
            4,
            "m: 3 is not below the baseline's 4 by at least 2",
        ),
        ({"min_relative_change": 0.5, "greater_is_better": True}, 3, 2, ""),
        (
            {"min_relative_change": 0.1, "greater_is_better": True},
            2.1,
            2,
            "m: 2.1 is not above the baseline's 2 by at least 10%",
        ),
        ({"min_relative_change": 0.25, "greater_is_better": True}, -1.5, -2, ""),
        (
            {"min_relative_change": 0.1, "greater_is_better": True},
            -2.2,
            -2,
            "m: -2.2 is not above the baseline's -2 by at least 10%",
        ),
        ({"min_relative_change": 0.25, "greater_is_better": False}, 1.5, 2, ""),
        ({"min_relative_change": 0.1, "greater_is_better": True}, 0.001, 0, ""),
        (
            {"min_relative_change": 0.1, "greater_is_better": True},
            0,
            0,
            "m: 0 is not above the baseline's 0 by at least 10%",
        ),
        (
            {"min_relative_change": 0.1, "greater_is_better": True},
            math.nan,
            1,
            "m: nan is not above the baseline's 1 by at least 10%",
        ),
        (
            {"min_relative_change": 0.1, "greater_is_better": True},
            1,
            None,
            "m: it must be more than the baseline by at least 10%, and no baseline_result is given",
        ),
    ],
)
def test_a_metric_passes_or_is_told(
    arguments: dict[str, Any], value: float, baseline: float | None, told: str
) -> None:
    assert verdict(MetricThreshold(**arguments), value, baseline) == told


def test_all_that_is_missed_is_told_at_once() -> None:
    high = MetricThreshold(threshold=0.9, min_absolute_change=0.1, greater_is_better=True)
    candidate = EvaluationResult({"acc": 0.5, "f1": 1.0}, {}, failures={"roc_auc": "one class"})
    with pytest.raises(ModelValidationFailedException) as caught:
        validate_evaluation_results(
            {"acc": high, "f1": high, "roc_auc": high, "speed": high}, candidate, result(acc=0.6)
        )
    assert str(caught.value).splitlines() == [
        "the model is not good enough by 4 metrics:",
        "- acc: 0.5 is not at least 0.9; 0.5 is not above the baseline's 0.6 by at least 0.1",
        "- f1: the baseline has no such metric to be compared with",
        "- roc_auc: the evaluation has no such metric; one class",
        "- speed: the evaluation has no such metric; it has not been measured",
    ]
    assert isinstance(caught.value, MlflowException)
    assert caught.value.error_code == "BAD_REQUEST"
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), copied.metadata) == (str(caught.value), caught.value.metadata)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"threshold": 1}, "greater_is_better"),
        ({"threshold": 1, "greater_is_better": "yes"}, "greater_is_better"),
        ({"greater_is_better": True}, "threshold"),
        ({"threshold": "1", "greater_is_better": True}, "threshold"),
        ({"threshold": math.nan, "greater_is_better": True}, "threshold"),
        ({"min_absolute_change": 0, "greater_is_better": True}, "min_absolute_change"),
        ({"min_relative_change": 1.5, "greater_is_better": True}, "min_relative_change"),
        ({"min_relative_change": True, "greater_is_better": True}, "min_relative_change"),
    ],
)
def test_a_wrong_threshold_is_told_by_its_argument(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field} "):
        MetricThreshold(**arguments)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (([], result()), "validation_thresholds"),
        (({"m": 0.5}, result()), r"validation_thresholds\['m'\]"),
        (({}, {"m": 1}), "candidate_result"),
        (({}, result(), {"m": 1}), "baseline_result"),
    ],
)
def test_wrong_arguments_are_told(arguments: Any, field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field} "):
        validate_evaluation_results(*arguments)


def test_a_threshold_reads_well() -> None:
    both = MetricThreshold(0.5, 0.1, 0.05, greater_is_better=False)
    assert str(both) == (
        "at most 0.5, less than the baseline by at least 0.1, less than the baseline by at least 5%"
    )
    assert repr(MetricThreshold(threshold=1, greater_is_better=True)) == (
        "MetricThreshold(threshold=1, greater_is_better=True)"
    )
