"""DataFrames out of JSON and CSV, without a step of Python for each cell where it can be avoided.

JSON knows neither the width of a number nor times nor bytes, so what the signature says is applied
here as far as nothing is lost; whatever does not fit stays as it came, and the check of the
signature says what is wrong with it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from runstone._serving.refusals import Refusal, mismatch

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NUMBERS = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
"""The numeric types of columns, as numpy's."""


class Columns:
    """What a signature says of the columns, worked out once for each model.

    Attributes:
        types: The scalar type's name by column; columns of nested types are not in it.
        alike: The numpy dtype when all columns are floating point numbers of one type.
    """

    def __init__(self, schema: Any) -> None:
        self.types: dict[Any, str] = {}
        self.names: list[Any] = []
        self.nested = False
        if schema is not None and not schema.is_tensor_spec():
            from runstone._schema.datatypes import DataType

            self.names = list(schema.input_names())
            named = zip(self.names, schema.input_types(), strict=True)
            self.types = {name: kind.name for name, kind in named if isinstance(kind, DataType)}
            self.nested = len(self.types) < len(self.names)
        kinds = set(self.types.values())
        self.alike = (
            NUMBERS[kinds.pop()] if len(kinds) == 1 and kinds <= {"float", "double"} else ""
        )
        if self.nested:
            self.alike = ""


def of_rows(rows: list[Any], names: Any, index: Any, columns: Columns) -> pd.DataFrame:
    """A DataFrame of rows, each a list of cells.

    Raises:
        Refusal: rows differ in length, or there are not as many names as cells.
    """
    import numpy as np
    import pandas as pd

    if names is None and not rows:
        names = columns.names
    if not rows or set(map(type, rows)) != {list}:
        found = pd.DataFrame(rows, columns=names, index=index)
        return conform(found, columns)
    width = len(rows[0] if names is None else names)
    if set(map(len, rows)) != {width}:
        at = next(number for number, row in enumerate(rows) if len(row) != width)
        raise Refusal(f"row {at} has {len(rows[at])} values, and there are {width} columns")
    kinds = set(map(type, chain.from_iterable(rows)))
    if columns.alike and kinds and kinds <= {int, float}:
        # Every column is wanted as the same type: one matrix, and nothing left to convert.
        table = np.array(rows, "float64").astype(columns.alike, copy=False)
        return pd.DataFrame(table, columns=names, index=index, copy=False)
    if kinds == {float}:
        found = pd.DataFrame(np.array(rows, "float64"), columns=names, index=index, copy=False)
        return conform(found, columns)
    arrays = [_column(values) for values in zip(*rows, strict=True)]
    return conform(_of_arrays(arrays, range(width) if names is None else names, index), columns)


def of_records(records: list[Any], columns: Columns) -> pd.DataFrame:
    """A DataFrame of rows, each a dict of cells by column; what a row lacks is missing.

    Raises:
        Refusal: a row is no object.
    """
    import pandas as pd

    if set(map(type, records)) - {dict}:
        at = next(number for number, row in enumerate(records) if type(row) is not dict)
        raise Refusal(f"row {at} is no object with a value for each column")
    if not records or not records[0]:
        return conform(pd.DataFrame(records, columns=columns.names or None), columns)
    names = list(records[0])
    if set(map(len, records)) != {len(names)}:
        return conform(pd.DataFrame(records), columns)
    pick = itemgetter(*names)
    try:
        rows = list(map(pick, records))
    except KeyError:
        return conform(pd.DataFrame(records), columns)
    lists = [[row] for row in rows] if len(names) == 1 else list(map(list, rows))
    return of_rows(lists, names, None, columns)


def of_columns(values: dict[Any, Any], columns: Columns) -> pd.DataFrame:
    """A DataFrame of columns; single values make one row.

    Raises:
        Refusal: columns differ in length.
    """
    if not any(isinstance(each, list) for each in values.values()):
        values = {name: [each] for name, each in values.items()}
    lengths = {len(each) if isinstance(each, list) else 1 for each in values.values()}
    if len(lengths) > 1 or not all(isinstance(each, list) for each in values.values()):
        told = ", ".join(
            f"{name!r} {len(each) if isinstance(each, list) else 'a single value'}"
            for name, each in list(values.items())[:20]
        )
        raise Refusal(f"the columns are not of one length: {told}")
    return conform(_of_arrays([_column(each) for each in values.values()], values, None), columns)


def _of_arrays(arrays: list[Any], names: Any, index: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(dict(zip(names, arrays, strict=True)), index=index, copy=False)


def _column(values: Sequence[Any]) -> Any:
    import numpy as np
    import pandas as pd

    kinds = set(map(type, values))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {bool} and not missing:
        return np.array(values, "bool")
    if kinds == {int} and not missing:
        try:
            return np.array(values, "int64")
        except OverflowError:
            return pd.array(values, dtype=object).to_numpy()
    if kinds and kinds <= {int, float}:
        return np.array(values, "float64")
    if kinds <= {list, dict}:
        cells = np.empty(len(values), object)
        cells[:] = values
        return cells
    return pd.Series(values).to_numpy() if kinds - {str} else pd.array(list(values), dtype="str")


def conform(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The same with the types of the signature, where that loses nothing.

    Raises:
        Refusal: a time or base64 cannot be read; names the column and what it should be.
    """
    for name, kind in columns.types.items():
        if name not in frame.columns:
            continue
        found = frame[name]
        if kind in NUMBERS:
            changed = _numbers(found, NUMBERS[kind])
        elif kind == "datetime" and found.dtype.kind in "OT":
            changed = _times(found, name)
        elif kind == "binary" and found.dtype.kind in "OT":
            changed = found.map(lambda cell, name=name: _decoded(cell, name)).astype(object)
        elif kind == "string" and found.isna().all():
            changed = found.astype(object)
        else:
            continue
        if changed is not found:
            frame[name] = changed
    return frame


def _numbers(found: Any, wanted: str) -> Any:
    import numpy as np

    if found.dtype == wanted:
        return found
    if found.dtype.kind == "O" and found.isna().all():
        missing = len(found) and wanted.startswith("int")
        return found.astype("float64" if missing else wanted)
    if found.dtype.kind not in "iuf":
        return found
    values = found.to_numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        changed = values.astype(wanted)
    if wanted.startswith("float"):
        # A float32 keeps fewer digits, as said by whoever wrote the signature; but not infinity.
        kept = np.isfinite(changed) | ~np.isfinite(values)
    else:
        kept = changed == values
    return changed if bool(kept.all()) else found


def _times(found: pd.Series[Any], name: Any) -> Any:
    import pandas as pd

    try:
        times = pd.to_datetime(found, format="ISO8601")
    except (ValueError, TypeError, OverflowError) as error:
        raise mismatch(
            f"column {name!r}: must be datetime, as ISO 8601 has it: {error!s:.300}"
        ) from None
    return times.astype("datetime64[ns]") if times.dt.tz is None else times


def _decoded(cell: Any, name: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return base64.b64decode("".join(cell.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise mismatch(f"column {name!r}: must be binary, in base64: {error}") from None


def as_array(value: Any, dtype: np.dtype[Any] | None, where: str) -> np.ndarray[Any, Any]:
    """A tensor of what JSON has: numbers, texts, lists of them.

    Raises:
        Refusal: it has rows of several lengths, or its values are not of the type.
    """
    import numpy as np

    try:
        found = np.array(value)
    except (ValueError, OverflowError) as error:
        raise Refusal(f"{where}: is no tensor: {error!s:.300}") from None
    if dtype is None or found.dtype == dtype or dtype.kind == "O":
        return found
    texts = found.dtype.kind == "U"
    if texts != (dtype.kind in "USM") or found.dtype.kind == "O":
        raise mismatch(f"{where}: must be {dtype.name}, not {_kind(found)}")
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            changed = found.astype(dtype)
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise mismatch(f"{where}: must be {dtype.name}: {error!s:.300}") from None
    if dtype.kind in "iub" and not (changed == found).all():
        raise mismatch(f"{where}: must be {dtype.name}, not {_kind(found)}; a value would change")
    return changed


def _kind(found: np.ndarray[Any, Any]) -> str:
    if found.dtype.kind in "US":
        return "text"
    return "values of several types" if found.dtype.kind == "O" else found.dtype.name
