"""What a model takes and gives, in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from runstone._schema.nested import shortened
from runstone._schema.params import ParamSchema
from runstone._schema.schema import Schema
from runstone.exceptions import InvalidArgument


class ModelSignature:
    """What a model takes, what it gives, and its parameters.

    Args:
        inputs: The schema of what it takes; a dataclass stands for its fields.
        outputs: The schema of what it gives; a dataclass stands for its fields.
        params: The parameters of inference.

    Raises:
        InvalidArgument: All are None, or one is something else.

    Example:
        >>> from runstone.models import ModelSignature
        >>> from runstone.types import ColSpec, Schema
        >>> ModelSignature(Schema([ColSpec("double", "x")])).to_dict()["inputs"]
        '[{"type": "double", "name": "x", "required": true}]'
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, params: ParamSchema | None = None
    ) -> None:
        self.inputs = _schema(inputs, "inputs")
        self.outputs = _schema(outputs, "outputs")
        if not (params is None or isinstance(params, ParamSchema)):
            raise InvalidArgument(f"params: must be a ParamSchema, not {shortened(params)}")
        self.params = params
        # Of a model's folder, not of the signature: how it came about.
        self.is_signature_from_type_hint = False
        self.is_type_hint_from_example = False
        if self.inputs is None and self.outputs is None and params is None:
            raise InvalidArgument("a signature needs inputs, outputs or params")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ModelSignature)
            and self.inputs == other.inputs
            and self.outputs == other.outputs
            and self.params == other.params
        )

    def __repr__(self) -> str:
        parts = {"inputs": self.inputs, "outputs": self.outputs, "params": self.params}
        return "".join(f"{name}: \n  {value!r}\n" for name, value in parts.items())

    def to_dict(self) -> dict[str, Any]:
        """As it stands in an MLmodel file: each part is JSON in a string, or None."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, signature_dict: Mapping[str, Any]) -> ModelSignature:
        """From what ``to_dict`` gave.

        Raises:
            InvalidArgument: A part is no JSON, or not of a schema; says which, and why.
        """
        if not isinstance(signature_dict, Mapping):
            raise InvalidArgument(f"signature: must be a mapping, not {shortened(signature_dict)}")
        inputs, outputs, params = (
            signature_dict.get(part) or None for part in ("inputs", "outputs", "params")
        )
        return cls(
            Schema.from_json(inputs) if inputs else None,
            Schema.from_json(outputs) if outputs else None,
            ParamSchema.from_json(params) if params else None,
        )


def _schema(value: Any, which: str) -> Schema | None:
    if value is None or isinstance(value, Schema):
        return value
    if is_dataclass(value):
        from runstone._schema.hints import schema_of_dataclass

        return schema_of_dataclass(value)
    raise InvalidArgument(f"{which}: must be a Schema or a dataclass, not {shortened(value)}")
