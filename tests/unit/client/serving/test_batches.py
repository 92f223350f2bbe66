"""Predictions for Spark and Ray: what is sent to other machines, by stand-ins for both."""

import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import runstone
from runstone._serving import batches
from runstone.exceptions import InvalidArgument, LibraryMissing, SchemaMismatch
from runstone.models import ModelSignature
from runstone.types import ColSpec, Schema

ROWS = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [10.0, 20.0, 30.0]}, index=[7, 8, 9])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predicts a + 2 b."""
    folder = tmp_path_factory.mktemp("batches") / "model"
    rows = pd.DataFrame(np.eye(2), columns=["a", "b"])
    estimator = LinearRegression(fit_intercept=False).fit(rows, [1.0, 2.0])
    columns = [ColSpec("double", "a"), ColSpec("double", "b")]
    signature = ModelSignature(Schema(columns), Schema([ColSpec("double")]))
    runstone.sklearn.save_model(estimator, folder, signature=signature)
    return folder


class Dataset:
    """Ray's, as far as it is used: the function arrives as bytes."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def map_batches(self, function: Any, **options: Any) -> list[pd.DataFrame]:
        self.options = options
        arrived = pickle.loads(pickle.dumps(function))
        return [arrived(ROWS[:2]), arrived(ROWS[2:])]


def test_ray(model: Path) -> None:
    dataset = Dataset()
    found = runstone.pyfunc.ray_predict(dataset, model, batch_size=2)
    assert dataset.options == {"batch_format": "pandas", "batch_size": 2}
    assert [list(each.index) for each in found] == [[7, 8], [9]]
    assert pd.concat(found)["predictions"].tolist() == pytest.approx([21.0, 42.0, 63.0])


def test_what_is_wrong_with_a_model_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    dataset = Dataset()
    with pytest.raises(InvalidArgument, match="no folder with a model"):
        runstone.pyfunc.ray_predict(dataset, tmp_path / "none")
    assert dataset.options == {}


def test_a_model_must_give_a_prediction_for_each_row(model: Path) -> None:
    class Short:
        def predict(self, _data: Any, _params: Any) -> list[float]:
            return [1.0]

    predictor = batches.BatchPredictor(lambda: str(model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_loaded", lambda *_: Short())
        with pytest.raises(InvalidArgument, match="1 predictions for 3 rows"):
            predictor(ROWS)


class Spark:
    """A session, its context, and what executors find of the files that it sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, str] = {}
        self.sparkContext = self
        self.result_type: Any = None
        pyspark, sql = ModuleType("pyspark"), ModuleType("pyspark.sql")
        functions, types = ModuleType("pyspark.sql.functions"), ModuleType("pyspark.sql.types")
        vars(types)["DoubleType"] = lambda: "DoubleType"
        vars(functions)["pandas_udf"] = self._pandas_udf
        vars(sql).update(functions=functions, types=types)
        vars(pyspark).update(sql=sql, SparkFiles=SimpleNamespace(get=self.files.__getitem__))
        for module in (pyspark, sql, functions, types):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def addFile(self, path: str, recursive: bool) -> None:
        assert recursive
        # Spark looks through links.
        self.files[Path(path).resolve().name] = path

    def _pandas_udf(self, function: Any, **options: Any) -> Any:
        self.result_type = options["returnType"]
        return function


def test_spark(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = Spark(monkeypatch)
    predict = runstone.pyfunc.spark_udf(spark, model)
    assert spark.result_type == "DoubleType"
    batch = (ROWS["a"].rename("_0"), ROWS["b"].rename("_1"))
    found = list(predict(iter([batch, batch])))
    assert [each.tolist() for each in found] == [pytest.approx([21.0, 42.0, 63.0])] * 2
    (whole,) = predict(iter([ROWS]))  # the only column, which Spark gives without a tuple
    assert whole.tolist() == pytest.approx([21.0, 42.0, 63.0])
    runstone.pyfunc.spark_udf(spark, model, "float")
    assert spark.result_type == "float"
    assert len(spark.files) == 2


def test_spark_with_other_columns(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = runstone.pyfunc.spark_udf(Spark(monkeypatch), model)
    with pytest.raises(InvalidArgument, match="takes 2 columns, not 3"):
        list(predict(iter([(ROWS["a"],) * 3])))
    with pytest.raises(SchemaMismatch, match="column 'b' is missing"):
        list(predict(iter([ROWS["a"]])))


def test_without_spark_it_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(LibraryMissing, match="pip install pyspark"):
        runstone.pyfunc.spark_udf(None, model)
