"""TensorFlow: models of Keras as a ``.keras`` file, modules as a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from runstone._flavors import keras as keras_files
from runstone._flavors.calls import keep_extra
from runstone._flavors.libraries import dump_pickle, is_of, library, load_pickle
from runstone._models import paths
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

DATA = "data"
MODULE = "tf2model"
CUSTOM = ("custom_objects.cloudpickle", "global_custom_objects.cloudpickle")
"""Layers and functions of the user's: a pickle each."""


class Tensorflow(Flavor):
    """Models of Keras on TensorFlow, and modules of TensorFlow."""

    name: ClassVar[str] = "tensorflow"
    loader_module: ClassVar[str] = "mlflow.tensorflow"
    distributions: ClassVar[tuple[str, ...]] = ("tensorflow", "tensorflow-cpu", "keras")

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        custom_objects: Mapping[str, Any] | None = None,
        saved_model_kwargs: Mapping[str, Any] | None = None,
        keras_model_kwargs: Mapping[str, Any] | None = None,
        extra_files: Any = None,
    ) -> Written:
        tensorflow = library("tensorflow")
        keras = library("keras")
        extra = keep_extra(extra_files, folder)
        if isinstance(model, keras.Model):
            (folder / DATA).mkdir()
            (folder / DATA / "keras_module.txt").write_text("tensorflow.keras", "utf-8")
            (folder / DATA / "save_format.txt").write_text("tf", "utf-8")
            keras_files.save(model, folder / DATA / keras_files.FILE, keras_model_kwargs)
            if custom_objects:
                dump_pickle(dict(custom_objects), folder / DATA / CUSTOM[0], "cloudpickle")
            return Written(
                {
                    "data": DATA,
                    "model_type": "keras",
                    "keras_version": tensorflow.__version__,
                    "save_format": "tf",
                    **extra,
                },
                DATA,
                ["cloudpickle"] if custom_objects else [],
            )
        if not isinstance(model, tensorflow.Module):
            raise invalid(
                "model", f"must be a keras.Model or a tf.Module, not {type(model).__name__}"
            )
        tensorflow.saved_model.save(model, str(folder / MODULE), **(saved_model_kwargs or {}))
        return Written({"saved_model_dir": MODULE, "model_type": "tf2-module", **extra})

    def read(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        *,
        saved_model_kwargs: Mapping[str, Any] | None = None,
        keras_model_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        tensorflow = library("tensorflow")
        path = _place(folder, configuration)
        if "saved_model_dir" in configuration:
            try:
                return tensorflow.saved_model.load(str(path), **(saved_model_kwargs or {}))
            except (OSError, ValueError) as error:
                raise ModelFormatError(f"{path.name} cannot be read: {error}") from error
        custom: dict[str, Any] = {}
        for name in reversed(CUSTOM):
            if (path.parent / name).exists():
                custom |= load_pickle(path.parent / name)
        return keras_files.load(tensorflow.keras.models, path, custom, keras_model_kwargs)

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        path = _place(folder, configuration)
        if path.is_dir():
            return keras_files.PROGRAM
        for name in CUSTOM:
            if (path.parent / name).exists():
                return f"a model with parts as a pickle ({name})"
        return keras_files.unsafe_file(path)

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        if hasattr(model, "predict"):
            return keras_files.keras_predictor(model.predict)
        return _module_predictor(model)

    def owns(self, model: Any) -> bool:
        return is_of(model, "tensorflow", "Module")


def _module_predictor(model: Any) -> Predictor:
    tensorflow = library("tensorflow")

    def predict(data: Any, params: Mapping[str, Any]) -> Any:
        del params  # modules take none
        if hasattr(data, "to_numpy"):
            data = data.to_numpy()
        found = model(tensorflow.convert_to_tensor(data))
        return found.numpy() if isinstance(found, tensorflow.Tensor) else found

    return predict


def _place(folder: Path, configuration: Mapping[str, Any]) -> Path:
    if "saved_model_dir" in configuration:
        field = "flavors.tensorflow.saved_model_dir"
        return paths.inside(folder, configuration["saved_model_dir"], field)
    field = "flavors.tensorflow.data"
    data = paths.inside(folder, configuration.get("data", DATA), field)
    found = [data / name for name in ("model.keras", "model.h5", "model") if (data / name).exists()]
    if not found:
        raise ModelFormatError(f"{field} in MLmodel names {data.name!r}, which holds no model")
    return found[0]
