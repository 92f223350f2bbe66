"""Parameters of inference: their types and defaults."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from runstone._schema.datatypes import NAMES, DataType, python_types
from runstone._schema.faults import Faults, Unfit
from runstone._schema.nested import (
    OBJECT,
    AnyDtype,
    Object,
    duplicates,
    entry,
    read_type,
    shortened,
    type_dict,
    type_from_dict,
)
from runstone._schema.schema import read_list
from runstone._schema.values import enforce_value
from runstone.exceptions import InvalidArgument, SchemaMismatch

_WIDENED = {
    DataType.long: (DataType.integer,),
    DataType.float: (DataType.integer, DataType.long),
    DataType.double: (DataType.integer, DataType.long, DataType.float),
}
"""Types whose values a type takes too, without loss that anybody would mind."""


class ParamSpec:
    """One parameter.

    Args:
        name: Its name.
        dtype: Its type: a ``DataType`` but binary, its name, or an ``Object``.
        default: The value when none is given; may be None.
        shape: ``(-1,)`` for a list of such values; None for one.

    Raises:
        InvalidArgument: The type is none for parameters, or the default is not of it.

    Example:
        >>> from runstone.types import ParamSpec
        >>> ParamSpec("temperature", "double", 0.7)
        'temperature': double (default: 0.7)
    """

    def __init__(
        self,
        name: str,
        dtype: AnyDtype,
        default: Any,
        shape: tuple[int, ...] | list[int] | None = None,
    ) -> None:
        self.name = str(name)
        found = read_type(dtype, f"dtype of the ParamSpec {name!r}")
        if found is DataType.binary or not isinstance(found, DataType | Object):
            allowed = ", ".join(each for each in NAMES if each != "binary")
            raise InvalidArgument(
                f"dtype of the ParamSpec {name!r}: must be an Object or one of {allowed},"
                f" not {found!r}"
            )
        self.dtype: DataType | Object = found
        if not (shape is None or (isinstance(shape, tuple | list) and tuple(shape) == (-1,))):
            raise InvalidArgument(
                f"shape of the ParamSpec {name!r}: must be None for one value, or (-1,) for a"
                f" list, not {shortened(shape)}"
            )
        if shape is not None and isinstance(found, Object):
            raise InvalidArgument(f"shape of the ParamSpec {name!r}: an Object has none")
        self.shape = None if shape is None else (-1,)
        try:
            self.default = self.read(default)
        except Unfit as error:
            raise InvalidArgument(f"default of the ParamSpec {name!r}: {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSpec) and vars(self) == vars(other)

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.dtype!r} (default: {self.default}){shape}"

    def read(self, value: Any) -> Any:
        """A value as the parameter's type, in Python's own classes. Raises Unfit."""
        if isinstance(self.dtype, Object):
            return _read_object(value, self.dtype)
        if self.shape is None:
            return _read_scalar(value, self.dtype)
        if isinstance(value, list):
            items = value
        elif getattr(value, "ndim", None) == 1 and hasattr(value, "tolist"):
            items = list(value)
        else:
            raise Unfit(f"is {shortened(value)}, must be a list of {self.dtype!r}")
        return [_read_scalar(item, self.dtype) for item in items]

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        default = self.default
        if self.dtype is DataType.datetime:
            default = [*map(_iso, default)] if self.shape else _iso(default)
        return {
            "name": self.name,
            "default": default,
            "shape": self.shape,
            **type_dict(self.dtype),
        }

    @classmethod
    def from_json_dict(cls, **document: Any) -> ParamSpec:
        """From what ``to_dict`` gave. Raises InvalidArgument."""
        where = f"ParamSpec {document.get('name')!r}"
        name, default = entry(document, "name", where), entry(document, "default", where)
        # Models of 2023 have dtype for type.
        kind = document.get("type") or entry(document, "dtype", where)
        dtype = type_from_dict(document, where) if kind == OBJECT else kind
        return cls(name, dtype, default, document.get("shape"))


class ParamSchema:
    """The parameters that a model takes at inference.

    Args:
        params: With names of their own.

    Raises:
        InvalidArgument: Two have one name, or one is no ParamSpec.

    Example:
        >>> from runstone.types import ParamSchema, ParamSpec
        >>> ParamSchema([ParamSpec("k", "long", 3)]).to_json()
        '[{"name": "k", "default": 3, "shape": null, "type": "long"}]'
    """

    def __init__(self, params: list[ParamSpec]) -> None:
        if not isinstance(params, list) or not all(isinstance(each, ParamSpec) for each in params):
            raise InvalidArgument(f"params: must be a list of ParamSpec, not {shortened(params)}")
        if twice := duplicates(each.name for each in params):
            raise InvalidArgument(f"params: more than one is called {', '.join(twice)}")
        self.params = params

    def __len__(self) -> int:
        return len(self.params)

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self.params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSchema) and self.params == other.params

    def __repr__(self) -> str:
        return repr(self.params)

    def to_dict(self) -> list[dict[str, Any]]:
        """As it is in JSON."""
        return [each.to_dict() for each in self.params]

    def to_json(self) -> str:
        """As JSON, as it stands in an MLmodel file."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> ParamSchema:
        """From what ``to_json`` gave. Raises InvalidArgument, which says what is wrong with it."""
        found = read_list(json_str, "params")
        for each in found:
            entry(each, "name", "an entry of params")
        return cls([ParamSpec.from_json_dict(**each) for each in found])


def _iso(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()


def _read_object(value: Any, dtype: Object) -> Any:
    """The value itself: checked, but not converted, for models want what they were written for."""
    faults = Faults("it does not fit")
    try:
        enforce_value(value, dtype, ("it",), faults)
        faults.check()
    except SchemaMismatch as error:
        told = "; ".join(f"{fault.field} {fault.description}" for fault in error.field_violations)
        raise Unfit(told) from None
    return value


def _read_scalar(value: Any, dtype: DataType) -> Any:
    if value is None:
        return None
    if dtype is DataType.datetime:
        return _read_time(value)
    kinds = python_types(dtype).union(*map(python_types, _WIDENED.get(dtype, ())))
    if type(value) not in kinds:
        raise Unfit(f"is {shortened(value)}, must be {dtype!r}")
    return dtype.to_python()(value)


def _read_time(value: Any) -> dt.date | None:
    import numpy as np

    try:
        found = np.datetime64(value).item()
    except (ValueError, TypeError, OverflowError):
        found = 0
    if not (found is None or isinstance(found, dt.date)):
        raise Unfit(f"is {shortened(value)}, must be a date or a time, to the microsecond at most")
    return found
