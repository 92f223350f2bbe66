"""Arguments checked against the signature that takes them.

What goes wrong far below ("'int' object is not iterable", "bad argument type for built-in
operation") names no argument. Here each is refused by its name, before anything is begun or sent.
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar, cast

from runstone import _values
from runstone._values import invalid
from runstone.exceptions import InvalidField

F = TypeVar("F", bound=Callable[..., Any])

Check = Callable[[str, Any], Any]
"""Takes an argument's name and value; gives the value to be used. Raises InvalidField."""

IDS = ("experiment_id", "experiment_ids")
"""Texts that look like numbers: the number is understood."""

PATHS = ("artifact_path", "artifact_file", "model_uri")
"""Texts that a path of pathlib may stand for."""

POINTS = ("step", "timestamp")
"""Whole numbers that may come as 3.0, as from a data frame."""


def _refused(name: str, wanted: str, value: Any) -> InvalidField:
    found = "None" if value is None else type(value).__name__
    return invalid(name, f"must be {wanted}, not {found}{_hint(name, wanted, value)}")


def _hint(name: str, wanted: str, value: Any) -> str:
    if name.endswith("run_id") and hasattr(getattr(value, "info", None), "run_id"):
        return " (run.info.run_id is a run's id)"
    if wanted == "a dict" and hasattr(value, "__dict__") and not callable(value):
        return f" (vars({name}) may be what is meant)"
    if wanted.startswith("a list") and isinstance(value, str):
        return f": [{value!r:.60}]"
    return ""


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _text(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if name in PATHS and isinstance(value, PurePath):
        return value.as_posix()
    if name in IDS and _is_whole(value):
        return str(value)
    raise _refused(name, "text", value)


def _path(name: str, value: Any) -> Any:
    if isinstance(value, str) or (
        isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)
    ):
        return value
    raise _refused(name, "text or a path", value)


def _texts(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in IDS:
        return [value] if value else None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _refused(name, "a list of texts", value)
    return [
        str(each) if name in IDS and _is_whole(each) else _text(f"{name}[{i}]", each)
        for i, each in enumerate(value)
    ]


def _whole(name: str, value: Any) -> Any:
    if name in POINTS:
        return _values.whole_number(name, value)
    if not _is_whole(value):
        raise _refused(name, "a whole number", value)
    number = operator.index(value)
    if name == "max_results" and number < 0:
        raise invalid(name, f"must not be negative, and is {number}")
    return number


def _truth(name: str, value: Any) -> Any:
    # A scalar of numpy is neither bool nor int. None is what a missing option often is.
    if value is None or isinstance(value, int) or hasattr(value, "item"):
        return bool(value)
    raise _refused(name, "True or False", value)


def _number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(name, "a number", value)
    return value


def _mapping(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    raise _refused(name, "a dict", value)


def _list(name: str, value: Any) -> Any:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _refused(name, "a list", value)
    return list(value)


def _mappings(name: str, value: Any) -> Any:
    every = _list(name, value)
    return [None if e is None else _mapping(f"{name}[{i}]", e) for i, e in enumerate(every)]


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


CHECKS: dict[str, Check] = {
    "str": _text,
    "str | None": _optional(_text),
    "str | Path | None": _optional(_path),
    "str | os.PathLike[str]": _path,
    "str | os.PathLike[str] | None": _optional(_path),
    "Sequence[str]": _texts,
    "Sequence[str] | None": _optional(_texts),
    "int": _whole,
    "int | None": _optional(_whole),
    "bool": _truth,
    "float | None": _optional(_number),
    "Mapping[str, Any]": _mapping,
    "Mapping[str, Any] | None": _optional(_mapping),
    "Mapping[str, str] | None": _optional(_mapping),
    "dict[str, Any] | None": _optional(_mapping),
    "Sequence[Dataset | DatasetLike]": _list,
    "Sequence[str | None] | None": _optional(_list),
    "Sequence[Mapping[str, str] | None] | None": _optional(_mappings),
}
"""By annotation. What is not here takes anything, or is looked at by who gets it."""


def _checks(function: Callable[..., Any]) -> dict[str, Check]:
    annotations: Mapping[str, Any] = function.__annotations__
    return {
        name: CHECKS[annotation]
        for name, annotation in annotations.items()
        if name != "return" and isinstance(annotation, str) and annotation in CHECKS
    }


def checked(function: F) -> F:
    """Have a function refuse arguments of types that its signature does not have.

    Raises:
        InvalidField: what the function then raises; it names the argument.
    """
    checks = _checks(function)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = [
            checks[name](name, value) if name in checks else value
            for name, value in zip(names, arguments, strict=False)
        ]
        for name, value in named.items():
            if name in checks:
                named[name] = checks[name](name, value)
        return function(*given, *arguments[len(given) :], **named)

    return cast("F", call)


def wrong(function: Callable[..., Any], given: Mapping[str, Any]) -> InvalidField | None:
    """The exception for the first of these arguments that has another type than it should."""
    for name, check in _checks(function).items():
        if name in given:
            try:
                check(name, given[name])
            except InvalidField as error:
                return error
    return None
