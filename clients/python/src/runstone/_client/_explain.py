"""Arguments that no message can hold, told by name.

Messages are made of arguments all over the client; what protobuf says of a bad one ("bad argument
type for built-in operation") names neither the argument nor the call. They are looked at after a
call has failed, so that those that succeed pay nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runstone._arguments import wrong
from runstone._values import invalid
from runstone.exceptions import InvalidArgument, RunstoneException

T = TypeVar("T")

WRONG_TYPE = "bad argument type"
OUT_OF_RANGE = "out of range"
"""How protobuf's messages for the two begin or end."""


def explained(kind: type[T]) -> type[T]:
    """Have the public methods of a class raise InvalidArgument for such arguments."""
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            setattr(kind, name, _wrapped(method))
    return kind


def _wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except (TypeError, ValueError, AttributeError) as error:
            explanation = _explanation(method, error, arguments, named)
            if explanation is None:
                raise
            raise explanation from None

    return call


def _explanation(
    method: Callable[..., Any],
    error: Exception,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> RunstoneException | None:
    try:
        given = inspect.signature(method).bind(*arguments, **named).arguments
    except TypeError:
        return None  # the call itself is wrong, and Python says how
    del given["self"]
    if isinstance(error, UnicodeEncodeError):
        field = next((path for name in given if (path := _unencodable(name, given[name]))), "text")
        return invalid(field, "must be text that UTF-8 can hold, without lone surrogates")
    told = wrong(method, given)
    if told is not None:
        return told
    if WRONG_TYPE in str(error):
        types = ", ".join(f"{name} is {type(value).__name__}" for name, value in given.items())
        return InvalidArgument(f"{method.__name__} takes other types: {types}")
    if OUT_OF_RANGE in str(error):
        return InvalidArgument(f"{method.__name__}: a number does not fit its field: {error}")
    return None


def _unencodable(path: str, value: Any) -> str | None:
    """The path of the first text in ``value`` that cannot be encoded."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if found := _unencodable(path, key) or _unencodable(f"{path}[{key!r}]", each):
                return found
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            if found := _unencodable(f"{path}[{index}]", each):
                return found
    return None
