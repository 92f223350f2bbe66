"""The types that a model's signature is made of: ``from runstone.types import ColSpec, Schema``."""

from runstone._schema.datatypes import DataType
from runstone._schema.params import ParamSchema, ParamSpec
from runstone._schema.schema import ColSpec, Schema, TensorSpec

__all__ = ["Schema", "ColSpec", "DataType", "TensorSpec", "ParamSchema", "ParamSpec"]
