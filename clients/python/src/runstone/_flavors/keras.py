"""Keras 3 on any of its backends: the ``.keras`` file, read in safe mode where that suffices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors.kerasfiles import keras_runs
from runstone._flavors.libraries import is_of, library
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

DATA = "data"
FILE = "model.keras"
GRAPH = "model"
"""The folder of a SavedModel."""

PROGRAM = "a SavedModel, which is a program for TensorFlow that may read and write files"
"""TensorFlow's own word for it: models are programs; only load those that you trust."""


class Keras(Flavor):
    """Models of Keras 3."""

    name: ClassVar[str] = "keras"
    loader_module: ClassVar[str] = "mlflow.keras"
    distributions: ClassVar[tuple[str, ...]] = ("keras",)

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        save_exported_model: bool = False,
        save_model_kwargs: Mapping[str, Any] | None = None,
        tensors: Any = None,
    ) -> Written:
        keras = library("keras")
        if not isinstance(model, keras.Model):
            raise invalid("model", f"must be a keras.Model, not {type(model).__name__}")
        (folder / DATA).mkdir()
        (folder / DATA / "keras_module.txt").write_text("keras", "utf-8")
        if save_exported_model:
            _export(keras, model, folder / DATA / GRAPH, tensors)
        else:
            save(model, folder / DATA / FILE, save_model_kwargs)
        backend = keras.backend.backend()
        return Written(
            {
                "data": DATA,
                "keras_version": keras.__version__,
                "keras_backend": backend,
                "save_exported_model": bool(save_exported_model),
            },
            distributions=[backend],
        )

    def read(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        *,
        custom_objects: Mapping[str, Any] | None = None,
        load_model_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        path = _file(folder, configuration)
        if path.is_dir():
            return library("tensorflow").saved_model.load(str(path))
        return load(library("keras").saving, path, custom_objects, load_model_kwargs)

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _file(folder, configuration)
        return PROGRAM if path.is_dir() else unsafe_file(path)

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        call = model.predict if hasattr(model, "predict") else model.serve
        return keras_predictor(call)

    def owns(self, model: Any) -> bool:
        return is_of(model, "keras", "Model")


def save(model: Any, path: Path, options: Mapping[str, Any] | None) -> None:
    """Write a model into a file of its own format."""
    try:
        model.save(str(path), **(options or {}))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise invalid("model", f"cannot be kept by Keras: {error}") from error


def load(
    saving: Any,
    path: Path,
    custom_objects: Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
) -> Any:
    """Read what ``save`` wrote; ``saving`` is the module with Keras' ``load_model``."""
    # Beyond the safe mode goes only what was asked for before.
    safe = path.suffix == ".keras" and keras_runs(path) is None
    try:
        return saving.load_model(
            str(path),
            custom_objects=dict(custom_objects) if custom_objects else None,
            **{"safe_mode": safe, **(options or {})},
        )
    except Exception as error:
        raise ModelFormatError(
            f"{path.name} cannot be read by Keras: {type(error).__name__}: {error}"
        ) from error


def unsafe_file(path: Path) -> str | None:
    """How reading a file of Keras would run code."""
    if path.suffix != ".keras":
        return f"a file of Keras' older format, which may hold Python code ({path.name})"
    runs = keras_runs(path)
    return f"a model with parts that are not Keras' own, or hold code: {runs}" if runs else None


def keras_predictor(call: Any) -> Predictor:
    """Predictions of a model of Keras: a DataFrame for a DataFrame, else an array."""

    def predict(data: Any, params: Mapping[str, Any]) -> Any:
        del params  # Keras' models take none
        if hasattr(data, "to_numpy"):
            import pandas as pd

            return pd.DataFrame(_array(call(data.to_numpy())), index=data.index)
        return _array(call(data))

    return predict


def _array(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _array(each) for name, each in found.items()}
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    return found.numpy() if hasattr(found, "numpy") else found


def _export(keras: Any, model: Any, path: Path, signature: Any) -> None:
    library("tensorflow")
    del signature
    archive = keras.export.ExportArchive()
    archive.track(model)
    inputs = [keras.InputSpec(shape=each.shape, dtype=each.dtype) for each in model.inputs]
    archive.add_endpoint(name="serve", fn=model.call, input_signature=inputs)
    archive.write_out(str(path))


def _file(folder: Path, configuration: Mapping[str, Any]) -> Path:
    field = "flavors.keras.data"
    data = paths.inside(folder, configuration.get("data", DATA), field)
    found = data / (GRAPH if configuration.get("save_exported_model") else FILE)
    if not found.exists():
        raise ModelFormatError(f"{field} in MLmodel names {data.name!r}, which has no {found.name}")
    return found
