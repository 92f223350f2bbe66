"""CatBoost: each ``fit`` of its models logs parameters, metrics by round, importances, the model.

MLflow has nothing of the kind; names are those of the other libraries of boosted trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runstone._autolog import boosting, patching
from runstone._autolog.boosting import Rounds
from runstone._autolog.training import Training, arguments, first_rows, training_of

LIBRARY = "catboost"

IMPORTANCE = "PredictionValuesChange"
"""The kind of importance that needs no data besides what the model keeps."""

PARAMS = (
    *("cat_features", "text_features", "embedding_features", "use_best_model"),
    *("early_stopping_rounds", "init_model"),
)
"""Arguments of ``fit`` that are neither data nor about printing."""


def turn_on() -> None:
    """Patch the classes of CatBoost; a second time changes nothing."""
    import catboost

    for each in vars(catboost).values():
        if isinstance(each, type) and issubclass(each, catboost.CatBoost):
            patching.patch(each, "fit", _fit)


def _fit(original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``fit``."""
    with training_of(LIBRARY) as training:
        if training is None:
            return original(model, *args, **kwargs)
        given = training.guarded("parameters", arguments, original, args, kwargs) or {}
        # Before it is trained on, which may change it.
        rows = first_rows(given.get("X"))
        params = training.guarded("parameters", _log_params, training, model, given)
        if training.switch.log_datasets:
            data = (given.get("X"), given.get("y"))
            training.guarded("the data set", training.log_dataset, *data)
        result = original(model, *args, **kwargs)
        boosting.log_model(training, model, rows, model.predict, params)
        training.guarded("metrics", _log_rounds, training, model)
        training.guarded("importance", _log_importance, training, model)
        return result


def _log_params(training: Training, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: given[name] for name in PARAMS if given.get(name) is not None}
    params = {**model.get_params(), **said}
    training.log(params=params)
    return params


def _log_rounds(training: Training, model: Any) -> None:
    """Log the metrics of all rounds; while it trains CatBoost tells of them on the CPU alone."""
    rounds = Rounds(training)
    found: dict[int, dict[str, float]] = {}
    for data, metrics in model.get_evals_result().items():
        for metric, values in metrics.items():
            for step, value in enumerate(values):
                found.setdefault(step, {})[f"{data}-{metric}"] = value
    for step, values in sorted(found.items()):
        rounds.add(step, values)
    best = model.get_best_iteration()
    if best is not None:
        rounds.log_best(len(found) - 1, best, best)


def _log_importance(training: Training, model: Any) -> None:
    scores = model.get_feature_importance(type=IMPORTANCE).tolist()
    names = [str(each) for each in model.feature_names_]
    boosting.log_importances(training, IMPORTANCE, dict(zip(names, scores, strict=True)))
