"""Sentence Transformers: a folder of modules, with weights as safetensors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.hub import folder_runs
from runstone._flavors.libraries import is_of, library
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

DATA = "model.sentence_transformer"
TASK = "llm/v1/embeddings"


PLAIN = frozenset(
    {"Transformer", "Pooling", "Normalize", "Dense", "LayerNorm", "Dropout", "StaticEmbedding"}
)
"""Modules that hold weights; others name classes that they import when they are loaded."""


class SentenceTransformers(Flavor):
    """Models that make vectors of texts."""

    name: ClassVar[str] = "sentence_transformers"
    loader_module: ClassVar[str] = "mlflow.sentence_transformers"
    distributions: ClassVar[tuple[str, ...]] = ("sentence-transformers", "transformers", "torch")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        task: str | None = None,
        inference_config: Mapping[str, Any] | None = None,
        extra_files: Any = None,
        save_options: Mapping[str, Any] | None = None,
    ) -> Written:
        library_ = library("sentence_transformers", "sentence-transformers")
        if not isinstance(model, library_.SentenceTransformer):
            raise invalid("model", f"must be a SentenceTransformer, not {type(model).__name__}")
        if task not in {None, TASK}:
            raise invalid("task", f"must be {TASK!r}, not {task!r:.50}")
        model.save(str(folder / DATA), **(save_options or {}))
        if inference_config:
            (folder / "inference_config").write_text(json.dumps(dict(inference_config)), "utf-8")
        configuration: dict[str, Any] = {
            "sentence_transformers_version": library_.__version__,
            **_source(model),
            **keep_extra(extra_files, folder),
        }
        return Written(
            configuration,
            DATA,
            python_function={"model_config": {"task": task}} if task else {},
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        library_ = library("sentence_transformers", "sentence-transformers")
        path = _folder(folder)
        try:
            # Code beside the weights: whether it may run was asked before.
            return library_.SentenceTransformer(
                str(path),
                trust_remote_code=folder_runs(path) is not None,
                local_files_only=True,
            )
        except Exception as error:
            raise ModelFormatError(
                f"{path.name} cannot be read by sentence_transformers: {error}"
            ) from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _folder(folder)
        return folder_runs(path) or _strange_modules(path)

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        task = (configuration.get("model_config") or {}).get("task")

        def predict(data: Any, params: Mapping[str, Any]) -> Any:
            texts, is_request = data, False
            if hasattr(data, "columns"):
                is_request = bool(task) and next(iter(data.columns)) == "input"
                texts = data.iloc[:, 0].tolist()
                if texts and isinstance(texts[0], list):
                    texts = texts[0]
            elif hasattr(data, "tolist"):
                texts = data.tolist()
            found = model.encode(texts, **params)
            return _answer(model, texts, found) if is_request else found

        return predict

    def owns(self, model: Any) -> bool:
        return is_of(model, "sentence_transformers", "SentenceTransformer")


def _answer(model: Any, texts: list[str], vectors: Any) -> dict[str, Any]:
    """The vectors as servers of embeddings answer."""
    tokens = sum(len(each) for each in model.tokenizer(texts)["input_ids"])
    return {
        "object": "list",
        "data": [
            {"index": index, "object": "embedding", "embedding": vector.tolist()}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _source(model: Any) -> dict[str, str]:
    """Which model it was made of, as far as it says."""
    inners = (getattr(module, "auto_model", None) for module in model.modules())
    inner = next((each for each in inners if each is not None), None)
    if inner is None:
        return {}
    found = {"pipeline_model_type": type(inner).__name__}
    name = getattr(inner, "name_or_path", "")
    return {**found, "source_model_name": name} if name else found


def _folder(folder: Path) -> Path:
    path = folder / DATA
    if not path.is_dir():
        raise ModelFormatError(f"there is no folder {DATA} in the model")
    return path


def _strange_modules(path: Path) -> str | None:
    try:
        modules = json.loads((path / "modules.json").read_text("utf-8"))
        kinds = [str(each["type"]) for each in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{path.name}/modules.json cannot be read: {error}") from error
    strange = [
        kind
        for kind in kinds
        if not kind.startswith("sentence_transformers.") or kind.rpartition(".")[2] not in PLAIN
    ]
    # The last part of a Dense module names its activation, which is imported by that name.
    dense = [path / str(each.get("path", "")) for each in modules if "Dense" in str(each["type"])]
    strange += [f"what {folder.name} names" for folder in dense if not _is_plain(folder)]
    return f"a model with modules of others: {', '.join(strange)}" if strange else None


def _is_plain(folder: Path) -> bool:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    activation = found.get("activation_function") if isinstance(found, dict) else 1
    return activation is None or _is_torch(activation)


def _is_torch(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"torch\.nn\.modules\.\w+\.\w+", name) is not None
