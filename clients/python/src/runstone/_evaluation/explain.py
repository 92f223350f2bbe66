"""SHAP plots: which features moved the predictions, and by how much."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runstone._evaluation.examples import Examples
from runstone._evaluation.outcome import Outcome
from runstone._evaluation.subject import Subject
from runstone._values import invalid

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger("runstone")

ALGORITHMS = ("exact", "permutation", "partition", "kernel")
LINKS = ("identity", "logit")

SAMPLE_ROWS = 2_000
"""Rows that are explained unless said otherwise, as MLflow does: it takes long."""

_QUIET = "evaluator_config={'log_model_explainability': False} leaves them out"


def explain(
    outcome: Outcome, asked: Subject, rows: Examples, options: Mapping[str, Any], classes: int
) -> None:
    """Add MLflow's three SHAP plots; say why when there are none.

    Args:
        outcome: What they are added to.
        asked: The model.
        rows: The data; features and targets must be numbers.
        options: ``evaluator_config``: ``explainability_algorithm``, ``explainability_nsamples``,
            ``explainability_kernel_link``, ``metric_prefix``.
        classes: How many the model tells apart; 0 for a regressor.

    Raises:
        InvalidField: an option has a value that does not exist.
    """
    algorithm = options.get("explainability_algorithm")
    link = options.get("explainability_kernel_link", "identity")
    if algorithm is not None and algorithm not in ALGORITHMS:
        name = "evaluator_config['explainability_algorithm']"
        raise invalid(name, f"must be of {', '.join(ALGORITHMS)}, not {algorithm!r:.80}")
    if link not in LINKS:
        name = "evaluator_config['explainability_kernel_link']"
        raise invalid(name, f"must be of {', '.join(LINKS)}, not {link!r:.80}")
    why = _obstacle(asked, rows, algorithm)
    if why is not None:
        _log.warning("evaluate makes no SHAP plots: %s; %s", why, _QUIET)
        return
    values = outcome.attempt(
        "shap", lambda: _explained(asked, rows, algorithm, link, options, classes)
    )
    if values is None:
        return
    if options.get("log_explainer"):
        outcome.fail("explainer", "explainers are not kept as models; log_explainer is ignored")
    prefix = options.get("metric_prefix") or ""
    for name, draw in _plots(values).items():
        image = outcome.attempt(name, lambda draw=draw: _drawn(draw))  # type: ignore[misc]
        if image is not None:
            outcome.files[name] = (f"{prefix}{name}.png", image)


def _obstacle(asked: Subject, rows: Examples, algorithm: str | None) -> str | None:
    import pandas as pd

    if asked.predict is None:
        return "there is no model to be asked"
    try:
        import shap  # noqa: F401
    except ImportError:
        return "the package shap is not installed"
    if rows.targets is not None and rows.targets.dtype.kind not in "biuf":
        return "the targets are no numbers"
    if algorithm != "kernel":
        others = [
            name
            for name, kind in rows.frame.dtypes.items()
            if not pd.api.types.is_numeric_dtype(kind)
        ]
        if others:
            return f"the columns {', '.join(map(str, others))} are no numbers"
    return None


def _explained(
    asked: Subject,
    rows: Examples,
    algorithm: str | None,
    link: str,
    options: Mapping[str, Any],
    classes: int,
) -> Any:
    import pandas as pd
    import shap

    names = list(rows.frame.columns)
    frame = rows.features()
    sample = _filled(shap.sample(frame, _sample_rows(options), random_state=0), frame)

    def predict(features: Any) -> Any:
        assert asked.predict is not None
        named = pd.DataFrame(features).set_axis(names, axis=1)
        return asked.predict(named.to_numpy() if asked.wants_array else named)

    if algorithm == "kernel":
        background = _filled(shap.sample(frame, _sample_rows(options), random_state=3), frame)
        explainer = shap.KernelExplainer(predict, background, link=link)
    elif algorithm is not None:
        explainer = shap.Explainer(predict, sample, feature_names=names, algorithm=algorithm)
    elif asked.raw is not None and classes <= 2 and not hasattr(asked.raw, "steps"):
        # Explainers of trees and linear models look inside, which those of many classes and of
        # pipelines do not let them.
        inside = sample.to_numpy() if asked.wants_array else sample
        explainer = shap.Explainer(asked.raw, inside, feature_names=names)
    else:
        explainer = shap.Explainer(predict, sample, feature_names=names)
    return explainer(sample)


def _sample_rows(options: Mapping[str, Any]) -> int:
    return int(options.get("explainability_nsamples", SAMPLE_ROWS))


def _filled(sample: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Gaps filled with the mean of numbers, or the most frequent of other values."""
    known = {
        name: column.mean() if column.dtype.kind == "f" else column.mode().iloc[0]
        for name, column in frame.items()
        if column.hasnans and not column.isna().all()
    }
    return sample.fillna(known) if known else sample


def _plots(values: Any) -> dict[str, Callable[[], Any]]:
    import shap

    return {
        "shap_beeswarm_plot": lambda: shap.plots.beeswarm(values, show=False),
        "shap_summary_plot": lambda: shap.summary_plot(values, show=False),
        "shap_feature_importance_plot": lambda: shap.plots.bar(values, show=False),
    }


def _drawn(draw: Callable[[], Any]) -> bytes:
    """The plot as an image. SHAP draws on pyplot's current figure, so it gets one of its own."""
    import matplotlib.pyplot as plt

    before = plt.gcf().number if plt.get_fignums() else None
    figure = plt.figure()
    try:
        draw()
        buffer = io.BytesIO()
        plt.gcf().savefig(buffer, format="png", bbox_inches="tight", dpi=175)
        return buffer.getvalue()
    finally:
        plt.close(figure)
        if before is not None:
            plt.figure(before)
