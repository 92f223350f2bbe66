"""The table of rows: features, targets, predictions, and what metrics say of each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from runstone._evaluation.examples import Examples
from runstone._evaluation.metric import MetricValue
from runstone._evaluation.subject import Answers

if TYPE_CHECKING:
    import pandas as pd

NAME = "eval_results_table"


def table(
    rows: Examples,
    answers: Answers,
    values: Mapping[str, MetricValue],
    column: str | None,
    used: Collection[str] = (),
) -> pd.DataFrame | None:
    """The table, as MLflow makes it; None when no metric says anything of single rows.

    Args:
        rows: The data.
        answers: The predictions.
        values: The metrics, by the names of their columns.
        column: How the caller calls the predictions; ``outputs`` when absent.
        used: Further columns of the model's output that belong into it.
    """
    scored = {
        f"{name}/{kind}": said
        for name, value in values.items()
        for kind, said in (("score", value.scores), ("justification", value.justifications))
        if said
    }
    if not scored:
        return None
    frame = rows.frame.reset_index(drop=True)
    if rows.targets is not None:
        frame[rows.targets_name or "target"] = list(rows.targets)
        frame[rows.predictions_name or column or "outputs"] = answers.predictions
    else:
        frame["outputs"] = answers.predictions
    if answers.others is not None:
        for name in sorted(used):
            frame[name] = answers.others[name]
    for name, said in scored.items():
        frame[name] = said
    return frame
