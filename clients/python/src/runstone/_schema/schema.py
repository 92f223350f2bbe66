"""What a model takes or gives: columns, or tensors."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runstone._schema.datatypes import DataType
from runstone._schema.nested import (
    TENSOR,
    AnyDtype,
    ColumnType,
    duplicates,
    entry,
    read_type,
    shortened,
    type_dict,
    type_from_dict,
)
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import numpy as np


class ColSpec:
    """One column.

    Args:
        type: Its type, or the name of a ``DataType``.
        name: Its name, or the number that is its name in a DataFrame; None without names.
        required: Whether the data must have it.

    Raises:
        InvalidArgument: The type is unknown, or the name is neither text nor a number.

    Example:
        >>> from runstone.types import ColSpec
        >>> ColSpec("double", "age", required=False)
        'age': double (optional)
    """

    def __init__(
        self,
        type: AnyDtype,  # noqa: A002
        name: str | int | None = None,
        required: bool = True,
    ) -> None:
        if not (name is None or isinstance(name, str | int)):
            raise InvalidArgument(f"name of a ColSpec: must be a string, not {shortened(name)}")
        self.type: ColumnType = read_type(type, _of("type", "ColSpec", name))
        self.name = name
        self.required = required

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColSpec) and vars(self) == vars(other)

    def __repr__(self) -> str:
        required = "required" if self.required else "optional"
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}{self.type!r} ({required})"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        name = {} if self.name is None else {"name": self.name}
        return {**type_dict(self.type), **name, "required": self.required}

    @classmethod
    def from_json_dict(cls, **document: Any) -> ColSpec:
        """From what ``to_dict`` gave. Raises InvalidArgument."""
        where = _of("", "ColSpec", document.get("name"))
        dtype = type_from_dict(document, where)
        return cls(dtype, document.get("name"), document.get("required", True))


class TensorSpec:
    """One tensor.

    Args:
        type: Its numpy dtype, without a length for text and bytes.
        shape: Its lengths; -1 where any length will do.
        name: Its name; None for the only one.

    Raises:
        InvalidArgument: The type is none of numpy's, or a length is neither -1 nor 0 or more.

    Example:
        >>> import numpy as np
        >>> from runstone.types import TensorSpec
        >>> TensorSpec(np.dtype("float32"), (-1, 28, 28), "image")
        'image': Tensor('float32', (-1, 28, 28))
    """

    required = True
    """A tensor may never be left out."""

    def __init__(
        self,
        type: np.dtype[Any] | str,  # noqa: A002
        shape: tuple[int, ...] | list[int],
        name: str | None = None,
    ) -> None:
        if not (name is None or isinstance(name, str)):
            raise InvalidArgument(f"name of a TensorSpec: must be a string, not {shortened(name)}")
        self.type = _tensor_dtype(type, _of("type", "TensorSpec", name))
        self.shape = _tensor_shape(shape, _of("shape", "TensorSpec", name))
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and vars(self) == vars(other)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}Tensor({self.type.name!r}, {self.shape!r})"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        name = {} if self.name is None else {"name": self.name}
        spec = {"dtype": self.type.name, "shape": self.shape}
        return {**name, "type": TENSOR, "tensor-spec": spec}

    @classmethod
    def from_json_dict(cls, **document: Any) -> TensorSpec:
        """From what ``to_dict`` gave. Raises InvalidArgument."""
        where = _of("", "TensorSpec", document.get("name"))
        if entry(document, "type", where) != TENSOR:
            raise InvalidArgument(f"{where}: type must be {TENSOR!r}, not {document['type']!r}")
        spec = entry(document, "tensor-spec", where)
        dtype, shape = entry(spec, "dtype", where), entry(spec, "shape", where)
        return cls(dtype, shape, document.get("name"))


Input = ColSpec | TensorSpec


class Schema:
    """The columns, or the tensors, that a model takes or gives.

    Args:
        inputs: At least one: all of them columns or all of them tensors, with names of their own or
            all without. Columns without names are required, and only one tensor can be without.

    Raises:
        InvalidArgument: They are not so.

    Example:
        >>> from runstone.types import ColSpec, Schema
        >>> schema = Schema([ColSpec("double", "age"), ColSpec("string", "city", required=False)])
        >>> schema.required_input_names()
        ['age']
        >>> Schema.from_json(schema.to_json()) == schema
        True
    """

    def __init__(self, inputs: list[ColSpec] | list[TensorSpec]) -> None:
        _check_inputs(inputs)
        self.inputs: list[Any] = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.inputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.inputs == other.inputs

    def __repr__(self) -> str:
        return repr(self.inputs)

    def is_tensor_spec(self) -> bool:
        """Whether it is of tensors."""
        return isinstance(self.inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """Whether columns or tensors have names."""
        return self.inputs[0].name is not None

    def input_names(self) -> list[Any]:
        """The names; the numbers from 0 when there are none."""
        return _names(enumerate(self.inputs))

    def required_input_names(self) -> list[Any]:
        """The names of what must be there."""
        return _names((i, each) for i, each in enumerate(self.inputs) if each.required)

    def optional_input_names(self) -> list[Any]:
        """The names of what may be left out."""
        return _names((i, each) for i, each in enumerate(self.inputs) if not each.required)

    def input_types(self) -> list[Any]:
        """The types, in order."""
        return [each.type for each in self.inputs]

    def input_types_dict(self) -> dict[Any, Any]:
        """The types by name. Raises InvalidArgument when there are no names."""
        return {name: each.type for name, each in self.input_dict().items()}

    def input_dict(self) -> dict[Any, Any]:
        """Columns or tensors by name. Raises InvalidArgument when there are no names."""
        if not self.has_input_names():
            raise InvalidArgument("the schema has no names; use inputs, or input_types()")
        return {each.name: each for each in self.inputs}

    def numpy_types(self) -> list[np.dtype[Any]]:
        """The types as numpy's. Raises InvalidArgument when one is an object, array or map."""
        if self.is_tensor_spec():
            return self.input_types()
        return [each.to_numpy() for each in self._scalar_types()]

    def pandas_types(self) -> list[Any]:
        """The types of columns as pandas has them. Raises InvalidArgument for tensors too."""
        if self.is_tensor_spec():
            raise InvalidArgument("the schema is of tensors; use numpy_types()")
        return [each.to_pandas() for each in self._scalar_types()]

    def _scalar_types(self) -> list[DataType]:
        for each in self.inputs:
            if not isinstance(each.type, DataType):
                raise InvalidArgument(f"column {each.name!r} is {each.type!r}, and no DataType")
        return self.input_types()

    def as_spark_schema(self) -> Any:
        """As Spark's: a StructType, or the type of the only column when it has no name.

        Raises:
            InvalidArgument: It is of tensors, or a type is no ``DataType``.
        """
        if self.is_tensor_spec():
            raise InvalidArgument("the schema is of tensors, which Spark has not")
        types = [each.to_spark() for each in self._scalar_types()]
        if len(types) == 1 and not self.has_input_names():
            return types[0]
        from pyspark.sql.types import StructField, StructType

        return StructType(
            [
                StructField(str(name), dtype, nullable=not each.required)
                for name, dtype, each in zip(self.input_names(), types, self.inputs, strict=True)
            ]
        )

    def to_dict(self) -> list[dict[str, Any]]:
        """As it is in JSON."""
        return [each.to_dict() for each in self.inputs]

    def to_json(self) -> str:
        """As JSON, as it stands in an MLmodel file."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> Schema:
        """From what ``to_json`` gave. Raises InvalidArgument, which says what is wrong with it."""
        return cls([_read_input(each) for each in read_list(json_str, "schema")])


def read_list(text: str, what: str) -> list[Any]:
    """The list in a JSON text. Raises InvalidArgument."""
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidArgument(f"{what}: is no JSON: {error}") from None
    if not isinstance(document, list):
        raise InvalidArgument(f"{what}: must be a JSON array, not {shortened(document)}")
    return document


def _read_input(document: Any) -> Any:
    kind = entry(document, "type", "an entry of the schema")
    spec = TensorSpec if kind == TENSOR else ColSpec
    return spec.from_json_dict(**document)


def _of(field: str, spec: str, name: object) -> str:
    whole = spec if name is None else f"{spec} {name!r}"
    return f"{field} of {whole}" if field else whole


def _names(inputs: Any) -> list[Any]:
    return [i if each.name is None else each.name for i, each in inputs]


def _tensor_dtype(dtype: Any, where: str) -> np.dtype[Any]:
    import numpy as np

    named = isinstance(dtype, np.dtype | str)
    if not named and not (isinstance(dtype, type) and issubclass(dtype, np.generic)):
        raise InvalidArgument(f"{where}: must be a numpy dtype, not {shortened(dtype)}")
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{where}: numpy has no dtype {dtype!r}") from None
    if found.char in "US" and found.itemsize:
        text = "str" if found.char == "U" else "bytes"
        raise InvalidArgument(f"{where}: {text} without a length, not {found.name!r}")
    return found


def _tensor_shape(shape: Any, where: str) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list):
        raise InvalidArgument(f"{where}: must be a tuple or a list, not {shortened(shape)}")
    try:
        found = tuple(operator.index(length) for length in shape)
    except TypeError:
        raise InvalidArgument(
            f"{where}: must be whole numbers, -1 where any will do, not {tuple(shape)}"
        ) from None
    if any(length < -1 for length in found):
        raise InvalidArgument(f"{where}: lengths must be -1 (any), or 0 or more, not {found}")
    return found


def _check_inputs(inputs: Any) -> None:
    if not isinstance(inputs, list):
        raise InvalidArgument(f"inputs of a Schema: must be a list, not {shortened(inputs)}")
    if not inputs:
        raise InvalidArgument("inputs of a Schema: there must be at least one")
    kinds = {type(each) for each in inputs}
    if not kinds <= {ColSpec, TensorSpec} or len(kinds) > 1:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidArgument(
            f"inputs of a Schema: must be all ColSpec or all TensorSpec, not {found}"
        )
    names = [each.name for each in inputs if each.name is not None]
    if names and len(names) < len(inputs):
        raise InvalidArgument(
            "inputs of a Schema: either all or none have a name, not"
            f" {[each.name for each in inputs]}"
        )
    if twice := duplicates(names):
        raise InvalidArgument(f"inputs of a Schema: more than one is called {', '.join(twice)}")
    if not names and len(inputs) > 1 and TensorSpec in kinds:
        raise InvalidArgument("inputs of a Schema: several tensors need names")
    if not names and not all(each.required for each in inputs):
        raise InvalidArgument("inputs of a Schema: only columns with names can be optional")
