"""LightGBM: a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from runstone._flavors.libraries import library
from runstone._integrations import boosting
from runstone._integrations.report import Report, status_of_error
from runstone._integrations.where import Choice, Where

__all__ = ["RunstoneCallback"]

_lightgbm = library("lightgbm")


class RunstoneCallback:
    """A callback for ``lightgbm.train``, ``cv`` and estimators.

    Logged are the parameters, the metrics of each round on ``valid_sets`` (``valid-l2``), with
    early stopping the best round, and importances of features.

    LightGBM tells a callback of rounds alone, so the end is where the booster lets its data go, in
    ``cv`` the last round. A training that raises is FAILED at the end of the program, or when the
    next one begins, and so is one with ``keep_training_booster=True``, or that stops early in
    ``cv``: there, ``with RunstoneCallback() as callback:`` around it says when it is over, and how.

    Args:
        params: Parameters to log besides.
        log_model: Log the booster at the end, as ``runstone.lightgbm.log_model`` does.
        importance_types: Kinds of importance to log: "split", "gain".
        where: Which run; see ``runstone.integrations.Where``.

    Example:
        >>> import lightgbm, numpy
        >>> from runstone.integrations.lightgbm import RunstoneCallback
        >>> rows = lightgbm.Dataset(numpy.arange(40.0).reshape(20, 2), numpy.arange(20.0))
        >>> callback = RunstoneCallback()
        >>> booster = lightgbm.train(
        ...     {"verbosity": -1}, rows, 3, valid_sets=[rows], callbacks=[callback]
        ... )
        >>> import runstone
        >>> points = runstone.Client().get_metric_history(callback.run_id, "training-l2")
        >>> [point.step for point in points]
        [0, 1, 2]
    """

    order = 25
    """Before early stopping (30), which ends the round for those behind it."""

    before_iteration = False

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        log_model: bool = False,
        importance_types: Sequence[str] = ("split",),
        **where: Unpack[Where],
    ) -> None:
        self._params = params
        self._log_model = log_model
        self._importances = boosting.kinds(importance_types)
        self._choice = Choice.of(where)
        self._report: Report | None = None
        self._within = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_report": None}

    @property
    def run_id(self) -> str | None:
        """The run of the last training; None before one."""
        return self._report.run_id if self._report is not None else None

    def __enter__(self) -> Self:
        self._within = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._within = False
        if self._report is not None and not self._report.ended:
            self._report.end("FINISHED" if error is None else status_of_error())

    def __call__(self, env: Any) -> None:
        """Log the metrics of a round."""
        if env.iteration == env.begin_iteration or self._report is None:
            self._report = self._begin(env)
        report = self._report
        report.metrics(report.guarded("metrics", _metrics, env) or {}, env.iteration)
        if env.iteration == env.end_iteration - 1 and not _can_tell(env.model):
            self._end(report, env.model)

    def _begin(self, env: Any) -> Report:
        report = boosting.begun_anew("lightgbm", self._report, self._choice)
        rounds = env.end_iteration - env.begin_iteration
        report.params({"num_boost_round": rounds, **env.params, **(self._params or {})})
        if _can_tell(env.model):
            report.guarded("the end", self._listen, report, env.model)
        return report

    def _listen(self, report: Report, model: Any) -> None:
        """Have the booster tell when it lets its data go, which is when the training is over."""
        model.__dict__["free_dataset"] = _Release(model, lambda: self._end(report, model))

    def _end(self, report: Report, model: Any) -> None:
        if report.ended:
            return
        best = getattr(model, "best_iteration", 0)
        if isinstance(best, int) and best > 0:
            report.metrics({"best_iteration": best})
        if _can_tell(model):
            for kind in self._importances:
                scores = report.guarded("importances", _importances, model, kind)
                boosting.log_importances(report, kind, scores or {})
            if self._log_model:
                report.log_model("lightgbm", model)
        if not self._within:
            report.end()


class _Release:
    """Stands for a booster's ``free_dataset``, once, and tells of it."""

    def __init__(self, model: Any, tell: Callable[[], None]) -> None:
        self._model = model
        self._tell = tell

    def __call__(self) -> Any:
        self._model.__dict__.pop("free_dataset", None)
        result = self._model.free_dataset()
        self._tell()
        return result

    def __reduce__(self) -> Any:
        # Of a booster that is pickled in the midst of its training, the copy has its own method.
        return getattr, (self._model, "free_dataset")


def _can_tell(model: Any) -> bool:
    """Whether it is a booster; ``cv`` has many of them in one."""
    return isinstance(model, _lightgbm.Booster)


def _importances(model: Any, kind: str) -> dict[str, Any]:
    scores = model.feature_importance(importance_type=kind)
    return dict(zip(model.feature_name(), scores.tolist(), strict=True))


def _metrics(env: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for data, metric, value, _, *spread in env.evaluation_result_list or ():
        found[f"{data}-{metric}"] = value
        if spread and spread[0] is not None:  # of folds: standard deviation
            found[f"{data}-{metric}-std"] = spread[0]
    return found
