"""Models judged by an API that is MLflow's; run with MLflow it prints what each case came to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

ROWS = 60
QUIET = {"log_model_explainability": False}
PICKLED = {"serialization_format": "cloudpickle"}
SHORT = ("prefix", "words", "macro")
"""Cases that have most of it."""

generator = np.random.default_rng(7)
FEATURES = generator.normal(size=(ROWS, 3))
NUMBERS = FEATURES @ [2.0, -1.0, 0.5] + generator.normal(size=ROWS)
CLASSES = np.digitize(NUMBERS, [-1.0, 1.0])
WORDS = np.array(["ant", "bee", "cat"])[CLASSES]
WEIGHTS = generator.uniform(0.5, 2.0, size=ROWS)
FRAME = pd.DataFrame(FEATURES, columns=["a", "b", "c"])


def missed(predictions: Any, targets: Any, a: Any, scale: float = 2.0) -> float:
    return float(((predictions - targets).abs() * a.abs()).max() * scale)


def doubled(predictions: Any, mean_squared_error: Any, metrics: Any) -> float:
    (mse,) = mean_squared_error.aggregate_results.values()
    return float(
        2 * mse + len(predictions) + metrics["example_count"].aggregate_results["example_count"]
    )


def older(frame: Any, builtin: Any) -> float:
    return float((frame["prediction"] - frame["target"]).sum() + builtin["sum_on_target"])


def files(frame: Any, metrics: Any, folder: str) -> dict[str, Any]:
    path = Path(folder, "note.txt")
    path.write_text(f"{len(frame)} rows, {len(metrics)} metrics", "utf-8")
    return {
        "pairs": frame,
        "array": np.arange(3),
        "values": {"rows": len(frame)},
        "text": json.dumps([1, 2]),
        "note": str(path),
    }


def metrics(api: Any, values: Any) -> list[Any]:
    def each(predictions: Any, targets: Any) -> Any:
        return values.MetricValue(scores=(predictions - targets).abs().tolist())

    make = api.models.make_metric
    return [
        make(eval_fn=doubled, greater_is_better=False),
        make(eval_fn=missed, greater_is_better=False),
        make(eval_fn=older, greater_is_better=False, version="v2"),
        make(eval_fn=each, greater_is_better=False, name="distance", version="v1"),
        api.metrics.mae(),
        api.metrics.rmse(),
        api.metrics.r2_score(),
        api.metrics.mape(),
        api.metrics.max_error(),
    ]


def regressions(api: Any, values: Any, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    model = wrap(LinearRegression().fit(FRAME, NUMBERS))
    data = FRAME.assign(y=NUMBERS)
    own = {"extra_metrics": metrics(api, values), "custom_artifacts": [files]}
    said = data.assign(said=NUMBERS + 0.25)
    kind = {"targets": "y", "model_type": "regressor"}
    return {
        "regressor": lambda: api.models.evaluate(
            model, data, **kind, **own, evaluator_config=QUIET
        ),
        "weights": lambda: api.models.evaluate(
            model, data, **kind, evaluator_config={**QUIET, "sample_weights": WEIGHTS}
        ),
        "prefix": lambda: api.models.evaluate(
            model, data, **kind, **own, evaluator_config={**QUIET, "metric_prefix": "val_"}
        ),
        "static": lambda: api.models.evaluate(
            data=said, **kind, predictions="said", evaluators="default", evaluator_config=QUIET
        ),
        "function": lambda: api.models.evaluate(
            lambda frame: frame["a"] * 2,
            FEATURES.tolist(),
            targets=NUMBERS.tolist(),
            feature_names=["a", "b", "c"],
            model_type="regressor",
            evaluators=["default"],
            evaluator_config={"default": QUIET},
        ),
        "own metrics": lambda: api.models.evaluate(
            lambda frame: pd.DataFrame({"p": frame["a"] * 2, "q": frame["b"]}),
            data,
            targets="y",
            predictions="p",
            extra_metrics=[
                api.models.make_metric(
                    eval_fn=lambda predictions, extra: float((predictions + extra).sum()),
                    greater_is_better=True,
                    name="added",
                )
            ],
            evaluator_config={"col_mapping": {"extra": "q"}},
        ),
    }


def classifications(api: Any, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    binary, words = np.minimum(CLASSES, 1), np.where(CLASSES > 1, "yes", "no")
    two = wrap(GaussianNB().fit(FRAME, binary))
    named = wrap(GaussianNB().fit(FRAME, words))
    three = wrap(GaussianNB().fit(FRAME, WORDS))

    def judge(model: Any, targets: Any, **config: Any) -> Callable[[], Any]:
        return lambda: api.models.evaluate(
            model,
            FRAME.assign(y=targets),
            targets="y",
            model_type="classifier",
            evaluator_config={**QUIET, **config},
        )

    return {
        "binary": judge(two, binary),
        "binary by function": judge(two.predict, binary),
        "other positive": judge(two, binary, pos_label=0, sample_weights=WEIGHTS),
        "words": judge(named, words, pos_label="no", metric_prefix="test_"),
        "classes": judge(three, WORDS),
        "macro": judge(three, WORDS, average="macro", sample_weights=WEIGHTS),
        "micro": judge(three, WORDS, average="micro"),
        "few curves": judge(three, WORDS, max_classes_for_multiclass_roc_pr=2),
    }


def outcomes(api: Any, values: Any, wrap: Callable[[Any], Any], *, short: bool) -> dict[str, Any]:
    """What each case came to, as JSON has it."""
    cases = {**regressions(api, values, wrap), **classifications(api, wrap)}
    found = {}
    for name in SHORT if short else cases:
        judge = cases[name]
        with api.start_run() as run:
            result = judge()
        run_id = run.info.run_id
        tables = {
            key: each.content.to_dict("list")
            for key, each in result.artifacts.items()
            if each.uri.endswith(".csv")
        }
        frames = {key: frame.to_dict("list") for key, frame in result.tables.items()}
        found[name] = {
            "metrics": {key: float(value) for key, value in result.metrics.items()},
            "logged": api.get_run(run_id).data.metrics,
            "artifacts": sorted(result.artifacts),
            "files": sorted(each.path for each in api.artifacts.list_artifacts(run_id=run_id)),
            "tables": {**frames, **tables},
        }
    return found


def main() -> None:
    """With MLflow, in this folder: a file for the outcomes, and "short" or "all"."""
    import logging

    import mlflow
    from mlflow.metrics import base
    from mlflow.models.evaluation import default_evaluator

    logging.disable(logging.WARNING)
    # What the plots look like is not compared, and drawing them takes most of the time.
    default_evaluator._matplotlib_config["figure.dpi"] = 20
    mlflow.set_tracking_uri(Path.cwd().as_uri() + "/mlruns")
    mlflow.set_experiment("evaluation")
    numbers = iter(range(100))

    def wrap(model: Any) -> Any:
        folder = f"model{next(numbers)}"
        mlflow.sklearn.save_model(model, folder, pip_requirements=["scikit-learn"], **PICKLED)
        return mlflow.pyfunc.load_model(folder)

    found = outcomes(mlflow, base, wrap, short=sys.argv[2] == "short")
    Path(sys.argv[1]).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
