"""Models of TensorFlow: saved, logged and loaded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._autolog import checkpoints, libraries
from runstone._autolog.checkpoints import WEIGHTS
from runstone._flavors import calls, registry
from runstone._flavors import keras as keras_files
from runstone._flavors.libraries import library
from runstone._models import trust
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["autolog", "load_checkpoint", "load_model", "log_model", "save_model"]


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
) -> None:
    """Save a model of TensorFlow, with all that loading it elsewhere needs, into a folder.

    Args:
        model: A ``keras.Model`` or a ``tf.Module``. The latter is kept as a SavedModel: a program
            for TensorFlow, which is loaded only where code may run.
        path: A new or empty folder.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        code_paths: Python files and folders that loading it must be able to import.
        mlflow_model: A description to be completed.
        custom_objects: What the model's own names mean, by name; kept as a pickle.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        saved_model_kwargs: What ``tf.saved_model.save`` takes besides.
        keras_model_kwargs: What ``keras.Model.save`` takes besides.
        metadata: Anything that JSON has.
        extra_files: Files that are kept beside it.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: tensorflow is not installed.

    Example:
        >>> import keras
        >>> import runstone.tensorflow
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> runstone.tensorflow.save_model(model, "layers")
        >>> runstone.tensorflow.load_model("layers").output_shape
        (None, 2)
    """
    calls.save("tensorflow", "model", locals())


def log_model(
    model: Any,
    artifact_path: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model of TensorFlow as a logged model, of the active run when there is one.

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
        LibraryMissing: tensorflow is not installed.

    Example:
        >>> import keras
        >>> import runstone.tensorflow
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> info = runstone.tensorflow.log_model(model, name="layers")
        >>> info.flavors["tensorflow"]["model_type"]
        'keras'
    """
    return calls.log("tensorflow", "model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of TensorFlow.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        saved_model_kwargs: What ``tf.saved_model.load`` takes besides.
        keras_model_kwargs: What ``load_model`` of Keras takes besides.
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: tensorflow is not installed.

    Example:
        >>> import keras
        >>> import runstone.tensorflow
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> uri = runstone.tensorflow.log_model(model, name="layers").model_uri
        >>> runstone.tensorflow.load_model(uri).input_shape
        (None, 3)
    """
    return registry.loaded(
        "tensorflow",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
        saved_model_kwargs=saved_model_kwargs,
        keras_model_kwargs=keras_model_kwargs,
    )


def load_checkpoint(
    model: Any = None,
    run_id: str | None = None,
    epoch: int | None = None,
    global_step: int | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a checkpoint that ``autolog`` left in the midst of a training.

    Args:
        model: One of the same layers, which gets the weights; for a checkpoint of weights alone.
        run_id: The run of the training; the active one when absent.
        epoch: Of which epoch, when one of each was left; the last one when absent.
        global_step: Likewise of which step.
        allow_pickle: As in ``load_model``; what stands among a run's files is nobody's own.

    Returns:
        The model; with weights alone the one that was given.

    Raises:
        InvalidField: no run or model is named, or both an epoch and a step.
        RunNotFound, ArtifactNotFound: there is no such run, or it has no such checkpoint.
        UntrustedModel: loading it would run code, and nobody said that it may.
        LibraryMissing: keras is not installed.

    Example:
        >>> import keras, numpy, runstone
        >>> runstone.tensorflow.autolog(log_models=False, checkpoint_monitor="loss")
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> model.compile(loss="mse")
        >>> with runstone.start_run() as run:
        ...     _ = model.fit(numpy.ones((4, 3)), numpy.ones((4, 2)), epochs=2, verbose=0)
        >>> runstone.tensorflow.load_checkpoint(run_id=run.info.run_id).output_shape
        (None, 2)
        >>> runstone.tensorflow.autolog(disable=True)
    """
    keras = library("keras")
    with tempfile.TemporaryDirectory(prefix="runstone-checkpoint-") as place:
        path, named = checkpoints.fetched(run_id, epoch, global_step, place)
        if WEIGHTS in path.suffixes:
            if model is None:
                raise invalid("model", f"must be given, for {named} holds weights alone")
            model.load_weights(str(path))
            return model
        trust.check(keras_files.unsafe_file(path), named, own=False, allow_pickle=allow_pickle)
        return keras_files.load(keras.saving, path, None, None)


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    saved_model_kwargs: Mapping[str, Any] | None = None,
    keras_model_kwargs: Mapping[str, Any] | None = None,
    extra_tags: Mapping[str, str] | None = None,
    log_every_epoch: bool = True,
    log_every_n_steps: int | None = None,
    checkpoint: bool = True,
    checkpoint_monitor: str = "val_loss",
    checkpoint_mode: str = "min",
    checkpoint_save_best_only: bool = True,
    checkpoint_save_weights_only: bool = False,
    checkpoint_save_freq: str | int = "epoch",
) -> None:
    """Have each ``fit`` of a model of Keras log itself; see ``runstone.autolog``.

    Logged are the arguments of ``fit``, the optimizer's configuration, early stopping, the metrics
    of each epoch, the layers as ``model_summary.txt``, checkpoints below ``checkpoints``, the
    files of a ``TensorBoard`` callback, and the model. ``runstone.keras.autolog`` is about the same
    trainings; the one that was called last counts.

    Args:
        log_models: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.
        saved_model_kwargs: As in ``save_model``.
        keras_model_kwargs: As in ``save_model``.
        log_every_epoch: Log metrics at the end of each epoch.
        log_every_n_steps: Log them after every so many steps instead.
        checkpoint: Leave checkpoints, for ``load_checkpoint``.
        checkpoint_monitor: The metric that says which is best.
        checkpoint_mode: "min" or "max", whichever of it is better.
        checkpoint_save_best_only: Leave one that is better than all before, in place of the last;
            else each.
        checkpoint_save_weights_only: Leave the weights without the optimizer's state.
        checkpoint_save_freq: "epoch", or so many steps.

    Raises:
        InvalidField: an argument is of the wrong type, or two exclude each other.

    Example:
        >>> import keras, numpy, runstone
        >>> runstone.tensorflow.autolog(log_models=False)
        >>> model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
        >>> model.compile(loss="mse")
        >>> with runstone.start_run() as run:
        ...     _ = model.fit(numpy.ones((4, 3)), numpy.ones((4, 2)), epochs=2, verbose=0)
        >>> len(runstone.Client().get_metric_history(run.info.run_id, "loss"))
        2
        >>> runstone.tensorflow.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    wish = checkpoints.wished(
        checkpoint_monitor,
        checkpoint_mode,
        checkpoint_save_best_only,
        checkpoint_save_weights_only,
        checkpoint_save_freq,
    )
    libraries.turn(
        "tensorflow",
        disable=disable,
        options={
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "log_input_examples": log_input_examples,
            "log_model_signatures": log_model_signatures,
            "saved_model_kwargs": saved_model_kwargs,
            "keras_model_kwargs": keras_model_kwargs,
            "extra_tags": extra_tags,
            "every": libraries.steps(log_every_n_steps, log_every_epoch=log_every_epoch),
            "checkpoint": wish if checkpoint else None,
        },
    )
