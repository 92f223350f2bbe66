"""All types of signatures, those of nested values among them."""

from runstone._schema.datatypes import DataType
from runstone._schema.nested import AnyType, Array, Map, Object, Property, SparkMLVector
from runstone._schema.params import ParamSchema, ParamSpec
from runstone._schema.schema import ColSpec, Schema, TensorSpec

__all__ = [
    "Schema",
    "ColSpec",
    "TensorSpec",
    "DataType",
    "Object",
    "Property",
    "Array",
    "Map",
    "AnyType",
    "SparkMLVector",
    "ParamSchema",
    "ParamSpec",
]
