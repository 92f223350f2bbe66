"""What libraries of boosted trees log alike: metrics by round, best round, importances, models."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from runstone._autolog import guard, switches
from runstone._autolog.training import Training, arguments, described, first_rows, training_of

MAX_CELLS = 10_000_000
"""A sparse data set with more places is not told of: its digest needs it dense, 80 MB here."""

CROWDED = 10
"""With more features than this a plot of importances grows."""

_rows: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""A library's data sets to the first rows of what each was made of, which it does not give back."""

_fitting: ContextVar[Training | None] = ContextVar("runstone_autolog_fitting", default=None)
"""The ``fit`` of an estimator that is about to train with its library's own function."""


class Rounds:
    """The metrics of each round, logged as they come."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self.found: dict[int, dict[str, float]] = {}

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log those of a round, guarded: it is called in the midst of the training."""
        self._training.guarded("metrics", self._add, step, metrics)

    def _add(self, step: int, metrics: Mapping[str, float]) -> None:
        named = {key.replace("@", "_at_"): float(value) for key, value in metrics.items()}
        self.found[step] = named
        if named:
            self._training.follow(named, step)

    def log_best(self, stopped: int, best: int, step: int) -> None:
        """Log where it stopped, its best round, and the metrics of that past the last step."""
        self._training.log({"stopped_iteration": stopped, "best_iteration": best})
        self._training.log(self.found.get(step, {}), step=len(self.found))


@contextmanager
def rounds_of(library: str) -> Iterator[tuple[Training | None, bool]]:
    """The training that a library's own function is, and whether the model is for it to log.

    Called by an estimator's ``fit`` it belongs to that, which logs the estimator.
    """
    fitting = _fitting.get()
    if fitting is not None and fitting.library == library:
        token = _fitting.set(None)
        try:
            yield fitting, False
        finally:
            _fitting.reset(token)
        return
    with training_of(library) as training:
        yield training, True


def fit_of(library: str, options: Sequence[str] = ()) -> Callable[..., Any]:
    """What goes in place of the ``fit`` of a library's estimators; ``options`` are the flavor's."""

    def fit(original: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
        with training_of(library) as training:
            if training is None:
                return original(estimator, *args, **kwargs)
            given = training.guarded("the data", arguments, original, args, kwargs) or {}
            # Before it is trained on, which may change it.
            rows = first_rows(given.get("X"))
            token = _fitting.set(training)
            try:
                result = original(estimator, *args, **kwargs)
            finally:
                _fitting.reset(token)
            log_model(training, estimator, rows, estimator.predict, options=options)
            return result

    return fit


def log_model(
    training: Training,
    model: Any,
    rows: Any,
    predict: Callable[[Any], Any],
    params: Mapping[str, Any] | None = None,
    options: Sequence[str] = (),
) -> None:
    """Log a model as one of the library's flavor, if models are wanted; guarded."""
    if not training.switch.log_models:
        return
    about = training.guarded(
        "the signature",
        described,
        training.switch,
        rows,
        # A prediction may change what it is made of.
        lambda some: predict(copy.deepcopy(some)),
    )
    others = training.switch.others
    training.guarded(
        "the model",
        training.log_model,
        training.library,
        model,
        about or {"signature": False},
        {name: others[name] for name in options if name in others},
        params,
    )


def remember_rows(library: str) -> Callable[..., Any]:
    """What goes in place of ``__init__`` of a library's data sets."""

    def init(original: Callable[..., Any], dataset: Any, *args: Any, **kwargs: Any) -> Any:
        switch = switches.of(library)
        if switch is not None and switch.log_models and not guard.is_inside():
            rows = first_rows(args[0] if args else kwargs.get("data"))
            if rows is not None and not isinstance(rows, str):
                guard.guarded(library, "the data", _rows.__setitem__, dataset, rows)
        return original(dataset, *args, **kwargs)

    return init


def rows_of(dataset: Any) -> Any:
    """The first rows of what a data set was made of; None when it was made before."""
    return _rows.get(dataset)


def dense(data: Any) -> Any:
    """A data set's values for ``Training.log_dataset``; None for what is too large or unknown."""
    if not hasattr(data, "toarray"):
        return data
    rows, columns = data.shape
    return data.toarray() if rows * columns <= MAX_CELLS else None


def log_importances(training: Training, kind: str, scores: Mapping[str, Any]) -> None:
    """Log how much each feature counts, as JSON and as a plot."""
    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        folder, name = Path(place), f"feature_importance_{kind}"
        (folder / f"{name}.json").write_text(json.dumps(scores, indent=2), "utf-8")
        if scores:
            picture = folder / f"{name}.png"
            training.guarded("a plot of importances", _draw, scores, kind, picture)
        training.client.log_artifacts(training.run_id, folder)


def _draw(scores: Mapping[str, Any], kind: str, path: Path) -> None:
    # The object-oriented way: the figures that the user has open stay as they are.
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.array(list(scores.values()), dtype=float)
    # One column for each class; linear boosters have more than one.
    values = values.reshape(len(scores), -1)
    order = np.argsort(np.abs(values).sum(axis=1))
    names = np.array(list(scores))[order]
    classes = values.shape[1]
    inches = 4.8 + (0.1 * len(names) if len(names) > CROWDED else 0)
    figure = Figure(figsize=(6.4, inches), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places, height = np.arange(len(names)), 0.8 / classes
    for each in range(classes):
        offset = (each - (classes - 1) / 2) * height
        axes.barh(places + offset, values[order, each], height=height, label=f"Class {each}")
    axes.set_yticks(places, names)
    axes.set_xlabel("Importance")
    axes.set_title(f"Feature Importance ({kind})")
    if classes > 1:
        axes.legend()
    figure.savefig(path)
