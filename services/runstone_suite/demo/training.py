"""Three kinds of model on the handwritten digits that come with scikit-learn, and their runs."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import runstone

SEED = 7
SOURCE = "https://archive.ics.uci.edu/dataset/80"
MODEL_FILE = "model.skops"
TREE_TYPES = ["sklearn.tree._tree.Tree"]
"""skops refuses types it does not know; this one is scikit-learn's own, and is only numbers."""

EPOCHS = 25
BATCH = 128
TREES = (20, 60)
DEPTHS = (4, 12)
BOOSTING_STAGES = 25


@dataclass(frozen=True)
class Digits:
    """1,797 images of 8 x 8 pixels, split once, the same for every model."""

    train_x: Any
    test_x: Any
    train_y: Any
    test_y: Any

    @classmethod
    def load(cls) -> Digits:
        images, labels = load_digits(return_X_y=True)
        return cls(
            *train_test_split(images, labels, test_size=0.3, random_state=SEED, stratify=labels)
        )


def train_linear(digits: Digits) -> str:
    """A linear model by stochastic gradient descent: four metrics per epoch. The run's id."""
    with runstone.start_run(run_name="linear", tags={"family": "linear"}) as run:
        _log_data(digits)
        params = {"loss": "log_loss", "alpha": 1e-4, "epochs": EPOCHS, "batch_size": BATCH}
        runstone.log_params(params)
        scaler = StandardScaler().fit(digits.train_x)
        model = SGDClassifier(loss="log_loss", alpha=1e-4, random_state=SEED)
        train_x, test_x = scaler.transform(digits.train_x), scaler.transform(digits.test_x)
        order = np.random.default_rng(SEED)
        for epoch in range(EPOCHS):
            rows = order.permutation(len(train_x))
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                model.partial_fit(train_x[batch], digits.train_y[batch], classes=range(10))
            metrics = _scores(model, train_x, digits.train_y, "train")
            metrics |= _scores(model, test_x, digits.test_y, "test")
            runstone.log_metrics(metrics, step=epoch)
        _log_model(make_pipeline(scaler, model), digits)
        return run.info.run_id


def search_forest(digits: Digits) -> str:
    """Random forests over a small grid: a parent run, a child run each. The best child's id."""
    with runstone.start_run(run_name="forest search", tags={"family": "forest"}):
        _log_data(digits)
        runstone.log_params({"n_estimators": list(TREES), "max_depth": list(DEPTHS)})
        best: tuple[float, str] = (0.0, "")
        for step, (trees, depth) in enumerate(itertools.product(TREES, DEPTHS)):
            name = f"forest {trees} x {depth}"
            with runstone.start_run(run_name=name, nested=True, tags={"family": "forest"}) as run:
                params = {"n_estimators": trees, "max_depth": depth, "random_state": SEED}
                runstone.log_params(params)
                model = RandomForestClassifier(**params).fit(digits.train_x, digits.train_y)
                metrics = _scores(model, digits.test_x, digits.test_y, "test")
                runstone.log_metrics(metrics)
                _log_model(model, digits)
                best = max(best, (metrics["test_accuracy"], run.info.run_id))
            runstone.log_metric("best_test_accuracy", best[0], step=step)
        runstone.set_tag("best_run", best[1])
        return best[1]


def train_boosting(digits: Digits) -> str:
    """Gradient boosting: the test accuracy after every stage. The run's id."""
    with runstone.start_run(run_name="boosting", tags={"family": "boosting"}) as run:
        _log_data(digits)
        params = {"n_estimators": BOOSTING_STAGES, "max_depth": 2, "subsample": 0.5}
        runstone.log_params(params)
        model = GradientBoostingClassifier(**params, max_features="sqrt", random_state=SEED)
        model.fit(digits.train_x, digits.train_y)
        for stage, predicted in enumerate(model.staged_predict(digits.test_x)):
            runstone.log_metric(
                "test_accuracy", float(accuracy_score(digits.test_y, predicted)), step=stage
            )
        _log_model(model, digits)
        return run.info.run_id


def load_model(folder: str | Path) -> Any:
    """The model in a folder of artifacts, by skops: unlike pickle it runs no code of the file's."""
    return skops.io.load(Path(folder) / MODEL_FILE, trusted=TREE_TYPES)


def _scores(model: Any, features: Any, labels: Any, prefix: str) -> dict[str, float]:
    return {
        f"{prefix}_accuracy": float(accuracy_score(labels, model.predict(features))),
        f"{prefix}_log_loss": float(log_loss(labels, model.predict_proba(features))),
    }


def _log_data(digits: Digits) -> None:
    dataset = runstone.data.from_numpy(
        digits.train_x, source=SOURCE, targets=digits.train_y, name="digits"
    )
    runstone.log_input(dataset, context="training")


def _log_model(model: Any, digits: Digits) -> None:
    predicted = model.predict(digits.test_x)
    runstone.log_metric("test_f1", float(f1_score(digits.test_y, predicted, average="macro")))
    figure = Figure(figsize=(5, 5), layout="tight")
    display = ConfusionMatrixDisplay.from_predictions(
        digits.test_y, predicted, ax=figure.subplots(), colorbar=False
    )
    runstone.log_figure(display.figure_, "confusion_matrix.png")
    with tempfile.TemporaryDirectory() as folder:
        skops.io.dump(model, Path(folder) / MODEL_FILE)
        runstone.log_artifacts(folder, "model")
