"""Models of PyTorch: saved, logged and loaded."""

from __future__ import annotations

import inspect
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._autolog import checkpoints, libraries
from runstone._flavors import calls, registry
from runstone._flavors.libraries import library
from runstone._flavors.pytorch import STATE, dynamic_of, example_to_keep, tensors_of
from runstone._fluent._artifacts import log_artifacts
from runstone._models import trust
from runstone._modeluri import local_path, parse_artifact_uri
from runstone._values import invalid
from runstone.artifacts import download_artifacts
from runstone.exceptions import ModelFormatError, UntrustedModel

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = [
    "autolog",
    "load_checkpoint",
    "load_model",
    "load_state_dict",
    "log_model",
    "log_state_dict",
    "save_model",
    "save_state_dict",
]


def save_model(
    pytorch_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    pickle_module: Any = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    **save_options: Any,
) -> None:
    """Save a module, with all that loading it elsewhere needs, into a folder.

    Args:
        pytorch_model: A ``torch.nn.Module``, or one of TorchScript.
        path: A new or empty folder.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        mlflow_model: A description to be completed.
        code_paths: Python files and folders that loading it must be able to import.
        pickle_module: What pickles it; cloudpickle when absent.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model: a DataFrame, an array or a tensor; of a
            model of several inputs a list of arrays or tensors, which is not kept.
        extra_files: Files that are kept beside it.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        metadata: Anything that JSON has.
        export_model: MLflow's older word for ``serialization_format="pt2"``.
        serialization_format: "pt2", the graph that ``torch.export`` traces with the
            ``input_example``: of what can be loaded from it no code is run, but the Python
            class is lost; or "pickle". When absent pt2, where it can be.
        save_options: What ``torch.save`` takes besides, for a pickle.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: torch is not installed.

    Example:
        >>> import numpy
        >>> import runstone.pytorch
        >>> import torch
        >>> model = torch.nn.Linear(3, 2)
        >>> rows = numpy.ones((4, 3), dtype="float32")
        >>> runstone.pytorch.save_model(model, "lines", input_example=rows)
        >>> loaded = runstone.pytorch.load_model("lines")
        >>> bool(torch.equal(loaded(torch.ones(1, 3)), model(torch.ones(1, 3))))
        True
    """
    calls.save("pytorch", "pytorch_model", _given(locals()))


def log_model(
    pytorch_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    pickle_module: Any = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    **save_options: Any,
) -> ModelInfo:
    """Log a module as a logged model, of the active run when there is one.

    Args:
        pytorch_model: As in ``save_model``, as are the arguments that are not named here.
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
        LibraryMissing: torch is not installed.

    Example:
        >>> import numpy
        >>> import runstone.pytorch
        >>> import torch
        >>> model = torch.nn.Linear(3, 2)
        >>> rows = numpy.ones((4, 3), dtype="float32")
        >>> info = runstone.pytorch.log_model(model, name="lines", input_example=rows)
        >>> info.signature.inputs.input_types()
        [dtype('float32')]
    """
    return calls.log("pytorch", "pytorch_model", _given(locals()))


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    device: Any = None,
    allow_pickle: bool | None = None,
    **options: Any,
) -> Any:
    """Load a module.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        device: Where it is put, such as "cpu".
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.
        options: What ``torch.load`` takes besides, for a pickle.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: torch is not installed.

    Example:
        >>> import numpy
        >>> import runstone.pytorch
        >>> import torch
        >>> model = torch.nn.Linear(3, 2)
        >>> rows = numpy.ones((4, 3), dtype="float32")
        >>> uri = runstone.pytorch.log_model(model, name="lines", input_example=rows).model_uri
        >>> runstone.pytorch.load_model(uri)(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """
    return registry.loaded(
        "pytorch",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
        device=device,
        **options,
    )


def save_state_dict(
    state_dict: Mapping[str, Any], path: str | os.PathLike[str], **save_options: Any
) -> None:
    """Save the weights of a model, or a checkpoint with them, into a folder.

    Args:
        state_dict: What ``state_dict()`` gives, or a dict with such.
        path: The folder, which is made where there is none.
        save_options: What ``torch.save`` takes besides.

    Raises:
        InvalidField: it is no dict.
        LibraryMissing: torch is not installed.

    Example:
        >>> import runstone.pytorch
        >>> import torch
        >>> runstone.pytorch.save_state_dict(torch.nn.Linear(3, 2).state_dict(), "weights")
        >>> sorted(runstone.pytorch.load_state_dict("weights"))
        ['bias', 'weight']
    """
    torch = library("torch")
    if not isinstance(state_dict, dict):
        raise invalid("state_dict", f"must be a dict, not {type(state_dict).__name__}")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict, folder / STATE, **save_options)


def log_state_dict(state_dict: Mapping[str, Any], artifact_path: str, **save_options: Any) -> None:
    """Save the weights of a model among the files of the active run, which is started if need be.

    Args:
        state_dict: What ``state_dict()`` gives, or a dict with such.
        artifact_path: The folder among the run's files.
        save_options: What ``torch.save`` takes besides.

    Raises:
        InvalidField: it is no dict.
        LibraryMissing: torch is not installed.

    Example:
        >>> import runstone.pytorch
        >>> import torch
        >>> with runstone.start_run() as run:
        ...     runstone.pytorch.log_state_dict(torch.nn.Linear(3, 2).state_dict(), "weights")
        >>> uri = f"runs:/{run.info.run_id}/weights"
        >>> runstone.pytorch.load_state_dict(uri)["weight"].shape
        torch.Size([2, 3])
    """
    with tempfile.TemporaryDirectory(prefix="runstone-state-") as folder:
        save_state_dict(state_dict, folder, **save_options)
        log_artifacts(folder, artifact_path)


def load_state_dict(
    state_dict_uri: str | os.PathLike[str], *, allow_pickle: bool = False, **options: Any
) -> Any:
    """Load what ``save_state_dict`` or ``log_state_dict`` left.

    Args:
        state_dict_uri: ``runs:/<run_id>/<path>``, or a folder of this machine.
        allow_pickle: Whether code of its author may run; tensors and plain values need none.
        options: What ``torch.load`` takes besides.

    Raises:
        UntrustedModel: there is more than tensors and plain values in it.
        ModelFormatError: it cannot be read.
        LibraryMissing: torch is not installed.

    Example:
        >>> import runstone.pytorch
        >>> import torch
        >>> checkpoint = {"model": torch.nn.Linear(3, 2).state_dict(), "epoch": 7}
        >>> runstone.pytorch.save_state_dict(checkpoint, "checkpoint")
        >>> runstone.pytorch.load_state_dict("checkpoint")["epoch"]
        7
    """
    torch = library("torch")
    path = _fetched(state_dict_uri) / STATE
    try:
        return torch.load(path, **{"weights_only": not allow_pickle, **options})
    except pickle.UnpicklingError as error:
        raise UntrustedModel(
            f"{state_dict_uri} holds more than tensors and plain values, and loading that may run"
            f" code of its author; if you trust it, say allow_pickle=True: {error}"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ModelFormatError(f"{path.name} cannot be read by torch: {error}") from error


def load_checkpoint(
    model_class: Any,
    run_id: str | None = None,
    epoch: int | None = None,
    global_step: int | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a checkpoint that ``autolog`` left in the midst of a training of PyTorch Lightning.

    Args:
        model_class: The class of the module.
        run_id: The run of the training; the active one when absent.
        epoch: Of which epoch, when one of each was left; the last one when absent.
        global_step: Likewise of which step.
        kwargs: What ``load_from_checkpoint`` of the class takes besides.
        allow_pickle: Whether code of its author may run; tensors and plain values need none, and
            what stands among a run's files is nobody's own.

    Raises:
        InvalidField: no run is named, or both an epoch and a step.
        RunNotFound, ArtifactNotFound: there is no such run, or it has no such checkpoint.
        UntrustedModel: loading it would run code, and nobody said that it may.

    Example:
        >>> import runstone.pytorch
        >>> module = runstone.pytorch.load_checkpoint(Net, run_id, epoch=2)  # doctest: +SKIP
    """
    with tempfile.TemporaryDirectory(prefix="runstone-checkpoint-") as place:
        path, named = checkpoints.fetched(run_id, epoch, global_step, place)
        plain = True
        try:
            library("torch").load(path, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            found = f"a checkpoint of more than tensors and plain values ({error})"
            trust.check(found, named, own=False, allow_pickle=allow_pickle)
            plain = False
        options = dict(kwargs or {})
        # Lightning before its release 2.6 takes the word for an argument of the module.
        if "weights_only" in inspect.signature(model_class.load_from_checkpoint).parameters:
            options["weights_only"] = plain
        return model_class.load_from_checkpoint(path, **options)


def _fetched(state_dict_uri: str | os.PathLike[str]) -> Path:
    uri = os.fspath(state_dict_uri)
    if parse_artifact_uri(uri) is None:
        return local_path(uri)
    return Path(download_artifacts(uri))


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of saving, with the tensors that trace the model for those of the example."""
    found = dict(given)
    if found.pop("export_model"):
        if found["serialization_format"] == "pickle":
            raise invalid("export_model", "is another word for serialization_format='pt2'")
        found["serialization_format"] = "pt2"
    found["tensors"] = tensors_of(found["input_example"])
    found["dynamic"] = dynamic_of(found["signature"])
    found["input_example"] = example_to_keep(found["input_example"], found["tensors"])
    return found


def autolog(
    log_every_n_epoch: int = 1,
    log_every_n_step: int | None = None,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
    log_model_signatures: bool = True,
    checkpoint: bool = True,
    checkpoint_monitor: str = "val_loss",
    checkpoint_mode: str = "min",
    checkpoint_save_best_only: bool = True,
    checkpoint_save_weights_only: bool = False,
    checkpoint_save_freq: str | int = "epoch",
) -> None:
    """Have each ``Trainer.fit`` of PyTorch Lightning log itself; see ``runstone.autolog``.

    Logged are the optimizer and its parameters, early stopping, the metrics of each epoch, the
    layers as ``model_summary.txt``, checkpoints below ``checkpoints``, and the module as a model.

    Args:
        log_every_n_epoch: Log metrics at the end of every so many epochs.
        log_every_n_step: Log metrics after every so many steps, too; None for none.
        log_models: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.
        checkpoint: Leave checkpoints, for ``load_checkpoint``.
        checkpoint_monitor: The metric that says which is best.
        checkpoint_mode: "min" or "max", whichever of it is better.
        checkpoint_save_best_only: Leave one that is better than all before, in place of the last;
            else each.
        checkpoint_save_weights_only: Leave the weights without the optimizer's state.
        checkpoint_save_freq: "epoch", or so many steps.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.pytorch
        >>> runstone.pytorch.autolog(log_every_n_epoch=5)
        >>> runstone.pytorch.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    every = {"log_every_n_epoch": log_every_n_epoch, "log_every_n_step": log_every_n_step}
    for name, value in every.items():
        if value is not None and (type(value) is not int or value < 1):
            raise invalid(name, f"must be 1 or more, not {value!r:.50}")
    wish = checkpoints.wished(
        checkpoint_monitor,
        checkpoint_mode,
        checkpoint_save_best_only,
        checkpoint_save_weights_only,
        checkpoint_save_freq,
    )
    libraries.turn(
        "pytorch",
        disable=disable,
        options={
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "extra_tags": extra_tags,
            "log_model_signatures": log_model_signatures,
            "every": every,
            "checkpoint": wish if checkpoint else None,
        },
    )
