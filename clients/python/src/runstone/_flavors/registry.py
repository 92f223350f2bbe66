"""Which flavors there are. None is imported before it is asked for."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstone._models import loading, trust
from runstone._models.flavor import Flavor
from runstone._models.model import PYTHON_FUNCTION, Model
from runstone.exceptions import FlavorNotFound

GROUP = "runstone.flavors"
"""Entry points of other distributions that bring a flavor."""

OURS: dict[str, str] = {
    "sentence_transformers": "runstone._flavors.sentence_transformers:SentenceTransformers",
    "transformers": "runstone._flavors.transformers:Transformers",
    "keras": "runstone._flavors.keras:Keras",
    "tensorflow": "runstone._flavors.tensorflow:Tensorflow",
    "pytorch": "runstone._flavors.pytorch:Pytorch",
    "spacy": "runstone._flavors.spacy:Spacy",
    "prophet": "runstone._flavors.prophet:Prophet",
    "spark": "runstone._flavors.spark:Spark",
    "xgboost": "runstone._flavors.xgboost:Xgboost",
    "lightgbm": "runstone._flavors.lightgbm:Lightgbm",
    "catboost": "runstone._flavors.catboost:Catboost",
    "statsmodels": "runstone._flavors.statsmodels:Statsmodels",
    "onnx": "runstone._flavors.onnx:Onnx",
    # Last, for estimators of other libraries inherit from its own.
    "sklearn": "runstone._flavors.sklearn:Sklearn",
    "python_function": "runstone._flavors.python_function:PythonFunction",
}
"""Flavor to module and class, most specific first: the first that owns an object saves it."""


@functools.cache
def _places() -> Mapping[str, str]:
    others = {each.name: each.value for each in importlib.metadata.entry_points(group=GROUP)}
    return {**others, **OURS}


def names() -> list[str]:
    """The flavors there are, ours and those of other distributions."""
    return list(_places())


@functools.cache
def flavor(name: str) -> Flavor:
    """The flavor of that name.

    Raises:
        FlavorNotFound: there is none, or its module cannot be imported.
    """
    place = _places().get(name)
    if place is None:
        raise FlavorNotFound(f"there is no flavor {name!r}; there are {', '.join(names())}")
    module, _, kind = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), kind)()
    except (ImportError, AttributeError) as error:
        raise FlavorNotFound(f"flavor {name!r} cannot be imported from {place}: {error}") from error
    assert isinstance(found, Flavor)
    return found


def flavor_of_loader(loader_module: str) -> Flavor | None:
    """The flavor whose models name this ``loader_module`` in MLmodel; None when none does.

    The module itself is never imported: a model's file names it, and anybody may have written that.
    """
    for name in names():
        if loader_module in {f"mlflow.{name}", f"runstone.{name}"}:
            return flavor(name)
    for name in names():
        try:
            each = flavor(name)
        except FlavorNotFound:
            continue  # of another distribution, and broken: this model is none of its
        if loader_module in {each.loader_module, *each.other_loaders}:
            return each
    return None


def unsafe(folder: Path, model: Model) -> str | None:
    """How loading a model would run code of its author, by any of its flavors; None where by none.

    For what is registered from files of somebody; a flavor that is not known here counts as unsafe.
    """
    for name, configuration in model.flavors.items():
        if name == PYTHON_FUNCTION and loads_by_another(model):
            found = None
        else:
            try:
                found = flavor(name).unsafe(folder, configuration)
            except FlavorNotFound:
                return f"a model of the flavor {name!r}, which is not known here"
        found = found or trust.code(configuration)
        if found:
            return found
    return None


def loads_by_another(model: Model) -> bool:
    """Whether ``python_function`` only names the loader of a flavor that the model has besides."""
    loader = model.flavors[PYTHON_FUNCTION].get("loader_module")
    found = flavor_of_loader(loader) if isinstance(loader, str) else None
    return found is not None and found.name != PYTHON_FUNCTION and found.name in model.flavors


def loaded(
    name: str,
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None,
    *,
    allow_pickle: bool | None,
    **options: Any,
) -> Any:
    """The model at a URI, as its framework has it: what ``runstone.<name>.load_model`` does.

    Raises:
        FlavorNotFound: it was saved by another framework.
        UntrustedModel: loading it would run code, and nobody said that it may.
    """
    found = loading.fetch(model_uri, dst_path)
    try:
        configuration = found.model.flavors.get(name)
        if configuration is None:
            kinds = ", ".join(found.model.flavors)
            raise FlavorNotFound(f"{model_uri} is no model of {name!r}; it is one of {kinds}")
        chosen = flavor(name)
        described = chosen.unsafe(found.folder, configuration) or trust.code(configuration)
        own = found.is_own(described, allow_pickle)
        trust.check(described, str(model_uri), own=own, allow_pickle=allow_pickle)
        loading.put_on_path(found.folder, configuration)
        return chosen.read(found.folder, configuration, **options)
    except BaseException:
        found.discard()
        raise
