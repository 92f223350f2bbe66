"""PostgreSQL's binary arrays, made here at a fifth of psycopg's cost; it only sends them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
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
_TEXT, _TEXT_ARRAY = 25, 1009
_BYTEA, _BYTEA_ARRAY = 17, 1001

_HEADER = struct.Struct(">5i")
"""Dimensions, whether there are NULLs, the items' type, their number, the first one's index."""

_LENGTH = struct.Struct(">i")


class BinaryArray(bytes):
    """A parameter: an array as it goes to PostgreSQL. ``oid`` is its type."""

    oid: int


class Int8Array(BinaryArray):
    """An int8[]."""

    oid = _INT8_ARRAY

    @classmethod
    def of(cls, numbers: Records) -> Int8Array:
        """The array of these int64."""
        return cls(_number_array(_INT8, ">i8", numbers))


class Float8Array(BinaryArray):
    """A float8[]."""

    oid = _FLOAT8_ARRAY

    @classmethod
    def of(cls, numbers: Records) -> Float8Array:
        """The array of these doubles."""
        return cls(_number_array(_FLOAT8, ">f8", numbers))


class TextArray(BinaryArray):
    """A text[]."""

    oid = _TEXT_ARRAY

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextArray:
        """The array of these texts."""
        return cls(_array(_TEXT, [text.encode() for text in texts]))


class ByteaArray(BinaryArray):
    """A bytea[]."""

    oid = _BYTEA_ARRAY

    @classmethod
    def of(cls, items: Sequence[bytes]) -> ByteaArray:
        """The array of these byte strings."""
        return cls(_array(_BYTEA, items))


def teach(connection: Connection) -> None:
    """Have a connection to PostgreSQL take these arrays; once is enough for its life."""
    if _KNOWN not in connection.info:
        adapters = connection.connection.driver_connection.adapters  # type: ignore[union-attr]
        for kind, dumper in _dumpers().items():
            adapters.register_dumper(kind, dumper)
        connection.info[_KNOWN] = True


def _number_array(oid: int, dtype: str, numbers: Any) -> bytes:
    items = np.empty(len(numbers), [("length", ">i4"), ("item", dtype)])
    items["length"] = 8
    items["item"] = numbers
    return _HEADER.pack(1, 0, oid, len(numbers), 1) + items.tobytes()


def _array(oid: int, items: Sequence[bytes]) -> bytes:
    parts = [_HEADER.pack(1, 0, oid, len(items), 1)]
    for item in items:
        parts += (_LENGTH.pack(len(item)), item)
    return b"".join(parts)


@cache
def _dumpers() -> dict[type, type[Dumper]]:
    # Imported with the first connection to PostgreSQL: a suite on SQLite starts without psycopg.
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: BinaryArray) -> Buffer:
            return obj

    return {
        kind: type(f"{kind.__name__}Dumper", (ArrayDumper,), {"oid": kind.oid})
        for kind in BinaryArray.__subclasses__()
    }
