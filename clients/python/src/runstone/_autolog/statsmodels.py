"""statsmodels: each ``fit`` that a user calls logs its arguments, measures, summary and results.

Classes are not looked for: those that are there are subclasses of ``Model``, and those that come
tell of themselves when they are made.
"""

from __future__ import annotations

import numbers
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runstone._autolog import guard, patching
from runstone._autolog.training import Training, arguments, training_of

LIBRARY = "statsmodels"

METRICS = (
    *("aic", "bic", "centered_tss", "condition_number", "df_model", "df_resid", "ess", "f_pvalue"),
    *("fvalue", "llf", "mse_model", "mse_resid", "mse_total", "rsquared", "rsquared_adj", "scale"),
    *("ssr", "uncentered_tss"),
)
"""Measures of results that are logged, of each model those that it has."""

_patched: set[type] = set()


def turn_on() -> None:
    """Patch the models that are imported, and those that will be; once in a process."""
    from statsmodels.base.model import Model

    if Model in _patched:
        return
    _patched.add(Model)
    for each in (Model, *_subclasses(Model)):
        patching.patch(each, "fit", _fit)

    def init_subclass(cls: type[Any], /, **kwargs: Any) -> None:
        super(Model, cls).__init_subclass__(**kwargs)
        guard.guarded(LIBRARY, f"the class {cls.__name__}", patching.patch, cls, "fit", _fit)

    Model.__init_subclass__ = classmethod(init_subclass)


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)


def _fit(original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``fit`` of a model, which gives its results."""
    with training_of(LIBRARY) as training:
        if training is None:
            return original(model, *args, **kwargs)
        training.guarded(
            "parameters", lambda: training.log(params=arguments(original, args, kwargs))
        )
        results = original(model, *args, **kwargs)
        if training.switch.log_models:
            training.guarded("the model", training.log_model, LIBRARY, results, {})
        training.guarded("metrics", _log_metrics, training, results)
        training.guarded("the summary", _log_summary, training, results)
        return results


def _log_metrics(training: Training, results: Any) -> None:
    found = {}
    for name in METRICS:
        # Many are computed on demand, and need what not every fit has.
        value = training.guarded(name, getattr, results, name, None)
        if not isinstance(value, bool) and isinstance(value, numbers.Real):
            found[name] = float(value)
    training.log(found)


def _log_summary(training: Training, results: Any) -> None:
    if not hasattr(results, "summary"):
        return
    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        path = Path(place) / "model_summary.txt"
        path.write_text(results.summary().as_text(), "utf-8")
        training.client.log_artifact(training.run_id, path)
