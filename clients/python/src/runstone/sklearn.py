"""Models of scikit-learn: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._autolog import libraries
from runstone._flavors import calls, registry
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["autolog", "load_model", "log_model", "save_model"]


def save_model(
    sk_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    serialization_format: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
) -> None:
    """Save an estimator, with all that loading it elsewhere needs, into a folder.

    Args:
        sk_model: What is to be saved: an estimator, a pipeline, a search.
        path: A new or empty folder.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        code_paths: Python files and folders that loading it must be able to import.
        mlflow_model: A description to be completed.
        serialization_format: "skops", of which loading runs no code; "cloudpickle" or "pickle".
            When absent skops, where it is installed and can keep the model.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        pyfunc_predict_fn: The method that ``runstone.pyfunc`` calls, such as "predict_proba".
        metadata: Anything that JSON has.
        skops_trusted_types: Taken for MLflow's sake; the types are found by themselves.
        extra_files: Files to keep beside the model.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept in that format.
        LibraryMissing: scikit-learn is not installed.

    Example:
        >>> import runstone.sklearn
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> runstone.sklearn.save_model(model, "doubling")
        >>> loaded = runstone.sklearn.load_model("doubling")
        >>> loaded.predict([[3.0]]).round(6).tolist()
        [6.0]
    """
    calls.save("sklearn", "sk_model", locals())


def log_model(
    sk_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    serialization_format: str | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    name: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
) -> ModelInfo:
    """Log an estimator as a logged model, of the active run when there is one.

    Args:
        sk_model: As in ``save_model``, as are the arguments that are not named here.
        artifact_path: Another word for ``name``.
        registered_model_name: Register it under this name, too.
        await_registration_for: Taken for MLflow's sake; a version is READY on return.
        params: Parameters of the logged model, besides those of the run.
        tags: Tags of the logged model and of the version.
        model_type: What kind of model it is.
        step: The step of the training at which it was made.
        model_id: Complete this logged model instead of making one.
        name: Its name: at most 500 characters, without any of / : . % " '.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: scikit-learn is not installed.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> with runstone.start_run():
        ...     info = runstone.sklearn.log_model(
        ...         model, name="doubling", registered_model_name="doubling"
        ...     )
        >>> info.registered_model_version
        1
        >>> runstone.sklearn.load_model("models:/doubling/1").coef_.round(6).tolist()
        [2.0]
    """
    return calls.log("sklearn", "sk_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load an estimator.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: of a pickle, or of files beside it. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: scikit-learn is not installed.

    Example:
        >>> import runstone.sklearn
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> runstone.sklearn.load_model(uri).predict([[5.0]]).round(6).tolist()
        [10.0]
    """
    return registry.loaded("sklearn", model_uri, dst_path, allow_pickle=allow_pickle)


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    max_tuning_runs: int | None = 5,
    log_post_training_metrics: bool = True,
    serialization_format: str | None = None,
    registered_model_name: str | None = None,
    pos_label: Any = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have each ``fit`` of scikit-learn log itself; see ``runstone.autolog``.

    Logged are the parameters, metrics of the training data, a confusion matrix, ROC and
    precision-recall curves of classifiers, the model, of a search its best trials as child runs and
    all of them as ``cv_results.csv``, and what ``sklearn.metrics`` says of later predictions.

    Args:
        log_input_examples: As the arguments not named here, see ``runstone.autolog``.
        max_tuning_runs: So many of a search's best trials become child runs; None for all.
        log_post_training_metrics: Log what is computed of predictions after the training.
        serialization_format: As in ``save_model``.
        registered_model_name: Register each model under this name.
        pos_label: The positive class of precision, recall and F1; None for weighted means.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> runstone.sklearn.autolog()
        >>> with runstone.start_run() as run:
        ...     _ = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> runstone.get_run(run.info.run_id).data.tags["estimator_name"]
        'LinearRegression'
        >>> runstone.sklearn.load_model(f"runs:/{run.info.run_id}/model").coef_.round(6).tolist()
        [2.0]
        >>> runstone.sklearn.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    whole = isinstance(max_tuning_runs, int) and max_tuning_runs >= 0
    if max_tuning_runs is not None and not whole:
        raise invalid("max_tuning_runs", f"must be 0 or more, or None, not {max_tuning_runs!r:.50}")
    libraries.turn(
        "sklearn",
        disable=disable,
        options={
            "log_input_examples": log_input_examples,
            "log_model_signatures": log_model_signatures,
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "extra_tags": extra_tags,
            "max_tuning_runs": max_tuning_runs,
            "log_post_training_metrics": log_post_training_metrics,
            "serialization_format": serialization_format,
            "pos_label": pos_label,
        },
    )
