"""Single values, and what is nested in them, held to a type.

What is given back is new where it had to change; the caller's data never changes.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from typing import Any

from runstone._schema.columns import enforce_column, is_safe
from runstone._schema.datatypes import DataType
from runstone._schema.faults import Faults, Path, Unfit
from runstone._schema.nested import AnyType, Array, ColumnType, Map, Object, shortened

EXACT = 2**53
"""Beyond this not every whole number is a double."""

_WIDTHS = {DataType.integer: 31, DataType.long: 63}

_AS_THEY_ARE: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool}),
    DataType.long: frozenset(),
    DataType.double: frozenset({float}),
    DataType.string: frozenset({str, type(None)}),
    DataType.binary: frozenset({bytes, type(None)}),
}
"""Types of items whose list is right when it has no others."""


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NA or NaT."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if type(value).__name__ not in {"NAType", "NaTType"}:
        return False
    import pandas as pd

    return value is pd.NA or value is pd.NaT


def enforce_value(
    value: Any, wanted: ColumnType, path: Path, faults: Faults, *, required: bool = True
) -> Any:
    """A value as the type wants it; what is wrong is noted under its path."""
    if isinstance(wanted, AnyType):
        return value
    if not required and is_missing(value):
        return None
    if isinstance(wanted, DataType):
        try:
            return _scalar(value, wanted)
        except Unfit as error:
            faults.add(path, str(error))
            return None
    if isinstance(wanted, Array):
        return _array(value, wanted, path, faults, required=required)
    if isinstance(wanted, Object):
        return _object(value, wanted, path, faults, required=required)
    assert isinstance(wanted, Map)
    return _map(value, wanted, path, faults, required=required)


def _scalar(value: Any, wanted: DataType) -> Any:
    kind = type(value)
    if kind is int:
        return _whole_number(value, wanted)
    if kind in _AS_THEY_ARE.get(wanted, ()) and value is not None:
        return value
    if wanted is DataType.float and kind is float and _is_single(value):
        return value
    if wanted is DataType.datetime and isinstance(value, dt.date):
        return value
    if wanted is DataType.binary and kind in {str, bytearray}:
        return value
    found = getattr(value, "dtype", None)  # numpy's scalars
    if found is not None and not getattr(value, "shape", ()) and is_safe(found, wanted):
        return value if wanted in {DataType.string, DataType.binary} else _cast(value, wanted)
    raise _unfit(value, wanted)


def _whole_number(value: int, wanted: DataType) -> int | float:
    """A Python int has no width: it fits by its value."""
    bits = _WIDTHS.get(wanted)
    if bits is not None and -(1 << bits) <= value < 1 << bits:
        return value
    if wanted is DataType.double and abs(value) <= EXACT:
        return float(value)
    if wanted is DataType.float and value in {0, 1}:
        return float(value)
    raise _unfit(value, wanted)


def _is_single(value: float) -> bool:
    """Whether 32 bits hold it."""
    import numpy as np

    return math.isnan(value) or (
        abs(value) <= float(np.finfo(np.float32).max) and float(np.float32(value)) == value
    )


def _cast(value: Any, wanted: DataType) -> Any:
    return value.astype(wanted.to_numpy())


def _unfit(value: Any, wanted: ColumnType | str) -> Unfit:
    text = wanted if isinstance(wanted, str) else repr(wanted)
    return Unfit(f"is {shortened(value)}, must be {text}")


def _array(value: Any, wanted: Array, path: Path, faults: Faults, *, required: bool) -> Any:
    import numpy as np

    if isinstance(wanted.dtype, AnyType) and value is None:
        return None
    if not isinstance(value, list | np.ndarray):
        faults.add(path, f"is {shortened(value)}, must be a list or a numpy array")
        return None
    if len(value) == 0 if isinstance(value, list) else value.size == 0:
        return value
    if isinstance(wanted.dtype, DataType):
        try:
            return _scalars(value, wanted.dtype)
        except Unfit as error:
            faults.add(path, f"{error} in every item")
            return None
    items = [
        enforce_value(item, wanted.dtype, (*path, i), faults, required=required)
        for i, item in enumerate(value)
    ]
    if isinstance(value, list):
        return items
    if value.dtype != object:
        return np.array(items)
    held = np.empty(len(items), dtype=object)  # rows may have different lengths
    held[:] = items
    return held


def _scalars(value: Any, wanted: DataType) -> Any:
    """The items of a list or an array, all of one scalar type. Raises Unfit."""
    import pandas as pd

    if not isinstance(value, list):
        if value.ndim != 1:
            raise Unfit(f"is an array of {value.ndim} dimensions, must be of one, with {wanted!r}")
        if is_safe(value.dtype, wanted) and wanted is not DataType.datetime:
            return value.astype(wanted.to_numpy(), copy=False)
        return enforce_column(pd.Series(value), wanted).to_numpy()
    kinds = set(map(type, value))
    if kinds <= _AS_THEY_ARE.get(wanted, frozenset()) or all(
        issubclass(kind, dt.date) and wanted is DataType.datetime for kind in kinds
    ):
        return list(value)
    if kinds == {int}:
        return [_whole_number(item, wanted) for item in value]
    if wanted in {DataType.string, DataType.binary}:
        return [item if item is None else _scalar(item, wanted) for item in value]
    if wanted is DataType.boolean and kinds == {bool, type(None)}:
        return list(value)
    if wanted is DataType.double and kinds <= {int, float, type(None)}:
        return [math.nan if item is None else _scalar(item, wanted) for item in value]
    try:
        found = pd.Series(value)
    except (ValueError, TypeError, OverflowError):
        raise _unfit(value, wanted) from None
    return enforce_column(found, wanted).to_numpy(wanted.to_numpy()).tolist()


def _object(value: Any, wanted: Object, path: Path, faults: Faults, *, required: bool) -> Any:
    value = _dictionary(value)
    if not required and value == {}:
        return value
    if not isinstance(value, dict):
        faults.add(path, f"is {shortened(value)}, must be a dictionary")
        return None
    known = {each.name: each for each in wanted.properties}
    for name, each in known.items():
        if each.required and name not in value:
            faults.add((*path, f"[{name!r}]"), f"is missing, must be {each.dtype!r}")
    held = {}
    for name, item in value.items():
        below = (*path, f"[{name!r}]")
        if name in known:
            each = known[name]
            held[name] = enforce_value(item, each.dtype, below, faults, required=each.required)
        else:
            faults.add(below, f"is not in the signature, which has {', '.join(known)}")
    return held


def _map(value: Any, wanted: Map, path: Path, faults: Faults, *, required: bool) -> Any:
    value = _dictionary(value)
    if isinstance(wanted.value_type, AnyType) and value is None:
        return None
    if not isinstance(value, dict):
        faults.add(path, f"is {shortened(value)}, must be a dictionary")
        return None
    held = {}
    for name, item in value.items():
        below = (*path, f"[{name!r}]")
        if isinstance(name, str):
            held[name] = enforce_value(item, wanted.value_type, below, faults, required=required)
        else:
            faults.add(below, "must have a string as its key")
    return held


def _dictionary(value: Any) -> Any:
    """A row of Spark as a dictionary; anything else as it is."""
    spark = sys.modules.get("pyspark.sql")
    if spark is not None and isinstance(value, spark.Row):
        return value.asDict(True) or None
    return value
