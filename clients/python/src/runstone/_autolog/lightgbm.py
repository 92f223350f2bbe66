"""LightGBM: ``lightgbm.train`` and each ``fit`` of its estimators log by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runstone._autolog import boosting, patching
from runstone._autolog.boosting import Rounds
from runstone._autolog.training import Training, arguments, with_callback

LIBRARY = "lightgbm"

IMPORTANCES = ("split", "gain")

NO_PARAMS = frozenset({
    *("params", "train_set", "valid_sets", "valid_names", "fobj", "feval", "init_model"),
    *("learning_rates", "callbacks", "evals_result"),
})  # fmt: skip
"""Arguments of ``train`` that are data or code; MLflow leaves the same ones out."""


def turn_on() -> None:
    """Patch the functions and classes of LightGBM; a second time changes nothing."""
    import lightgbm
    import lightgbm.sklearn as wrappers

    patching.patch(lightgbm, "train", _train)
    # The same function, by which estimators train.
    patching.patch(wrappers, "train", _train)
    patching.patch(lightgbm.Dataset, "__init__", boosting.remember_rows(LIBRARY))
    fit = boosting.fit_of(LIBRARY)
    for each in vars(wrappers).values():
        if isinstance(each, type) and issubclass(each, wrappers.LGBMModel):
            patching.patch(each, "fit", fit)


def _train(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """In place of ``lightgbm.train``."""
    with boosting.rounds_of(LIBRARY) as (training, whole):
        if training is None:
            return original(*args, **kwargs)
        rounds = Rounds(training)
        given = training.guarded("parameters", arguments, original, args, kwargs) or {}
        training.guarded("parameters", _log_params, training, given)
        if training.switch.log_datasets:
            # The training takes the data out of the data set.
            training.guarded("the data set", _log_data, training, given)
        call = training.guarded(
            "metrics", lambda: with_callback(original, args, kwargs, _follower(rounds))
        )
        args, kwargs = call or (args, kwargs)
        booster = original(*args, **kwargs)
        if whole:
            rows = boosting.rows_of(given.get("train_set"))
            boosting.log_model(training, booster, rows, booster.predict)
        if booster.best_iteration > 0:
            training.guarded("the best round", _log_best, booster, rounds)
        for kind in IMPORTANCES:
            training.guarded(f"importance by {kind}", _log_importance, training, booster, kind)
        return booster


def _log_params(training: Training, given: Mapping[str, Any]) -> None:
    others = {key: value for key, value in given.items() if key not in NO_PARAMS}
    training.log(params={**given["params"], **others})


def _log_data(training: Training, given: Mapping[str, Any]) -> None:
    data = given["train_set"]
    training.log_dataset(boosting.dense(data.data), _targets(data))
    names = given.get("valid_names") or ()
    held_out = given.get("valid_sets") or ()
    for place, each in enumerate(held_out if isinstance(held_out, list | tuple) else [held_out]):
        name = names[place] if place < len(names) and not isinstance(names, str) else None
        training.log_dataset(boosting.dense(each.data), _targets(each), "eval", name)


def _targets(dataset: Any) -> Any:
    # Of a table the target is a column that this one may not have.
    return None if hasattr(dataset.data, "columns") else dataset.label


def _follower(rounds: Rounds) -> Callable[[Any], None]:
    def follow(environment: Any) -> None:
        # Each result is data, metric, value, and more that depends on the version.
        found = {f"{each[0]}-{each[1]}": each[2] for each in environment.evaluation_result_list}
        rounds.add(environment.iteration, found)

    return follow


def _log_best(booster: Any, rounds: Rounds) -> None:
    # LightGBM counts rounds from 1.
    best = booster.best_iteration
    rounds.log_best(len(rounds.found), best, best - 1)


def _log_importance(training: Training, booster: Any, kind: str) -> None:
    scores = booster.feature_importance(importance_type=kind).tolist()
    boosting.log_importances(training, kind, dict(zip(booster.feature_name(), scores, strict=True)))
