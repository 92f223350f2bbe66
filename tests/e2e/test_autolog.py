"""Trainings of scikit-learn that log by themselves, to an embedded suite."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import parallel_backend
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import runstone
from runstone._autolog import guard, sklearn_results, switches
from runstone.entities import Run
from support import fluent

X = np.arange(40.0).reshape(20, 2)
LINE = X[:, 0] * 2 + 1
FLAGS = (X[:, 0] > 19).astype(int)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("autolog")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def client(data_dir: Path, tmp_path: Path) -> Iterator[runstone.Client]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield runstone.Client()
        switches.reset()
        guard.forget()


def last_run() -> Run:
    last = runstone.last_active_run()
    assert last is not None
    return runstone.get_run(last.info.run_id)


def files(run: Run) -> list[str]:
    return [each.path for each in runstone.artifacts.list_artifacts(run_id=run.info.run_id)]


def test_a_fit_has_a_run_of_its_own() -> None:
    runstone.sklearn.autolog(extra_tags={"team": "risk"})
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, FLAGS)
    assert runstone.active_run() is None
    run = last_run()
    assert run.info.status == "FINISHED"
    assert run.data.params["logisticregression__C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] == 1.0
    expected = {"estimator_name": "Pipeline", "mlflow.autologging": "sklearn", "team": "risk"}
    assert expected.items() <= run.data.tags.items()
    assert files(run) == [
        "estimator.html",
        "training_confusion_matrix.png",
        "training_precision_recall_curve.png",
        "training_roc_curve.png",
    ]
    loaded = runstone.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.metadata.signature is not None
    assert loaded.predict(X).tolist() == model.predict(X).tolist()


def test_metrics_of_later_predictions_come_to_the_run_of_the_training() -> None:
    runstone.sklearn.autolog(log_models=False)
    model = LogisticRegression().fit(X, FLAGS)
    held_out, labels = X[:4], FLAGS[:4]
    predicted = model.predict(held_out)
    metrics.accuracy_score(labels, predicted)
    metrics.accuracy_score(labels, predicted)
    model.score(held_out, labels)
    found = last_run()
    later = {key for key in found.data.metrics if not key.startswith("training_")}
    assert later == {
        "accuracy_score_held_out",
        "accuracy_score-2_held_out",
        "LogisticRegression_score_held_out",
    }
    contexts = [each.tags[0].value for each in found.inputs.dataset_inputs]
    assert sorted(contexts) == ["eval", "train"]


def test_a_search_has_its_best_trials_as_children(client: runstone.Client) -> None:
    runstone.sklearn.autolog(max_tuning_runs=2, log_models=False)
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(X, FLAGS)
    run = last_run()
    assert {"best_C", "cv", "refit"} <= set(run.data.params)
    assert "best_cv_score" in run.data.metrics
    assert "cv_results.csv" in files(run)
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert len(children) == 2
    assert all("mean_test_score" in child.data.metrics for child in children)


class Own(RegressorMixin, BaseEstimator):
    """An estimator of the user's, made after autologging was turned on."""

    def __init__(self, plus: float = 0.0) -> None:
        self.plus = plus

    def fit(self, features: Any, targets: Any) -> Own:
        self.mean_ = float(np.mean(targets))
        return self

    def predict(self, features: Any) -> Any:
        return np.full(len(features), self.mean_ + self.plus)


def test_an_estimator_of_ones_own_logs_too() -> None:
    runstone.sklearn.autolog(log_models=False)

    class Later(Own):
        def fit(self, features: Any, targets: Any) -> Own:
            return super().fit(features, targets)

    Later(plus=1.0).fit(X, LINE)
    run = last_run()
    assert run.data.params == {"plus": "1.0"}
    assert run.data.metrics["training_mean_absolute_error"] > 0


def test_in_an_active_run_it_logs_there_and_leaves_it_open() -> None:
    runstone.autolog(log_models=False)
    with runstone.start_run() as run:
        LinearRegression().fit(X, LINE)
        active = runstone.active_run()
        assert active is not None
        assert active.info.run_id == run.info.run_id
    held = runstone.get_run(run.info.run_id)
    assert held.data.metrics["training_score"] == pytest.approx(1.0)
    assert "mlflow.autologging" not in held.data.tags


def test_exclusively_it_leaves_the_runs_of_others_alone() -> None:
    runstone.autolog(exclusive=True)
    with runstone.start_run() as run:
        LinearRegression().fit(X, LINE)
    assert runstone.get_run(run.info.run_id).data.params == {}


def test_data_that_is_prepared_is_no_training(client: runstone.Client) -> None:
    runstone.autolog()
    before = len(client.search_runs(["0"]))
    StandardScaler().fit(X)
    assert len(client.search_runs(["0"])) == before


def test_turned_off_nothing_is_logged(client: runstone.Client) -> None:
    runstone.autolog()
    runstone.autolog(disable=True)
    before = len(client.search_runs(["0"]))
    LinearRegression().fit(X, LINE)
    assert len(client.search_runs(["0"])) == before


def test_a_training_that_fails_raises_what_it_raised() -> None:
    runstone.autolog()
    with pytest.raises(ValueError, match="requires y to be passed"):
        LogisticRegression().fit(X, None)
    assert last_run().info.status == "FAILED"


def test_what_threads_fit_is_part_of_one_training(client: runstone.Client) -> None:
    runstone.autolog(log_models=False)
    before = len(client.search_runs(["0"]))
    forest = IsolationForest(n_estimators=4, n_jobs=2, random_state=0)
    with parallel_backend("threading"):
        forest.fit(X)
    assert len(client.search_runs(["0"])) == before + 1
    assert last_run().data.tags["estimator_name"] == "IsolationForest"


class Stubborn(ClassifierMixin, BaseEstimator):
    """Trains, and is no good for anything that is asked of it later."""

    def fit(self, features: Any, targets: Any) -> Stubborn:
        self.classes_ = np.unique(targets)
        return self

    def predict(self, features: Any) -> Any:
        raise RuntimeError("not today")


def test_what_cannot_be_logged_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    runstone.autolog()
    with caplog.at_level(logging.WARNING, "runstone"):
        for _ in range(2):
            assert Stubborn().fit(X, FLAGS).classes_.tolist() == [0, 1]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(set(said)) >= 2
    assert all("RuntimeError: not today" in each for each in said)
    run = last_run()
    assert run.info.status == "FINISHED"
    # All the rest is there.
    assert run.data.tags["estimator_name"] == "Stubborn"
    model = runstone.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    assert model.classes_.tolist() == [0, 1]


def test_without_a_server_trainings_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    runstone.set_tracking_uri("runstone://127.0.0.1:1")
    monkeypatch.setenv("RUNSTONE_TIMEOUT", "1")
    runstone.autolog()
    with caplog.at_level(logging.WARNING, "runstone"):
        model = LinearRegression().fit(X, LINE)
    assert model.coef_.shape == (2,)
    assert any("a run could not be logged" in record.getMessage() for record in caplog.records)


def test_a_defect_of_ours_does_not_reach_the_training(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise AssertionError("a defect")

    monkeypatch.setattr(sklearn_results, "log_metrics", broken)
    runstone.autolog(log_models=False)
    with caplog.at_level(logging.WARNING, "runstone"):
        LinearRegression().fit(X, LINE)
    assert last_run().info.status == "FINISHED"
    assert [record.getMessage() for record in caplog.records] == [
        "autologging of sklearn: metrics could not be logged: AssertionError: a defect (said once)"
    ]
