"""Models of Sentence Transformers: saved, logged and loaded."""

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
    model: Any,
    path: str | os.PathLike[str],
    task: str | None = None,
    inference_config: Mapping[str, Any] | None = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    **save_options: Any,
) -> None:
    """Save a model of texts' vectors, with all that loading it elsewhere needs, into a folder.

    Args:
        model: A SentenceTransformer.
        path: A new or empty folder.
        task: "llm/v1/embeddings" to answer as servers of embeddings do.
        inference_config: Kept beside it, as JSON.
        code_paths: Python files and folders that loading it must be able to import.
        mlflow_model: A description to be completed.
        signature: What the model takes and gives; found by ``input_example`` when absent, none
            when False.
        input_example: Some rows, kept beside the model; or a tuple of rows and parameters.
        pip_requirements: What it needs, as lines of a requirements file or its path.
        extra_pip_requirements: What it needs besides what is found by itself.
        conda_env: The environment, as a dict or the path of a YAML file; found by itself when
            absent.
        metadata: Anything that JSON has.
        extra_files: Files that are kept beside it.
        save_options: What ``SentenceTransformer.save`` takes besides.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: sentence-transformers is not installed.

    Example:
        >>> import runstone.sentence_transformers
        >>> from sentence_transformers import SentenceTransformer
        >>> from sentence_transformers.models import BoW
        >>> model = SentenceTransformer(modules=[BoW(vocab=["good", "day"])], device="cpu")
        >>> runstone.sentence_transformers.save_model(model, "words")
        >>> runstone.sentence_transformers.load_model("words").encode(["good day"]).tolist()
        [[1.0, 1.0]]
    """
    calls.save("sentence_transformers", "model", locals())


def log_model(
    model: Any,
    artifact_path: str | None = None,
    task: str | None = None,
    inference_config: Mapping[str, Any] | None = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **save_options: Any,
) -> ModelInfo:
    """Log a model of texts' vectors as a logged model, of the active run when there is one.

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
        LibraryMissing: sentence-transformers is not installed.

    Example:
        >>> import runstone.sentence_transformers
        >>> from sentence_transformers import SentenceTransformer
        >>> from sentence_transformers.models import BoW
        >>> model = SentenceTransformer(modules=[BoW(vocab=["good", "day"])], device="cpu")
        >>> info = runstone.sentence_transformers.log_model(model, name="words")
        >>> info.flavors["python_function"]["loader_module"]
        'mlflow.sentence_transformers'
    """
    return calls.log("sentence_transformers", "model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of texts' vectors.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: sentence-transformers is not installed.

    Example:
        >>> import runstone.sentence_transformers
        >>> from sentence_transformers import SentenceTransformer
        >>> from sentence_transformers.models import BoW
        >>> model = SentenceTransformer(modules=[BoW(vocab=["good", "day"])], device="cpu")
        >>> uri = runstone.sentence_transformers.log_model(model, name="words").model_uri
        >>> runstone.sentence_transformers.load_model(uri).encode(["day"]).tolist()
        [[0.0, 1.0]]
    """
    return registry.loaded(
        "sentence_transformers",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
    )
