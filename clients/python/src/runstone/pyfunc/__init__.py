"""Any model by one interface: ``load_model(uri).predict(data)``; and models of one's own code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._flavors import code_model, registry
from runstone._flavors.python_model import FunctionModel, PythonModel, PythonModelContext
from runstone._models import environment, loading, logging, paths, writing
from runstone._pyfunc import saving
from runstone._pyfunc.loading import load
from runstone._pyfunc.model import PyFuncModel
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "get_model_dependencies",
    "load_model",
    "log_model",
    "ray_predict",
    "save_model",
    "spark_udf",
]

_NAMED_BY_PICKLES = (FunctionModel,)
"""Not for users, but to be found here by what was pickled."""


def save_model(
    path: str | os.PathLike[str],
    loader_module: str | None = None,
    data_path: str | os.PathLike[str] | None = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    infer_code_paths: bool = False,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    python_model: Any = None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Any = None,
    streamable: bool | None = None,
) -> None:
    """Save a model of one's own code, with all that loading it elsewhere needs, into a folder.

    Args:
        path: A new or empty folder.
        loader_module: A module whose ``_load_pyfunc(data_path)`` gives an object with ``predict``,
            instead of ``python_model``.
        data_path: The file or folder that it loads.
        code_paths: Python files and folders that loading the model must be able to import.
        infer_code_paths: Find them by itself: files below the working folder that the model's code
            imports, and what those import in turn. They are kept where anybody reads them who
            may read the model.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        mlflow_model: A description to be completed.
        python_model: An instance of PythonModel; a function of the input; or the path of a script
            that calls ``runstone.models.set_model``, of which nothing is pickled.
        artifacts: Name to path or URI (runs:/…, models:/…) of files that the model needs: copied
            into it, and found again by ``context.artifacts[name]``.
        signature: What the model takes and gives. When absent what the type hints of ``predict``
            say, else what ``input_example`` shows; none when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        metadata: Anything that JSON has.
        model_config: ``context.model_config``: a dict, or the path of a YAML file.
        streamable: Whether it has ``predict_stream``; seen by itself when absent.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: cloudpickle is not installed.

    Example:
        >>> import runstone.pyfunc
        >>> def shout(model_input: list[str]) -> list[str]:
        ...     return [each.upper() for each in model_input]
        >>> runstone.pyfunc.save_model("shouting", python_model=shout)
        >>> runstone.pyfunc.load_model("shouting").predict(["hello"])
        ['HELLO']
    """
    own = saving.prepared(
        python_model, loader_module, data_path, artifacts, model_config, code_paths
    )
    options = _options(artifacts, model_config, data_path, streamable)
    flavor = registry.flavor("python_function")
    with saving.code_of(own, code_paths, infer=infer_code_paths) as code:
        about = writing.About(
            signature,
            input_example,
            conda_env,
            pip_requirements,
            extra_pip_requirements,
            code,
            metadata,
            mlflow_model,
        )
        writing.save(flavor, own, path, saving.described(about, own), options)


def log_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | os.PathLike[str] | None = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    infer_code_paths: bool = False,
    conda_env: Any = None,
    python_model: Any = None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Any = None,
    streamable: bool | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model of one's own code as a logged model, of the active run when there is one.

    Args:
        artifact_path: Another word for ``name``.
        loader_module: As in ``save_model``, as are the arguments that are not named here.
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
        LibraryMissing: cloudpickle is not installed.

    Example:
        >>> import pathlib, runstone
        >>> class Greeting(runstone.pyfunc.PythonModel):
        ...     def load_context(self, context):
        ...         self.word = pathlib.Path(context.artifacts["word"]).read_text()
        ...     def predict(self, context, model_input, params=None):
        ...         return [f"{self.word} {each}" for each in model_input]
        >>> _ = pathlib.Path("word.txt").write_text("hello")
        >>> info = runstone.pyfunc.log_model(
        ...     name="greeting", python_model=Greeting(), artifacts={"word": "word.txt"}
        ... )
        >>> runstone.pyfunc.load_model(info.model_uri).predict(["you"])
        ['hello you']
    """
    del await_registration_for
    own = saving.prepared(
        python_model, loader_module, data_path, artifacts, model_config, code_paths
    )
    place = logging.Place(
        name,
        artifact_path,
        registered_model_name,
        None,
        model_id,
        params,
        tags,
        model_type,
        step,
    )
    options = _options(artifacts, model_config, data_path, streamable)
    flavor = registry.flavor("python_function")
    with saving.code_of(own, code_paths, infer=infer_code_paths) as code:
        about = writing.About(
            signature,
            input_example,
            conda_env,
            pip_requirements,
            extra_pip_requirements,
            code,
            metadata,
        )
        return logging.log(flavor, own, place, saving.described(about, own), options)


def get_model_dependencies(model_uri: str | os.PathLike[str], format: str = "pip") -> str:  # noqa: A002 - MLflow's word
    """The file that says what a model needs, such as for ``pip install -r``.

    Args:
        model_uri: As ``load_model`` takes it; nothing of the model is run.
        format: "pip" for its requirements.txt, "conda" for its conda.yaml.

    Returns:
        The path of the file on this machine.

    Raises:
        InvalidField: the format is another one.
        ModelFormatError: there is no such model, or it does not say.

    Example:
        >>> import pathlib, runstone
        >>> runstone.pyfunc.save_model("lengths", python_model=len)
        >>> path = runstone.pyfunc.get_model_dependencies("lengths")
        >>> pathlib.Path(path).read_text().startswith("runstone==")
        True
    """
    files = {"pip": environment.REQUIREMENTS, "conda": environment.CONDA}
    if format not in files:
        raise invalid("format", f'must be "pip" or "conda", not {format!r:.50}')
    found = loading.fetch(model_uri, kept=True)
    return str(paths.file_inside(found.folder, files[format], "env"))


def _options(
    artifacts: Any, model_config: Any, data_path: Any, streamable: bool | None
) -> dict[str, Any]:
    return {
        "artifacts": artifacts,
        "model_config": code_model.configuration("model_config", model_config),
        "data_path": data_path,
        "streamable": streamable,
    }


def load_model(
    model_uri: str | os.PathLike[str],
    suppress_warnings: bool = False,
    dst_path: str | os.PathLike[str] | None = None,
    model_config: Any = None,
    *,
    allow_pickle: bool | None = None,
) -> PyFuncModel:
    """Load a model of any framework, to predict.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        suppress_warnings: Do not tell of versions that differ from those it was saved with.
        dst_path: Where to put its files; a temporary folder when absent.
        model_config: What ``context.model_config`` of a PythonModel is to have, as a dict or the
            path of a YAML file: instead of what it was saved with.
        allow_pickle: Whether code of its author may run. When absent only for one's own models, or
            as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: its framework is not installed.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> runstone.pyfunc.load_model(uri).predict([[3.0]]).round(6).tolist()
        [6.0]
    """
    return load(model_uri, dst_path, model_config, allow_pickle, quiet=suppress_warnings)


def spark_udf(
    spark: Any,
    model_uri: str | os.PathLike[str],
    result_type: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    allow_pickle: bool | None = None,
) -> Any:
    """A model as a function of columns of Spark's DataFrames.

    The model's files are sent to the executors by Spark, and loaded once in each of their Python
    processes.

    Args:
        spark: The SparkSession; one with a context of its own, which Spark Connect has not.
        model_uri: As ``load_model`` takes it.
        result_type: The type of a prediction, as Spark names it; that of the signature when
            absent, else double.
        params: Parameters of the predictions.
        allow_pickle: As in ``load_model``; what it says here holds on the executors.

    Raises:
        LibraryMissing: pyspark is not installed.
        What ``load_model`` raises.

    Example:
        >>> import runstone
        >>> predict = runstone.pyfunc.spark_udf(spark, "models:/iris/1")  # doctest: +SKIP
        >>> frame.withColumn("kind", predict("width", "length"))  # doctest: +SKIP
    """
    from runstone._serving import batches

    return batches.spark_udf(spark, model_uri, result_type, params, allow_pickle)


def ray_predict(
    dataset: Any,
    model_uri: str | os.PathLike[str],
    *,
    params: Mapping[str, Any] | None = None,
    allow_pickle: bool | None = None,
    **options: Any,
) -> Any:
    """A Dataset of Ray with the predictions for the rows of another.

    Args:
        dataset: The rows; its workers must reach the server, or the folder, of the model.
        model_uri: As ``load_model`` takes it.
        params: Parameters of the predictions.
        allow_pickle: As in ``load_model``; what it says here holds on the workers.
        options: For ``Dataset.map_batches``: batch_size, num_cpus, concurrency ...

    Raises:
        What ``load_model`` raises.

    Example:
        >>> import runstone
        >>> runstone.pyfunc.ray_predict(rows, "models:/iris/1", batch_size=4096)  # doctest: +SKIP
    """
    from runstone._serving import batches

    return batches.ray_predict(dataset, model_uri, params, allow_pickle, options)
