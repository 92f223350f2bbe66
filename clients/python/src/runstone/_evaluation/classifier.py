"""The metrics, curves and tables of a model that predicts classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from runstone._evaluation import plots
from runstone._evaluation.labels import Labels
from runstone._evaluation.outcome import Outcome
from runstone._evaluation.plots import Line
from runstone._values import invalid

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

MOST_CURVES = 10
"""Classes beyond which ROC and precision-recall curves of each are not drawn; as MLflow's."""


@dataclass(frozen=True)
class Classified:
    """What a classifier said, and what is right.

    Attributes:
        truth: The targets; shape (n,).
        predicted: The predictions; shape (n,).
        probabilities: Shape (n, classes), the columns in sorted order of the classes; or None.
        labels: The classes.
        weights: Of each row; None for 1.
        config: ``evaluator_config``.
    """

    truth: Array
    predicted: Array
    probabilities: Array | None
    labels: Labels
    weights: Array | None
    config: Mapping[str, Any]

    def one_vs_rest(self, label: Any) -> tuple[Array, Array]:
        """Targets and predictions as 1 for the class and 0 for any other."""
        return (self.truth == label).astype(int), (self.predicted == label).astype(int)

    def probability(self, place: int) -> Array:
        """Of the class at that place of ``labels.ordered``."""
        assert self.probabilities is not None
        return self.probabilities[:, self.labels.columns[place]]


def measure(outcome: Outcome, said: Classified) -> None:
    """Add MLflow's metrics of classification, with scikit-learn's definitions.

    Of two classes the counts (unweighted) and the metrics of the positive one; of more the
    metrics averaged as ``evaluator_config["average"]`` says, weighted unless it says otherwise.

    Raises:
        InvalidField: there is no such average.
    """
    from sklearn import metrics

    if said.labels.binary:
        for name, count in _confusion(said.truth, said.predicted, said.labels.ordered).items():
            outcome.measure(name, partial(int, count))
        _common(outcome, said, average="binary", positive=said.labels.positive)
        if said.probabilities is not None:
            outcome.measure("roc_auc", partial(_area, said, 1))
            outcome.measure("precision_recall_auc", partial(_average_precision, said, 1))
        return
    average = said.config.get("average", "weighted")
    if average not in {"weighted", "macro", "micro"}:
        raise invalid(
            "evaluator_config['average']",
            f"must be 'weighted', 'macro' or 'micro', not {average!r:.80}",
        )
    _common(outcome, said, average=average, positive=None)
    if said.probabilities is not None and average != "micro":
        outcome.measure(
            "roc_auc",
            lambda: metrics.roc_auc_score(
                said.truth,
                said.probabilities,
                sample_weight=said.weights,
                average=average,
                multi_class="ovr",
            ),
        )


def _common(outcome: Outcome, said: Classified, *, average: str, positive: Any) -> None:
    from sklearn import metrics

    truth, predicted, weights = said.truth, said.predicted, said.weights
    outcome.measure("example_count", lambda: len(truth))
    accuracy = _with_weights(metrics.accuracy_score, truth, predicted, weights)
    outcome.measure("accuracy_score", accuracy)
    for name in ("recall_score", "precision_score", "f1_score"):
        function = partial(
            getattr(metrics, name), average=average, pos_label=positive, zero_division=0
        )
        outcome.measure(name, _with_weights(function, truth, predicted, weights))
    if said.probabilities is not None:
        function = partial(metrics.log_loss, labels=sorted(said.labels.ordered))
        outcome.measure("log_loss", _with_weights(function, truth, said.probabilities, weights))


def _confusion(truth: Array, predicted: Array, classes: Any) -> dict[str, Any]:
    from sklearn import metrics

    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    matrix = metrics.confusion_matrix(truth, predicted, labels=classes)
    return dict(zip(names, matrix.ravel().tolist(), strict=True))


def _with_weights(
    function: Callable[..., Any], truth: Any, predicted: Any, weights: Any
) -> Callable[[], Any]:
    return lambda: function(truth, predicted, sample_weight=weights)


def _against_others(said: Classified, place: int) -> Array:
    """1 for the rows of a class, 0 for others. Raises ValueError when all rows are alike."""
    truth, _ = said.one_vs_rest(said.labels.ordered[place])
    if len(set(truth.tolist())) < 2:
        some = "no row is" if not truth.any() else "all rows are"
        raise ValueError(f"{some} of class {said.labels.ordered[place]}")
    return truth


def _area(said: Classified, place: int) -> Any:
    from sklearn import metrics

    truth = _against_others(said, place)
    return metrics.roc_auc_score(truth, said.probability(place), sample_weight=said.weights)


def _average_precision(said: Classified, place: int) -> Any:
    # Not the area under the line between the points, which is too good: MLflow's metric is this.
    from sklearn import metrics

    truth = _against_others(said, place)
    return metrics.average_precision_score(
        truth, said.probability(place), sample_weight=said.weights
    )


def picture(outcome: Outcome, said: Classified) -> None:
    """Add the plots, and of more than two classes the table of each class's metrics."""
    prefix = said.config.get("metric_prefix") or ""

    def draw(name: str, make: Callable[[], Any]) -> None:
        image = outcome.attempt(name, lambda: plots.png(make()))
        if image is not None:
            outcome.files[name] = (f"{prefix}{name}.png", image)

    curves = said.probabilities is not None
    if curves and not said.labels.binary:
        most = said.config.get("max_classes_for_multiclass_roc_pr", MOST_CURVES)
        if len(said.labels.ordered) > most:
            curves = False
            outcome.fail(
                "roc_curve_plot",
                f"there are more than {most} classes; max_classes_for_multiclass_roc_pr of"
                " evaluator_config says how many may be drawn",
            )
    if curves:
        draw("roc_curve_plot", partial(_roc, said))
        draw("precision_recall_curve_plot", partial(_precision_recall, said))
    if said.probabilities is not None:
        if said.labels.binary:
            draw("lift_curve_plot", partial(_lift, said))
        draw("calibration_curve_plot", partial(_calibration, said))
    if not said.labels.binary:
        table = outcome.attempt("per_class_metrics", lambda: per_class(said, with_areas=curves))
        if table is not None:
            data = table.to_csv(index=False).encode("utf-8")
            outcome.files["per_class_metrics"] = (f"{prefix}per_class_metrics.csv", data)
    draw("confusion_matrix", partial(_matrix, said))


def _drawn(said: Classified) -> list[tuple[str, int]]:
    """The classes that have a curve: of two the positive one, of more those that rows are of."""
    if said.labels.binary:
        return [("", 1)]
    there = set(said.truth.tolist())
    every = list(enumerate(said.labels.ordered.tolist()))
    return [(f"label={label},", place) for place, label in every if label in there]


def _roc(said: Classified) -> Any:
    from sklearn import metrics

    lines = []
    for prefix, place in _drawn(said):
        truth = _against_others(said, place)
        scores = said.probability(place)
        false, true, _ = metrics.roc_curve(truth, scores, sample_weight=said.weights)
        lines.append(Line(f"{prefix}AUC={_area(said, place):.3f}", false, true))
    return plots.roc(lines, said.labels.positive)


def _precision_recall(said: Classified) -> Any:
    from sklearn import metrics

    lines = []
    for prefix, place in _drawn(said):
        precision, recall, _ = metrics.precision_recall_curve(
            _against_others(said, place), said.probability(place), sample_weight=said.weights
        )
        area = _average_precision(said, place)
        lines.append(Line(f"{prefix}AP={area:.3f}", recall, precision))
    return plots.precision_recall(lines, said.labels.positive)


def _lift(said: Classified) -> Any:
    import numpy as np

    lines = []
    for place, label in enumerate(said.labels.ordered):
        truth = _against_others(said, place)
        best_first = np.argsort(-said.probability(place), kind="stable")
        share = np.arange(1, len(truth) + 1) / len(truth)
        gain = np.cumsum(truth[best_first]) / truth.sum()
        mark = " (positive)" if label == said.labels.positive else ""
        lines.append(Line(f"Class {label}{mark}", share, gain / share))
    return plots.lift(lines)


def _calibration(said: Classified) -> Any:
    from sklearn.calibration import calibration_curve

    bins = said.config.get("calibration_n_bins", 10)
    name = said.config.get("calibration_classifier_name", "Classifier")
    lines = []
    for prefix, place in _drawn(said):
        truth, _ = said.one_vs_rest(said.labels.ordered[place])
        right, probable = calibration_curve(truth, said.probability(place), n_bins=bins)
        lines.append(Line(prefix.rstrip(",") or str(name), probable, right))
    return plots.calibration(lines, str(name))


def _matrix(said: Classified) -> Any:
    from sklearn import metrics

    matrix = metrics.confusion_matrix(
        said.truth,
        said.predicted,
        labels=said.labels.ordered,
        normalize="true",
        sample_weight=said.weights,
    )
    return plots.confusion(matrix, said.labels.ordered.tolist())


def per_class(said: Classified, *, with_areas: bool) -> pd.DataFrame:
    """For each class the metrics of it against all others, with MLflow's column names."""
    import pandas as pd
    from sklearn import metrics

    rows = []
    for place, label in enumerate(said.labels.ordered.tolist()):
        truth, predicted = said.one_vs_rest(label)
        row: dict[str, Any] = {"positive_class": label}
        row |= _confusion(truth, predicted, [0, 1])
        row["example_count"] = len(truth)
        row["accuracy_score"] = metrics.accuracy_score(truth, predicted, sample_weight=said.weights)
        for name in ("recall_score", "precision_score", "f1_score"):
            function = partial(getattr(metrics, name), sample_weight=said.weights, zero_division=0)
            row[name] = function(truth, predicted)
        if with_areas:
            both = 0 < truth.sum() < len(truth)
            row["roc_auc"] = _area(said, place) if both else None
            row["precision_recall_auc"] = _average_precision(said, place) if both else None
        rows.append(row)
    return pd.DataFrame(rows)
