"""scikit-learn: kept by skops, of which loading runs nothing, or as a pickle where that cannot."""

from __future__ import annotations

import importlib.util
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.libraries import JOBLIB, PICKLES, dump_pickle, library, load_pickle
from runstone._models import environment, paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

SKOPS = "skops"
FORMATS = (SKOPS, *PICKLES)


class Sklearn(Flavor):
    """Estimators, pipelines and searches of scikit-learn, and of libraries with its interface."""

    name: ClassVar[str] = "sklearn"
    loader_module: ClassVar[str] = "mlflow.sklearn"
    distributions: ClassVar[tuple[str, ...]] = ("scikit-learn", "numpy", "scipy")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        serialization_format: str | None = None,
        pyfunc_predict_fn: str = "predict",
    ) -> Written:
        sklearn = library("sklearn", "scikit-learn")
        if not hasattr(model, "get_params") and not hasattr(model, "fit"):
            raise invalid("sk_model", f"must be an estimator, not {type(model).__name__}")
        if serialization_format not in (None, *FORMATS):
            raise invalid(
                "serialization_format",
                f"must be one of {', '.join(FORMATS)}, not {serialization_format!r:.50}",
            )
        chosen, path, distributions = _write(model, folder, serialization_format)
        return Written(
            {
                "pickled_model": path.name,
                "serialization_format": chosen,
                "sklearn_version": sklearn.__version__,
            },
            path.name,
            [*distributions, *environment.distributions_of(_modules(model, path))],
            {"predict_fn": pyfunc_predict_fn} if hasattr(model, pyfunc_predict_fn) else None,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        library("sklearn", "scikit-learn")
        path = _file(folder, configuration)
        kind = configuration.get("serialization_format")
        if kind == JOBLIB:
            return _joblib(path)
        if kind != SKOPS:
            return load_pickle(path)
        skops = library("skops.io", "skops")
        try:
            # Those that are not known to be safe: whether they may be made was asked before.
            return skops.load(path, trusted=skops.get_untrusted_types(file=path))
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by skops: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _file(folder, configuration)
        if configuration.get("serialization_format") != SKOPS:
            return f"a pickle ({path.name})"
        skops = library("skops.io", "skops")
        paths.refuse_zip_bomb(path)
        try:
            types = skops.get_untrusted_types(file=path)
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by skops: {error}") from error
        return (
            f"a file of skops with types that it does not know: {', '.join(types)}"
            if types
            else None
        )

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        name = str(configuration.get("predict_fn") or "predict")
        method = None if name.startswith("_") else getattr(model, name, None)
        if not callable(method):
            raise invalid(
                "predict_fn", f"names {name!r}, which {type(model).__name__} does not have"
            )
        return lambda data, params: method(data, **params)

    def owns(self, model: Any) -> bool:
        base = getattr(library("sklearn.base", "scikit-learn"), "BaseEstimator", None)
        return base is not None and isinstance(model, base)


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    field = "flavors.sklearn.pickled_model"
    return paths.file_inside(folder, configuration.get("pickled_model"), field)


def _joblib(path: Path) -> Any:
    try:
        return library("joblib").load(path)
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise ModelFormatError(f"{path.name} cannot be read by joblib: {error}") from error


def _write(model: Any, folder: Path, asked: str | None) -> tuple[str, Path, list[str]]:
    """The format that was taken, the file, and what reading it needs."""
    if asked == SKOPS or (asked is None and importlib.util.find_spec("skops") is not None):
        path = folder / "model.skops"
        try:
            library("skops.io", "skops").dump(model, path)
        except Exception as error:
            if asked == SKOPS:
                raise invalid("sk_model", f"cannot be kept by skops: {error}") from error
            path.unlink(missing_ok=True)
            warnings.warn(
                f"the model is kept as a pickle, for skops cannot keep it: {error}", stacklevel=8
            )
        else:
            return SKOPS, path, ["skops"]
    chosen = asked
    if chosen not in PICKLES:
        chosen = "cloudpickle" if importlib.util.find_spec("cloudpickle") else "pickle"
    path = folder / "model.pkl"
    dump_pickle(model, path, chosen)
    return chosen, path, ["cloudpickle"] if chosen == "cloudpickle" else []


def _modules(model: Any, path: Path) -> set[str]:
    """The modules that loading the model imports."""
    if path.suffix == ".pkl":
        return environment.modules_of_pickle(path)
    found = {type(model).__module__}
    for step in getattr(model, "get_params", dict)().values():
        found.add(type(step).__module__)
    return found
