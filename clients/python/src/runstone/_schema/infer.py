"""Signatures of examples: the types that data has."""

from __future__ import annotations

import datetime as dt
import inspect
import logging
import sys
import warnings
from collections import defaultdict
from copy import deepcopy
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from runstone._schema.datatypes import DataType, python_types
from runstone._schema.nested import (
    DEEPEST,
    AnyType,
    Array,
    ColumnType,
    IncompatibleTypes,
    Object,
    Property,
    merge,
    shortened,
)
from runstone._schema.params import ParamSchema, ParamSpec
from runstone._schema.schema import ColSpec, Schema, TensorSpec
from runstone._schema.signature import ModelSignature
from runstone._schema.values import is_missing
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_log = logging.getLogger("runstone")

_INTEGERS = (
    "the schema has integer columns. A missing value makes such a column floating point, which the"
    " schema then refuses. Infer the signature from data in which values are missing, or declare"
    " the columns as double."
)

_TAKEN = (
    "DataFrame, Series, numpy array, dictionary of arrays, Spark DataFrame, csr_matrix, csc_matrix,"
    " a scalar, or lists and dictionaries of these"
)


class _PydanticGiven(InvalidArgument):
    """An instance of a pydantic model says too little: type hints say it."""


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: dict[str, Any] | None = None
) -> ModelSignature:
    """The signature of an example: what a model takes, what it gives, and its parameters.

    Arrays and dictionaries of arrays become tensors whose first length may vary; all else becomes
    columns. A column is optional when a value of it is missing. Data that has no schema is logged
    and becomes ``Any``, which is not checked when the model is used.

    Args:
        model_input: A DataFrame, Series, numpy array, dictionary of arrays, sparse matrix, Spark
            DataFrame, scalar, or lists and dictionaries of JSON values; a dataclass stands for its
            fields.
        model_output: The same, of what the model gives.
        params: The parameters of inference with their defaults.

    Raises:
        InvalidArgument: All are None; a parameter is neither scalar nor list nor dictionary; or a
            pydantic object is given, for which ``predict`` needs a type hint instead.

    Example:
        >>> from runstone.models import infer_signature
        >>> rows = [{"text": "a", "score": 0.5}, {"text": "b"}]
        >>> signature = infer_signature(rows, "yes", {"k": 3})
        >>> signature.inputs
        ['text': string (required), 'score': double (optional)]
        >>> signature.outputs, signature.params
        ([string (required)], ['k': long (default: 3)])
    """
    inputs, outputs = _inferred(model_input, "inputs"), _inferred(model_output, "outputs")
    _warn_of_integers(inputs)  # outputs are told, not enforced
    return ModelSignature(inputs, outputs, infer_params(params) if params else None)


def _inferred(data: Any, which: str) -> Schema | None:
    if data is None:
        return None
    try:
        if is_dataclass(data):
            from runstone._schema.hints import schema_of_dataclass

            return schema_of_dataclass(data)
        return _schema(data)
    except _PydanticGiven:
        raise
    except Exception as error:
        _log.warning("%s: no schema of %s, so it is Any: %s", which, type(data).__name__, error)
        return Schema([ColSpec(AnyType())])


def infer_schema(data: Any) -> Schema:
    """The schema of data.

    Raises:
        InvalidArgument: It has none: values of one column differ in type, or have none.
    """
    try:
        schema = _schema(data)
    except IncompatibleTypes as error:
        raise InvalidArgument(f"values that should have one type do not: {error}") from None
    _warn_of_integers(schema)
    return schema


def _warn_of_integers(schema: Schema | None) -> None:
    whole = (DataType.integer, DataType.long)
    if schema is None or schema.is_tensor_spec():
        return
    if any(each.type in whole for each in schema):
        warnings.warn(_INTEGERS, UserWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """The stacklevel of the line outside this room."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("runstone."):
        frame, level = frame.f_back, level + 1
    return level


def _schema(data: Any) -> Schema:
    import numpy as np
    import pandas as pd

    if isinstance(data, list):
        return _schema_of_list(data)
    if isinstance(data, dict):
        return _schema_of_dict(data)
    if isinstance(data, pd.Series):
        return Schema([_column(data, data.name)])
    if isinstance(data, pd.DataFrame):
        return Schema([_column(data.iloc[:, i], name) for i, name in enumerate(data.columns)])
    if isinstance(data, np.ndarray):
        return Schema([_tensor(data.dtype, data.shape)])
    if is_sparse(data):
        return Schema([_tensor(data.dtype, data.shape)])
    if is_spark(data):
        from runstone._schema.infer_spark import schema_of_spark

        return schema_of_spark(data)
    found = value_type(data)
    if found is None:
        raise InvalidArgument(f"{shortened(data)} has no schema; what has: {_TAKEN}")
    return Schema([ColSpec(found)])


def _schema_of_list(data: list[Any]) -> Schema:
    if not data:
        return Schema([ColSpec(DataType.string)])
    if not all(isinstance(row, dict) for row in data):
        found = value_type(data)
        assert found is None or isinstance(found, Array)
        return Schema([ColSpec(_known(found).dtype)])
    columns: dict[Any, list[Any]] = defaultdict(list)
    for row in data:
        for name, value in row.items():
            columns[name].append(value)
    return Schema(
        [
            ColSpec(
                _known(value_type(values)).dtype,
                name,
                required=all(row.get(name) is not None for row in data),
            )
            for name, values in columns.items()
        ]
    )


def _schema_of_dict(data: dict[Any, Any]) -> Schema:
    import numpy as np

    if all(isinstance(value, np.ndarray) for value in data.values()):
        return Schema([_tensor(value.dtype, value.shape, name) for name, value in data.items()])
    for name in data:
        if not isinstance(name, str):
            raise InvalidArgument(f"keys must be strings, not {shortened(name)}")
    return Schema(
        [
            ColSpec(_known(value_type(value)), name, required=_is_required(value))
            for name, value in data.items()
        ]
    )


def _known(found: Any) -> Any:
    if found is None:
        raise InvalidArgument("an empty array says nothing of its type")
    return found


def _is_required(value: Any) -> bool:
    if isinstance(value, list):
        return not any(map(is_missing, value))
    return not is_missing(value)


def _tensor(dtype: np.dtype[Any], shape: tuple[int, ...], name: Any = None) -> TensorSpec:
    if not shape:
        raise InvalidArgument("an array of no dimension has no schema; give a list of one")
    return TensorSpec(without_length(dtype), (-1, *shape[1:]), name)


def without_length(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of text or bytes of any length; others as they are."""
    import numpy as np

    return np.dtype({"U": "str", "S": "bytes"}.get(dtype.char, dtype))


def is_sparse(data: Any) -> bool:
    """Whether it is a csr_matrix or csc_matrix of scipy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and isinstance(data, sparse.csr_matrix | sparse.csc_matrix)


def is_spark(data: Any) -> bool:
    """Whether it is a DataFrame of Spark."""
    kind = type(data)
    return kind.__name__ == "DataFrame" and kind.__module__.startswith("pyspark.sql.")


def _column(values: pd.Series[Any], name: Any) -> ColSpec:
    import numpy as np

    name = name.item() if isinstance(name, np.generic) else name
    required = not bool(values.isna().any()) if values.dtype.kind != "O" else _none_missing(values)
    return ColSpec(_column_type(values), name, required)


def _none_missing(values: pd.Series[Any]) -> bool:
    return not any(map(is_missing, values))


def _column_type(values: pd.Series[Any]) -> ColumnType:
    import pandas as pd

    if values.dtype.kind == "O":
        values = values.infer_objects()
    if values.dtype.kind != "O":
        return _dtype_type(values.dtype)
    try:
        found: ColumnType = _known(value_type(values.to_list())).dtype
        return found
    except (InvalidArgument, IncompatibleTypes):
        # A column of text is text, whatever else is between.
        if pd.api.types.is_string_dtype(values):
            return DataType.string
        raise


def _dtype_type(dtype: Any) -> DataType:
    """The type of a dtype of numpy or pandas that is not of objects."""
    kind, size = dtype.kind, dtype.itemsize
    if kind in "iu" and size < 8 + (kind == "i"):
        narrow = size < 4 + (kind == "i")
        return DataType.integer if narrow else DataType.long
    if kind == "f" and size <= 8:
        return DataType.float if size <= 4 else DataType.double
    others = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary}
    others["M"] = DataType.datetime
    if kind not in others:
        raise InvalidArgument(f"{dtype} is none of the types of a schema")
    return others[kind]


def value_type(value: Any, depth: int = 0) -> ColumnType | None:
    """The type of a JSON value; None for an empty numpy array, which has none.

    Raises:
        InvalidArgument: A value is of no known type.
        IncompatibleTypes: Items of a list are of several.
    """
    import numpy as np

    if depth > DEEPEST:
        raise InvalidArgument(f"the value is nested more than {DEEPEST} levels deep")
    if is_missing(value) or (isinstance(value, dict | list) and not value):
        return AnyType()
    if isinstance(value, dict):
        return _object_type(value, depth)
    if isinstance(value, list | np.ndarray):
        return _array_type(value, depth)
    return _scalar_type(value)


def _object_type(value: dict[Any, Any], depth: int) -> Object:
    properties = []
    for name, item in value.items():
        found = _known(value_type(item, depth + 1))
        properties.append(Property(name, found, required=not isinstance(found, AnyType)))
    return Object(properties)


def _array_type(value: Any, depth: int) -> Array | None:
    import numpy as np

    if isinstance(value, np.ndarray) and value.ndim == 0:
        raise InvalidArgument("an array of no dimension has no schema; give a list of one")
    items: ColumnType | None = None
    for item in value:
        found = value_type(item, depth + 1)
        if found is not None:
            items = found if items is None else merge(items, found)
    return None if items is None else Array(items)


def _scalar_type(value: Any) -> DataType:
    kind = type(value)
    if kind is int:  # of both widths, and so of the wider
        return DataType.long
    if kind is float:
        return DataType.double
    for found in DataType:
        if kind in python_types(found):
            return found
    if any(each.__module__.startswith("pydantic.") for each in kind.__mro__[1:]):
        raise _PydanticGiven(
            f"{kind.__name__} is a pydantic model: give predict the type hint"
            f" list[{kind.__name__}], and the signature comes from it"
        )
    raise InvalidArgument(f"{shortened(value)} is of none of the types of a schema")


def infer_params(params: dict[str, Any]) -> ParamSchema:
    """The schema of parameters of inference; what is given is their default.

    Raises:
        InvalidArgument: One is neither a scalar, nor a list of scalars, nor a dictionary.
    """
    if not isinstance(params, dict):
        raise InvalidArgument(f"params: must be a dictionary, not {shortened(params)}")
    specs, faults = [], []
    for name, value in params.items():
        try:
            dtype, shape = _param_type(value)
            specs.append(ParamSpec(name, dtype, deepcopy(value), shape))
        except (InvalidArgument, IncompatibleTypes) as error:
            faults.append(f"{name!r}: {error}")
    if faults:
        raise InvalidArgument(f"params: {'; '.join(faults)}")
    return ParamSchema(specs)


def _param_type(value: Any) -> tuple[DataType | Object, tuple[int, ...] | None]:
    import numpy as np

    if isinstance(value, dict):
        found = value_type(value)
        if not isinstance(found, Object):
            raise InvalidArgument("an empty dictionary says nothing of its type")
        return found, None
    if isinstance(value, dt.date | np.datetime64):
        return DataType.datetime, None
    if isinstance(value, list | np.ndarray):
        if len(value) and all(isinstance(item, dt.date | np.datetime64) for item in value):
            return DataType.datetime, (-1,)
        try:
            items = np.array(value)
        except ValueError:  # lists of different lengths
            items = np.empty((0, 0))
        if items.ndim != 1:
            raise InvalidArgument(f"must be a list of one dimension, not {shortened(value)}")
        return _param_dtype(items, value), (-1,)
    if not np.isscalar(value):
        raise InvalidArgument(
            f"must be a scalar, a list of scalars or a dictionary, not {shortened(value)}"
        )
    return _param_dtype(np.array(value), value), None


def _param_dtype(items: Any, value: Any) -> DataType:
    if items.dtype.kind == "O":
        raise InvalidArgument(f"values have no type in common: {shortened(value)}")
    return _dtype_type(items.dtype)
