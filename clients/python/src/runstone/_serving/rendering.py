"""Predictions as JSON: what MLflow answers, and null for what is no number."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from runstone._serving.refusals import Refusal


def predictions(found: Any, *, whole: bool = False) -> bytes:
    """The body of an answer: ``{"predictions": …}``, or the predictions alone.

    NaN and infinities, which JSON has not, are null.

    Raises:
        Refusal: the model gave something that JSON cannot hold.
    """
    import orjson

    value = _plain(found)
    answer = value if whole else {"predictions": value}
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(answer, other, options)
    except (TypeError, ValueError) as error:
        raise Refusal(
            f"the model's predictions cannot be written as JSON: {error}", 500, "INTERNAL_ERROR"
        ) from error


def _plain(found: Any) -> Any:
    import numpy as np

    if isinstance(found, np.ndarray):
        # Numbers are written straight from memory.
        if found.dtype.kind in "iufb" and found.dtype.itemsize <= 8 and found.ndim:
            return np.ascontiguousarray(found) if found.dtype.isnative else found.tolist()
        return found.tolist()
    kind = type(found)
    if kind in {list, dict, str, int, float, bool, type(None)}:
        return found
    import pandas as pd

    if isinstance(found, pd.Series):
        return found.to_frame().to_dict(orient="records")
    if isinstance(found, pd.DataFrame):
        return _records(found)
    return found


def _records(frame: Any) -> list[dict[str, Any]]:
    names = list(map(str, frame.columns))
    columns = [frame.iloc[:, at].tolist() for at in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def other(value: Any) -> Any:
    """What JSON has for a value that its writer does not know. Raises TypeError."""
    import numpy as np
    import pandas as pd

    if isinstance(value, np.ndarray | np.generic):
        if isinstance(value, np.datetime64):
            return str(value)
        return value.tolist()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, pd.DataFrame | pd.Series):
        return _plain(value)
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump()
    if isinstance(value, set | tuple | frozenset):
        return list(value)
    if hasattr(value, "toarray"):  # scipy's sparse matrices
        return value.toarray().tolist()
    raise TypeError(f"{type(value).__name__} cannot stand in JSON")
