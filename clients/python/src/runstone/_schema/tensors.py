"""Tensors held to a schema: by dtype and shape, never converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstone._schema.faults import Faults, Path, Unfit
from runstone._schema.infer import is_sparse, without_length
from runstone._schema.nested import shortened
from runstone._schema.schema import Schema, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def enforce_tensors(data: Any, schema: Schema, faults: Faults) -> Any:
    """Arrays by name, or the only array, as the schema has them."""
    import pandas as pd

    if isinstance(data, pd.Series):
        data = data.to_frame()
    if schema.has_input_names():
        return _enforce_named(data, schema, faults)
    spec = schema.inputs[0]
    return _noted(lambda: _only(data, spec), ("the input",), faults)


def _noted(read: Any, path: Path, faults: Faults) -> Any:
    try:
        return read()
    except Unfit as error:
        faults.add(path, str(error))
        return None


def _enforce_named(data: Any, schema: Schema, faults: Faults) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    if isinstance(data, np.ndarray) and len(schema) == 1:
        data = {schema.inputs[0].name: data}
    if not isinstance(data, dict | pd.DataFrame):
        names = ", ".join(map(repr, schema.input_names()))
        faults.add(("the input",), f"is {shortened(data)}, must be a dictionary of arrays: {names}")
        return {}
    held = {}
    for spec in schema:
        path = (f"input {spec.name!r}",)
        if spec.name in data:
            held[spec.name] = _noted(lambda spec=spec: _one(data[spec.name], spec), path, faults)
        else:
            faults.add(path, f"is missing, must be {_shown(spec)}")
    return held


def _one(value: Any, spec: TensorSpec) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.Series):
        return _from_column(value, spec)
    if isinstance(value, np.ndarray):
        return _checked(value, spec)
    raise Unfit(f"is {shortened(value)}, must be a numpy array")


def _only(data: Any, spec: TensorSpec) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(data, np.ndarray) or is_sparse(data):
        return _checked(data, spec)
    if not isinstance(data, pd.DataFrame):
        raise Unfit(f"is {shortened(data)}, must be a numpy array or a DataFrame: {_shown(spec)}")
    if data.empty:
        raise Unfit(f"is a DataFrame without values, must be {_shown(spec)}")
    width = len(data.columns)
    if width == 1:
        return _from_column(data.iloc[:, 0], spec)
    if spec.shape != (-1, width):
        raise Unfit(f"is a DataFrame of {width} columns, must be {_shown(spec)}")
    return _checked(data.to_numpy(), spec)


def _checked(values: Any, spec: TensorSpec) -> Any:
    """The array itself. Raises Unfit when shape or dtype differ."""
    import numpy as np

    shape, found = values.shape, without_length(values.dtype)
    anything = spec.type == np.dtype(object) and spec.shape == (-1,)
    # An array of arrays of different shapes has only the outermost length.
    ragged = found == np.dtype(object) and len(shape) == 1 and -1 in spec.shape[1:]
    if anything or ragged:
        return values
    faults = []
    if len(shape) != len(spec.shape) or any(
        wanted not in {-1, length} for length, wanted in zip(shape, spec.shape, strict=True)
    ):
        faults.append(f"has shape {shape}, must be {spec.shape}")
    if found != spec.type:
        faults.append(f"has dtype {found.name}, must be {spec.type.name}")
    if faults:
        raise Unfit(" and ".join(faults))
    return values


def _from_column(values: pd.Series[Any], spec: TensorSpec) -> np.ndarray[Any, Any]:
    """A column of scalars, lists or arrays as one array whose first length is that of the column.

    JSON tells neither shape nor dtype of lists: they take the schema's. Arrays keep theirs.
    """
    import numpy as np

    if not spec.shape or spec.shape[0] != -1 or -1 in spec.shape[1:]:
        raise Unfit(
            f"is a column, which needs a shape whose first length alone is -1, not {spec.shape}"
        )
    if len(values) == 0:
        raise Unfit(f"is a column without values, must be {_shown(spec)}")
    first = values.iloc[0]
    try:
        if np.isscalar(first):
            if spec.shape not in {(-1,), (-1, 1)}:
                raise Unfit(f"is a column of scalars, must be {_shown(spec)}")
            return np.array(values, dtype=spec.type).reshape(spec.shape)
        if isinstance(first, list) and first and np.isscalar(first[0]):
            found = np.vstack(values.tolist()).reshape(spec.shape).astype(spec.type)
        elif isinstance(first, np.ndarray):
            found = np.vstack(values.tolist()).reshape(spec.shape)
        else:
            raise Unfit(f"is a column of {shortened(first)}, must be of scalars, lists or arrays")
    except (ValueError, TypeError) as error:
        raise Unfit(f"does not become {_shown(spec)}: {error}") from None
    if len(found) != len(values):
        raise Unfit(f"has {len(values)} rows, which make {len(found)} of {_shown(spec)}")
    return _checked(found, spec) if isinstance(first, np.ndarray) else found


def _shown(spec: TensorSpec) -> str:
    return f"{spec.type.name} of shape {spec.shape}"
