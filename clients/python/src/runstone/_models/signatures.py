"""What a saved model says of itself: asked, and its signature set afterwards."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runstone._fluent import _state
from runstone._models import loading, trust
from runstone._models.info import ModelInfo, info_of
from runstone._models.model import MLMODEL, Model, read
from runstone._values import invalid
from runstone.exceptions import FailedPrecondition

if TYPE_CHECKING:
    from runstone._schema.signature import ModelSignature


def get_model_info(model_uri: str | os.PathLike[str]) -> ModelInfo:
    """What a model says of itself; only its description is fetched, and nothing of it is run.

    Args:
        model_uri: As ``runstone.pyfunc.load_model`` takes it.

    Raises:
        ModelFormatError: there is no model, or its description cannot be read.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> sorted(runstone.models.get_model_info(uri).flavors)
        ['python_function', 'sklearn']
    """
    uri = os.fspath(model_uri)
    return info_of(loading.described(uri), model_uri=uri)


def set_signature(model_uri: str | os.PathLike[str], signature: ModelSignature) -> None:
    """Set the signature of a model that is saved or logged already, in place of what it has.

    Args:
        model_uri: A folder of this machine, ``runs:/<run_id>/<name>`` or ``models:/m-…``. Files of
            a registered version never change: set it before, and register the model anew.
        signature: What the model takes and gives.

    Raises:
        InvalidField: it is no signature.
        ModelFormatError: there is no model, or its description cannot be read.
        FailedPrecondition: it is a registered version.

    Example:
        >>> import runstone
        >>> from runstone.models import infer_signature, set_signature
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> set_signature(uri, infer_signature([1.0], [2.0]))
        >>> runstone.models.get_model_info(uri).signature.inputs
        [double (required)]
    """
    if not hasattr(signature, "inputs") or not hasattr(signature, "to_dict"):
        raise invalid("signature", f"must be a ModelSignature, not {type(signature).__name__}")
    source = loading.resolve(model_uri)
    if "model_version_id" in source.owner:
        raise FailedPrecondition(
            f"{model_uri} is a registered version, whose files never change; set the signature of"
            " the logged model or run that it came from, and register that again"
        )
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as place:
        before = loading.fetched_description(source, os.fspath(model_uri), place)
        model = read(before)
        model.signature = signature
        if source.local is not None:
            _replace(source.local, model)
            return
        file = Path(place) / "signed" / MLMODEL
        file.parent.mkdir()
        model.save(file)
        client = _state.client()
        client.upload(file, source.path, **source.owner)
        trust.own_as(before, file, lasting=client.tracking_uri.startswith("file:"))


def _replace(folder: Path, model: Model) -> None:
    folder = folder.parent if folder.name == MLMODEL else folder
    own = trust.is_own_folder(folder)
    beside = folder / f".{MLMODEL}.new"
    try:
        model.save(beside)
        beside.replace(folder / MLMODEL)
    finally:
        beside.unlink(missing_ok=True)
    if own:
        trust.own_folder(folder)
