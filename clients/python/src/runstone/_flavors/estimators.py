"""Estimators in files: by skops, of which loading runs nothing, else as a pickle."""

from __future__ import annotations

import importlib.util
import pickle
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstone._flavors.libraries import JOBLIB, PICKLES, dump_pickle, library, load_pickle
from runstone._models import environment, paths
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

SKOPS = "skops"
FORMATS = (SKOPS, *PICKLES)


@dataclass(frozen=True, slots=True)
class Kept:
    """An estimator in a file.

    Attributes:
        format: One of ``FORMATS``: MLmodel's ``serialization_format``.
        path: The file.
        distributions: What loading it needs installed.
        unknown: The types in it that skops does not know to be safe; MLflow loads those alone that
            the MLmodel file lists.
    """

    format: str
    path: Path
    distributions: list[str]
    unknown: list[str]

    def configuration(self) -> dict[str, Any]:
        """What the MLmodel file says of it."""
        types = {"skops_trusted_types": self.unknown} if self.unknown else {}
        return {"serialization_format": self.format, **types}


def keep(model: Any, folder: Path, asked: str | None, field: str) -> Kept:
    """Write an estimator into a folder.

    Args:
        model: The estimator.
        folder: Gets ``model.skops`` or ``model.pkl``.
        asked: The format; None for skops where it can, else a pickle.
        field: The argument that the model was given as.

    Raises:
        InvalidField: there is no such format, or the model cannot be kept in it.
    """
    if asked not in (None, *FORMATS):
        raise invalid(
            "serialization_format", f"must be one of {', '.join(FORMATS)}, not {asked!r:.50}"
        )
    if asked == SKOPS or (asked is None and importlib.util.find_spec("skops") is not None):
        path = folder / "model.skops"
        skops = library("skops.io", "skops")
        try:
            skops.dump(model, path)
            unknown = skops.get_untrusted_types(file=path)
            lost = [each for each in unknown if each.startswith("__main__.") or "<" in each]
            if lost:
                raise ValueError(f"of {', '.join(lost)} it keeps the name alone")
        except Exception as error:
            if asked == SKOPS:
                raise invalid(field, f"cannot be kept by skops: {error}") from error
            path.unlink(missing_ok=True)
            warnings.warn(
                f"the model is kept as a pickle, for skops cannot keep it: {error}", stacklevel=7
            )
        else:
            needs = environment.distributions_of(_modules(model))
            return Kept(SKOPS, path, ["skops", *needs], list(unknown))
    chosen = asked
    if chosen not in PICKLES:
        chosen = "cloudpickle" if importlib.util.find_spec("cloudpickle") else "pickle"
    path = folder / "model.pkl"
    dump_pickle(model, path, chosen)
    writer = ["cloudpickle"] if chosen == "cloudpickle" else []
    needs = environment.distributions_of(environment.modules_of_pickle(path))
    return Kept(chosen, path, [*writer, *needs], [])


def _modules(model: Any) -> set[str]:
    """The modules of the estimator and of those that it is made of."""
    found = {type(model).__module__}
    for step in getattr(model, "get_params", dict)().values():
        found.add(type(step).__module__)
    return found


def load(path: Path, written: Any) -> Any:
    """The estimator in a file of that format. What is unsafe in it was asked for before.

    Raises:
        ModelFormatError: it cannot be read.
    """
    if written == JOBLIB:
        return _by_joblib(path)
    if written != SKOPS:
        return load_pickle(path)
    skops = library("skops.io", "skops")
    try:
        # Those that are not known to be safe: whether they may be made was asked before.
        return skops.load(path, trusted=skops.get_untrusted_types(file=path))
    except Exception as error:
        raise ModelFormatError(f"{path.name} cannot be read by skops: {error}") from error


def _by_joblib(path: Path) -> Any:
    try:
        return library("joblib").load(path)
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise ModelFormatError(f"{path.name} cannot be read by joblib: {error}") from error


def unsafe(path: Path, written: Any, known: Collection[str] = ()) -> str | None:
    """How loading would run code of the author: see ``Flavor.unsafe``.

    What the MLmodel file lists as ``skops_trusted_types`` does not count, for the author wrote it.

    Args:
        path: The file.
        written: Its format, as the MLmodel file says.
        known: Types that are safe to make though skops does not know them.

    Raises:
        ModelFormatError: it cannot be read.
    """
    if written != SKOPS:
        return f"a pickle ({path.name})"
    skops = library("skops.io", "skops")
    paths.refuse_zip_bomb(path)
    try:
        types = [each for each in skops.get_untrusted_types(file=path) if each not in known]
    except Exception as error:
        raise ModelFormatError(f"{path.name} cannot be read by skops: {error}") from error
    if not types:
        return None
    return f"a file of skops with types that it does not know: {', '.join(types)}"
