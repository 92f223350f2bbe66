"""What is told of a trained estimator: metrics and plots on its training data, and its searches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._autolog.training import Training

if TYPE_CHECKING:
    from runstone._autolog.sklearn import Given

PREFIX = "training_"

DOTS_PER_INCH = 175
FIGURE_INCHES = (6.0, 4.0)


def told(estimator: Any) -> dict[str, str]:
    """Tags that name an estimator."""
    cls = type(estimator)
    return {"estimator_name": cls.__name__, "estimator_class": f"{cls.__module__}.{cls.__name__}"}


def is_search(estimator: Any) -> bool:
    """Whether it is a search over parameters, such as GridSearchCV."""
    from sklearn.model_selection._search import BaseSearchCV

    return isinstance(estimator, BaseSearchCV)


def log_metrics(training: Training, estimator: Any, given: Given) -> None:
    """Log how well the estimator does on what it was trained on."""
    from sklearn.base import is_classifier, is_regressor

    if given.targets is None:
        return
    found: dict[str, Any] = {}
    if is_classifier(estimator):
        found = _of_classifier(training, estimator, given)
    elif is_regressor(estimator):
        found = _of_regressor(training, estimator, given)
    if hasattr(estimator, "score"):
        found["score"] = training.guarded("the score", _score, estimator, given)
    training.log({f"{PREFIX}{key}": each for key, each in found.items() if each is not None})


def _score(estimator: Any, given: Given) -> float:
    import inspect

    weighted = "sample_weight" in inspect.signature(estimator.score).parameters
    weights = {"sample_weight": given.weights} if weighted else {}
    return float(estimator.score(given.features, given.targets, **weights))


def _of_classifier(training: Training, estimator: Any, given: Given) -> dict[str, Any]:
    from sklearn import metrics

    positive = training.switch.others.get("pos_label")
    predicted = estimator.predict(given.features)
    known = {"y_true": given.targets, "sample_weight": given.weights}
    rates = {
        **known,
        "y_pred": predicted,
        "pos_label": positive,
        "average": "weighted" if positive is None else "binary",
    }
    found = {
        name: training.guarded(name, getattr(metrics, name), **rates)
        for name in ("precision_score", "recall_score", "f1_score")
    }
    found["accuracy_score"] = training.guarded(
        "accuracy_score", metrics.accuracy_score, **known, y_pred=predicted
    )
    if hasattr(estimator, "predict_proba"):
        chances = estimator.predict_proba(given.features)
        found["log_loss"] = training.guarded(
            # By place: the name of the second argument depends on the version.
            "log_loss",
            metrics.log_loss,
            given.targets,
            chances,
            sample_weight=given.weights,
        )
        scores = chances[:, 1] if len(chances[0]) == 2 else chances
        found["roc_auc"] = training.guarded(
            "roc_auc",
            metrics.roc_auc_score,
            **known,
            y_score=scores,
            average="weighted",
            multi_class="ovo",
        )
    return found


def _of_regressor(training: Training, estimator: Any, given: Given) -> dict[str, Any]:
    from sklearn import metrics

    known = {
        "y_true": given.targets,
        "y_pred": estimator.predict(given.features),
        "sample_weight": given.weights,
    }
    found = {
        name: training.guarded(name, getattr(metrics, name), **known)
        for name in ("mean_squared_error", "mean_absolute_error", "r2_score")
    }
    if found["mean_squared_error"] is not None:
        found["root_mean_squared_error"] = found["mean_squared_error"] ** 0.5
    return found


def log_files(training: Training, estimator: Any, given: Given) -> None:
    """Log the estimator as a page and, of a classifier, plots on what it was trained on."""
    from sklearn.base import is_classifier
    from sklearn.utils import estimator_html_repr

    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        folder = Path(place)
        page = f'<!DOCTYPE html><meta charset="UTF-8">{estimator_html_repr(estimator)}'
        (folder / "estimator.html").write_text(page, "utf-8")
        if is_classifier(estimator) and given.targets is not None:
            _draw_all(training, estimator, given, folder)
        training.client.log_artifacts(training.run_id, folder)


def _draw_all(training: Training, estimator: Any, given: Given, folder: Path) -> None:
    import numpy as np
    from sklearn import metrics

    classes = np.unique(np.asarray(given.targets))
    known = {"X": given.features, "y": given.targets, "sample_weight": given.weights}

    def draw(name: str, title: str, display: Any, **how: Any) -> None:
        training.guarded(
            f"{name}.png", _draw, display.from_estimator, estimator, title, folder / f"{name}.png",
            **known, **how,
        )  # fmt: skip

    matrix = metrics.ConfusionMatrixDisplay
    title = "Normalized confusion matrix"
    draw(f"{PREFIX}confusion_matrix", title, matrix, normalize="true", cmap="Blues")
    scored = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    if len(classes) == 2 and scored:
        draw(f"{PREFIX}roc_curve", "ROC curve", metrics.RocCurveDisplay)
        curve = metrics.PrecisionRecallDisplay
        draw(f"{PREFIX}precision_recall_curve", "Precision recall curve", curve)


def _draw(display: Callable[..., Any], estimator: Any, title: str, path: Path, **how: Any) -> None:
    # The object-oriented way: the figures that the user has open stay as they are.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=FIGURE_INCHES, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    display(estimator, ax=axes, **how)
    axes.set_title(title)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def log_estimator(
    training: Training, estimator: Any, about: Mapping[str, Any], name: str = "model"
) -> None:
    """Log an estimator as a model of the run."""
    params = estimator.get_params(deep=not is_search(estimator))
    options = {"serialization_format": training.switch.others.get("serialization_format")}
    training.log_model("sklearn", estimator, about, options, params, name)


def log_search(training: Training, search: Any) -> None:
    """Log what a search found, its best trials as child runs, and all of them as a table."""
    import pandas as pd

    best = {f"best_{key}": each for key, each in getattr(search, "best_params_", {}).items()}
    score = getattr(search, "best_score_", None)
    training.log({} if score is None else {"best_cv_score": score}, best)
    found = getattr(search, "cv_results_", None)
    if found is None:
        return
    table = pd.DataFrame.from_dict(found)
    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        path = Path(place) / "cv_results.csv"
        table.to_csv(path, index=False)
        training.client.log_artifact(training.run_id, path)
    _log_trials(training, search, table)


def _log_trials(training: Training, search: Any, table: Any) -> None:
    limit = training.switch.others.get("max_tuning_runs", 5)
    ranks = [name for name in table.columns if name.startswith("rank_test_")]
    if limit is not None and ranks:
        rank = "rank_test_score" if "rank_test_score" in ranks else ranks[0]
        table = table.nsmallest(limit, rank)
    seed = search.estimator.get_params(deep=not is_search(search.estimator))
    tags = told(search.estimator)
    for row in table.to_dict("records"):
        metrics = {
            key: float(value)  # type: ignore[arg-type]
            for key, value in row.items()
            if not key.startswith(("param", "split")) and isinstance(value, Number)
        }
        training.log_trial(metrics, {**seed, **row["params"]}, tags)
