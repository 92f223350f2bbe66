"""Models of Spark ML: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._flavors import calls, registry

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    spark_model: Any,
    path: str | os.PathLike[str],
    mlflow_model: Model | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    dfs_tmpdir: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Save a model of Spark ML, with all that loading it elsewhere needs, into a folder.

    Args:
        spark_model: A fitted model or pipeline.
        path: A new or empty folder.
        mlflow_model: A description to be completed.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        code_paths: Python files and folders that loading it must be able to import.
        dfs_tmpdir: Taken for MLflow's sake; Spark writes into the model's folder itself.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        metadata: Anything that JSON has.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: pyspark is not installed.

    Example:
        >>> import runstone.spark
        >>> from pyspark.ml.classification import LogisticRegression
        >>> from pyspark.ml.linalg import Vectors
        >>> from pyspark.sql import SparkSession
        >>> session = SparkSession.builder.master("local[1]").getOrCreate()
        >>> rows = [(Vectors.dense([0.0]), 0.0), (Vectors.dense([1.0]), 1.0)]
        >>> model = LogisticRegression().fit(session.createDataFrame(rows, ["features", "label"]))
        >>> runstone.spark.save_model(model, "steps")
        >>> runstone.spark.load_model("steps").stages[0].numClasses
        2
    """
    calls.save("spark", "spark_model", locals())


def log_model(
    spark_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    dfs_tmpdir: str | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model of Spark ML as a logged model, of the active run when there is one.

    Args:
        spark_model: As in ``save_model``, as are the arguments that are not named here.
        artifact_path: Another word for ``name``.
        registered_model_name: Register it under this name, too.
        await_registration_for: Taken for MLflow's sake; a version is READY on return.
        name: Its name: at most 500 characters, without any of / : . % " '.
        params: Parameters of the logged model, besides those of the run.
        tags: Tags of the logged model and of the version.
        model_type: What kind of model it is.
        step: The step of the training at which it was made.
        model_id: Complete this logged model instead of making one.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: pyspark is not installed.

    Example:
        >>> import runstone.spark
        >>> from pyspark.ml.feature import VectorAssembler
        >>> from pyspark.sql import SparkSession
        >>> session = SparkSession.builder.master("local[1]").getOrCreate()
        >>> assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
        >>> info = runstone.spark.log_model(assembler, name="columns")
        >>> info.flavors["spark"]["model_data"]
        'sparkml'
    """
    return calls.log("spark", "spark_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of Spark ML.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: pyspark is not installed.

    Example:
        >>> import runstone.spark
        >>> from pyspark.ml.feature import VectorAssembler
        >>> from pyspark.sql import SparkSession
        >>> session = SparkSession.builder.master("local[1]").getOrCreate()
        >>> assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
        >>> uri = runstone.spark.log_model(assembler, name="columns").model_uri
        >>> runstone.spark.load_model(uri).stages[0].getInputCols()
        ['a', 'b']
    """
    return registry.loaded(
        "spark",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
    )
