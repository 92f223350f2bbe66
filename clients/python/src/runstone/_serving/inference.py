"""The Open Inference Protocol, version 2: named tensors in, named tensors out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from runstone._serving import frames, parsing
from runstone._serving.engine import Engine, Loaded
from runstone._serving.refusals import Refusal, mismatch
from runstone._version import __version__

if TYPE_CHECKING:
    import numpy as np

DTYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""The protocol's names of types, and numpy's."""

_NAMES = {numpy: protocol for protocol, numpy in DTYPES.items()}

_COLUMNS = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
}

INPUT = "input"
OUTPUT = "predictions"
"""What a model's data and its predictions are called where they have no name."""


def server() -> dict[str, Any]:
    """What the server says of itself."""
    return {"name": "runstone", "version": __version__, "extensions": ["binary_tensor_data"]}


def check_named(engine: Engine, name: str, version: str | None) -> None:
    """Raises Refusal unless a model and version are what is served."""
    if name != engine.name:
        raise Refusal(
            f"model {name!r:.100} is not served here, but {engine.name!r}", 404, "NOT_FOUND"
        )
    if version is not None and version != engine.version:
        raise Refusal(
            f"version {version!r:.100} is not served, but {engine.version!r}", 404, "NOT_FOUND"
        )


def described(name: str, loaded: Loaded) -> dict[str, Any]:
    """The model's metadata."""
    signature = loaded.model.metadata.signature
    return {
        "name": name,
        "versions": [loaded.version],
        "platform": "runstone_pyfunc",
        "inputs": _tensors_of(signature.inputs if signature else None, INPUT),
        "outputs": _tensors_of(signature.outputs if signature else None, OUTPUT),
    }


def _tensors_of(schema: Any, nameless: str) -> list[dict[str, Any]]:
    if schema is None:
        return []
    found = []
    for at, each in enumerate(schema):
        name = each.name if each.name is not None else f"{nameless if at == 0 else at}"
        if schema.is_tensor_spec():
            datatype, shape = _NAMES.get(each.type.name, "BYTES"), list(each.shape)
        else:
            datatype, shape = _COLUMNS.get(getattr(each.type, "name", ""), "BYTES"), [-1]
        found.append({"name": str(name), "datatype": datatype, "shape": shape})
    return found


def shaped(values: np.ndarray[Any, Any], shape: Any, where: str) -> np.ndarray[Any, Any]:
    """The same in the shape that was said. Raises Refusal when it has not that many values."""
    if not isinstance(shape, list) or any(type(each) is not int or each < 0 for each in shape):
        raise Refusal(f"{where}: shape must be an array of lengths, not {shape!r:.50}")
    if math.prod(shape) != values.size:
        raise Refusal(f"{where}: {values.size} values do not fill the shape {shape}")
    return values.reshape(shape)


def predict(engine: Engine, loaded: Loaded, inputs: dict[str, Any], parameters: Any = None) -> Any:
    """Predictions from tensors, in the form that the model's signature asks for. Raises Refusal."""
    if parameters is not None and type(parameters) is not dict:
        raise Refusal("parameters must be an object")
    known = {each.name for each in loaded.taken.params} if loaded.taken.params else set()
    params = {name: value for name, value in (parameters or {}).items() if name in known}
    return engine.predict(loaded, _as_taken(inputs, loaded.taken), params or None)


def _as_taken(inputs: dict[str, Any], taken: parsing.Taken) -> Any:
    import pandas as pd

    schema, columns = taken.schema, taken.columns
    only = next(iter(inputs.values())) if len(inputs) == 1 else None
    if schema is None:
        if only is not None:
            return only
        return _frame(inputs) if _are_columns(inputs) else inputs
    if not columns.names:
        return inputs if schema.has_input_names() else only if only is not None else inputs
    if only is not None and only.ndim == 2 and not (inputs.keys() & set(columns.names)):
        if only.shape[1] != len(columns.names):
            raise mismatch(
                f"the model takes {len(columns.names)} columns, not {only.shape[1]}:"
                f" {columns.names!r:.500}"
            )
        return frames.conform(pd.DataFrame(only, columns=columns.names), columns)
    if not _are_columns(inputs):
        raise mismatch("the model takes columns: tensors of one length, and of shape [n] or [n, 1]")
    return frames.conform(_frame(inputs), columns)


def _are_columns(inputs: dict[str, Any]) -> bool:
    flat = all(
        each.ndim == 1 or (each.ndim == 2 and each.shape[1] == 1) for each in inputs.values()
    )
    return flat and len({each.size for each in inputs.values()}) == 1


def _frame(inputs: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame({name: each.reshape(-1) for name, each in inputs.items()})


def outputs(found: Any, loaded: Loaded) -> dict[str, np.ndarray[Any, Any]]:
    """Predictions as named tensors. Raises Refusal."""
    import numpy as np
    import pandas as pd

    if isinstance(found, pd.DataFrame):
        named: dict[Any, Any] = {name: found[name].to_numpy() for name in found.columns}
    elif isinstance(found, dict):
        named = dict(found)
    else:
        schema = loaded.model.metadata.get_output_schema()
        name = schema.inputs[0].name if schema is not None and len(schema) == 1 else None
        named = {OUTPUT if name is None else name: found}
    try:
        return {str(name): np.atleast_1d(np.asarray(each)) for name, each in named.items()}
    except ValueError as error:
        raise Refusal(f"the predictions are no tensors: {error}", 500, "INTERNAL_ERROR") from error


def chosen(tensors: dict[str, Any], asked: Any) -> dict[str, Any]:
    """Those that the caller asked for; all when it did not say. Raises Refusal."""
    if not asked:
        return tensors
    if type(asked) is not list:
        raise Refusal("outputs must be an array of objects with a name")
    names: list[Any] = [each.get("name") if type(each) is dict else None for each in asked]
    for name in names:
        if type(name) is not str or name not in tensors:
            raise Refusal(f"there is no output {name!r:.100}, but {', '.join(tensors)}")
    return {name: tensors[name] for name in names}


def datatype(array: np.ndarray[Any, Any]) -> str:
    """The protocol's name of an array's type; what it has none for is BYTES."""
    return _NAMES.get(array.dtype.name, "BYTES")
