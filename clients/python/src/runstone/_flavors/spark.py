"""Spark ML: pipelines in Spark's own format, which a session of Spark writes and reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.libraries import is_of, library
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

DATA = "sparkml"
OWN = ("org.apache.spark.ml.", "pyspark.ml.")
RUNS = {"org.apache.spark.ml.feature.SQLTransformer", "pyspark.ml.feature.SQLTransformer"}
"""Its statement may call any method of Java."""


class Spark(Flavor):
    """Models and pipelines of Spark ML."""

    name: ClassVar[str] = "spark"
    loader_module: ClassVar[str] = "mlflow.spark"
    distributions: ClassVar[tuple[str, ...]] = ("pyspark",)

    def write(self, model: Any, folder: Path, *, dfs_tmpdir: str | None = None) -> Written:
        del dfs_tmpdir  # Spark writes into the folder itself
        pyspark = library("pyspark")
        ml = library("pyspark.ml", "pyspark")
        if not isinstance(model, ml.Transformer) or not hasattr(model, "write"):
            raise invalid(
                "spark_model", f"must be a fitted model of Spark ML, not {type(model).__name__}"
            )
        kept = model if isinstance(model, ml.PipelineModel) else ml.PipelineModel([model])
        kept.write().save(f"file://{(folder / DATA).resolve()}")
        return Written(
            {
                "pyspark_version": pyspark.__version__,
                "model_data": DATA,
                "model_class": f"{type(kept).__module__}.{type(kept).__qualname__}",
            },
            DATA,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        ml = library("pyspark.ml", "pyspark")
        path = _folder(folder, configuration)
        _session()
        try:
            return ml.PipelineModel.load(f"file://{path.resolve()}")
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by Spark: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _folder(folder, configuration)
        parts = sorted(path.rglob("metadata/part-*"))
        if not parts:
            return "a model of Spark without metadata"
        for part in parts:
            try:
                name = str(json.loads(part.read_text("utf-8").splitlines()[0])["class"])
            except (OSError, ValueError, KeyError, IndexError, TypeError):
                return f"a model of Spark whose metadata cannot be read ({part.name})"
            if name in RUNS or not name.startswith(OWN):
                return f"a model with a part that may run code: {name}"
        return None

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: Mapping[str, Any]) -> Any:
            del params  # Spark's models take none
            return _predicted(model, data)

        return predict

    def owns(self, model: Any) -> bool:
        return is_of(model, "pyspark.ml", "Transformer")


def _session() -> Any:
    """The session of Spark that there is, or one on this machine alone."""
    sql = library("pyspark.sql", "pyspark")
    found = sql.SparkSession.getActiveSession()
    return found or sql.SparkSession.builder.master("local[1]").getOrCreate()


def _predicted(model: Any, data: Any) -> list[Any]:
    """The column ``prediction``; of a model without one what its last stage puts out."""
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    names = [str(name) for name in frame.columns]
    rows = _session().createDataFrame(_vectors(frame), schema=names)
    found = model.transform(rows)
    column = "prediction"
    if column not in found.columns:
        new = [name for name in found.columns if name not in rows.columns]
        if not new:
            raise invalid("spark_model", "puts out no column, so it cannot predict")
        column = new[-1]
    values = [row[column] for row in found.select(column).collect()]
    return [each.toArray().tolist() if hasattr(each, "toArray") else each for each in values]


def _vectors(frame: Any) -> list[tuple[Any, ...]]:
    """Rows with vectors where the table has lists of numbers, and plain values elsewhere."""
    linalg = library("pyspark.ml.linalg", "pyspark")
    rows: list[tuple[Any, ...]] = []
    for row in frame.itertuples(index=False, name=None):
        made: list[Any] = []
        for value in row:
            if isinstance(value, list | tuple) or (hasattr(value, "ndim") and value.ndim):
                made.append(linalg.Vectors.dense([float(each) for each in value]))
            else:
                made.append(value.item() if hasattr(value, "item") else value)
        rows.append(tuple(made))
    return rows


def _folder(folder: Path, configuration: Mapping[str, Any]) -> Path:
    field = "flavors.spark.model_data"
    return paths.inside(folder, configuration.get("model_data", DATA), field)
