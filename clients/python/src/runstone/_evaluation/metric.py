"""Metrics of one's own, and what a metric's function gives."""

from __future__ import annotations

import keyword
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runstone._values import invalid

_log = logging.getLogger("runstone")

SPECIAL = ("predictions", "targets", "metrics")
"""Parameters of a metric's function that stand for no column and no other metric."""


@dataclass
class MetricValue:
    """What a metric came to.

    Attributes:
        scores: One for each row; numbers, texts or None.
        justifications: A text or None for each row.
        aggregate_results: Named numbers over all rows; of scores that are numbers their mean,
            variance (of the population) and 90th percentile when absent.

    Example:
        >>> from runstone.metrics import MetricValue
        >>> value = MetricValue(scores=[1.0, 2.0, 3.0])
        >>> float(value.aggregate_results["mean"])
        2.0
    """

    scores: list[Any] | None = None
    justifications: list[str | None] | None = None
    aggregate_results: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.aggregate_results is None and _all_numbers(self.scores):
            self.aggregate_results = standard_aggregations(self.scores or ())


def standard_aggregations(scores: Sequence[float]) -> dict[str, float]:
    """Mean, variance (of the population) and 90th percentile."""
    import numpy as np

    return {
        "mean": float(np.mean(scores)),
        "variance": float(np.var(scores)),
        "p90": float(np.percentile(scores, 90)),
    }


def is_number(value: object) -> bool:
    """Whether it is an int, a float or a scalar of numpy."""
    if isinstance(value, int | float):
        return True
    import numpy as np

    return isinstance(value, np.number | np.bool_)


def _all_numbers(scores: object) -> bool:
    return isinstance(scores, list | tuple) and bool(scores) and all(map(is_number, scores))


class EvaluationMetric:
    """A metric with a function that computes it, as ``make_metric`` makes them.

    Calling it calls the function, with keyword arguments.

    Attributes:
        eval_fn: The function.
        name: Under which it is logged.
        greater_is_better: Whether a greater value is a better one.
        long_name: Its name in words; the name when absent.
        version: Logged as ``name/version`` when there is one.
        metric_details: How it is computed, in words.
        metric_metadata: Whatever else belongs to it.
    """

    def __init__(
        self,
        eval_fn: Callable[..., Any],
        name: str,
        greater_is_better: bool,
        long_name: str | None = None,
        version: str | None = None,
        metric_details: str | None = None,
        metric_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(eval_fn):
            raise invalid("eval_fn", f"must be a function, not {type(eval_fn).__name__}")
        self.eval_fn = eval_fn
        self.name = name
        self.greater_is_better = greater_is_better
        self.long_name = long_name or name
        self.version = version
        self.metric_details = metric_details
        self.metric_metadata = metric_metadata

    @property
    def key(self) -> str:
        """The name, with the version when there is one."""
        return f"{self.name}/{self.version}" if self.version else self.name

    def __call__(self, **arguments: Any) -> Any:
        return self.eval_fn(**arguments)

    def __repr__(self) -> str:
        said = {
            "name": self.name,
            "greater_is_better": self.greater_is_better,
            "long_name": self.long_name,
            "version": self.version,
            "metric_details": self.metric_details,
            "metric_metadata": self.metric_metadata,
        }
        shown = ", ".join(f"{key}={value}" for key, value in said.items() if value is not None)
        return f"EvaluationMetric({shown})"


def make_metric(
    *,
    eval_fn: Callable[..., Any],
    greater_is_better: bool,
    name: str | None = None,
    long_name: str | None = None,
    version: str | None = None,
    metric_details: str | None = None,
    metric_metadata: Mapping[str, Any] | None = None,
) -> EvaluationMetric:
    """A metric of one's own, for ``evaluate(…, extra_metrics=[…])``.

    Args:
        eval_fn: Its parameters say what it is given, each by its name: ``predictions`` and
            ``targets`` (a pandas Series each), ``metrics`` (what is computed before it, a dict of
            ``MetricValue``), a column of the data, an entry of ``evaluator_config``, or another
            metric (a ``MetricValue``). A function of two other parameters gets a DataFrame with
            the columns ``prediction`` and ``target``, and a dict of numbers. It gives a number or
            a ``MetricValue``.
        greater_is_better: Whether a greater value is a better one.
        name: Under which it is logged, without slashes; the function's name when absent.
        long_name: Its name in words.
        version: Logged as ``name/version``.
        metric_details: How it is computed, in words.
        metric_metadata: Whatever else belongs to it.

    Raises:
        InvalidField: the function is none, or has no name to be used, or the name has a slash.

    Example:
        >>> from runstone.models import make_metric
        >>> def missed(predictions, targets):
        ...     return float((predictions - targets).abs().max())
        >>> metric = make_metric(eval_fn=missed, greater_is_better=False)
        >>> metric.name
        'missed'
    """
    if name is None:
        name = getattr(eval_fn, "__name__", None)
        if name is None or name == "<lambda>":
            raise invalid("name", "must be given, for eval_fn has none of its own")
    if not isinstance(name, str) or not name or "/" in name:
        raise invalid("name", f"must be a text without slashes, not {name!r:.80}")
    if not isinstance(greater_is_better, bool):
        raise invalid("greater_is_better", f"must be True or False, not {greater_is_better!r:.80}")
    if not name.isidentifier() or keyword.iskeyword(name) or name in SPECIAL:
        _log.warning("no other metric can ask for %r: it cannot be the name of a parameter", name)
    return EvaluationMetric(
        eval_fn, name, greater_is_better, long_name, version, metric_details, metric_metadata
    )
