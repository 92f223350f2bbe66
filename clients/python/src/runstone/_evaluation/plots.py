"""The plots of an evaluation, each a Figure of its own: nothing is shown, no state is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runstone import _media

if TYPE_CHECKING:
    import numpy as np

SIZE = (6.0, 4.0)
"""Inches, as MLflow's plots."""

DPI = 175
FONT = 8
"""Points."""


class Line(NamedTuple):
    """One line of a plot: x and y of equal length."""

    label: str
    x: Any
    y: Any


def png(figure: Any) -> bytes:
    """The figure as an image, cut to what is drawn."""
    return _media.figure_bytes(figure, "figure.png", {"bbox_inches": "tight"})


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI)
    axes = figure.subplots()
    axes.set_title(title, fontsize=FONT + 2)
    axes.set_xlabel(x, fontsize=FONT)
    axes.set_ylabel(y, fontsize=FONT)
    axes.tick_params(labelsize=FONT)
    return figure, axes


def _legend(axes: Any, lines: int) -> None:
    """Inside while there is room, beside the plot when there are many."""
    if lines <= 3:
        axes.legend(loc="best", fontsize=FONT)
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=FONT)


def roc(lines: Sequence[Line], positive: Any) -> Any:
    """True positive rate over false positive rate; the diagonal is chance."""
    of = "" if positive is None else f" (Positive label: {positive})"
    figure, axes = _axes("ROC curve", f"False Positive Rate{of}", f"True Positive Rate{of}")
    _steps(axes, lines)
    axes.plot([0, 1], [0, 1], color="gray", alpha=0.3, linestyle="dashed")
    return figure


def precision_recall(lines: Sequence[Line], positive: Any) -> Any:
    """Precision over recall."""
    of = "" if positive is None else f" (Positive label: {positive})"
    figure, axes = _axes("Precision recall curve", f"Recall{of}", f"Precision{of}")
    _steps(axes, lines)
    axes.plot([0, 1], [1, 0], color="gray", alpha=0.3, linestyle="dashed")
    return figure


def _steps(axes: Any, lines: Sequence[Line]) -> None:
    for line in lines:
        axes.plot(line.x, line.y, label=line.label, drawstyle="steps-post", linewidth=1)
    _legend(axes, len(lines))


def lift(lines: Sequence[Line]) -> Any:
    """How many times more of a class the best-scored share of the rows holds than all rows."""
    figure, axes = _axes("Lift Curve", "Percentage of sample", "Lift")
    for line in lines:
        axes.plot(line.x, line.y, label=line.label, linewidth=2)
    axes.plot([0, 1], [1, 1], "k--", linewidth=1, label="Baseline")
    axes.grid(visible=True)
    _legend(axes, len(lines))
    return figure


def calibration(lines: Sequence[Line], classifier: str) -> Any:
    """How often a class is right over how probable the model said it is."""
    figure, axes = _axes(
        f"{classifier} Calibration", "Mean Predicted Probability", "Fraction of Positives"
    )
    for line in lines:
        axes.plot(line.x, line.y, label=line.label, marker="o", markersize=3)
    axes.plot([0, 1], [0, 1], linestyle="dotted", color="black", label="Perfect Calibration")
    _legend(axes, len(lines))
    return figure


def confusion(matrix: np.ndarray[Any, Any], classes: Sequence[Any]) -> Any:
    """Shares of each true class, rows, that were predicted as each class, columns."""
    figure, axes = _axes("Normalized confusion matrix", "Predicted label", "True label")
    count = len(classes)
    size = min(FONT, math.ceil(50 / count))
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for row, column in ((r, c) for r in range(count) for c in range(count)):
        share = matrix[row, column]
        colour = "white" if share > 0.5 else "black"
        axes.text(
            column, row, f"{share:.2g}", ha="center", va="center", color=colour, fontsize=size
        )
    names = [str(each) for each in classes]
    axes.set_xticks(range(count), labels=names, fontsize=size)
    axes.set_yticks(range(count), labels=names, fontsize=size)
    figure.colorbar(image, ax=axes).ax.tick_params(labelsize=FONT)
    return figure
