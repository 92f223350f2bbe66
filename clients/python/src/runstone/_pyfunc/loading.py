"""From a model's URI to something that predicts."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

from runstone._flavors import code_model, registry
from runstone._models import environment, loading, trust
from runstone._models.flavor import Predictor
from runstone._models.model import PYTHON_FUNCTION
from runstone._pyfunc.model import PyFuncModel
from runstone.exceptions import FlavorNotFound, ModelFormatError


def load(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    model_config: Any = None,
    allow_pickle: bool | None = None,
    *,
    quiet: bool = False,
) -> PyFuncModel:
    """What ``runstone.pyfunc.load_model`` does."""
    found = loading.fetch(model_uri, dst_path)
    try:
        return _loaded(found, str(model_uri), model_config, allow_pickle, quiet=quiet)
    except BaseException:
        found.discard()
        raise


def _loaded(
    found: loading.Found,
    model_uri: str,
    model_config: Any,
    allow_pickle: bool | None,
    *,
    quiet: bool,
) -> PyFuncModel:
    function = found.model.flavors.get(PYTHON_FUNCTION)
    if function is None:
        raise FlavorNotFound(
            f"{model_uri} cannot be loaded as a function; it is a model of"
            f" {', '.join(found.model.flavors) or 'nothing'}"
        )
    loader = function.get("loader_module")
    if not isinstance(loader, str):
        raise ModelFormatError("flavors.python_function.loader_module in MLmodel must be a text")
    flavor = registry.flavor_of_loader(loader)
    if flavor is None:
        unsafe: str | None = f"a model with a loader of its own ({loader})"
        configuration: Mapping[str, Any] = function
    else:
        # One that was saved for pyfunc alone has no flavor but python_function.
        configuration = found.model.flavors.get(flavor.name, function)
        unsafe = flavor.unsafe(found.folder, configuration)
    unsafe = unsafe or trust.code(configuration) or trust.code(function)
    own = found.is_own(unsafe, allow_pickle)
    trust.check(unsafe, model_uri, own=own, allow_pickle=allow_pickle)
    if not quiet and (differing := environment.mismatches(found.folder)):
        warnings.warn(
            f"{model_uri} was saved with other versions than those of here: {'; '.join(differing)}",
            stacklevel=4,
        )
    loading.put_on_path(found.folder, function)
    if flavor is None:
        predictor, model = _by_own_loader(loader, found, function, model_config)
        return PyFuncModel(found.model, predictor, model, folder=found.folder)
    options = {} if model_config is None else {"model_config": model_config}
    if flavor.name == PYTHON_FUNCTION:
        artifacts = configuration.get("artifacts")
        trust.own_inside(found.folder, artifacts, own=own, allow_pickle=allow_pickle)
    model = flavor.runtime(found.folder, configuration, **options)
    return PyFuncModel(
        found.model,
        flavor.predictor(model, function),
        model,
        flavor.streamer(model, function),
        folder=found.folder,
    )


def _by_own_loader(
    loader: str, found: loading.Found, function: Mapping[str, Any], model_config: Any
) -> tuple[Predictor, Any]:
    """By ``_load_pyfunc`` of a module that the model names; trust was asked for before."""
    from runstone._models import paths

    data, saved = function.get("data"), function.get("config")
    if not isinstance(saved, Mapping | None):
        raise ModelFormatError("flavors.python_function.config in MLmodel must be a mapping")
    where = found.folder if data is None else paths.inside(found.folder, data, "data")
    try:
        load_pyfunc = getattr(importlib.import_module(loader), "_load_pyfunc")  # noqa: B009
    except (ImportError, AttributeError) as error:
        raise ModelFormatError(f"loader_module {loader!r} cannot load a model: {error}") from error
    if model_config is None and not saved:
        model = load_pyfunc(str(where))
    else:
        given = code_model.configuration("model_config", model_config)
        model = load_pyfunc(str(where), {**(saved or {}), **(given or {})})

    def predict(given: Any, params: Mapping[str, Any]) -> Any:
        return model.predict(given, params=params) if params else model.predict(given)

    return predict, model
