"""XGBoost: a callback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from runstone._flavors.libraries import library
from runstone._integrations import boosting
from runstone._integrations.report import Report
from runstone._integrations.where import Choice, Where

__all__ = ["RunstoneCallback"]

_xgboost = library("xgboost")
_Base: Any = _xgboost.callback.TrainingCallback


class RunstoneCallback(_Base):
    """A callback for ``xgboost.train``, ``cv`` and estimators.

    Logged are the metrics of each round on ``evals`` (``validation-rmse``), the booster's
    parameters as it understood them, with early stopping the best round and its score, and
    importances of features. Of several processes (``xgboost.collective``) the first one logs.

    XGBoost does not say when a training raises: its run is FAILED at the end of the program, or
    when the next one begins; inside ``with runstone.start_run()`` it is at once.

    Args:
        params: Parameters to log besides, such as the ones given to ``train``.
        log_model: Log the booster at the end, as ``runstone.xgboost.log_model`` does.
        importance_types: Kinds of importance to log, such as "weight" and "gain".
        where: Which run; see ``runstone.integrations.Where``.

    Example:
        >>> import xgboost
        >>> from runstone.integrations.xgboost import RunstoneCallback
        >>> rows = xgboost.DMatrix([[1.0], [2.0]], [2.0, 4.0])
        >>> callback = RunstoneCallback()
        >>> booster = xgboost.train(
        ...     {"eta": 0.5}, rows, 3, evals=[(rows, "train")], verbose_eval=0, callbacks=[callback]
        ... )
        >>> import runstone
        >>> points = runstone.Client().get_metric_history(callback.run_id, "train-rmse")
        >>> [point.step for point in points]
        [0, 1, 2]
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        log_model: bool = False,
        importance_types: Sequence[str] = ("weight",),
        **where: Unpack[Where],
    ) -> None:
        super().__init__()
        self._params = params
        self._log_model = log_model
        self._importances = boosting.kinds(importance_types)
        self._choice = Choice.of(where)
        self._report: Report | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_report": None}

    @property
    def run_id(self) -> str | None:
        """The run of the last training; None before one."""
        return self._report.run_id if self._report is not None else None

    def before_training(self, model: Any) -> Any:
        """Begin the run, and log what is trained with."""
        if _xgboost.collective.get_rank() == 0:
            self._report = boosting.begun_anew("xgboost", self._report, self._choice)
            found = self._report.guarded("parameters", _params, model) or {}
            self._report.params({**found, **(self._params or {})})
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Log the metrics of a round."""
        del model
        if self._report is not None:
            values = self._report.guarded("metrics", _metrics, evals_log) or {}
            self._report.metrics(values, epoch)
        return False  # the training goes on

    def after_training(self, model: Any) -> Any:
        """Log the best round, importances and the model, and end the run."""
        report = self._report
        if report is not None and not report.ended:
            report.guarded("the best round", _log_best, report, model)
            for kind in self._importances if hasattr(model, "get_score") else ():
                scores = report.guarded("importances", model.get_score, importance_type=kind)
                boosting.log_importances(report, kind, scores or {})
            if self._log_model and isinstance(model, _xgboost.Booster):
                report.log_model("xgboost", model)
            report.end()
        return model


def _params(model: Any) -> dict[str, Any]:
    """What the booster says of itself; of ``cv`` the first fold's does."""
    folds = getattr(model, "cvfolds", None)
    booster = folds[0].bst if folds else model
    learner = json.loads(booster.save_config())["learner"]
    trees = learner.get("gradient_booster", {})
    return {
        "objective": learner.get("objective", {}).get("name"),
        **learner.get("learner_train_param", {}),
        **trees.get("tree_train_param", {}),
    }


def _metrics(evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for data, metrics in evals_log.items():
        for metric, values in metrics.items():
            last = values[-1]
            if isinstance(last, tuple):  # of folds: mean and standard deviation
                found[f"{data}-{metric}"], found[f"{data}-{metric}-std"] = last[:2]
            else:
                found[f"{data}-{metric}"] = last
    return found


def _log_best(report: Report, model: Any) -> None:
    best = model.attr("best_iteration") if hasattr(model, "attr") else None
    if best is not None:
        report.metrics({"best_iteration": int(best), "best_score": float(model.attr("best_score"))})
