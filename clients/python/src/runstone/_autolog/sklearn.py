"""scikit-learn: each ``fit`` that a user calls logs parameters, metrics, plots and the model.

Classes are not looked for: those that are there are subclasses of ``BaseEstimator``, and those that
come tell of themselves when they are made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runstone._autolog import guard, imports, patching, switches
from runstone._autolog import sklearn_later as later
from runstone._autolog import sklearn_results as results
from runstone._autolog.training import Training, described, first_rows

LIBRARY = "sklearn"

FITS = ("fit", "fit_transform", "fit_predict")

NO_MODELS = ("preprocessing", "impute", "feature_extraction", "feature_selection")
"""Packages of scikit-learn whose estimators prepare data; a fit of theirs is not a training."""

OTHERS = frozenset({"xgboost", "lightgbm", "catboost"})
"""Libraries with estimators that log by themselves in their own way."""


_patched: set[type] = set()


def turn_on() -> None:
    """Patch what is imported of scikit-learn, and what will be; once in a process."""
    from sklearn.base import BaseEstimator

    if BaseEstimator in _patched:
        return
    _patched.add(BaseEstimator)
    for each in _subclasses(BaseEstimator):
        _patch(each)
    inherited = BaseEstimator.__init_subclass__.__func__

    def init_subclass(cls: type[Any], /, **kwargs: Any) -> None:
        inherited(cls, **kwargs)
        guard.guarded(LIBRARY, f"the class {cls.__name__}", _patch, cls)

    BaseEstimator.__init_subclass__ = classmethod(init_subclass)
    imports.when_imported("sklearn.metrics", later.patch_metrics)
    imports.when_imported("sklearn.utils.parallel", _patch_workers)


def _patch_workers() -> None:
    """Have joblib's threads know that what they fit is part of a training."""
    from sklearn.utils.parallel import Parallel

    patching.patch(Parallel, "__call__", _in_workers)


def _in_workers(original: Callable[..., Any], parallel: Any, tasks: Any) -> Any:
    if guard.is_inside():
        tasks = ((_Inside(call), args, kwargs) for call, args, kwargs in tasks)
    return original(parallel, tasks)


class _Inside:
    """A task of scikit-learn's, which a thread begins with no context."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def with_config_and_warning_filters(self, *given: Any) -> _Inside:
        """What scikit-learn does to its own kind of task."""
        self._call = self._call.with_config_and_warning_filters(*given)
        return self

    def with_config(self, *given: Any) -> _Inside:
        """The same in its older versions."""
        self._call = self._call.with_config(*given)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with guard.inside():
            return self._call(*args, **kwargs)


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)


def _patch(cls: type) -> None:
    if not _trains(cls):
        return
    for name in FITS:
        patching.patch(cls, name, _fit)
    for each in cls.__mro__:
        # Mixins, too, which define `score` and some `predict` for all.
        if each.__module__.partition(".")[0] not in {"builtins", *OTHERS}:
            later.patch_predictions(each)


def _trains(cls: type) -> bool:
    package, _, rest = cls.__module__.partition(".")
    if package == "sklearn":
        return rest.partition(".")[0] not in NO_MODELS and cls.__name__ != "ColumnTransformer"
    return package not in OTHERS


def _fit(original: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``fit``: the original, called once, with what is logged before and after."""
    switch = switches.of(LIBRARY)
    if switch is None or guard.is_inside():
        return original(estimator, *args, **kwargs)
    with guard.inside():
        training = guard.guarded(LIBRARY, "a run", Training.begin, LIBRARY, switch)
        if training is None:
            return original(estimator, *args, **kwargs)
        given = training.guarded("the data", _given, original, args, kwargs) or Given(None)
        # Before it is trained on, which may change it.
        rows = first_rows(given.features) if given.features is not None else None
        try:
            result = original(estimator, *args, **kwargs)
        except BaseException as error:
            training.guarded("parameters", _log_start, training, estimator, given)
            training.guarded("the end of the run", training.end, error)
            raise
        _log_all(training, estimator, given, rows)
        training.guarded("the end of the run", training.end)
        return result


@dataclass(frozen=True, slots=True)
class Given:
    """What ``fit`` was called with."""

    features: Any
    targets: Any = None
    weights: Any = None


def _given(original: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Given:
    names = list(inspect.signature(original).parameters)[1:]
    values = {**dict(zip(names, args, strict=False)), **kwargs}
    # Some estimators have other names for X and y, at the same places.
    features = values.get(names[0]) if names else None
    targets = values.get(names[1]) if len(names) > 1 else None
    return Given(features, targets, values.get("sample_weight"))


def _log_all(training: Training, estimator: Any, given: Given, rows: Any) -> None:
    switch = training.switch
    training.guarded("parameters", _log_start, training, estimator, given)
    if switch.log_models:
        training.guarded("the model", _log_model, training, estimator, rows)
    training.guarded("metrics", results.log_metrics, training, estimator, given)
    training.guarded("plots", results.log_files, training, estimator, given)
    if results.is_search(estimator):
        training.guarded("the search", results.log_search, training, estimator)
    if switch.others.get("log_post_training_metrics", True):
        training.guarded("the estimator", later.remember, estimator, training)


def _log_start(training: Training, estimator: Any, given: Given) -> None:
    # What a search starts from is not what it found.
    params = estimator.get_params(deep=not results.is_search(estimator))
    training.log(params=params, tags=results.told(estimator))
    if training.switch.log_datasets:
        training.guarded("the data set", training.log_dataset, given.features, given.targets)


def _log_model(training: Training, estimator: Any, rows: Any) -> None:
    about = training.guarded("the signature", _described, training, estimator, rows)
    about = about or {"signature": False}
    results.log_estimator(training, estimator, about)
    best = getattr(estimator, "best_estimator_", None)
    if results.is_search(estimator) and best is not None:
        results.log_estimator(training, best, about, "best_estimator")


def _described(training: Training, estimator: Any, rows: Any) -> dict[str, Any]:
    return described(training.switch, rows, _answer(estimator))


def _answer(estimator: Any) -> Callable[[Any], Any]:
    answer: Callable[[Any], Any] | None = getattr(estimator, "predict", None)
    answer = answer or getattr(estimator, "transform", None)
    if answer is None:
        raise TypeError(f"{type(estimator).__name__} has neither predict nor transform")
    return answer
