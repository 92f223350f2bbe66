"""Transformers: a pipeline's model (safetensors), and its tokenizer and other parts beside it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.hub import folder_runs
from runstone._flavors.libraries import is_of, library
from runstone._flavors.pipelines import pipeline_predictor, predicts
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._models.model import read
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

MODEL = "model"
COMPONENTS = "components"
PARTS = ("feature_extractor", "tokenizer", "image_processor")
PROCESSOR = "processor"
TEMPLATE = "prompt_template"


class Transformers(Flavor):
    """Pipelines of Transformers, and their parts."""

    name: ClassVar[str] = "transformers"
    loader_module: ClassVar[str] = "mlflow.transformers"
    distributions: ClassVar[tuple[str, ...]] = ("transformers", "torch", "accelerate")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        task: str | None = None,
        processor: Any = None,
        torch_dtype: Any = None,
        model_card: Any = None,
        model_config: Mapping[str, Any] | None = None,
        max_shard_size: str = "500MB",
    ) -> Written:
        transformers = library("transformers")
        pipeline = _pipeline(transformers, model, task)
        inner = pipeline.model
        inner.save_pretrained(folder / MODEL, max_shard_size=max_shard_size)
        if isinstance(model, str):
            _copy_code(Path(model), folder / MODEL)
        parts = {name: getattr(pipeline, name, None) for name in PARTS}
        parts = {name: part for name, part in parts.items() if part is not None}
        for name, part in {**parts, **({PROCESSOR: processor} if processor else {})}.items():
            part.save_pretrained(folder / COMPONENTS / name)
        if model_card is not None:
            text = getattr(model_card, "text", model_card)
            (folder / "model_card.md").write_text(str(text), "utf-8")
        dtype = torch_dtype or getattr(inner, "dtype", None)
        configuration: dict[str, Any] = {
            "transformers_version": transformers.__version__,
            "task": pipeline.task,
            "instance_type": type(pipeline).__name__,
            **({"torch_dtype": str(dtype)} if dtype is not None else {}),
            "pipeline_model_type": type(inner).__name__,
            "source_model_name": str(getattr(inner, "name_or_path", "") or ""),
            "model_binary": MODEL,
            **{f"{name}_type": type(part).__name__ for name, part in parts.items()},
            **({"processor_type": type(processor).__name__} if processor else {}),
            "components": list(parts),
        }
        function = {"model_config": dict(model_config)} if model_config else {}
        return Written(
            configuration,
            python_function=function if processor is None and predicts(pipeline) else None,
        )

    def read(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        *,
        return_type: str = "pipeline",
        device: Any = None,
        model_config: Any = None,
        **options: Any,
    ) -> Any:
        del model_config  # of predictions
        transformers = library("transformers")
        if return_type not in {"pipeline", "components"}:
            raise invalid(
                "return_type", f"must be 'pipeline' or 'components', not {return_type!r:.50}"
            )
        if return_type == "pipeline" and "processor_type" in configuration:
            raise invalid(
                "return_type", "must be 'components' for a model that was saved with a processor"
            )
        dtype = options.pop("torch_dtype", None) or options.pop("dtype", None)
        dtype = _dtype(dtype or configuration.get("torch_dtype"))
        try:
            found = _parts(transformers, folder, configuration, dtype)
            if return_type == "components":
                return {"task": configuration.get("task"), **found}
            if device is not None:
                options["device"] = device
            pipeline = transformers.pipeline(task=configuration.get("task"), **found, **options)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise ModelFormatError(
                f"the model cannot be read by transformers: {type(error).__name__}: {error}"
            ) from error
        pipeline.prompt_template = (read(folder).metadata or {}).get(TEMPLATE)
        return pipeline

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        _model_folder(folder, configuration)
        return folder_runs(folder)

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        return pipeline_predictor(model, configuration.get("model_config") or {})

    def owns(self, model: Any) -> bool:
        return is_of(model, "transformers", "Pipeline")


def _pipeline(transformers: Any, model: Any, task: str | None) -> Any:
    if isinstance(model, transformers.Pipeline):
        return model
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        if task is None:
            raise invalid("task", "must say what the model in that folder is for")
        if not (path / "config.json").is_file():
            raise invalid("transformers_model", f"names {path}, which has no config.json")
        kept = str(path)
        return transformers.pipeline(task=task, model=kept, tokenizer=kept, framework="pt")
    if not isinstance(model, Mapping) or "model" not in model:
        raise invalid(
            "transformers_model",
            "must be a pipeline, a dict of its parts with a model, or a folder with a checkpoint,"
            f" not {type(model).__name__}",
        )
    strange = sorted(set(model) - {"model", "torch_dtype", "dtype", *PARTS})
    if strange:
        raise invalid("transformers_model", f"has parts that are not known: {', '.join(strange)}")
    if task is None:
        raise invalid("task", "must say what a model that is given by its parts is for")
    try:
        return transformers.pipeline(task=task, **model)
    except Exception as error:
        raise invalid("transformers_model", f"makes no pipeline for {task!r}: {error}") from error


def _copy_code(source: Path, target: Path) -> None:
    """Keep the Python files of a checkpoint, which its config may name."""
    for path in source.glob("*.py"):
        shutil.copy2(path, target / path.name)


def _model_folder(folder: Path, configuration: Mapping[str, Any]) -> Path:
    if configuration.get("source_model_revision") or configuration.get("local_base_model_path"):
        raise ModelFormatError(
            "the model was saved without its weights, of which it names a place elsewhere:"
            f" {str(configuration.get('source_model_name'))[:200]}; save it with them"
        )
    if configuration.get("peft_adaptor"):
        raise ModelFormatError("the model is an adaptor of PEFT, without the model that it adapts")
    return paths.inside(
        folder, configuration.get("model_binary", "pipeline"), "flavors.transformers.model_binary"
    )


def _parts(
    transformers: Any, folder: Path, configuration: Mapping[str, Any], dtype: Any
) -> dict[str, Any]:
    path = _model_folder(folder, configuration)
    # Code beside the weights: whether it may run was asked before.
    options: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": folder_runs(folder) is not None,
    }
    kind = _class(transformers, configuration.get("pipeline_model_type"), "AutoModel")
    if dtype is not None:
        name = "dtype" if int(transformers.__version__.split(".")[0]) > 4 else "torch_dtype"
        found = {"model": kind.from_pretrained(str(path), **{name: dtype}, **options)}
    else:
        found = {"model": kind.from_pretrained(str(path), **options)}
    names = [str(name) for name in configuration.get("components") or []]
    if "processor_type" in configuration:
        names.append(PROCESSOR)
    for name in names:
        auto = "Auto" + "".join(word.title() for word in name.split("_"))
        kind = _class(transformers, configuration.get(f"{name}_type"), auto)
        where = paths.inside(folder, f"{COMPONENTS}/{name}", "flavors.transformers.components")
        found[name] = kind.from_pretrained(str(where), **options)
    return found


def _class(transformers: Any, name: Any, auto: str) -> Any:
    """One of the library's own classes, or the one that finds a class by the config."""
    known = isinstance(name, str) and re.fullmatch(r"[A-Z]\w*", name)
    found = getattr(transformers, str(name), None) if known else None
    if found is not None and hasattr(found, "from_pretrained"):
        return found
    return getattr(transformers, auto)


def _dtype(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    torch = library("torch")
    found = getattr(torch, given.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise ModelFormatError(f"torch_dtype names {given!r:.50}, which torch does not have")
    return found
