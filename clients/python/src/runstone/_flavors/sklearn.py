"""scikit-learn: kept by skops, of which loading runs nothing, or as a pickle where that cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors import estimators
from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import is_of, library
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid


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
        skops_trusted_types: Sequence[str] | None = None,
        extra_files: Any = None,
    ) -> Written:
        sklearn = library("sklearn", "scikit-learn")
        if not hasattr(model, "get_params") and not hasattr(model, "fit"):
            raise invalid("sk_model", f"must be an estimator, not {type(model).__name__}")
        kept = estimators.keep(model, folder, serialization_format, "sk_model")
        return Written(
            {
                "pickled_model": kept.path.name,
                **kept.configuration(),
                "sklearn_version": sklearn.__version__,
                **keep_extra(extra_files, folder),
            },
            kept.path.name,
            kept.distributions,
            {"predict_fn": pyfunc_predict_fn} if hasattr(model, pyfunc_predict_fn) else None,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        library("sklearn", "scikit-learn")
        return estimators.load(*_file(folder, configuration))

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return estimators.unsafe(*_file(folder, configuration))

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        name = str(configuration.get("predict_fn") or "predict")
        method = None if name.startswith("_") else getattr(model, name, None)
        if not callable(method):
            raise invalid(
                "predict_fn", f"names {name!r}, which {type(model).__name__} does not have"
            )
        return lambda data, params: method(data, **params)

    def owns(self, model: Any) -> bool:
        return is_of(model, "sklearn", "BaseEstimator")


def _file(folder: Path, configuration: Mapping[str, Any]) -> tuple[Path, Any]:
    """The file, and the format that it is said to have."""
    field = "flavors.sklearn.pickled_model"
    path = paths.file_inside(folder, configuration.get("pickled_model"), field)
    return path, configuration.get("serialization_format")
