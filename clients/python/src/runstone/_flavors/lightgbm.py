"""LightGBM: Boosters in its own text format, the estimators by skops, both of which run nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors import estimators
from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import check_arguments, is_of, library, predicting
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

BOOSTER = "lightgbm.basic.Booster"
KNOWN = (
    "collections.OrderedDict",
    BOOSTER,
    *("lightgbm.sklearn.LGBMModel", "lightgbm.sklearn.LGBMClassifier"),
    *("lightgbm.sklearn.LGBMRegressor", "lightgbm.sklearn.LGBMRanker"),
)
"""Types that are safe to make: a Booster is made again of its text, the others of attributes."""


class Lightgbm(Flavor):
    """Boosters, and the estimators with scikit-learn's interface."""

    name: ClassVar[str] = "lightgbm"
    loader_module: ClassVar[str] = "mlflow.lightgbm"
    distributions: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy", "scipy")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        serialization_format: str | None = None,
        skops_trusted_types: Sequence[str] | None = None,
        extra_files: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Written:
        lightgbm = library("lightgbm")
        if not self.owns(model):
            raise invalid(
                "lgb_model",
                f"must be a Booster or an estimator of LightGBM, not {type(model).__name__}",
            )
        configuration: dict[str, Any] = {
            "lgb_version": lightgbm.__version__,
            "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
            **keep_extra(extra_files, folder),
        }
        if is_of(model, "lightgbm", "Booster"):
            check_arguments(model.save_model, kwargs or {})
            path = folder / "model.lgb"
            model.save_model(path, **(kwargs or {}))
            # MLflow reads every other class by skops or pickle.
            return Written(configuration | {"data": path.name, "model_class": BOOSTER}, path.name)
        check_arguments(self.write, kwargs or {})
        kept = estimators.keep(model, folder, serialization_format, "lgb_model")
        configuration |= {"data": kept.path.name, **kept.configuration()}
        return Written(configuration, kept.path.name, ["scikit-learn", *kept.distributions])

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        lightgbm = library("lightgbm")
        path = _file(folder, configuration)
        if not _is_booster(configuration):
            return estimators.load(path, configuration.get("serialization_format"))
        _check_whole(path)
        try:
            return lightgbm.Booster(model_file=path)
        except lightgbm.basic.LightGBMError as error:
            raise ModelFormatError(f"{path.name} cannot be read by LightGBM: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        if _is_booster(configuration):
            return None
        written = configuration.get("serialization_format")
        return estimators.unsafe(_file(folder, configuration), written, KNOWN)

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        return predicting(model.predict)

    def owns(self, model: Any) -> bool:
        return is_of(model, "lightgbm", "Booster", "LGBMModel")


def _is_booster(configuration: Mapping[str, Any]) -> bool:
    # MLflow 1 had Boosters only, and named no class.
    return bool(configuration.get("model_class", BOOSTER) == BOOSTER)


def _check_whole(path: Path) -> None:
    """Raise ModelFormatError unless all trees are there whose sizes the file's head tells.

    LightGBM reads each from where it should begin, and past the end of a file that was cut.
    """
    text = path.read_bytes()
    sizes = re.search(rb"^tree_sizes=([0-9 ]+)$", text, re.MULTILINE)
    first, end = text.find(b"\nTree=0\n") + 1, text.find(b"\nend of trees") + 1
    whole = end > 0 and (sizes is None or first + sum(map(int, sizes[1].split())) == end)
    if not whole:
        raise ModelFormatError(f"{path.name} cannot be read by LightGBM: it lacks trees")


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    return paths.inside(folder, configuration.get("data"), "flavors.lightgbm.data")
