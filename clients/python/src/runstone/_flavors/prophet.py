"""Prophet: a forecast's parameters as JSON, of which loading runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import is_of, library
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

FILE = "model.pr"


class Prophet(Flavor):
    """Forecasts that were fitted by Prophet."""

    name: ClassVar[str] = "prophet"
    loader_module: ClassVar[str] = "mlflow.prophet"
    distributions: ClassVar[tuple[str, ...]] = ("prophet",)

    def write(self, model: Any, folder: Path, *, extra_files: Any = None) -> Written:
        prophet = library("prophet")
        serialize = library("prophet.serialize", "prophet")
        if not isinstance(model, prophet.Prophet):
            raise invalid("pr_model", f"must be a Prophet, not {type(model).__name__}")
        try:
            text = serialize.model_to_json(model)
        except ValueError as error:
            raise invalid("pr_model", f"cannot be kept: {error}") from error
        # A text of JSON within JSON: so MLflow writes and reads it.
        (folder / FILE).write_text(json.dumps(text), "utf-8")
        return Written(
            {
                "model_type": type(model).__name__,
                "data": FILE,
                "prophet_version": prophet.__version__,
                **keep_extra(extra_files, folder),
            },
            FILE,
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        serialize = library("prophet.serialize", "prophet")
        path = paths.inside(folder, configuration.get("data", FILE), "flavors.prophet.data")
        try:
            return serialize.model_from_json(json.loads(path.read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelFormatError(f"{path.name} cannot be read by Prophet: {error}") from error

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return None

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        def predict(data: Any, params: Mapping[str, Any]) -> Any:
            del params  # Prophet takes none
            return model.predict(data)

        return predict

    def owns(self, model: Any) -> bool:
        return is_of(model, "prophet", "Prophet")
