"""What a ``.keras`` file would run when it is read, found without Keras.

Such a file is a zip with the layers as JSON. Keras makes what that names, by class and module;
among its own layers are some that hold Python code, pickles, or programs of other frameworks.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runstone.exceptions import ModelFormatError

MAX_TEXT = 256 * 2**20
"""A description of layers is some kilobytes; more is not read into memory."""

_OWN = re.compile(
    r"keras(\.(layers|models|optimizers|optimizers\.schedules|losses|metrics|initializers"
    r"|regularizers|constraints|activations|dtype_policies|quantizers|applications"
    r"|src\.models\.(functional|sequential|model)))?"
)
"""The modules that hold what models are made of, and nothing else."""

_PLAIN = {f"__{name}__" for name in ("tensor", "numpy", "bytes", "tuple", "ellipsis", "slice")}
_CODE = {"Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}


def keras_runs(path: Path) -> str | None:
    """What in a ``.keras`` file could run code; None when nothing could."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > MAX_TEXT:
                return f"a description of {info.file_size} bytes"
            return next(_strange(json.loads(archive.read(info))), None)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path.name} is no file of Keras: {error}") from error


def _strange(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if "class_name" in found:
            name, module = str(found["class_name"]), found.get("module")
            registered = found.get("registered_name")
            if name in _CODE:
                yield name
            elif name not in _PLAIN and not _is_own(name, module, registered):
                yield f"{module}.{name}"
        for value in found.values():
            yield from _strange(value)
    elif isinstance(found, list):
        for value in found:
            yield from _strange(value)


def _is_own(name: str, module: Any, registered: Any) -> bool:
    if name == "function":
        # Activations and losses; Keras finds them by name among its own.
        return module in {"builtins", None} or _OWN.fullmatch(str(module)) is not None
    return (
        isinstance(module, str)
        and _OWN.fullmatch(module) is not None
        and registered in {None, name, f"keras>{name}"}
    )
