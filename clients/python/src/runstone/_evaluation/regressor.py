"""The metrics of a model that predicts numbers."""

from __future__ import annotations

from typing import Any

from runstone._evaluation.outcome import Outcome


def measure(outcome: Outcome, truth: Any, predicted: Any, weights: Any) -> None:
    """Add MLflow's metrics of regression, with scikit-learn's definitions.

    Args:
        outcome: What they are added to.
        truth: The targets, numbers; shape (n,).
        predicted: The predictions; shape (n,).
        weights: Of each row; None for 1. ``max_error`` and ``example_count`` do not know them,
            and ``mean_on_target`` is the weighted sum by the number of rows, as MLflow has it.
    """
    import numpy as np
    from sklearn import metrics

    total = np.sum(truth if weights is None else truth * weights)
    outcome.measure("example_count", lambda: len(truth))
    for name in ("mean_absolute_error", "mean_squared_error", "root_mean_squared_error"):
        outcome.measure(name, _weighted(getattr(metrics, name), truth, predicted, weights))
    outcome.measure("sum_on_target", lambda: total)
    outcome.measure("mean_on_target", lambda: total / len(truth))
    outcome.measure("r2_score", _weighted(metrics.r2_score, truth, predicted, weights))
    outcome.measure("max_error", lambda: metrics.max_error(truth, predicted))
    outcome.measure(
        "mean_absolute_percentage_error",
        _weighted(metrics.mean_absolute_percentage_error, truth, predicted, weights),
    )


def _weighted(function: Any, truth: Any, predicted: Any, weights: Any) -> Any:
    return lambda: function(truth, predicted, sample_weight=weights)
