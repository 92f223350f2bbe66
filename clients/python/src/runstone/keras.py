"""Models of Keras 3, on any of its backends: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    model: Any,
    path: str | os.PathLike[str],
    save_exported_model: bool = False,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Save a model of Keras, with all that loading it elsewhere needs, into a folder.

    Args:
        model: A ``keras.Model``.
        path: A new or empty folder.
        save_exported_model: Keep a SavedModel, for which TensorFlow must be installed, instead of a
            ``.keras`` file.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        mlflow_model: A description to be completed.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        save_model_kwargs: What ``keras.Model.save`` takes besides.
        metadata: Anything that JSON has.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: keras is not installed.

    Example:
        >>> import keras
        >>> import runstone.keras
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> runstone.keras.save_model(model, "layers")
        >>> runstone.keras.load_model("layers").output_shape
        (None, 2)
    """
    calls.save("keras", "model", locals())


def log_model(
    model: Any,
    artifact_path: str | None = None,
    save_exported_model: bool = False,
    conda_env: Any = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model of Keras as a logged model, of the active run when there is one.

    Args:
        model: As in ``save_model``, as are the arguments that are not named here.
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
        LibraryMissing: keras is not installed.

    Example:
        >>> import keras
        >>> import runstone.keras
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> info = runstone.keras.log_model(model, name="layers")
        >>> info.flavors["keras"]["save_exported_model"]
        False
    """
    return calls.log("keras", "model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    load_model_kwargs: Mapping[str, Any] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of Keras.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        custom_objects: What the model's own names mean, by name.
        load_model_kwargs: What ``keras.saving.load_model`` takes besides.
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: keras is not installed.

    Example:
        >>> import keras
        >>> import runstone.keras
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> uri = runstone.keras.log_model(model, name="layers").model_uri
        >>> runstone.keras.load_model(uri).input_shape
        (None, 3)
    """
    return registry.loaded(
        "keras",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
        custom_objects=custom_objects,
        load_model_kwargs=load_model_kwargs,
    )


def autolog(
    log_every_epoch: bool = True,
    log_every_n_steps: int | None = None,
    log_models: bool = True,
    log_model_signatures: bool = True,
    save_exported_model: bool = False,
    log_datasets: bool = True,
    log_input_examples: bool = False,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    save_model_kwargs: Mapping[str, Any] | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have each ``fit`` of a model of Keras log itself, on any backend; see ``runstone.autolog``.

    Logged are the arguments of ``fit``, the optimizer's configuration, early stopping, the metrics
    of each epoch, the layers as ``model_summary.txt``, the files of a ``TensorBoard`` callback, and
    the model. ``runstone.tensorflow.autolog`` is about the same trainings, and can leave
    checkpoints; the one that was called last counts.

    Args:
        log_every_epoch: Log metrics at the end of each epoch.
        log_every_n_steps: Log them after every so many steps instead.
        log_models: As the arguments not named here, see ``runstone.autolog``.
        save_exported_model: As in ``save_model``.
        registered_model_name: Register each model under this name.
        save_model_kwargs: As in ``save_model``.

    Raises:
        InvalidField: an argument is of the wrong type, or two exclude each other.

    Example:
        >>> import keras, numpy, runstone
        >>> runstone.keras.autolog(log_every_epoch=False, log_every_n_steps=2, log_models=False)
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> model.compile(loss="mse")
        >>> with runstone.start_run() as run:
        ...     _ = model.fit(numpy.ones((8, 3)), numpy.ones((8, 2)), batch_size=2, verbose=0)
        >>> metrics = runstone.Client().get_metric_history(run.info.run_id, "loss")
        >>> [point.step for point in metrics]
        [2, 4]
        >>> runstone.keras.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    if not isinstance(save_exported_model, bool):
        raise invalid("save_exported_model", f"must be True or False, not {save_exported_model!r}")
    libraries.turn(
        "keras",
        disable=disable,
        options={
            "every": libraries.steps(log_every_n_steps, log_every_epoch=log_every_epoch),
            "log_models": log_models,
            "log_model_signatures": log_model_signatures,
            "save_exported_model": save_exported_model,
            "log_datasets": log_datasets,
            "log_input_examples": log_input_examples,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "save_model_kwargs": save_model_kwargs,
            "extra_tags": extra_tags,
        },
    )
