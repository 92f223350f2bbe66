"""``runstone.evaluate`` against a real embedded suite, as whoever compares models uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB

import runstone
from runstone.exceptions import StageRulesBroken
from runstone.models import EvaluationResult, MetricThreshold, infer_signature, make_metric
from support import fluent

QUIET = {"log_model_explainability": False}
generator = np.random.default_rng(3)
FRAME = pd.DataFrame(generator.normal(size=(40, 2)), columns=["a", "b"])
LABELS = (FRAME["a"] + FRAME["b"] > 0).astype(int)
DATA = FRAME.assign(y=LABELS)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("evaluate")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def process(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


def judge(model: Any, **changes: Any) -> EvaluationResult:
    arguments = {"targets": "y", "model_type": "classifier", "evaluator_config": QUIET, **changes}
    return runstone.evaluate(model, DATA, **arguments)


def files_of(run_id: str) -> list[str]:
    return sorted(each.path for each in runstone.artifacts.list_artifacts(run_id=run_id))


def test_a_candidate_is_compared_with_the_model_in_use(tmp_path: Path) -> None:
    def distance(predictions: Any, targets: Any) -> Any:
        return runstone.metrics.MetricValue(scores=(predictions - targets).abs().tolist())

    with runstone.start_run() as run:
        candidate = judge(
            GaussianNB().fit(FRAME, LABELS),
            extra_metrics=[make_metric(eval_fn=distance, greater_is_better=False)],
            custom_artifacts=[lambda frame, metrics, folder: {"pairs": frame}],
            dataset_path="s3://bucket/test.parquet",
        )
    assert candidate.failures == {}
    assert candidate.run_id == run.info.run_id
    found = runstone.get_run(run.info.run_id)
    assert found.data.metrics == pytest.approx(candidate.metrics)
    assert found.inputs.dataset_inputs[0].dataset.source_type == "s3"
    assert files_of(run.info.run_id) == [
        "calibration_curve_plot.png",
        "confusion_matrix.png",
        "eval_results_table.json",
        "lift_curve_plot.png",
        "pairs.csv",
        "precision_recall_curve_plot.png",
        "roc_curve_plot.png",
    ]
    for each in candidate.artifacts.values():
        local = runstone.artifacts.download_artifacts(each.uri)
        assert Path(local).read_bytes() == each.data
    rows = runstone.load_table("eval_results_table.json", [run.info.run_id])
    pd.testing.assert_frame_equal(rows, candidate.tables["eval_results_table"])

    baseline = judge(DummyClassifier().fit(FRAME, LABELS))
    better = MetricThreshold(threshold=0.8, min_absolute_change=0.1, greater_is_better=True)
    candidate.save(tmp_path / "candidate")
    again = EvaluationResult.load(tmp_path / "candidate")
    runstone.validate_evaluation_results({"accuracy_score": better}, again, baseline)
    with pytest.raises(runstone.exceptions.ModelValidationFailed, match=r"roc_auc: 0\.5 is not at"):
        runstone.validate_evaluation_results({"roc_auc": better}, baseline, candidate)


def test_a_run_is_begun_and_ended_where_none_is_active() -> None:
    result = judge(GaussianNB().fit(FRAME, LABELS))
    assert runstone.active_run() is None
    assert result.run_id is not None
    assert runstone.get_run(result.run_id).info.status == "FINISHED"
    with pytest.raises(ZeroDivisionError):
        judge(lambda frame: 1 // 0)
    failed = runstone.last_active_run()
    assert failed is not None
    assert failed.info.status == "FAILED"


def test_two_evaluations_in_one_run_are_told_apart_by_a_prefix() -> None:
    model = GaussianNB().fit(FRAME, LABELS)
    with runstone.start_run() as run:
        for prefix in ("train_", "test_"):
            judge(model, evaluator_config={**QUIET, "metric_prefix": prefix})
    found = runstone.get_run(run.info.run_id)
    assert {"train_f1_score", "test_f1_score"} <= found.data.metrics.keys()
    assert {"train_roc_curve_plot.png", "test_roc_curve_plot.png"} <= set(files_of(run.info.run_id))
    contexts = {tag.value for each in found.inputs.dataset_inputs for tag in each.tags}
    assert contexts <= {"train_", "test_"}
    assert contexts


def test_metrics_belong_to_the_logged_model() -> None:
    client = runstone.Client()
    made = client.create_logged_model("0", name="bayes")
    with runstone.start_run() as run:
        result = judge(GaussianNB().fit(FRAME, LABELS), model_id=made.model_id)
    found = client.get_logged_model(made.model_id)
    assert {each.key: each.value for each in found.metrics} == pytest.approx(result.metrics)
    assert {each.run_id for each in found.metrics} == {run.info.run_id}
    data = runstone.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset
    assert {(m.dataset_name, m.dataset_digest) for m in found.metrics} == {(data.name, data.digest)}


def test_a_model_by_its_uri_is_judged_as_the_object_that_was_logged() -> None:
    fitted = GaussianNB().fit(FRAME, LABELS)
    logged = runstone.sklearn.log_model(fitted, name="bayes")
    result = judge(logged.model_uri)
    assert result.metrics == judge(fitted).metrics
    kept = runstone.Client().get_logged_model(logged.model_id)
    assert {each.key for each in kept.metrics} == set(result.metrics)


def test_a_version_moves_to_production_when_its_evaluation_says_so() -> None:
    client = runstone.Client()
    wrong = DummyClassifier().fit(FRAME, LABELS)
    right = GaussianNB().fit(FRAME, LABELS)
    signature = infer_signature(FRAME, LABELS.to_numpy())
    for model in (wrong, right):
        runstone.sklearn.log_model(
            model, name="model", signature=signature, registered_model_name="judged"
        )
    client.set_model_version_tag("judged", 1, "runstone.evaluation", "{")
    client.set_stage_rules("judged", "production", ["signature", "f1_score > @champion + 0.05"])
    assert client.get_stage_rules("judged", "Production") == [
        "signature",
        "f1_score > @champion + 0.05",
    ]
    with pytest.raises(StageRulesBroken, match="no evaluation has found a signature"):
        client.transition_model_version_stage("judged", 1, "Production")
    judge("models:/judged/1", evaluator_config={**QUIET, "metric_prefix": "train_"})
    judge("models:/judged/1")
    shown = json.loads(client.get_model_version("judged", 1).tags["runstone.evaluation"])
    assert {"f1_score", "train_f1_score"} <= shown["metrics"].keys()
    client.transition_model_version_stage("judged", 1, "Production")
    client.set_registered_model_alias("judged", "champion", "1")
    with pytest.raises(StageRulesBroken, match="version 2 of 'judged' may not move to Production"):
        client.transition_model_version_stage("judged", 2, "Production")
    judge("models:/judged/latest")
    moved = client.transition_model_version_stage("judged", 2, "Production")
    assert moved.current_stage == "Production"
    client.transition_model_version_stage("judged", 2, "Archived")
    poor = json.dumps({"metrics": {"f1_score": 0.01}, "signature": True})
    client.set_model_version_tag("judged", 2, "runstone.evaluation", poor)
    with pytest.raises(StageRulesBroken, match=r"it is 0\.01; version 1, which is champion, has 0"):
        client.transition_model_version_stage("judged", 2, "Production")
    client.set_stage_rules("judged", "Production", [])
    assert client.get_stage_rules("judged", "Production") == []
    client.transition_model_version_stage("judged", 2, "Production")
    with pytest.raises(runstone.exceptions.InvalidField, match="must have rules such as"):
        client.set_stage_rules("judged", "Staging", ["good enough"])


def test_autologging_does_not_log_what_is_judged_once_more() -> None:
    runstone.sklearn.autolog(log_models=False)
    try:
        with runstone.start_run() as run:
            model = GaussianNB().fit(FRAME, LABELS)
            before = set(runstone.get_run(run.info.run_id).data.metrics)
            result = judge(model)
        assert "training_score" in before
        after = set(runstone.get_run(run.info.run_id).data.metrics)
        assert after == before | result.metrics.keys()
    finally:
        runstone.sklearn.autolog(disable=True)
