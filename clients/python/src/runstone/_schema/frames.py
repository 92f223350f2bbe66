"""Whatever a caller gives as the DataFrame that a schema of columns means."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from runstone._schema.nested import Array, Map, Object, shortened
from runstone._schema.schema import Schema
from runstone.exceptions import SchemaMismatch

if TYPE_CHECKING:
    import pandas as pd

_TAKEN = "a DataFrame, a Series, a list, a dictionary, a numpy array or a scalar"


def as_frame(data: Any, schema: Schema) -> pd.DataFrame:
    """The data as a DataFrame: itself when it is one; columns without a name have their number.

    Raises:
        SchemaMismatch: It cannot be one.
    """
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame() if data.name is not None else data.to_frame(0)
    if np.isscalar(data) or isinstance(data, dt.date):
        return pd.DataFrame([data])
    if not isinstance(data, dict | list | np.ndarray):
        raise SchemaMismatch(
            f"the input: is {shortened(data)}; a model with columns takes {_TAKEN}"
        )
    try:
        if isinstance(data, dict):
            return _from_dict(data, schema)
        return pd.DataFrame(data)
    except (ValueError, TypeError) as error:
        raise SchemaMismatch(f"the input: makes no DataFrame: {error}") from None


def _from_dict(data: dict[Any, Any], schema: Schema) -> pd.DataFrame:
    """One row, or columns of many: what the values are, and what the schema has, tells which."""
    import numpy as np
    import pandas as pd

    nested = any(isinstance(each.type, Array | Object | Map) for each in schema)
    if nested or all(map(_is_cell, data.values())):
        return pd.DataFrame([data])
    if all(_is_text(value) for value in data.values()):
        return pd.DataFrame([{name: value.item() for name, value in data.items()}])
    # pandas refuses arrays of several dimensions; as lists, the schema does, and says which.
    return pd.DataFrame(
        {
            name: value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
            for name, value in data.items()
        }
    )


def _is_cell(value: Any) -> bool:
    """Whether a value of a dictionary is one cell: a scalar, or a list of text."""
    import numpy as np

    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or np.isscalar(value)


def _is_text(value: Any) -> bool:
    """Whether it is what servers make of one string."""
    import numpy as np

    return isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind == "U"
