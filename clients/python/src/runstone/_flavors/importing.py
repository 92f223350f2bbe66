"""Model files made elsewhere become registered versions, without being run or unpickled."""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._flavors import hub
from runstone._fluent import _state
from runstone._fluent._registry import register_model
from runstone._models import environment, paths
from runstone._models.flavor import Written
from runstone._models.logging import PICKLED
from runstone._models.model import MLMODEL, PYTHON_FUNCTION, Model, read
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._entities.registry import ModelVersion

TAG = "runstone.import."
"""Before the names of the tags that say where a version came from."""

FORMATS = ("mlmodel", "pickle", "joblib", "onnx", "huggingface")

_SUFFIXES = {
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "joblib",
    ".onnx": "onnx",
}

_ESTIMATORS = ("sklearn", "imblearn", "xgboost", "lightgbm", "catboost")
"""Whose pickles hold what scikit-learn's flavor loads."""

_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForImageClassification": "image-classification",
}

_COMPONENTS = {
    "tokenizer": (
        *("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json"),
        *("spiece.model", "sentencepiece*.model", "chat_template*"),
    ),
    "image_processor": ("preprocessor_config.json",),
}
"""Files beside the weights that are a part of a pipeline of their own."""


def import_model(
    path: str | os.PathLike[str],
    name: str,
    *,
    format: str | None = None,  # noqa: A002 - the word that its users would look for
    source: str | None = None,
    tags: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register a model file or folder that was made without Runstone, without running any of it.

    The version gets an ``MLmodel`` file where there is none, and tags that say where it came from:
    ``runstone.import.source``, ``.sha256``, ``.format``, ``.by`` and ``.at``; and
    ``runstone.unsafe`` when loading it would run code of its author.

    Args:
        path: A pickle (``.pkl``, ``.pickle``), a file of joblib (``.joblib``), an ``.onnx`` file, a
            folder of Hugging Face (with ``config.json``), or a folder with an ``MLmodel`` file.
        name: Of the registered model, which is made when missing.
        format: One of "pickle", "joblib", "onnx", "huggingface", "mlmodel"; seen by the name when
            absent.
        source: Where it came from, such as the address of a download; ``path`` when absent.
        tags: More tags of the version.

    Returns:
        The version. Its ``sha256`` is of the file; of a folder, of one line "<sha256>  <path>" for
        each file, ordered by path, as ``sha256sum`` writes them.

    Raises:
        InvalidField: nothing is there, or its format is not known.
        ModelFormatError: a folder is not what its MLmodel says, or has a link that leads outside.

    Example:
        >>> import pathlib, pickle, runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> _ = pathlib.Path("old.pkl").write_bytes(pickle.dumps(model))
        >>> version = runstone.models.import_model("old.pkl", "inherited")
        >>> version.tags["runstone.import.format"], version.tags["runstone.unsafe"]
        ('pickle', 'a pickle (old.pkl)')
        >>> loaded = runstone.sklearn.load_model("models:/inherited/1", allow_pickle=True)
        >>> loaded.predict([[3.0]]).round(6).tolist()
        [6.0]
    """
    origin = Path(path).absolute()
    kind = _format(origin, format)
    if origin.is_dir():
        paths.refuse_links_outside(origin)
    provenance = {
        f"{TAG}source": source or str(origin),
        f"{TAG}sha256": _sha256(origin),
        f"{TAG}format": kind,
        f"{TAG}by": _state.client().user or getpass.getuser(),
        f"{TAG}at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    if kind == "mlmodel":
        read(origin)
        return register_model(str(origin), name, tags={**(tags or {}), **provenance})
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as place:
        folder = Path(place) / "model"
        folder.mkdir()
        unsafe = _described(origin, kind, folder)
        if unsafe:
            provenance[PICKLED] = unsafe
        return register_model(str(folder), name, tags={**(tags or {}), **provenance})


def _format(path: Path, said: str | None) -> str:
    if not path.exists():
        raise invalid("path", f"names {path}, which is not there")
    if said is not None and said not in FORMATS:
        raise invalid("format", f"must be one of {', '.join(FORMATS)}, not {said!r:.50}")
    if path.is_dir():
        has = {"mlmodel": MLMODEL, "huggingface": "config.json"}
        found = next((kind for kind, file in has.items() if (path / file).is_file()), None)
        if found is None or (said is not None and said not in has):
            raise invalid("path", "must have an MLmodel file or a config.json when it is a folder")
        return said or found
    found = said or _SUFFIXES.get(path.suffix.lower())
    if found is None or found in {"mlmodel", "huggingface"}:
        raise invalid(
            "path", f"must end in {', '.join(_SUFFIXES)}, or format say what it is: {path.name}"
        )
    return found


def _sha256(path: Path) -> str:
    if path.is_file():
        return _digest(path)
    lines = [f"{_digest(file)}  {name}\n" for name, file in _files(path)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    yield from ((name, path) for name, path in sorted(found.items()) if path.is_file())


def _described(origin: Path, kind: str, folder: Path) -> str | None:
    """Fill a folder with the files and an MLmodel; how loading it would run code."""
    describe = {"onnx": _onnx, "huggingface": _huggingface}.get(kind, _pickled)
    flavor, written, unsafe = describe(origin, kind, folder)
    model = Model()
    if flavor is not None:
        model.add_flavor(flavor, **written.configuration)
        if written.python_function is not None:
            model.add_flavor(
                PYTHON_FUNCTION,
                loader_module=f"mlflow.{flavor}",
                data=written.path,
                model_path=written.path,
                env=dict(environment.FILES),
                **written.python_function,
            )
    environment.captured(written.distributions).write(folder)
    model.model_size_bytes = sum(path.stat().st_size for _, path in _files(folder))
    model.save(folder / MLMODEL)
    return unsafe


def _pickled(origin: Path, kind: str, folder: Path) -> tuple[str | None, Written, str]:
    shutil.copyfile(origin, folder / origin.name)
    modules = environment.modules_of_pickle(origin)
    needed = sorted(environment.distributions_of(modules))
    unsafe = f"a pickle ({origin.name})"
    if not any(name.partition(".")[0] in _ESTIMATORS for name in modules):
        return None, Written({}, origin.name, needed), unsafe
    found = {"pickled_model": origin.name, "serialization_format": kind}
    more = {"predict_fn": "predict"}
    return "sklearn", Written(found, origin.name, needed, more), unsafe


def _onnx(origin: Path, kind: str, folder: Path) -> tuple[str, Written, None]:
    del kind
    shutil.copyfile(origin, folder / "model.onnx")
    found = {
        "data": "model.onnx",
        "onnx_version": environment.version("onnx"),
        "providers": ["CPUExecutionProvider"],
        "onnx_session_options": None,
    }
    return "onnx", Written(found, "model.onnx", ["onnx", "onnxruntime"]), None


def _huggingface(origin: Path, kind: str, folder: Path) -> tuple[str, Written, str | None]:
    del kind
    shutil.copytree(origin, folder / "model")
    try:
        config = json.loads((origin / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise invalid("path", f"has a config.json that cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise invalid("path", "has a config.json that holds no object")
    named = config.get("architectures")
    kind_of_model = str(named[0]) if isinstance(named, list) and named else None
    task = next(
        (task for ending, task in _TASKS.items() if (kind_of_model or "").endswith(ending)), None
    )
    found = {
        "model_binary": "model",
        "pipeline_model_type": kind_of_model,
        "task": task,
        "framework": "pt",
        "transformers_version": config.get("transformers_version"),
        "components": [name for name in _COMPONENTS if _component(name, origin, folder)],
    }
    needed = ["transformers", "torch"]
    written = Written(found, "model", needed, {} if task else None)
    return "transformers", written, hub.folder_runs(origin)


def _component(name: str, origin: Path, folder: Path) -> bool:
    """Put a component where the flavor looks for it; whether there is one."""
    found = [path for pattern in _COMPONENTS[name] for path in origin.glob(pattern)]
    if not any(path.is_file() for path in found):
        return False
    target = folder / "components" / name
    target.mkdir(parents=True)
    # Of what class it is may stand in the model's configuration alone.
    for path in {*found, origin / "config.json"}:
        if path.is_file():
            shutil.copy2(path, target / path.name)
    return True
