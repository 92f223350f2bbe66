"""Importing a framework where it is used, and pickles where there is nothing safer."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

from runstone._values import invalid
from runstone.exceptions import LibraryMissing, ModelFormatError

PICKLES = ("cloudpickle", "pickle")
"""Formats of which loading runs what the author wrote."""

JOBLIB = "joblib"
"""One more of them, which is only read: of models that were imported."""


def library(module: str, distribution: str | None = None) -> Any:
    """A framework's module.

    Raises:
        LibraryMissing: it is not installed, or something that it needs is not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = distribution or module.partition(".")[0]
        raise LibraryMissing(
            f"{module} cannot be imported ({error}); pip install {name}"
        ) from error


def dump_pickle(model: Any, path: Path, writer: str) -> None:
    """Write a pickle: by cloudpickle, which keeps classes and functions of the script, or plain.

    Raises:
        InvalidField: the model cannot be pickled.
    """
    module = library("cloudpickle") if writer == "cloudpickle" else pickle
    try:
        with path.open("wb") as file:
            module.dump(model, file, protocol=pickle.DEFAULT_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise invalid("model", f"cannot be kept as a {writer}: {error}") from error


def load_pickle(path: Path) -> Any:
    """What a pickle holds. It runs the author's code: ask ``trust`` first.

    Raises:
        ModelFormatError: it is damaged, or needs what is not installed.
    """
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - asked before
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise ModelFormatError(
            f"{path.name} cannot be unpickled: {type(error).__name__}: {error}"
        ) from error
