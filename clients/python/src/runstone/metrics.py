"""Metrics for ``evaluate(…, extra_metrics=[…])``, under the names of ``mlflow.metrics``.

Each function gives a metric; a classifier's and a regressor's own metrics need not be asked for.
"""

from __future__ import annotations

from typing import Any

from runstone._evaluation import builtin
from runstone._evaluation.metric import EvaluationMetric, MetricValue, make_metric

__all__ = [
    "EvaluationMetric",
    "MetricValue",
    "f1_score",
    "mae",
    "make_metric",
    "mape",
    "max_error",
    "mse",
    "precision_score",
    "r2_score",
    "recall_score",
    "rmse",
]

_GENERATIVE = {
    *("genai", "latency", "token_count", "toxicity", "exact_match", "bleu"),
    *("flesch_kincaid_grade_level", "ari_grade_level"),
    *("rouge1", "rouge2", "rougeL", "rougeLsum"),
    *("precision_at_k", "recall_at_k", "ndcg_at_k"),
}
"""Of MLflow, for models of text."""


def mae() -> EvaluationMetric:
    """The mean absolute error, as ``mean_absolute_error``.

    Example:
        >>> import runstone
        >>> runstone.metrics.mae()(predictions=[1.0, 2.0], targets=[1.0, 4.0]).aggregate_results
        {'mean_absolute_error': 1.0}
    """
    return builtin.weighted("mean_absolute_error", greater_is_better=False)


def mse() -> EvaluationMetric:
    """The mean squared error, as ``mean_squared_error``.

    Example:
        >>> import runstone
        >>> runstone.metrics.mse()(predictions=[1.0, 2.0], targets=[1.0, 4.0]).aggregate_results
        {'mean_squared_error': 2.0}
    """
    return builtin.weighted("mean_squared_error", greater_is_better=False)


def rmse() -> EvaluationMetric:
    """The root of the mean squared error, as ``root_mean_squared_error``.

    Example:
        >>> import runstone
        >>> runstone.metrics.rmse()(predictions=[1.0], targets=[4.0]).aggregate_results
        {'root_mean_squared_error': 3.0}
    """
    return builtin.weighted("root_mean_squared_error", greater_is_better=False)


def r2_score() -> EvaluationMetric:
    """The coefficient of determination, as ``r2_score``.

    Example:
        >>> import runstone
        >>> runstone.metrics.r2_score()(predictions=[1.0, 3.0], targets=[1.0, 3.0]).aggregate_results
        {'r2_score': 1.0}
    """  # noqa: E501
    return builtin.weighted("r2_score", greater_is_better=True)


def max_error() -> EvaluationMetric:
    """The largest absolute error, as ``max_error``.

    Example:
        >>> import runstone
        >>> runstone.metrics.max_error()(predictions=[1.0, 3.0], targets=[1.5, 3.0]).aggregate_results
        {'max_error': 0.5}
    """  # noqa: E501
    return builtin.unweighted("max_error", greater_is_better=False)


def mape() -> EvaluationMetric:
    """The mean absolute error by the target, as ``mean_absolute_percentage_error``; 1 is 100%.

    Example:
        >>> import runstone
        >>> runstone.metrics.mape()(predictions=[1.0], targets=[2.0]).aggregate_results
        {'mean_absolute_percentage_error': 0.5}
    """
    return builtin.weighted("mean_absolute_percentage_error", greater_is_better=False)


def recall_score() -> EvaluationMetric:
    """The share of a class that was found, as ``recall_score``.

    ``pos_label`` (1), ``average`` (``"binary"``) and ``sample_weight`` are taken from
    ``evaluator_config``.

    Example:
        >>> import runstone
        >>> runstone.metrics.recall_score()(predictions=[1, 0], targets=[1, 1]).aggregate_results
        {'recall_score': 0.5}
    """
    return builtin.of_class("recall_score")


def precision_score() -> EvaluationMetric:
    """The share of a class's predictions that are right, as ``precision_score``.

    Options as of ``recall_score``.

    Example:
        >>> import runstone
        >>> runstone.metrics.precision_score()(predictions=[1, 1], targets=[1, 0]).aggregate_results
        {'precision_score': 0.5}
    """
    return builtin.of_class("precision_score")


def f1_score() -> EvaluationMetric:
    """The harmonic mean of recall and precision, as ``f1_score``; options as of ``recall_score``.

    Example:
        >>> import runstone
        >>> runstone.metrics.f1_score()(predictions=[1, 0], targets=[1, 0]).aggregate_results
        {'f1_score': 1.0}
    """
    return builtin.of_class("f1_score")


def __getattr__(name: str) -> Any:
    if name in _GENERATIVE:
        raise AttributeError(
            f"runstone.metrics.{name} does not exist; make one with runstone.metrics.make_metric"
        )
    raise AttributeError(f"module 'runstone.metrics' has no attribute {name!r}")
