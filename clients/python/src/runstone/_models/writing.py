"""A model folder is built beside its place and moved there whole: half a model is never seen."""

from __future__ import annotations

import copy
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._models import environment, trust
from runstone._models.example import Example, example_of
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._models.model import MLMODEL, PYTHON_FUNCTION, Model
from runstone._values import invalid
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._schema.signature import ModelSignature

CODE = "code"
"""Where ``code_paths`` are kept in a model's folder; it is put on ``sys.path`` by who loads it."""


@dataclass(frozen=True, slots=True)
class About:
    """What the user says of a model, whatever framework made it.

    Attributes:
        signature: What it takes and gives; False for none; None to find it by the example.
        input_example: See ``example``.
        conda_env, pip_requirements, extra_pip_requirements: See ``environment.captured``.
        code_paths: Files and folders that loading it must be able to import.
        metadata: Anything that JSON has.
        mlflow_model: A description to be completed, as MLflow's ``save_model`` takes one.
    """

    signature: ModelSignature | bool | None = None
    input_example: Any = None
    conda_env: Any = None
    pip_requirements: Any = None
    extra_pip_requirements: Any = None
    code_paths: Sequence[str | os.PathLike[str]] | None = None
    metadata: Mapping[str, Any] | None = None
    mlflow_model: Model | None = None


def save(
    flavor: Flavor,
    model: Any,
    path: str | os.PathLike[str],
    about: About,
    options: Mapping[str, Any],
) -> Model:
    """Save a model into a folder, which must be new or empty; what it says of itself.

    Raises:
        InvalidField: the folder is not empty, or an argument is wrong.
        LibraryMissing: the framework is not installed.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise invalid("path", f"must be a new or empty folder; there is something at {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as place:
        building = Path(place) / "model"
        building.mkdir()
        description = build(flavor, model, building, about, options)
        if target.exists():
            target.rmdir()
        building.rename(target)
    trust.own_folder(target)
    return description


def build(
    flavor: Flavor, model: Any, folder: Path, about: About, options: Mapping[str, Any]
) -> Model:
    """Fill an empty folder with all that a model needs; what it says of itself."""
    example = None if about.input_example is None else example_of(about.input_example)
    written = flavor.write(model, folder, **options)
    description = about.mlflow_model or Model()
    _describe(description, flavor, written, _code(about.code_paths, folder))
    if about.metadata is not None:
        description.metadata = about.metadata
    if example is not None:
        example.write(folder)
        description.saved_input_example_info = example.info
    description.signature = _signature(flavor, model, description, about.signature, example)
    needs = [*flavor.distributions, *written.distributions]
    environment.captured(
        needs,
        conda_env=about.conda_env,
        pip_requirements=about.pip_requirements,
        extra_pip_requirements=about.extra_pip_requirements,
    ).write(folder)
    description.model_size_bytes = sum(
        file.stat().st_size for file in folder.rglob("*") if file.is_file()
    )
    description.save(folder / MLMODEL)
    return description


def _describe(model: Model, flavor: Flavor, written: Written, code: str | None) -> None:
    model.add_flavor(flavor.name, **{"code": code, **written.configuration})
    if written.python_function is None:
        return
    function: dict[str, Any] = {"loader_module": flavor.loader_module}
    if written.path is not None:
        function |= {"data": written.path, "model_path": written.path}
    if code is not None:
        function["code"] = code
    function |= {"env": dict(environment.FILES), "python_version": platform.python_version()}
    model.add_flavor(PYTHON_FUNCTION, **{**function, **written.python_function})


def _signature(
    flavor: Flavor,
    model: Any,
    description: Model,
    said: ModelSignature | bool | None,
    example: Example | None,
) -> ModelSignature | None:
    if said is False:
        return None
    if said is not None and said is not True:
        if not hasattr(said, "inputs"):
            raise invalid("signature", f"must be a ModelSignature, not {type(said).__name__}")
        return said
    function = description.flavors.get(PYTHON_FUNCTION)
    if example is None or function is None:
        return description.signature
    try:
        return _shown(flavor.predictor(model, function), example)
    except Exception as error:
        # The model was trained, perhaps for days: it is kept, and its user told.
        warnings.warn(
            "the model has no signature, for it could not predict its input_example:"
            f" {type(error).__name__}: {error}",
            stacklevel=6,
        )
        return description.signature


def _shown(predict: Predictor, example: Example) -> ModelSignature:
    """The signature that an example shows: what it is, and what the model makes of it."""
    from runstone._schema.enforce import enforce_inputs
    from runstone._schema.infer import infer_signature
    from runstone._schema.nested import AnyType
    from runstone._schema.schema import ColSpec, Schema

    data, params = copy.deepcopy(example.data), dict(example.params)
    signature = infer_signature(data, params=params or None)
    if signature.inputs is None:
        raise InvalidArgument("it has no schema")
    # As the loaded model will get it.
    predicted = predict(enforce_inputs(data, signature.inputs), params)
    columns = not signature.inputs.is_tensor_spec()
    if columns and getattr(predicted, "ndim", 0) == 1 and hasattr(predicted, "tobytes"):
        import pandas as pd

        predicted = pd.Series(predicted)  # of rows, one for each, as MLflow sees it
    try:
        signature.outputs = infer_signature(model_output=predicted).outputs
    except InvalidArgument:
        signature.outputs = Schema([ColSpec(AnyType())])
    return signature


def _code(given: Sequence[str | os.PathLike[str]] | None, folder: Path) -> str | None:
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise invalid("code_paths", f"must be a list of paths, not {type(given).__name__}")
    target = folder / CODE
    target.mkdir()
    for each in map(Path, given):
        if not each.exists():
            raise invalid("code_paths", f"names {each}, which is not there")
        kept = target / each.resolve().name
        if kept.exists():
            raise invalid("code_paths", f"names two of {kept.name!r}")
        if each.is_dir():
            copy_tree(each, kept, folder)
        else:
            shutil.copy2(each, kept)
    return CODE


def copy_tree(source: Path, target: Path, building: Path) -> None:
    """Copy a folder without what Python leaves there, and without the model that is being built.

    That one stands beside where it is saved, which may be inside of the source.
    """
    building = building.resolve()

    def ignored(where: str, names: list[str]) -> set[str]:
        return {
            name
            for name in names
            if name == "__pycache__"
            or name.endswith(".pyc")
            or building.is_relative_to((Path(where) / name).resolve())
        }

    shutil.copytree(source, target, ignore=ignored)
