"""``evaluate`` without a server: arguments, kinds of models and of data, what fails."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

import runstone
from runstone import metrics
from runstone.exceptions import InvalidArgument, InvalidField
from runstone.models import EvaluationResult, make_metric

X = np.arange(8.0).reshape(-1, 2)
Y = np.array([1.0, 5.0, 9.0, 14.0])
FRAME = pd.DataFrame(X, columns=["a", "b"]).assign(y=Y)
QUIET = {"log_model_explainability": False}


@pytest.fixture(autouse=True)
def offline(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RUNSTONE_MODE", "offline")
    yield
    runstone.end_run()


def judge(model: Any = None, data: Any = FRAME, **changes: Any) -> EvaluationResult:
    arguments = {"targets": "y", "model_type": "regressor", "evaluator_config": QUIET, **changes}
    return runstone.evaluate(model, data, **arguments)


def total(frame: Any) -> Any:
    return frame.sum(axis=1)


class Pyfunc:
    """A model as ``pyfunc.load_model`` gives it."""

    model_id = None

    def __init__(self, raw: Any, loader: str) -> None:
        self.raw = raw
        self.metadata = SimpleNamespace(flavors={"python_function": {"loader_module": loader}})

    def predict(self, data: Any) -> Any:
        return pd.DataFrame({"p": self.raw.predict(data)})

    def get_raw_model(self) -> Any:
        return self.raw


def test_a_model_is_a_function_an_object_or_a_model_of_pyfunc() -> None:
    fitted = LinearRegression().fit(FRAME[["a", "b"]], Y)
    expected = judge(fitted).metrics
    assert expected["score"] == expected["r2_score"]
    assert judge(Pyfunc(fitted, "mlflow.sklearn")).metrics == expected
    without = {key: value for key, value in expected.items() if key != "score"}
    assert judge(Pyfunc(fitted, "mlflow.pyfunc.model")).metrics == without
    assert judge(fitted.predict).metrics == without


def test_data_is_a_frame_an_array_a_list_or_a_data_set() -> None:
    expected = judge(total).metrics
    listed = [list(row) for row in X]
    data_set = runstone.data.from_pandas(FRAME, targets="y")
    arrays = runstone.data.from_numpy(X, targets=Y)
    for data, targets in ((X, Y), (listed, list(Y)), (data_set, None), (arrays, None)):
        assert judge(total, data, targets=targets).metrics == expected
    said = FRAME.assign(said=total(FRAME[["a", "b"]]))
    assert judge(None, said, predictions="said").metrics == expected
    marked = runstone.data.from_pandas(said, targets="y", predictions="said")
    assert judge(None, marked, targets=None).metrics == expected
    some = judge(lambda frame: frame["b"], feature_names=["b"]).metrics
    assert some == judge(lambda frame: frame["feature_1"], X[:, 1:], targets=Y).metrics
    flat = judge(lambda frame: frame["feature_1"], list(X[:, 1]), targets=Y).metrics
    assert flat == some


def test_the_model_may_do_what_it_likes_with_the_features() -> None:
    def rude(frame: Any) -> Any:
        frame["a"] = 0.0
        return frame["b"]

    before = FRAME.copy()
    judge(rude)
    judge(lambda array: np.zeros(len(array)), X, targets=Y)
    pd.testing.assert_frame_equal(before, FRAME)
    assert X[0, 1] == 1.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": None}, "data must be given"),
        ({"data": "frame"}, "data must be a DataFrame"),
        ({"data": FRAME.iloc[:0]}, "data must have at least one row"),
        ({"data": np.arange(3), "targets": Y}, "data must have rows and columns"),
        ({"data": [[1], [2, 3]], "targets": [1, 2]}, "data must have rows of one length"),
        ({"data": X, "targets": Y[:2]}, "targets must be as many as the rows: 4, not 2"),
        ({"data": X, "targets": "y"}, "targets must be an array or a list"),
        ({"targets": Y}, "targets must be the name of a column"),
        ({"targets": "z"}, "targets names no column: 'z' is none of a, b, y"),
        ({"targets": None}, "targets must be given for a regressor"),
        ({"data": FRAME.assign(y="word")}, "targets must be numbers for a regressor"),
        ({"data": FRAME.assign(y=[1, 2, None, 4])}, "targets must be there for each row; 1 of 4"),
        ({"feature_names": ["a", "z"]}, "feature_names must be columns, and z of data are none"),
        ({"feature_names": ["a", "a"]}, "feature_names must differ"),
        ({"feature_names": "a"}, r"feature_names must be a list of texts, not str: \['a'\]"),
        ({"data": X, "targets": Y, "feature_names": ["a"]}, "feature_names must be as many"),
        ({"model_type": "question"}, "model_type must be of classifier, regressor"),
        ({"model_type": None}, "extra_metrics must be given"),
        ({"model": None}, "model must be given, or predictions"),
        ({"model": 3}, "model must be a function"),
        ({"model": "endpoints:/chat"}, "model must be a model's URI"),
        ({"env_manager": "conda"}, "env_manager must be 'local'"),
        ({"model_config": {"x": 1}}, "model_config goes with a model's URI"),
        ({"inference_params": {}}, "inference_params is for endpoints"),
        ({"extra_metrics": metrics.mae()}, "extra_metrics must be a list"),
        ({"extra_metrics": [metrics.mae]}, r"extra_metrics\[0\] must be made by make_metric"),
        ({"custom_artifacts": total}, "custom_artifacts must be a list of functions"),
        ({"custom_artifacts": [3]}, r"custom_artifacts\[0\] must be a function"),
        (
            {"evaluator_config": {"sample_weights": [1.0]}},
            r"evaluator_config\['sample_weights'\] must be as many as the rows: 4, not 1",
        ),
    ],
)
def test_a_wrong_argument_is_told_before_a_run_begins(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidField, match=f"^{told}"):
        judge(**{"model": total, **changes})
    assert runstone.last_active_run() is None


def test_data_sets_name_their_own_columns() -> None:
    data = runstone.data.from_pandas(FRAME, targets="y", predictions="a")
    with pytest.raises(InvalidField, match=r"^targets must not be given with a data set"):
        judge(None, data)
    with pytest.raises(InvalidField, match=r"^predictions must not be given with a data set"):
        judge(None, data, targets=None, predictions="b")
    with pytest.raises(InvalidField, match=r"^model must not be given with a data set"):
        judge(total, data, targets=None)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda frame: [1.0], "model must give one prediction for each of 4 rows"),
        (lambda frame: 1.0, "model must give one prediction for each of 4 rows"),
        (lambda frame: [1.0, 2.0, np.nan, 3.0], "predictions must be there for each row"),
        (lambda frame: ["x"] * 4, "predictions must be numbers"),
        (lambda frame: frame, "predictions must name one of the columns of the model's output: a"),
    ],
)
def test_what_the_model_gives_is_looked_at(model: Any, told: str) -> None:
    with pytest.raises(InvalidField, match=f"^{told}"):
        judge(model)


def test_what_the_model_raises_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        judge(lambda frame: 1 / 0)


def test_an_output_of_several_columns_has_its_predictions_named() -> None:
    def several(frame: Any) -> Any:
        return {"p": total(frame), "sure": [0.5] * len(frame)}

    def sure(predictions: Any, sure: Any, scale: float) -> float:
        return float(sure.mean() * scale)

    def each(predictions: Any, sure: Any) -> Any:
        return metrics.MetricValue(scores=list(sure), justifications=["because"] * len(sure))

    result = judge(
        several,
        predictions="p",
        extra_metrics=[
            make_metric(eval_fn=sure, greater_is_better=True),
            make_metric(eval_fn=each, greater_is_better=True),
        ],
        evaluator_config={**QUIET, "scale": 4},
    )
    assert result.metrics["sure"] == 2.0
    assert result.metrics["each/mean"] == 0.5
    table = result.tables["eval_results_table"]
    assert list(table) == ["a", "b", "y", "p", "sure", "each/score", "each/justification"]
    rows = judge(lambda frame: [{"p": 1.0}] * 4, evaluator_config=QUIET)
    assert rows.metrics["max_error"] == 13.0


def test_what_fails_is_told_by_name_and_costs_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(predictions: Any) -> float:
        raise RuntimeError("no luck")

    def above(predictions: Any, broken: Any) -> float:
        return 1.0

    def odd(predictions: Any) -> Any:
        return "high"

    def few(predictions: Any) -> Any:
        return metrics.MetricValue(scores=[1.0])

    def fine(predictions: Any, targets: Any) -> float:
        return 7.0

    def crash(frame: Any, found: Any, folder: str) -> Any:
        raise RuntimeError("no disk")

    def some(frame: Any, found: Any, folder: str) -> Any:
        return {"good": {"x": 1}, "bad": object()}

    own = [make_metric(eval_fn=each, greater_is_better=True) for each in (broken, above, odd, few)]
    spelled = make_metric(eval_fn=lambda predictions: 1.0, greater_is_better=True, name="what?!")
    result = judge(
        total,
        extra_metrics=[*own, spelled, make_metric(eval_fn=fine, greater_is_better=True)],
        custom_artifacts=[crash, some, lambda frame, found, folder: None],
    )
    assert result.metrics["fine"] == 7.0
    assert list(result.artifacts) == ["good"]
    told = {
        "broken": "RuntimeError: no luck",
        "above": "ValueError: the metric 'broken', which it needs, is missing",
        "odd": "TypeError: its function must give a number or a MetricValue, not str",
        "few": "ValueError: scores must be one for each of 4 rows, not 1",
        "crash": "RuntimeError: no disk",
        "<lambda>": "TypeError: it must give a dict of names to what is to be kept, not NoneType",
    }
    assert {key: result.failures[key] for key in told} == told
    assert set(result.failures) == {*told, "bad", "what?!"}
    assert "not object" in result.failures["bad"]
    assert all(f"'{name}' could not be made" in caplog.text for name in result.failures)


def test_a_parameter_that_nothing_is_known_of_is_told() -> None:
    def strange(predictions: Any, colour: Any, shape: Any) -> float:
        return 1.0

    with pytest.raises(InvalidArgument, match=r"- strange: colour, shape\nThere are the columns a"):
        judge(total, extra_metrics=[make_metric(eval_fn=strange, greater_is_better=True)])


def test_classes_of_two_types_are_told() -> None:
    data = FRAME.assign(y=["0", "1", "0", "1"])
    with pytest.raises(InvalidField, match=r"^targets and predictions must all be texts"):
        judge(lambda frame: [0, 1, 0, 1], data, model_type="classifier")


def test_one_class_alone_needs_a_list_of_labels() -> None:
    data = FRAME.assign(y=0)
    with pytest.raises(InvalidField, match="must name two or more classes; the data has only 0"):
        judge(lambda frame: [0] * 4, data, model_type="classifier")
    config = {**QUIET, "label_list": [0, 1]}
    result = judge(
        lambda frame: [0, 0, 0, 1], data, model_type="classifier", evaluator_config=config
    )
    assert (result.metrics["true_negatives"], result.metrics["false_positives"]) == (3, 1)


def test_a_class_that_the_data_lacks_is_known_of_the_model() -> None:
    model = DummyClassifier(strategy="prior").fit(X, [0, 1, 2, 2])
    model.predict = lambda features: [0, 1, 0, 1]
    result = judge(model, X, targets=[0, 1, 1, 0], model_type="classifier")
    assert result.artifacts["per_class_metrics"].content["positive_class"].tolist() == [0, 1, 2]
    assert "roc_auc" in result.failures
    assert result.metrics["accuracy_score"] == 0.5
    with pytest.raises(InvalidField, match="must name the 3 classes that the model gives"):
        judge(
            model,
            X,
            targets=[0, 1, 1, 0],
            model_type="classifier",
            evaluator_config={**QUIET, "label_list": [0, 1]},
        )


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("pos_label", 7, r"evaluator_config\['pos_label'\] must be 0 or 1, not 7"),
        ("average", "mean", r"evaluator_config\['average'\] must be 'weighted'"),
    ],
)
def test_options_that_do_not_exist_are_told(option: str, value: Any, told: str) -> None:
    classes = [0, 1, 0, 1] if option == "pos_label" else [0, 1, 2, 1]
    with pytest.raises(InvalidField, match=f"^{told}"):
        judge(
            lambda frame: classes,
            FRAME.assign(y=classes),
            model_type="classifier",
            evaluator_config={**QUIET, option: value},
        )


def test_without_its_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidArgument, match=r"scikit-learn.*pip install 'runstone\[evaluate\]'"):
        judge(total)
