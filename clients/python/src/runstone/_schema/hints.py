"""Schemas of type hints: of `PythonModel.predict`, of pydantic models and of dataclasses."""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import sys
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from runstone._schema.datatypes import DataType
from runstone._schema.nested import AnyType, Array, ColumnType, Map, Object, Property
from runstone._schema.schema import ColSpec, Schema
from runstone._schema.signature import ModelSignature
from runstone.exceptions import InvalidArgument

TypeFromExample = TypeVar("TypeFromExample")
"""The hint of an input that is to be of the type of the input example; it has no schema."""

_SCALARS = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    dt.datetime: DataType.datetime,
}

# As MLflow maps the fields of a dataclass: their float is the narrow one.
_FIELDS = {
    bool: DataType.boolean,
    int: DataType.long,
    float: DataType.float,
    str: DataType.string,
    bytes: DataType.binary,
    dt.date: DataType.datetime,
}

_FRAMES = {
    "pandas": ("DataFrame", "Series"),
    "numpy": ("ndarray",),
    "scipy.sparse": ("csc_matrix", "csr_matrix"),
}
"""Hints that say nothing of columns or types."""

_SUPPORTED = (
    "list[T], where T is int, str, bool, float, bytes, datetime, a pydantic model, Any, or a list"
    " or dict[str, …] of these"
)


class Hints(NamedTuple):
    """The hints of a function's input and of what it returns; None where it has none."""

    input: Any
    output: Any


class _Unsupported(Exception):
    """A hint that may stand there, but has no schema."""


class _Found(NamedTuple):
    dtype: ColumnType
    required: bool = True


def signature_from_type_hints(func: Callable[..., Any]) -> ModelSignature | None:
    """The signature that the type hints of a predict function tell.

    Args:
        func: ``predict`` of a PythonModel, bound or not, or a function of the input: with or
            without ``self``, a context before the input, and ``params`` after it.

    Returns:
        None when the input has no hint, or one without a schema, such as a DataFrame; a hint that
        is not supported warns. What it gives is ``Any`` when its hint is missing or unsupported.

    Raises:
        InvalidArgument: The hint of the input is half a hint (``list``), or of an optional input.

    Example:
        >>> from runstone.models.signature import signature_from_type_hints
        >>> def predict(model_input: list[dict[str, float]]) -> list[int]: ...
        >>> signature_from_type_hints(predict).inputs
        [Map(str -> DataType.double) (required)]
    """
    hints = function_hints(func)
    if hints.input is None or hints.input is TypeFromExample or _is_frame(hints.input):
        return None
    try:
        inputs = _schema_of_list(hints.input)
    except _Unsupported as error:
        warnings.warn(f"no signature from the type hint: {error}", stacklevel=2)
        return None
    signature = ModelSignature(inputs, _schema_of_output(hints.output))
    signature.is_signature_from_type_hint = True
    return signature


def function_hints(func: Callable[..., Any]) -> Hints:
    """The hints of a predict function's input and output. Raises InvalidArgument."""
    if not callable(func):
        raise InvalidArgument(f"func: must be a function, not {type(func).__name__}")
    if not inspect.isroutine(func):
        func = type(func).__call__
    names = [name for name in inspect.signature(func).parameters if name != "self"]
    others = [name for name in names if name != "params"]
    place = 1 if "context" in names or len(others) == 2 else 0
    if len(names) <= place:
        return Hints(None, None)
    return Hints(_resolved(func, names[place]), _resolved(func, "return"))


def _resolved(func: Callable[..., Any], name: str) -> Any:
    """The hint of an argument; None when it has none, or is text that means nothing here."""
    hint = getattr(func, "__annotations__", {}).get(name)
    if not isinstance(hint, str):
        return hint
    # A name that is imported for type checkers only is typing's, most of the time.
    names = {**vars(typing), **getattr(inspect.unwrap(func), "__globals__", {})}
    names.pop("__builtins__", None)
    try:
        return typing.get_type_hints(types.SimpleNamespace(__annotations__={name: hint}), names)[
            name
        ]
    except (NameError, TypeError, SyntaxError, AttributeError):
        return None


def _is_frame(hint: Any) -> bool:
    for module, names in _FRAMES.items():
        loaded = sys.modules.get(module)
        if loaded is not None and any(hint is getattr(loaded, name, None) for name in names):
            return True
    return False


def _schema_of_output(hint: Any) -> Schema:
    try:
        if hint is not None:
            whole = hint is list or _effective_origin(hint) is list
            return _schema_of_list(hint) if whole else _schema_of(hint)
    except (_Unsupported, InvalidArgument):
        pass
    return Schema([ColSpec(AnyType())])


def _schema_of_list(hint: Any) -> Schema:
    if hint is not list and _effective_origin(hint) is not list:
        raise _Unsupported(
            f"the input is {_shown(hint)}, but predict takes many at once: list[{_shown(hint)}]"
        )
    if type(None) in typing.get_args(hint):
        raise _Unsupported(f"the input is {_shown(hint)}, but may not be optional")
    return _schema_of(_element(hint))


def _schema_of(hint: Any) -> Schema:
    found = _type_of(hint)
    if not found.required:
        raise InvalidArgument(
            f"type hint {_shown(hint)}: an input may not be optional; use a pydantic model with"
            " optional fields"
        )
    return Schema([ColSpec(found.dtype)])


def _type_of(hint: Any) -> _Found:
    """The type of a hint. Raises InvalidArgument for half a hint, _Unsupported for others."""
    if hint is Any:
        return _Found(AnyType())
    if isinstance(hint, type) and hint in _SCALARS:
        return _Found(_SCALARS[hint])
    if _is_pydantic(hint):
        return _Found(_type_of_pydantic(hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return _Found(Array(_type_of(_element(hint)).dtype))
    if origin is dict:
        if args[0] is not str:
            raise InvalidArgument(f"type hint {_shown(hint)}: keys must be str")
        return _Found(Map(_type_of(args[1]).dtype))
    if origin in {typing.Union, types.UnionType}:
        others = [each for each in args if each is not type(None)]
        required = len(others) == len(args)
        # Several types have none in common that a column could have.
        dtype = _type_of(others[0]).dtype if len(others) == 1 else AnyType()
        return _Found(dtype, required)
    if any(hint is half for half in (list, dict, typing.Optional, typing.Union)):
        raise InvalidArgument(f"type hint {_shown(hint)}: needs the type of what is in it")
    raise _Unsupported(f"{_shown(hint)} is not supported; {_SUPPORTED} is")


def _type_of_pydantic(model: Any) -> Object:
    properties = []
    for name, field in model.model_fields.items():
        found = _type_of(field.annotation)
        if not found.required and field.is_required():
            raise InvalidArgument(
                f"field {name!r} of {model.__name__}: is optional, and so needs a default,"
                " such as None"
            )
        properties.append(Property(name, found.dtype, found.required))
    return Object(properties)


def _is_pydantic(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and inspect.isclass(hint) and pydantic.BaseModel in hint.__mro__


def _element(hint: Any) -> Any:
    args = typing.get_args(hint)
    if len(args) != 1:
        raise InvalidArgument(f"type hint {_shown(hint)}: needs one type, as list[str] has")
    return args[0]


def _effective_origin(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        others = [each for each in typing.get_args(hint) if each is not type(None)]
        return _effective_origin(others[0]) if len(others) == 1 else None
    return origin


def _shown(hint: Any) -> str:
    plain = inspect.isclass(hint) and not typing.get_args(hint)
    return hint.__name__ if plain else str(hint)


def schema_of_dataclass(value: Any) -> Schema:
    """A schema with a column for each field of a dataclass, or of the class of an instance.

    Raises:
        InvalidArgument: A field is of a type that no column has.
    """
    return Schema([ColSpec(found.dtype, name, found.required) for name, found in _fields(value)])


def _fields(value: Any) -> list[tuple[str, _Found]]:
    kind = value if isinstance(value, type) else type(value)
    try:
        hints = typing.get_type_hints(kind)
    except NameError as error:
        raise InvalidArgument(
            f"dataclass {kind.__name__}: a type hint is unknown: {error}"
        ) from None
    return [
        (each.name, _field_type(hints[each.name], f"field {each.name!r} of {kind.__name__}"))
        for each in dataclasses.fields(kind)
    ]


def _field_type(hint: Any, where: str) -> _Found:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        others = [each for each in args if each is not type(None)]
        if len(others) != 1 or len(args) != 2:
            raise InvalidArgument(f"{where}: of unions only Optional[…] has a type")
        return _Found(_field_type(others[0], where).dtype, required=False)
    if origin is list:
        return _Found(Array(_field_type(args[0], where).dtype))
    if dataclasses.is_dataclass(hint):
        return _Found(
            Object([Property(name, found.dtype, found.required) for name, found in _fields(hint)])
        )
    if isinstance(hint, type) and hint in _FIELDS:
        return _Found(_FIELDS[hint])
    raise InvalidArgument(f"{where}: {_shown(hint)} is not supported in a dataclass")
