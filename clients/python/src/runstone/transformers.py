"""Pipelines of Transformers: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._flavors import calls, registry
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["load_model", "log_model", "save_model"]


def save_model(
    transformers_model: Any,
    path: str | os.PathLike[str],
    processor: Any = None,
    task: str | None = None,
    torch_dtype: Any = None,
    model_card: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
) -> None:
    """Save a pipeline, with all that loading it elsewhere needs, into a folder.

    Args:
        transformers_model: A pipeline; or a dict of its parts ("model", "tokenizer", …); or a
            folder
            with a checkpoint.
        path: A new or empty folder.
        processor: A processor, kept beside it.
        task: What it is for, such as "text-classification"; of a pipeline it is known.
        torch_dtype: The type that its weights are loaded as.
        model_card: Its model card, or that card's text.
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
        model_config: Arguments of every call behind ``runstone.pyfunc``.
        prompt_template: What texts are put into behind ``runstone.pyfunc``, at "{prompt}".
        save_pretrained: Must be True: a model without its weights cannot be loaded here.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept.
        LibraryMissing: transformers is not installed.

    Example:
        >>> import runstone.transformers
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> from transformers import BertTokenizer, pipeline
        >>> words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "good": 5}
        >>> config = BertConfig(
        ...     vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1
        ... )
        >>> judge = pipeline(
        ...     "text-classification",
        ...     model=BertForSequenceClassification(config),
        ...     tokenizer=BertTokenizer(vocab=words),
        ... )
        >>> runstone.transformers.save_model(judge, "judge")
        >>> runstone.transformers.load_model("judge").task
        'text-classification'
    """
    given = {**locals(), "metadata": _templated(metadata, prompt_template, save_pretrained)}
    del given["prompt_template"], given["save_pretrained"]
    calls.save("transformers", "transformers_model", given)


def log_model(
    transformers_model: Any,
    artifact_path: str | None = None,
    processor: Any = None,
    task: str | None = None,
    torch_dtype: Any = None,
    model_card: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a pipeline as a logged model, of the active run when there is one.

    Args:
        transformers_model: As in ``save_model``, as are the arguments that are not named here.
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
        LibraryMissing: transformers is not installed.

    Example:
        >>> import runstone.transformers
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> from transformers import BertTokenizer, pipeline
        >>> words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "good": 5}
        >>> config = BertConfig(
        ...     vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1
        ... )
        >>> judge = pipeline(
        ...     "text-classification",
        ...     model=BertForSequenceClassification(config),
        ...     tokenizer=BertTokenizer(vocab=words),
        ... )
        >>> info = runstone.transformers.log_model(judge, name="judge")
        >>> info.flavors["transformers"]["pipeline_model_type"]
        'BertForSequenceClassification'
    """
    given = {**locals(), "metadata": _templated(metadata, prompt_template, save_pretrained)}
    del given["prompt_template"], given["save_pretrained"]
    return calls.log("transformers", "transformers_model", given)


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    return_type: str = "pipeline",
    device: Any = None,
    allow_pickle: bool | None = None,
    **options: Any,
) -> Any:
    """Load a pipeline.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        dst_path: Where to put its files; a temporary folder when absent.
        return_type: "pipeline", or "components" for a dict of its parts.
        device: Where it is put, such as "cpu".
        allow_pickle: Whether code of its author may run. When
            absent only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.
        options: What ``transformers.pipeline`` takes besides.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: transformers is not installed.

    Example:
        >>> import runstone.transformers
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> from transformers import BertTokenizer, pipeline
        >>> words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "good": 5}
        >>> config = BertConfig(
        ...     vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1
        ... )
        >>> judge = pipeline(
        ...     "text-classification",
        ...     model=BertForSequenceClassification(config),
        ...     tokenizer=BertTokenizer(vocab=words),
        ... )
        >>> uri = runstone.transformers.log_model(judge, name="judge").model_uri
        >>> loaded = runstone.transformers.load_model(uri, return_type="components")
        >>> sorted(loaded)
        ['model', 'task', 'tokenizer']
    """
    return registry.loaded(
        "transformers",
        model_uri,
        dst_path,
        allow_pickle=allow_pickle,
        return_type=return_type,
        device=device,
        **options,
    )


def _templated(
    metadata: Mapping[str, Any] | None, template: str | None, save_pretrained: bool
) -> Mapping[str, Any] | None:
    if not save_pretrained:
        raise invalid("save_pretrained", "must be True: the weights are kept with the model")
    if template is None:
        return metadata
    if not isinstance(template, str) or template.count("{prompt}") != 1:
        raise invalid("prompt_template", 'must be a text with one "{prompt}" in it')
    return {**(metadata or {}), "prompt_template": template}
