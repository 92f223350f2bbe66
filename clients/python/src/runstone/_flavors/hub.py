"""Folders in the manner of the Hugging Face hub: configs as JSON, weights, sometimes code.

Nothing is fetched from a hub when such a folder is read: what a model needs is in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".joblib"}
"""Endings of weights that are pickles, or are read by what also reads code."""

MAX_TEXT = 64 * 2**20
"""A config is some kilobytes; vocabularies, which are larger, name no code."""

_CODE = ("auto_map", "custom_pipelines", "custom_code")


def folder_runs(folder: Path) -> str | None:
    """How reading a folder could run code: by pickles, by Python files, by naming them."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".py":
            return f"a model with code beside its weights ({name})"
        if path.suffix.lower() in PICKLES and path.is_file():
            return f"a model with weights as a pickle ({name})"
        if path.suffix == ".json" and path.is_file() and _names_code(path):
            return f"a model whose config names code ({name})"
        if "template" not in name and path.suffix == ".jinja":
            return f"a model with a program of Jinja ({name})"
    return None


def _names_code(path: Path) -> bool:
    if path.stat().st_size > MAX_TEXT or not path.name.endswith("config.json"):
        return False
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return True  # when in doubt it does
    return _has(found, _CODE)


def _has(found: Any, keys: tuple[str, ...]) -> bool:
    if isinstance(found, dict):
        return any(found.get(key) for key in keys) or any(
            _has(each, keys) for each in found.values()
        )
    return isinstance(found, list) and any(_has(each, keys) for each in found)
