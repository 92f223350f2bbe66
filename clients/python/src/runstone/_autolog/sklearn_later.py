"""What a user computes of an estimator after its training, with scikit-learn's own metrics.

``accuracy_score(y_test, model.predict(X_test))`` logs ``accuracy_score_X_test`` to the run that
trained the model: predictions are known again by their identity, data sets named by the variable
that holds them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runstone._autolog import guard, patching, switches
from runstone._autolog.known import UNKNOWN, Known, name_of
from runstone._autolog.training import Training

PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "transform")

INNER = ("sklearn",)
"""What stands between the user's code and this one."""


@dataclass(slots=True)
class Trained:
    """An estimator that was trained here: its run, and how often each metric was logged to it."""

    training: Training
    counts: dict[str, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def log(self, name: str, value: Any, dataset: str) -> None:
        """Log a metric of a data set; the second of the same name gets a number."""
        key = f"{name}_{dataset}"
        self.counts[key] = count = self.counts.get(key, 0) + 1
        if count > 1:
            key = f"{name}-{count}_{dataset}"
        self.training.log({key: value})

    def see(self, data: Any) -> None:
        """Tell the run what it was judged on, once for each data set."""
        if self.training.switch.log_datasets and id(data) not in self.seen:
            self.seen.add(id(data))
            self.training.log_dataset(data, context="eval")


_estimators = Known()
_predictions = Known()


def remember(estimator: Any, training: Training) -> None:
    """Know an estimator again when its user judges it."""
    _estimators.put(estimator, Trained(training))


def patch_predictions(cls: type) -> None:
    """Know again what estimators of a class predict."""
    for name in PREDICTIONS:
        _patch_method(cls, name, _predict)
    _patch_method(cls, "score", _score)


def _patch_method(cls: type, name: str, around: patching.Around) -> None:
    found = vars(cls).get(name)
    if found is not None and not callable(found) and hasattr(found, "fn"):
        # A method that is there for some estimators only: a descriptor that holds the function.
        patching.patch(found, "fn", around)
    else:
        patching.patch(cls, name, around)


def _predict(original: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    trained = _estimators.get(estimator)
    if trained is None or guard.is_inside() or switches.of("sklearn") is None:
        return original(estimator, *args, **kwargs)
    with guard.inside():
        result = original(estimator, *args, **kwargs)
    data = _first(args, kwargs)
    name = guard.guarded("sklearn", "a data set's name", name_of, data, INNER)
    _predictions.put(result, (trained, name or UNKNOWN))
    guard.guarded("sklearn", "a data set", trained.see, data)
    return result


def _score(original: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    trained = _estimators.get(estimator)
    if trained is None or guard.is_inside() or switches.of("sklearn") is None:
        return original(estimator, *args, **kwargs)
    with guard.inside():
        result = original(estimator, *args, **kwargs)
    name = guard.guarded("sklearn", "a data set's name", name_of, _first(args, kwargs), INNER)
    metric = f"{type(estimator).__name__}_score"
    guard.guarded("sklearn", "a score", trained.log, metric, result, name or UNKNOWN)
    return result


def patch_metrics() -> None:
    """Have scikit-learn's metrics, as ``sklearn.metrics`` gives them, log what they judge."""
    from sklearn import metrics

    for name in metrics.__all__:
        found = getattr(metrics, name)
        if inspect.isfunction(found) and name.endswith(("_score", "_error", "_loss")):
            patching.patch(metrics, name, functools.partial(_metric, name))


def _metric(name: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if guard.is_inside() or switches.of("sklearn") is None:
        return original(*args, **kwargs)
    with guard.inside():
        result = original(*args, **kwargs)
    guard.guarded("sklearn", "a metric", _judged, name, result, [*args, *kwargs.values()])
    return result


def _judged(name: str, result: Any, given: list[Any]) -> None:
    if isinstance(result, bool) or not isinstance(result, int | float):
        return
    for value in given:
        known = _predictions.get(value)
        if known is not None:
            trained, dataset = known
            trained.log(name, result, dataset)
            return


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)
