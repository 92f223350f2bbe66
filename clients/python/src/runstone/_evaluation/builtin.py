"""The functions of the metrics that ``runstone.metrics`` gives, by scikit-learn."""

from __future__ import annotations

from typing import Any

from runstone._evaluation.metric import EvaluationMetric, MetricValue


def _computed(name: str, predictions: Any, targets: Any, **options: Any) -> MetricValue | None:
    """The metric under its name; None without targets."""
    if targets is None or not len(targets):
        return None
    from sklearn import metrics

    number = getattr(metrics, name)(targets, predictions, **options)
    return MetricValue(aggregate_results={name: float(number)})


def weighted(name: str, *, greater_is_better: bool) -> EvaluationMetric:
    """A metric of scikit-learn that takes weights, as ``sample_weight`` of the options."""

    def eval_fn(
        predictions: Any, targets: Any = None, sample_weight: Any = None
    ) -> MetricValue | None:
        return _computed(name, predictions, targets, sample_weight=sample_weight)

    return EvaluationMetric(eval_fn, name, greater_is_better)


def unweighted(name: str, *, greater_is_better: bool) -> EvaluationMetric:
    """A metric of scikit-learn that takes no weights."""

    def eval_fn(predictions: Any, targets: Any = None) -> MetricValue | None:
        return _computed(name, predictions, targets)

    return EvaluationMetric(eval_fn, name, greater_is_better)


def of_class(name: str) -> EvaluationMetric:
    """A metric of one class, or of all of them averaged."""

    def eval_fn(
        predictions: Any,
        targets: Any = None,
        pos_label: Any = 1,
        average: str = "binary",
        sample_weight: Any = None,
    ) -> MetricValue | None:
        return _computed(
            name,
            predictions,
            targets,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
        )

    return EvaluationMetric(eval_fn, name, True)
