"""ONNX: a graph and its weights, of which loading runs nothing; ONNX Runtime predicts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors import onnx_session
from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import check_arguments, is_of, library
from runstone._models import environment, paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

FILE = "model.onnx"


class Onnx(Flavor):
    """Graphs in ONNX, from whatever framework they were made."""

    name: ClassVar[str] = "onnx"
    loader_module: ClassVar[str] = "mlflow.onnx"
    distributions: ClassVar[tuple[str, ...]] = ("onnx", "numpy", "pandas")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        onnx_execution_providers: Sequence[Any] | None = None,
        onnx_session_options: Mapping[str, Any] | None = None,
        save_as_external_data: bool = True,
        extra_files: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Written:
        onnx = library("onnx")
        if not self.owns(model):
            raise invalid("onnx_model", f"must be an onnx.ModelProto, not {type(model).__name__}")
        providers = onnx_session.checked_providers(onnx_execution_providers)
        session = onnx_session.checked_options(onnx_session_options)
        options = {"save_as_external_data": save_as_external_data, **(kwargs or {})}
        check_arguments(onnx.save_model, options)
        try:
            onnx.save_model(model, str(folder / FILE), **options)
            _restore(model, folder)
        except Exception as error:
            with suppress(Exception):
                _restore(model, folder)
            raise invalid("onnx_model", f"cannot be saved: {error}") from error
        return Written(
            {
                "onnx_version": onnx.__version__,
                "data": FILE,
                "providers": providers,
                "onnx_session_options": session,
                **keep_extra(extra_files, folder),
            },
            FILE,
            sorted(environment.distributions_of({"onnxruntime"})) or ["onnxruntime"],
        )

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        onnx = library("onnx")
        path = str(_file(folder, configuration))
        try:
            # By its path, for no checked model in memory may exceed 2 GB.
            onnx.checker.check_model(path)
            return onnx.load(path)
        except Exception as error:
            raise ModelFormatError(f"{FILE} cannot be read by ONNX: {error}") from error

    def runtime(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        return onnx_session.session(os.fspath(_file(folder, configuration)), configuration)

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        _file(folder, configuration)
        named = onnx_session.paths_in(configuration)
        # Such as the path of a library to be loaded.
        return f"an ONNX model with options for its runtime ({', '.join(named)})" if named else None

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        if self.owns(model):
            model = onnx_session.session(model.SerializeToString(), {})
        return onnx_session.Runner(model)

    def owns(self, model: Any) -> bool:
        return is_of(model, "onnx", "ModelProto")


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    return paths.inside(folder, configuration.get("data", FILE), "flavors.onnx.data")


def _restore(model: Any, folder: Path) -> None:
    """Give the caller's model its weights again: those in files were taken out of it."""
    helper = library("onnx.external_data_helper", "onnx")
    helper.load_external_data_for_model(model, os.fspath(folder))
