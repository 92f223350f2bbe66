"""Schemas of DataFrames of Spark."""

from __future__ import annotations

from typing import Any

from runstone._schema.datatypes import DataType
from runstone._schema.nested import Array, ColumnType, Object, Property, SparkMLVector
from runstone._schema.schema import ColSpec, Schema
from runstone.exceptions import InvalidArgument

_SCALARS = {
    "byte": DataType.integer,
    "short": DataType.integer,
    "integer": DataType.integer,
    "long": DataType.long,
    "float": DataType.float,
    "double": DataType.double,
    "boolean": DataType.boolean,
    "string": DataType.string,
    "binary": DataType.binary,
    # Spark tells days from times; a schema does not.
    "date": DataType.datetime,
    "timestamp": DataType.datetime,
}
"""By what Spark calls a type."""


def schema_of_spark(frame: Any) -> Schema:
    """The columns of a DataFrame of Spark; all are required, for Spark says "nullable" of any.

    Raises:
        InvalidArgument: A column is of a type that has no counterpart, such as decimal.
    """
    return Schema(
        [
            ColSpec(_type(field.dataType, f"column {field.name!r}", frame, field.name), field.name)
            for field in frame.schema.fields
        ]
    )


def _type(found: Any, where: str, frame: Any = None, column: str = "") -> ColumnType:
    kind = found.typeName()
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array":
        return Array(_type(found.elementType, where))
    if kind == "struct":
        return Object(
            [
                Property(each.name, _type(each.dataType, where), required=not each.nullable)
                for each in found.fields
            ]
        )
    if kind == "map":
        if frame is None or found.valueType.typeName() == "map":
            raise InvalidArgument(
                f"{where}: of maps within others the keys are unknown; use structs"
            )
        value = _type(found.valueType, where)
        return Object([Property(key, value) for key in _keys(frame, column)])
    if type(found).__name__ == "VectorUDT":
        return SparkMLVector()
    raise InvalidArgument(f"{where}: Spark's {kind} is none of the types of a schema")


def _keys(frame: Any, column: str) -> set[str]:
    """All keys of a column of maps; Spark reads the whole column."""
    from pyspark.sql import functions

    keys = functions.explode(functions.map_keys(functions.col(f"`{column}`")))
    return {row[0] for row in frame.select(keys).distinct().collect()}
