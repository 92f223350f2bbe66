"""Pipelines of spaCy: saved, logged and loaded."""

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
    spacy_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
) -> None:
    """Save a pipeline, with all that loading it elsewhere needs, into a folder.

    Args:
        spacy_model: A pipeline (``spacy.Language``). One with a text categorizer predicts behind
            ``runstone.pyfunc``, too.
        path: A new or empty folder.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        code_paths: Python files and folders that loading it must be able to import.
        mlflow_model: A description to be completed.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        metadata: Anything that JSON has.
        extra_files: Files that are kept beside it.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: spacy is not installed.

    Example:
        >>> import runstone.spacy
        >>> import spacy
        >>> pipeline = spacy.blank("en")
        >>> _ = pipeline.add_pipe("sentencizer")
        >>> runstone.spacy.save_model(pipeline, "sentences")
        >>> len(list(runstone.spacy.load_model("sentences")("One. Two.").sents))
        2
    """
    calls.save("spacy", "spacy_model", locals())


def log_model(
    spacy_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a pipeline as a logged model, of the active run when there is one.

    Args:
        spacy_model: As in ``save_model``, as are the arguments that are not named here.
        artifact_path: Another word for ``name``.
        registered_model_name: Register it under this name, too.
        name: Its name: at most 500 characters, without any of / : . % " '.
        params: Parameters of the logged model, besides those of the run.
        tags: Tags of the logged model and of the version.
        model_type: What kind of model it is.
        step: The step of the training at which it was made.
        model_id: Complete this logged model instead of making one.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: spacy is not installed.

    Example:
        >>> import runstone.spacy
        >>> import spacy
        >>> info = runstone.spacy.log_model(spacy.blank("en"), name="words")
        >>> sorted(info.flavors)
        ['spacy']
    """
    return calls.log("spacy", "spacy_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a pipeline.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: spacy is not installed.

    Example:
        >>> import runstone.spacy
        >>> import spacy
        >>> uri = runstone.spacy.log_model(spacy.blank("en"), name="words").model_uri
        >>> [word.text for word in runstone.spacy.load_model(uri)("Good day")]
        ['Good', 'day']
    """
    return registry.loaded(
        "spacy",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
    )
