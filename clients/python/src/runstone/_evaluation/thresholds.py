"""What a model's metrics must reach, alone or against those of another model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runstone._arguments import checked
from runstone._values import invalid
from runstone.exceptions import ModelValidationFailed

if TYPE_CHECKING:
    from runstone._evaluation.result import EvaluationResult

LEAST_CHANGE = 1e-10
"""What a metric must gain on a baseline of 0, of which there is no relative change."""


class MetricThreshold:
    """What one metric must reach; at least one of the three bounds is given.

    Attributes:
        threshold: The value must be at least this, or at most when less is better.
        min_absolute_change: The value must be better than the baseline's by this; above 0.
        min_relative_change: The value must be better than the baseline's by this share of the
            baseline's magnitude; 0 to 1. Of a baseline of 0 it must only be better.
        greater_is_better: Required. Whether a greater value is a better one.

    Example:
        >>> from runstone.models import MetricThreshold
        >>> print(MetricThreshold(threshold=0.8, greater_is_better=True))
        at least 0.8
        >>> print(MetricThreshold(min_relative_change=0.1, greater_is_better=False))
        less than the baseline by at least 10%
    """

    def __init__(
        self,
        threshold: float | None = None,
        min_absolute_change: float | None = None,
        min_relative_change: float | None = None,
        greater_is_better: bool | None = None,
    ) -> None:
        if not isinstance(greater_is_better, bool):
            raise invalid(
                "greater_is_better", f"must be True or False, not {greater_is_better!r:.80}"
            )
        if threshold is min_absolute_change is min_relative_change is None:
            raise invalid(
                "threshold", "or min_absolute_change or min_relative_change must be given"
            )
        self.threshold = _number("threshold", threshold)
        self.min_absolute_change = _number("min_absolute_change", min_absolute_change)
        self.min_relative_change = _number("min_relative_change", min_relative_change)
        self.greater_is_better = greater_is_better
        if self.min_absolute_change is not None and self.min_absolute_change <= 0:
            raise invalid("min_absolute_change", f"must be above 0, not {min_absolute_change}")
        if self.min_relative_change is not None and not 0 <= self.min_relative_change <= 1:
            raise invalid("min_relative_change", f"must be 0 to 1, not {min_relative_change}")

    def __repr__(self) -> str:
        given = ", ".join(
            f"{name}={value}" for name, value in vars(self).items() if value is not None
        )
        return f"MetricThreshold({given})"

    def __str__(self) -> str:
        bound, side = ("at least", "more") if self.greater_is_better else ("at most", "less")
        said = []
        if self.threshold is not None:
            said.append(f"{bound} {self.threshold}")
        if self.min_absolute_change is not None:
            said.append(f"{side} than the baseline by at least {self.min_absolute_change}")
        if self.min_relative_change is not None:
            percent = f"{self.min_relative_change * 100:.10g}%"
            said.append(f"{side} than the baseline by at least {percent}")
        return ", ".join(said)

    def misses(
        self, value: float, baseline: float | None, *, compared: bool = True
    ) -> Iterator[str]:
        """What the value misses, each as a part of a sentence; NaN misses everything.

        ``compared``: whether there is a baseline at all.
        """
        sign = 1 if self.greater_is_better else -1
        bound = "at least" if self.greater_is_better else "at most"
        if self.threshold is not None and not sign * value >= sign * self.threshold:
            yield f"{value} is not {bound} {self.threshold}"
        if self.min_absolute_change is None and self.min_relative_change is None:
            return
        if baseline is None:
            if compared:
                yield "the baseline has no such metric to be compared with"
            else:
                yield f"it must be {self}, and no baseline_result is given"
            return
        side = "above" if self.greater_is_better else "below"
        if self.min_absolute_change is not None:
            wanted = baseline + sign * self.min_absolute_change
            if not sign * value >= sign * wanted:
                yield (
                    f"{value} is not {side} the baseline's {baseline}"
                    f" by at least {self.min_absolute_change}"
                )
        if self.min_relative_change is not None and not self._gains(sign, value, baseline):
            yield (
                f"{value} is not {side} the baseline's {baseline}"
                f" by at least {self.min_relative_change * 100:.10g}%"
            )

    def _gains(self, sign: int, value: float, baseline: float) -> bool:
        if baseline == 0:
            return sign * value >= LEAST_CHANGE
        # By the magnitude: a share of a negative baseline would turn the comparison round.
        return sign * (value - baseline) / abs(baseline) >= (self.min_relative_change or 0)


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise invalid(name, f"must be a number, not {value!r:.80}")
    return value


@checked
def validate_evaluation_results(
    validation_thresholds: Mapping[str, MetricThreshold],
    candidate_result: EvaluationResult,
    baseline_result: EvaluationResult | None = None,
) -> None:
    """Compare a model's metrics with thresholds, and with the metrics of another model.

    Args:
        validation_thresholds: Metric names to what they must reach.
        candidate_result: What ``evaluate`` gave for the model that is to be judged.
        baseline_result: What ``evaluate`` gave for the model it must beat: the one in use, or a
            simple one, such as scikit-learn's DummyClassifier or DummyRegressor.

    Raises:
        ModelValidationFailed: metrics miss their thresholds, or are missing; the message and
            ``metadata`` tell of each what it is and what it should be.
        InvalidField: the thresholds are no dict of names to MetricThreshold.

    Example:
        >>> import numpy, runstone
        >>> from runstone.models import MetricThreshold
        >>> from sklearn.dummy import DummyClassifier
        >>> from sklearn.linear_model import LogisticRegression
        >>> x, y = numpy.arange(20.0).reshape(-1, 1), numpy.arange(20) // 10
        >>> quiet = {"log_model_explainability": False}
        >>> def judged(model):
        ...     return runstone.evaluate(
        ...         model.fit(x, y), x, targets=y, model_type="classifier", evaluator_config=quiet
        ...     )
        >>> with runstone.start_run():
        ...     candidate, baseline = judged(LogisticRegression()), judged(DummyClassifier())
        >>> better = MetricThreshold(
        ...     threshold=0.9, min_absolute_change=0.05, greater_is_better=True
        ... )
        >>> runstone.validate_evaluation_results({"accuracy_score": better}, candidate, baseline)
        >>> runstone.validate_evaluation_results({"accuracy_score": better}, baseline, baseline)
        Traceback (most recent call last):
        runstone.exceptions.ModelValidationFailed: the model is not good enough by 1 metric:
        - accuracy_score: 0.5 is not at least 0.9; 0.5 is not above the baseline's 0.5 by at least 0.05
    """  # noqa: E501
    _check(validation_thresholds)
    _check_result("candidate_result", candidate_result)
    if baseline_result is not None:
        _check_result("baseline_result", baseline_result)
    measured = baseline_result.metrics if baseline_result is not None else {}
    failed = {}
    for name, threshold in validation_thresholds.items():
        value = candidate_result.metrics.get(name)
        if value is None:
            why = candidate_result.failures.get(name, "it has not been measured")
            failed[name] = f"{name}: the evaluation has no such metric; {why}"
            continue
        missed = list(
            threshold.misses(value, measured.get(name), compared=baseline_result is not None)
        )
        if missed:
            failed[name] = f"{name}: {'; '.join(missed)}"
    if failed:
        raise ModelValidationFailed.of(failed)


def _check(thresholds: Any) -> None:
    if not isinstance(thresholds, Mapping):
        raise invalid(
            "validation_thresholds",
            f"must be a dict of metric names to MetricThreshold, not {type(thresholds).__name__}",
        )
    for name, threshold in thresholds.items():
        if not isinstance(name, str) or not isinstance(threshold, MetricThreshold):
            raise invalid(
                f"validation_thresholds[{name!r:.80}]",
                f"must be a MetricThreshold under a text, not {type(threshold).__name__}",
            )


def _check_result(name: str, result: Any) -> None:
    if not hasattr(result, "metrics") or not hasattr(result, "failures"):
        raise invalid(name, f"must be what evaluate gave, not {type(result).__name__}")
