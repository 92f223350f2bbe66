"""CatBoost: kept in its own format, of which loading runs nothing, with the class beside it."""

from __future__ import annotations

import json
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
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

CLASSES = {
    f"catboost.core.{name}": name
    for name in ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
}
FILE = "model.cb"
FORMATS = ("cbm", "json", "onnx", "coreml")
"""Those that CatBoost reads again; code in C++ or Python, which it writes too, it does not."""


class Catboost(Flavor):
    """Models of CatBoost, the estimators among them."""

    name: ClassVar[str] = "catboost"
    loader_module: ClassVar[str] = "mlflow.catboost"
    distributions: ClassVar[tuple[str, ...]] = ("catboost", "numpy", "pandas", "scipy")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        extra_files: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Written:
        catboost = library("catboost")
        made_by = class_name(model, CLASSES)
        if made_by is None:
            raise invalid("cb_model", f"must be a model of CatBoost, not {type(model).__name__}")
        options = dict(kwargs or {})
        check_arguments(model.save_model, options)
        written = options.get("format", "cbm")
        if written not in FORMATS:
            raise invalid("format", f"must be one of {', '.join(FORMATS)}, not {written!r:.50}")
        try:
            model.save_model(str(folder / FILE), **options)
        except catboost.CatBoostError as error:
            raise invalid("cb_model", f"cannot be saved: {error}") from error
        return Written(
            {
                "catboost_version": catboost.__version__,
                "data": FILE,
                "model_type": CLASSES[made_by],
                "save_format": written,
                **keep_extra(extra_files, folder),
            },
            FILE,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        named = f"catboost.core.{configuration.get('model_type')}"
        model = known_class(named, CLASSES, "flavors.catboost.model_type")()
        path = paths.inside(folder, configuration.get("data", FILE), "flavors.catboost.data")
        written = configuration.get("save_format", "cbm")
        if written not in FORMATS:
            raise ModelFormatError(
                f"flavors.catboost.save_format in MLmodel must be one of {', '.join(FORMATS)},"
                f" not {written!r:.50}"
            )
        try:
            if written == "json":
                json.loads(path.read_bytes())  # CatBoost takes the half of a file for a model
            return model.load_model(str(path), written)
        except Exception as error:
            raise ModelFormatError(f"{path.name} cannot be read by CatBoost: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return None  # its formats are data

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        return predicting(model.predict)

    def owns(self, model: Any) -> bool:
        return is_of(model, "catboost", "CatBoost")
