"""Metrics and artifacts by functions of the user's."""

from __future__ import annotations

import copy
import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from runstone._evaluation.artifacts import encoded
from runstone._evaluation.examples import Examples
from runstone._evaluation.metric import EvaluationMetric, MetricValue, is_number
from runstone._evaluation.outcome import Outcome
from runstone._evaluation.subject import Answers
from runstone._journal.rules import check_keys
from runstone._values import invalid
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import pandas as pd

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""``*args`` and ``**kwargs``, which ask for nothing by name."""


class _Absent:
    """Nothing has that name."""


@dataclass(frozen=True)
class Given:
    """What functions are given: the data, the predictions, and what is computed so far."""

    rows: Examples
    answers: Answers
    config: Mapping[str, Any]
    outcome: Outcome
    used: set[str] = field(default_factory=set)
    """Further columns of the model's output that a metric asked for."""

    def frame(self) -> pd.DataFrame:
        """A DataFrame of its own with ``prediction`` and, when they are known, ``target``."""
        frame = self.answers.predictions.to_frame("prediction").copy()
        if self.rows.targets is not None:
            frame["target"] = list(self.rows.targets)
        return frame

    def of(self, parameter: str) -> Any:
        """What a parameter of that name is given; ``_Absent`` when nothing has it."""
        column = (self.config.get("col_mapping") or {}).get(parameter, parameter)
        if not isinstance(column, str):
            return column
        if column in {"predictions", self.answers.column, self.rows.predictions_name}:
            return self.frame()["prediction"]
        if column in {"targets", self.rows.targets_name}:
            return _Absent if self.rows.targets is None else self.frame()["target"]
        if column == "metrics":
            return copy.deepcopy(self.outcome.values)
        if column in self.rows.frame.columns:
            return self.rows.frame[column].reset_index(drop=True)
        others = self.answers.others
        if others is not None and column in others.columns:
            self.used.add(column)
            return others[column].copy()
        if column in self.config:
            return self.config[column]
        values = self.outcome.values
        return next((v for key, v in values.items() if key.split("/")[0] == column), _Absent)


def check_metrics(metrics: Any) -> list[EvaluationMetric]:
    """``extra_metrics`` as a list. Raises InvalidField for what is no metric."""
    if metrics is None:
        return []
    if isinstance(metrics, str | Mapping) or not hasattr(metrics, "__iter__"):
        raise invalid("extra_metrics", f"must be a list, not {type(metrics).__name__}")
    listed = list(metrics)
    for place, each in enumerate(listed):
        if not isinstance(each, EvaluationMetric):
            raise invalid(
                f"extra_metrics[{place}]",
                f"must be made by make_metric or runstone.metrics, not {type(each).__name__}",
            )
    return listed


def check_makers(makers: Any) -> list[Callable[..., Any]]:
    """``custom_artifacts`` as a list. Raises InvalidField for what is no function."""
    if makers is None:
        return []
    if callable(makers) or isinstance(makers, str | Mapping) or not hasattr(makers, "__iter__"):
        raise invalid("custom_artifacts", "must be a list of functions")
    listed = list(makers)
    for place, each in enumerate(listed):
        if not callable(each):
            raise invalid(
                f"custom_artifacts[{place}]", f"must be a function, not {type(each).__name__}"
            )
    return listed


def measure(given: Given, metrics: Sequence[EvaluationMetric]) -> None:
    """Add the metrics, each after those that it asks for.

    Raises:
        InvalidArgument: a function has a parameter that nothing can be given for.
    """
    for metric in _in_order(given, metrics):
        value = given.outcome.attempt(metric.key, partial(_value, given, metric))
        if value is not None:
            given.outcome.values[metric.key] = value


def _in_order(given: Given, metrics: Sequence[EvaluationMetric]) -> list[EvaluationMetric]:
    ordered: list[EvaluationMetric] = []
    waiting = list(metrics)
    while waiting:
        names = {metric.name for metric in ordered}
        lacking = {id(metric): _lacking(given, metric, names) for metric in waiting}
        ready = [metric for metric in waiting if not lacking[id(metric)]]
        if not ready:
            listed = "\n".join(
                f"- {metric.name}: {', '.join(lacking[id(metric)])}" for metric in waiting
            )
            raise InvalidArgument(
                "nothing is known by the names of parameters of extra_metrics; col_mapping of"
                f" evaluator_config can say which column is meant:\n{listed}\nThere are the"
                f" columns {', '.join(given.rows.frame.columns)}"
            )
        ordered += ready
        waiting = [metric for metric in waiting if lacking[id(metric)]]
    return ordered


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [each for each in found if each.kind not in _OPEN]


def _takes_frame(parameters: Sequence[inspect.Parameter]) -> bool:
    """Whether it is of MLflow's older form: a DataFrame, and a dict of numbers."""
    names = [each.name for each in parameters]
    return len(names) == 2 and names[0] != "predictions" and names[1] != "targets"


def _lacking(given: Given, metric: EvaluationMetric, names: set[str]) -> list[str]:
    parameters = _parameters(metric.eval_fn)
    if _takes_frame(parameters):
        return []
    return [
        each.name
        for each in parameters
        if each.default is each.empty
        and given.of(each.name) is _Absent
        and (given.config.get("col_mapping") or {}).get(each.name, each.name) not in names
    ]


def _value(given: Given, metric: EvaluationMetric) -> MetricValue:
    parameters = _parameters(metric.eval_fn)
    if _takes_frame(parameters):
        found = metric.eval_fn(given.frame(), given.outcome.numbers())
        return _checked(metric, found, len(given.rows))
    positional, named = [], {}
    for each in parameters:
        value = given.of(each.name)
        if value is _Absent:
            if each.default is each.empty:
                raise ValueError(f"the metric {each.name!r}, which it needs, is missing")
            value = each.default
        if each.kind in _NAMED:
            positional.append(value)
        else:
            named[each.name] = value
    return _checked(metric, metric.eval_fn(*positional, **named), len(given.rows))


def _checked(metric: EvaluationMetric, found: Any, count: int) -> MetricValue:
    if is_number(found):
        found = MetricValue(aggregate_results={metric.name: found})
    if not isinstance(found, MetricValue):
        raise TypeError(
            f"its function must give a number or a MetricValue, not {type(found).__name__}"
        )
    for name, rows in (("scores", found.scores), ("justifications", found.justifications)):
        if rows is not None and not isinstance(rows, list):
            raise TypeError(f"{name} must be a list, not {type(rows).__name__}")
        if rows and len(rows) != count:
            raise ValueError(f"{name} must be one for each of {count} rows, not {len(rows)}")
    for row in found.scores or ():
        if row is not None and not isinstance(row, str) and not is_number(row):
            raise TypeError(f"scores must be numbers, texts or None, not {type(row).__name__}")
    for row in found.justifications or ():
        if row is not None and not isinstance(row, str):
            raise TypeError(f"justifications must be texts or None, not {type(row).__name__}")
    numbers = found.aggregate_results
    if numbers is not None and not isinstance(numbers, dict):
        raise TypeError(f"aggregate_results must be a dict, not {type(numbers).__name__}")
    for name, number in (numbers or {}).items():
        if number is not None and not is_number(number):
            raise TypeError(f"aggregate_results[{name!r}] must be a number")
    check_keys(list(Outcome(values={metric.key: found}).numbers()))
    return found


def make_artifacts(given: Given, makers: Sequence[Callable[..., Any]]) -> None:
    """Add the files that functions make: ``function(frame, metrics, folder)`` gives a dict.

    The DataFrame has ``prediction`` and ``target``; the metrics are a dict of MetricValue; in the
    folder the function may leave files, whose paths it gives.
    """
    for place, make in enumerate(makers):
        name = getattr(make, "__name__", f"custom_artifacts[{place}]")
        with tempfile.TemporaryDirectory() as folder:
            made = given.outcome.attempt(name, partial(_made, given, make, folder))
            for artifact, value in (made or {}).items():
                _keep(given.outcome, artifact, value)


def _made(given: Given, make: Callable[..., Any], folder: str) -> Mapping[str, Any]:
    made = make(given.frame(), copy.deepcopy(given.outcome.values), folder)
    if not isinstance(made, Mapping):
        raise TypeError(
            f"it must give a dict of names to what is to be kept, not {type(made).__name__}"
        )
    return made


def _keep(outcome: Outcome, name: Any, value: Any) -> None:
    if name in outcome.files:
        outcome.fail(str(name), "there is an artifact of that name already")
        return
    taken = {file_name for file_name, _ in outcome.files.values()}
    found = outcome.attempt(str(name), lambda: encoded(name, value, taken))
    if found is not None:
        outcome.files[name] = found
