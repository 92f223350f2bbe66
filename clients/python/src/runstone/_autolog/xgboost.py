"""XGBoost: ``xgboost.train`` and each ``fit`` of its estimators log by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runstone._autolog import boosting, patching
from runstone._autolog.boosting import Rounds
from runstone._autolog.training import Training, arguments, with_callback

LIBRARY = "xgboost"

IMPORTANCES = ("weight",)
"""Kinds of importance that are logged when the user names none."""

NO_PARAMS = frozenset({
    *("params", "dtrain", "evals", "obj", "feval", "evals_result", "xgb_model", "callbacks"),
    "learning_rates",
})  # fmt: skip
"""Arguments of ``train`` that are data or code; MLflow leaves the same ones out."""


def turn_on() -> None:
    """Patch the functions and classes of XGBoost; a second time changes nothing."""
    import xgboost
    import xgboost.sklearn as wrappers

    patching.patch(xgboost, "train", _train)
    # The same function, by which estimators train.
    patching.patch(wrappers, "train", _train)
    for data in (xgboost.DMatrix, xgboost.QuantileDMatrix):
        patching.patch(data, "__init__", boosting.remember_rows(LIBRARY))
    fit = boosting.fit_of(LIBRARY, options=("model_format",))
    for each in vars(wrappers).values():
        if isinstance(each, type) and issubclass(each, wrappers.XGBModel):
            patching.patch(each, "fit", fit)


def _train(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """In place of ``xgboost.train``."""
    with boosting.rounds_of(LIBRARY) as (training, whole):
        if training is None:
            return original(*args, **kwargs)
        rounds = Rounds(training)
        given = training.guarded("parameters", arguments, original, args, kwargs) or {}
        training.guarded("parameters", _log_params, training, given)
        if training.switch.log_datasets:
            training.guarded("the data set", _log_data, training, given)
        call = training.guarded(
            "metrics", lambda: with_callback(original, args, kwargs, _follower(rounds))
        )
        args, kwargs = call or (args, kwargs)
        booster = original(*args, **kwargs)
        if whole:
            rows = boosting.rows_of(given.get("dtrain"))
            boosting.log_model(
                training, booster, rows, _answer(booster), _params(given), ("model_format",)
            )
        if given.get("early_stopping_rounds"):
            training.guarded("the best round", _log_best, booster, rounds)
        for kind in training.switch.others.get("importance_types") or IMPORTANCES:
            training.guarded(f"importance by {kind}", _log_importance, training, booster, kind)
        return booster


def _params(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in NO_PARAMS}


def _log_params(training: Training, given: Mapping[str, Any]) -> None:
    training.log(params={**dict(given["params"]), **_params(given)})


def _log_data(training: Training, given: Mapping[str, Any]) -> None:
    training.log_dataset(_values(given["dtrain"]))
    for matrix, name in given.get("evals") or ():
        training.log_dataset(_values(matrix), context="eval", name=name)


def _values(matrix: Any) -> Any:
    # A copy of all of it: looked at before, for a large one is not told of anyway.
    small = matrix.num_row() * matrix.num_col() <= boosting.MAX_CELLS
    return boosting.dense(matrix.get_data()) if small else None


def _follower(rounds: Rounds) -> Any:
    from xgboost.callback import TrainingCallback

    class Follower(TrainingCallback):  # type: ignore[misc]
        """Logs the metrics of each round."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model
            rounds.add(
                epoch,
                {
                    f"{data}-{metric}": values[-1]
                    for data, metrics in evals_log.items()
                    for metric, values in metrics.items()
                },
            )
            return False  # the training goes on

    return Follower()


def _answer(booster: Any) -> Callable[[Any], Any]:
    import xgboost

    return lambda rows: booster.predict(xgboost.DMatrix(rows))


def _log_best(booster: Any, rounds: Rounds) -> None:
    best = booster.best_iteration
    rounds.log_best(len(rounds.found) - 1, best, best)


def _log_importance(training: Training, booster: Any, kind: str) -> None:
    boosting.log_importances(training, kind, booster.get_score(importance_type=kind))
