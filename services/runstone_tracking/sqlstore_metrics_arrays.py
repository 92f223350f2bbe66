"""Numbers as PostgreSQL's binary arrays: numpy makes the bytes, psycopg only sends them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection

from runstone_tracking.model_metrics import Records

if TYPE_CHECKING:
    from psycopg.abc import Buffer
    from psycopg.adapt import Dumper

_KNOWN = "runstone_arrays"
"""What a pooled connection remembers of `teach`."""

_INT8, _INT8_ARRAY = 20, 1016
_FLOAT8, _FLOAT8_ARRAY = 701, 1022
_ARRAY_HEADER = np.dtype(
    [("dimensions", ">i4"), ("nulls", ">i4"), ("oid", ">i4"), ("size", ">i4"), ("bound", ">i4")]
)


class Int8Array(bytes):
    """A parameter: a PostgreSQL int8[] in binary."""

    @classmethod
    def of(cls, numbers: Records) -> Int8Array:
        """The array of these int64."""
        return cls(_binary_array(_INT8, ">i8", numbers))


class Float8Array(bytes):
    """A parameter: a PostgreSQL float8[] in binary."""

    @classmethod
    def of(cls, numbers: Records) -> Float8Array:
        """The array of these doubles."""
        return cls(_binary_array(_FLOAT8, ">f8", numbers))


def teach(connection: Connection) -> None:
    """Have a connection to PostgreSQL take both kinds of array; once is enough for its life."""
    if _KNOWN not in connection.info:
        adapters = connection.connection.driver_connection.adapters  # type: ignore[union-attr]
        for kind, dumper in _dumpers().items():
            adapters.register_dumper(kind, dumper)
        connection.info[_KNOWN] = True


def _binary_array(oid: int, dtype: str, numbers: Any) -> bytes:
    items = np.empty(len(numbers), [("length", ">i4"), ("item", dtype)])
    items["length"] = 8
    items["item"] = numbers
    return np.array((1, 0, oid, len(numbers), 1), _ARRAY_HEADER).tobytes() + items.tobytes()


@cache
def _dumpers() -> dict[type, type[Dumper]]:
    # Imported with the first connection to PostgreSQL: a suite on SQLite starts without psycopg.
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class Int8ArrayDumper(Dumper):
        format = Format.BINARY
        oid = _INT8_ARRAY

        def dump(self, obj: Int8Array) -> Buffer:
            return obj

    class Float8ArrayDumper(Dumper):
        format = Format.BINARY
        oid = _FLOAT8_ARRAY

        def dump(self, obj: Float8Array) -> Buffer:
            return obj

    return {Int8Array: Int8ArrayDumper, Float8Array: Float8ArrayDumper}
