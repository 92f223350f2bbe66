"""XGBoost: kept in its own format, of which loading runs nothing, with the class beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import (
    check_arguments,
    class_name,
    is_of,
    known_class,
    library,
    predicting,
)
from runstone._models import environment, paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

BOOSTER = "xgboost.core.Booster"
_ESTIMATORS = (
    *("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker"),
    *("XGBRFClassifier", "XGBRFRegressor"),
)
CLASSES = (BOOSTER, *(f"xgboost.sklearn.{name}" for name in _ESTIMATORS))

FORMATS = ("ubj", "json", "xgb")
"""UBJSON, JSON, and MLflow's older default: the first of them by another name."""


class Xgboost(Flavor):
    """Boosters, and the estimators with scikit-learn's interface."""

    name: ClassVar[str] = "xgboost"
    loader_module: ClassVar[str] = "mlflow.xgboost"
    distributions: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        model_format: str = "ubj",
        extra_files: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Written:
        xgboost = library("xgboost")
        if model_format not in FORMATS:
            raise invalid(
                "model_format", f"must be one of {', '.join(FORMATS)}, not {model_format!r:.50}"
            )
        made_by = class_name(model, CLASSES)
        if made_by is None:
            raise invalid(
                "xgb_model",
                f"must be a Booster or an estimator of XGBoost, not {type(model).__name__}",
            )
        check_arguments(model.save_model, kwargs or {})
        path = folder / f"model.{model_format}"
        # XGBoost goes by the ending and knows no .xgb: it would warn.
        written = path.with_suffix(".ubj") if model_format == "xgb" else path
        try:
            model.save_model(written, **(kwargs or {}))
        except Exception as error:
            raise invalid("xgb_model", f"cannot be saved: {error}") from error
        written.rename(path)
        needs = environment.distributions_of({"xgboost"})
        return Written(
            {
                "xgb_version": xgboost.__version__,
                "data": path.name,
                "model_class": made_by,
                "model_format": model_format,
                **keep_extra(extra_files, folder),
            },
            path.name,
            [*needs, *([] if made_by == BOOSTER else ["scikit-learn"])],
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        named = configuration.get("model_class", BOOSTER)  # MLflow 1 had Boosters only
        model = known_class(named, CLASSES, "flavors.xgboost.model_class")()
        path = paths.inside(folder, configuration.get("data"), "flavors.xgboost.data")
        try:
            # As bytes the format is seen by its beginning, whatever the file is called.
            model.load_model(bytearray(path.read_bytes()))
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by XGBoost: {error}") from error
        return model

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return None  # its formats are data

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        if not is_of(model, "xgboost", "Booster"):
            return predicting(model.predict, validate_features=True)
        matrix = library("xgboost").DMatrix

        def predict(data: Any, **params: Any) -> Any:
            return model.predict(matrix(data), **params)

        return predicting(predict, like=model.predict, validate_features=True)

    def owns(self, model: Any) -> bool:
        return is_of(model, "xgboost", "Booster", "XGBModel")
