"""The scalar types of columns and parameters."""

from __future__ import annotations

import builtins
import datetime as dt
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class DataType(Enum):
    """The type of a scalar, as MLflow names them.

    Example:
        >>> from runstone.types import DataType
        >>> DataType.long, DataType.long.to_numpy()
        (long, dtype('int64'))
    """

    boolean = 1
    """True and False."""
    integer = 2
    """Whole numbers of 32 bits."""
    long = 3
    """Whole numbers of 64 bits."""
    float = 4
    """Floating point numbers of 32 bits."""
    double = 5
    """Floating point numbers of 64 bits."""
    string = 6
    """Text."""
    binary = 7
    """Bytes."""
    datetime = 8
    """Times of 64 bits, in nanoseconds, without a time zone."""

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> np.dtype[Any]:
        """The type of an array of such values."""
        import numpy as np

        return np.dtype(_KINDS[self].numpy)

    def to_pandas(self) -> np.dtype[Any] | type:
        """The type of a column of such values: ``object`` for text and bytes."""
        return object if self in {DataType.string, DataType.binary} else self.to_numpy()

    def to_python(self) -> type:
        """The type of one such value."""
        return _KINDS[self].python

    def to_spark(self) -> Any:
        """The type of a column of a Spark DataFrame."""
        import pyspark.sql.types

        return getattr(pyspark.sql.types, _KINDS[self].spark)()

    @classmethod
    def all_types(cls) -> list[DataType]:
        """All of them, in the order of their numbers."""
        return list(cls)

    @classmethod
    def from_numpy_type(cls, np_type: Any) -> DataType | None:
        """The type whose arrays have this dtype; None when there is none."""
        return next((each for each in cls if each.to_numpy() == np_type), None)

    @classmethod
    def check_type(cls, data_type: DataType, value: Any) -> bool:
        """Whether a value is of the type without any conversion."""
        return type(value) in python_types(data_type)


class _Kind(NamedTuple):
    numpy: str
    spark: str
    python: type


_KINDS = {
    DataType.boolean: _Kind("bool", "BooleanType", bool),
    DataType.integer: _Kind("int32", "IntegerType", int),
    DataType.long: _Kind("int64", "LongType", int),
    DataType.float: _Kind("float32", "FloatType", builtins.float),
    DataType.double: _Kind("float64", "DoubleType", builtins.float),
    DataType.string: _Kind("str", "StringType", str),
    DataType.binary: _Kind("bytes", "BinaryType", bytes),
    DataType.datetime: _Kind("datetime64[ns]", "TimestampType", dt.date),
}

NAMES = tuple(DataType.__members__)


def python_types(data_type: DataType) -> frozenset[type]:
    """The classes of single values that are of a type as they are."""
    import numpy as np

    table: dict[DataType, tuple[type, ...]] = {
        DataType.boolean: (bool, np.bool_),
        DataType.integer: (int, np.int32),
        DataType.long: (int, np.int64),
        DataType.float: (float, np.float32),
        DataType.double: (float, np.float64),
        DataType.string: (str, np.str_),
        DataType.binary: (bytes, np.bytes_, bytearray),
        DataType.datetime: (dt.date, dt.datetime, np.datetime64),
    }
    return frozenset(table[data_type])
