"""Models predict for columns of Spark, in the Python processes of a real session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import runstone
from runstone.exceptions import UntrustedModel

pytestmark = pytest.mark.filterwarnings("ignore")

TABLE = pd.DataFrame({"x": [float(each) for each in range(6)], "z": [1.0] * 6})
LINE = [2.0 * each + 1 for each in range(6)]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    # What Spark's own processes import is what this one imports.
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = session.getOrCreate()
    yield session
    session.stop()


def line() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(TABLE, TABLE["x"] * 2 + TABLE["z"])


def rows_of(spark: Any) -> Any:
    rows = [tuple(each) for each in TABLE.itertuples(index=False)]
    return spark.createDataFrame(rows, ["x", "z"]).repartition(2)


def test_columns_by_position_and_by_name(spark: Any) -> None:
    info = runstone.sklearn.log_model(line(), name="line", input_example=TABLE)
    predict = runstone.pyfunc.spark_udf(spark, info.model_uri)
    rows = rows_of(spark)
    from pyspark.sql.functions import struct

    for columns in (("x", "z"), (struct("z", "x"),)):
        found = rows.withColumn("y", predict(*columns)).toPandas()
        assert sorted(found["y"].round(6)) == LINE


def test_two_models_of_one_name_are_apart(spark: Any, tmp_path: Path) -> None:
    found = []
    for number in (1, 2):
        model = line()
        model.intercept_ += number
        folder = tmp_path / str(number) / "model"
        runstone.sklearn.save_model(model, folder, input_example=TABLE)
        predict = runstone.pyfunc.spark_udf(spark, folder, "double")
        found.append(
            sorted(rows_of(spark).select(predict("x", "z")).toPandas().iloc[:, 0].round(6))
        )
    assert found == [[each + number for each in LINE] for number in (1, 2)]


def test_models_of_ones_own_code_run_elsewhere(spark: Any) -> None:
    class Counting(runstone.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [f"{os.getpid()} {(params or {}).get('word')}"] * len(model_input)

    info = runstone.pyfunc.log_model(name="counting", python_model=Counting())
    with pytest.raises(UntrustedModel):
        runstone.pyfunc.spark_udf(spark, info.model_uri, "string", allow_pickle=False)
    predict = runstone.pyfunc.spark_udf(spark, info.model_uri, "string")
    found = {row[0].split()[0] for row in rows_of(spark).select(predict("x")).collect()}
    assert str(os.getpid()) not in found


def test_what_a_model_refuses_is_told(spark: Any) -> None:
    class Short(runstone.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [1.0]

    uri = runstone.pyfunc.log_model(name="short", python_model=Short()).model_uri
    predict = runstone.pyfunc.spark_udf(spark, uri)
    with pytest.raises(Exception, match="1 predictions for"):
        rows_of(spark).coalesce(1).select(predict("x")).collect()
