"""What trainings of Spark ML log by themselves is what they log with MLflow.

Runs in the environment ``frameworks-deep`` alone: ``make test-frameworks``. Where Runstone does
otherwise on purpose, ``same`` says how, and why.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

import runstone
import runstone.pyspark.ml
from compat.frameworks.recorded import Recorded, both, of_run, recorded, run_of
from runstone._autolog import guard, switches
from runstone.exceptions import InvalidField

LIBRARY = "pyspark.ml"
ROWS = [(float(each), float(each % 3), float(each > 5)) for each in range(12)]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("place")]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: Any) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    guard.forget()
    yield tmp_path
    switches.reset()
    assert runstone.active_run() is None


def table(columns: str = "a b label") -> Any:
    from pyspark.sql import SparkSession

    # Each thread has an active session of its own, or none.
    session = SparkSession.builder.getOrCreate()
    return session.createDataFrame(ROWS, ["a", "b", "label"]).select(*columns.split())


def assembled() -> Any:
    from pyspark.ml.feature import VectorAssembler

    return VectorAssembler(inputCols=["a", "b"], outputCol="features")


def line(_: Any) -> None:
    from pyspark.ml.regression import LinearRegression

    LinearRegression(maxIter=3, regParam=0.1).fit(assembled().transform(table()))


def with_params(_: Any) -> None:
    from pyspark.ml.regression import LinearRegression

    model = LinearRegression(maxIter=3)
    model.fit(assembled().transform(table()), {model.regParam: 0.3})


def piped(_: Any) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression, OneVsRest

    inner = OneVsRest(classifier=LogisticRegression(maxIter=2), parallelism=2)
    Pipeline(stages=[assembled(), Pipeline(stages=[inner])]).fit(table())


def crossed(_: Any) -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.regression import LinearRegression
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    model = LinearRegression(maxIter=2)
    grid = ParamGridBuilder().addGrid(model.regParam, [0.1, 0.9]).build()
    CrossValidator(
        estimator=Pipeline(stages=[assembled(), model]),
        estimatorParamMaps=grid,
        evaluator=RegressionEvaluator(),
        numFolds=2,
        parallelism=2,
        seed=3,
    ).fit(table())


def split(_: Any) -> None:
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.regression import LinearRegression
    from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit

    model = LinearRegression(maxIter=2)
    grid = ParamGridBuilder().addGrid(model.regParam, [0.1, 0.9]).build()
    TrainValidationSplit(
        estimator=model, estimatorParamMaps=grid, evaluator=RegressionEvaluator(), seed=3
    ).fit(assembled().transform(table()))


def judged(_: Any) -> None:
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.regression import LinearRegression

    train = assembled().transform(table())
    test = train.limit(5)
    model = LinearRegression(maxIter=3).fit(train)
    evaluator = RegressionEvaluator()
    predicted = model.transform(test)
    evaluator.evaluate(predicted)
    evaluator.evaluate(predicted, {evaluator.metricName: "mae"})
    evaluator.evaluate(model.transform(train))
    evaluator.evaluate(model.transform(train.limit(3)))


def in_a_run(module: Any) -> None:
    with module.start_run():
        line(module)


def failing(_: Any) -> None:
    from pyspark.ml.regression import LinearRegression

    try:
        LinearRegression().fit(table())
    except Exception as error:
        raise RuntimeError("on purpose") from error


def prepared(_: Any) -> None:
    from pyspark.ml.feature import StringIndexer

    StringIndexer(inputCol="a", outputCol="c").fit(table())


def same(ours: Recorded, theirs: Recorded) -> None:
    for what in ("status", "params", "metrics", "told", "files", "datasets", "signatures"):
        assert getattr(ours, what) == getattr(theirs, what), what
    for path in ours.files:
        assert _read(runstone, ours, path) == _read(mlflow, theirs, path), path


def _read(module: Any, run: Recorded, path: str) -> Any:
    local = module.artifacts.download_artifacts(run_id=run.run_id, artifact_path=path)
    text = Path(local).read_text("utf-8")
    return json.loads(text) if path.endswith(".json") else pd.read_csv(local).to_dict("records")


@pytest.mark.parametrize(
    "train",
    [line, with_params, piped, crossed, split, judged, in_a_run, failing],
    ids=lambda each: each.__name__,
)
def test_as_mlflow(train: Callable[[Any], None]) -> None:
    ours, theirs = both(train, LIBRARY, {"log_models": False})
    same(ours, theirs)
    mine, others = trials(runstone, ours), trials(mlflow, theirs)
    assert len(mine) == (2 if train in {crossed, split} else 0)
    for one, other in zip(mine, others, strict=True):
        same(one, other)


def trials(module: Any, run: Recorded) -> list[Recorded]:
    client = module.MlflowClient()
    experiment = client.get_run(run.run_id).info.experiment_id
    found = client.search_runs(
        [experiment], f"tags.mlflow.parentRunId = '{run.run_id}'", order_by=["start_time"]
    )
    each = [of_run(module, every.info.run_id) for every in found]
    return sorted(each, key=lambda one: str(one.params))


@pytest.mark.parametrize("train", [line, piped], ids=lambda each: each.__name__)
def test_a_model_as_mlflow(train: Callable[[Any], None]) -> None:
    ours, theirs = both(train, LIBRARY, {})
    assert len(ours.signatures) == 1
    same(ours, theirs)


def test_a_search_logs_its_best_model() -> None:
    runstone.pyspark.ml.autolog(log_input_examples=True)
    found = recorded(runstone, crossed)
    assert len(found.signatures) == 2
    loaded = runstone.pyfunc.load_model(f"runs:/{found.run_id}/model")
    answers = loaded.predict(pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]}))
    assert len(answers) == 2
    best = runstone.spark.load_model(f"runs:/{found.run_id}/best_model")
    assert best.transform(table("a b")).count() == len(ROWS)


def test_the_example_of_vectors_can_be_predicted() -> None:
    runstone.pyspark.ml.autolog(log_input_examples=True)
    found = recorded(runstone, line)
    loaded = runstone.pyfunc.load_model(f"runs:/{found.run_id}/model")
    assert len(loaded.predict(loaded.input_example)) == 5


def test_preparing_data_is_no_training() -> None:
    runstone.pyspark.ml.autolog(log_models=False)
    assert run_of(runstone, prepared) is None


def test_several_fits_at_once_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    from pyspark.ml.regression import LinearRegression

    runstone.pyspark.ml.autolog(log_models=False)

    def many(_: Any) -> None:
        model = LinearRegression(maxIter=2)
        both_of = [{model.regParam: 0.1}, {model.regParam: 0.2}]
        assert len(model.fit(assembled().transform(table()), both_of)) == 2

    assert run_of(runstone, many) is None
    assert "fit each by itself" in caplog.text


def test_trainings_in_threads_are_apart() -> None:
    runstone.pyspark.ml.autolog(log_models=False)
    failed: list[BaseException] = []

    def train() -> None:
        try:
            crossed(runstone)
        except BaseException as error:
            failed.append(error)

    before = {each.info.run_id for each in of_experiment()}
    threads = [threading.Thread(target=train) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    # Each with its two trials.
    assert len({each.info.run_id for each in of_experiment()} - before) == 6


def of_experiment() -> list[Any]:
    return list(runstone.Client().search_runs(["0"], max_results=1000))


def test_large_models_are_left_out_unless_named(caplog: pytest.LogCaptureFixture) -> None:
    runstone.pyspark.ml.autolog(log_model_allowlist=["pyspark.ml.recommendation.*"])
    assert recorded(runstone, line).signatures == []
    assert "log_model_allowlist" in caplog.text


def test_on_with_all_others_and_off_again() -> None:
    runstone.autolog(log_models=False)
    assert recorded(runstone, line).told["mlflow.autologging"] == LIBRARY
    runstone.autolog(exclusive=True, log_models=False)
    with runstone.start_run() as run:
        line(runstone)
    assert runstone.get_run(run.info.run_id).data.params == {}
    runstone.autolog(disable=True)
    assert run_of(runstone, line) is None


def test_a_server_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from runstone._client import Client

    def gone(*_: Any, **__: Any) -> None:
        raise OSError("the server is gone")

    runstone.pyspark.ml.autolog()
    for name in ("log_batch", "log_dict", "log_inputs", "upload", "put_bytes"):
        monkeypatch.setattr(Client, name, gone)
    judged(runstone)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(InvalidField, match="log_model_allowlist"):
        runstone.pyspark.ml.autolog(log_model_allowlist="pyspark.ml.*")
    with pytest.raises(InvalidField, match="log_post_training_metrics"):
        runstone.pyspark.ml.autolog(log_post_training_metrics=1)  # type: ignore[arg-type]
    assert switches.of(LIBRARY) is None
