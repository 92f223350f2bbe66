"""One column held to a scalar type: as it is, converted without loss, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstone._schema.datatypes import DataType
from runstone._schema.faults import Unfit

if TYPE_CHECKING:
    import pandas as pd

_MISSING_INTEGERS = (
    "; whole numbers cannot be missing in pandas, which is why the column became floating point:"
    " declare it as double, or infer the signature from data in which some are missing"
)


def is_safe(found: Any, wanted: DataType) -> bool:
    """Whether every value of one dtype is a value of the type, without loss.

    A 64-bit integer is not safe as a double: it has 53 bits of precision.
    """
    target = wanted.to_numpy()
    found = getattr(found, "subtype", found)  # of pandas' sparse columns
    if found.kind == target.kind:
        return bool(found.itemsize <= target.itemsize) or found.kind in "MS"
    if found.kind == "u" and target.kind == "i":
        return bool(found.itemsize < target.itemsize)
    return found.kind in "iu" and wanted is DataType.double and found.itemsize <= 4


def fits(found: Any, wanted: DataType) -> bool:
    """Whether a dtype of a column alone says that it is right: nothing is to be looked at."""
    if wanted in {DataType.string, DataType.binary}:
        # Objects may be anything, None too, and stay what they are.
        return found.kind == "O" and found.name in {"object", "str", "string"}
    return bool(found == wanted.to_numpy())  # pandas knows numpy's, and not the reverse


def converts_alone(found: Any, wanted: DataType) -> bool:
    """Whether dtypes alone say that a column can be converted: no value of it is in doubt."""
    import numpy as np

    numeric = wanted.to_numpy().kind in "ifb"
    return numeric and isinstance(found, np.dtype) and is_safe(found, wanted)


def enforce_column(values: pd.Series[Any], wanted: DataType) -> pd.Series[Any]:
    """The column with the type asked for; the same object when nothing is to be done.

    Raises:
        Unfit: The conversion would lose something, or there is none.
    """
    if fits(values.dtype, wanted):
        return values
    if wanted in {DataType.string, DataType.binary}:
        return _enforce_objects(values, wanted)
    if values.dtype == object:
        values = values.infer_objects()
    if wanted is DataType.datetime:
        return _enforce_times(values)
    if values.dtype == object:
        return _enforce_inferred(values, wanted)
    if is_safe(values.dtype, wanted) or _is_flags(values, wanted):
        return _converted(values, wanted)
    raise Unfit(f"is {values.dtype}, must be {wanted!r}{_hint(values, wanted)}")


def _enforce_objects(values: pd.Series[Any], wanted: DataType) -> pd.Series[Any]:
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype) and wanted is DataType.string:
        enforce_column(values.cat.categories.to_series(), wanted)
        return values
    if values.dtype.kind == wanted.to_numpy().kind:
        return values
    raise Unfit(f"is {values.dtype}, must be {wanted!r}")


def _enforce_times(values: pd.Series[Any]) -> pd.Series[Any]:
    if values.dtype == "datetime64[ns]":
        return values
    if values.dtype.kind == "M" and getattr(values.dtype, "tz", None) is not None:
        raise Unfit(f"is {values.dtype}, must be datetime without a time zone")
    # Columns of dates come from Spark as objects.
    if values.dtype.kind == "M" or values.dtype == object:
        try:
            return values.astype("datetime64[ns]")
        except (ValueError, TypeError) as error:
            raise Unfit(f"is {values.dtype}, and not all of it is a datetime: {error}") from None
    raise Unfit(f"is {values.dtype}, must be datetime")


def _enforce_inferred(values: pd.Series[Any], wanted: DataType) -> pd.Series[Any]:
    """A column of objects that have no numpy type in common, or none at all."""
    import pandas as pd

    if wanted is DataType.boolean:
        return values  # None would become False
    if wanted is DataType.double:  # decimals, as they come from Spark
        try:
            return pd.to_numeric(values, errors="raise").astype("float64")
        except (ValueError, TypeError) as error:
            raise Unfit(f"is object, and not all of it is a number: {error}") from None
    raise Unfit(f"is object, must be {wanted!r}")


def _converted(values: pd.Series[Any], wanted: DataType) -> pd.Series[Any]:
    try:
        return values.astype(wanted.to_numpy())
    except (ValueError, TypeError) as error:  # a missing value of Int64, boolean …
        raise Unfit(f"is {values.dtype}, and not all of it is {wanted!r}: {error}") from None


def _is_flags(values: pd.Series[Any], wanted: DataType) -> bool:
    """Whether it is 64-bit integers that are only 0 and 1, which any floating point can hold."""
    if values.dtype != "int64" or wanted not in {DataType.float, DataType.double}:
        return False
    return bool(((values == 0) | (values == 1)).all())


def _hint(values: pd.Series[Any], wanted: DataType) -> str:
    if wanted.to_numpy().kind != "i" or values.dtype != "float64" or not values.hasnans:
        return ""
    present = values.dropna()
    return _MISSING_INTEGERS if bool((present % 1 == 0).all()) else ""
