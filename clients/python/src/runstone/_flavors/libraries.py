"""Importing a framework where it is used, its classes, and pickles where nothing is safer."""

from __future__ import annotations

import importlib
import inspect
import pickle
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from runstone._models.flavor import Predictor
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


def is_of(model: Any, module: str, *kinds: str) -> bool:
    """Whether a class of one of these names made the object, or what that inherits from.

    Nothing is imported. The class is one of ``module``, "torch.nn", or of one below it.
    """
    return any(
        each.__name__ in kinds and f"{each.__module__}.".startswith(f"{module}.")
        for each in type(model).__mro__
    )


def class_name(model: Any, known: Collection[str]) -> str | None:
    """The nearest of the known classes that made the object: "package.module.Class".

    Loading makes no class but these: a subclass is kept as what it inherits from, with a warning.
    """
    own, *bases = (f"{each.__module__}.{each.__qualname__}" for each in type(model).__mro__)
    if own in known:
        return own
    found = next((each for each in bases if each in known), None)
    if found is not None:
        warnings.warn(
            f"the model is kept as {found}; what {own} adds to that is lost", stacklevel=6
        )
    return found


def known_class(name: Any, known: Collection[str], field: str) -> Any:
    """The class that ``field`` of an MLmodel names, which must be one of the known.

    Raises:
        ModelFormatError: it is another one, which is not imported: anybody may have written that.
    """
    if not isinstance(name, str) or name not in known:
        raise ModelFormatError(
            f"{field} in MLmodel must be one of {', '.join(known)}, not {name!r:.100}"
        )
    module, _, kind = name.rpartition(".")
    return getattr(library(module), kind)


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise InvalidField for an argument that a framework's function does not take."""
    taken = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in taken):
        return
    for name in given:
        if not any(each.name == name for each in taken):
            raise invalid(name, f"is no argument of this function or of {function.__qualname__}")


def predicting(
    method: Callable[..., Any], *, like: Callable[..., Any] | None = None, **fixed: Any
) -> Predictor:
    """A predictor by a method that takes a table; parameters that it does not take are left out.

    MLflow leaves them out, too, so that one request can be sent to models of several kinds.

    Args:
        method: Takes the table, then parameters by their names.
        like: The function whose parameters ``method`` hands over; itself when absent.
        fixed: What it is given besides.
    """
    taken = inspect.signature(like or method).parameters.values()
    names = {each.name for each in taken}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in taken)

    def predict(data: Any, params: Mapping[str, Any]) -> Any:
        unknown = [] if takes_all else sorted(set(params) - names)
        if unknown:
            warnings.warn(f"the model takes no {', '.join(unknown)}; left out", stacklevel=3)
        used = {name: value for name, value in params.items() if name not in unknown}
        return method(table(data), **{**fixed, **used})

    return predict


def table(data: Any) -> Any:
    """Data as frameworks take it: a dict becomes a DataFrame, all else stays.

    Raises:
        InvalidField: the dict is no table.
    """
    if not isinstance(data, dict):
        return data
    pd = library("pandas")
    one_row = data and not any(hasattr(each, "__iter__") for each in data.values())
    try:
        return pd.DataFrame([data] if one_row else data)
    except ValueError as error:
        raise invalid("data", f"must have columns of one length: {error}") from error


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
