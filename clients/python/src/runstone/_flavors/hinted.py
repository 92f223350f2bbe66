"""Input as the type hint of a model's predict says: checked, and made so where nothing is lost."""

from __future__ import annotations

import datetime as dt
import sys
import types
import typing
from typing import Any

from runstone.exceptions import SchemaMismatch

_SCALARS = (int, str, bool, float, bytes, dt.datetime)

MOST_FAULTS = 5
"""Of an input's elements that are wrong, this many are told."""


def converted(data: Any, hint: Any) -> Any:
    """The input as its hint says: rows of a DataFrame as a list, dicts as pydantic models.

    A hint that has no schema, such as a DataFrame, lets everything pass.

    Raises:
        SchemaMismatch: it is not what the hint says.
    """
    if typing.get_origin(hint) is not list:
        return data
    element = typing.get_args(hint)[0]
    if type(data).__module__.startswith("pandas") and hasattr(data, "to_dict"):
        data = _rows(data, element)
    return _made(data, hint, "input")


def _rows(frame: Any, element: Any) -> list[Any]:
    if not hasattr(frame, "columns"):
        return list(frame.tolist())
    of_dicts = typing.get_origin(element) is dict or element is dict or _is_pydantic(element)
    if of_dicts and (len(frame.columns) != 1 or frame.columns[0] != 0):
        return list(frame.to_dict(orient="records"))
    if len(frame.columns) != 1:
        raise SchemaMismatch(
            f"the input must be a list of {_shown(element)}, or a DataFrame with one column;"
            f" it has {len(frame.columns)}"
        )
    return list(frame.iloc[:, 0].tolist())


def _made(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if _is_pydantic(hint):
        return _model(value, hint, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        if type(value).__module__ == "numpy":
            value = value.tolist()
        if not isinstance(value, list):
            raise _wrong(value, hint, where)
        return _all([(f"{where}[{at}]", each, args[0]) for at, each in enumerate(value)])
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise _wrong(value, hint, where)
        made = _all([(f"{where}[{key!r}]", each, args[1]) for key, each in value.items()])
        return dict(zip(value, made, strict=True))
    if origin in {typing.Union, types.UnionType}:
        others = [each for each in args if each is not type(None)]
        if (value is None and len(others) < len(args)) or len(others) > 1:
            return value
        return _made(value, others[0], where)
    if hint in _SCALARS:
        return _scalar(value, hint, where)
    return value


def _all(parts: list[tuple[str, Any, Any]]) -> list[Any]:
    found: list[Any] = []
    faults: list[str] = []
    for where, value, hint in parts:
        try:
            found.append(_made(value, hint, where))
        except SchemaMismatch as error:
            faults.append(str(error))
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise SchemaMismatch("; ".join(faults[:MOST_FAULTS]) + more)
    return found


def _scalar(value: Any, hint: Any, where: str) -> Any:
    if type(value).__module__ == "numpy":
        value = value.item()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is dt.datetime and isinstance(value, str):
        try:
            return dt.datetime.fromisoformat(value)  # as JSON has it
        except ValueError:
            raise _wrong(value, hint, where) from None
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _wrong(value, hint, where)
    return value


def _model(value: Any, hint: Any, where: str) -> Any:
    pydantic: Any = sys.modules["pydantic"]
    if isinstance(value, hint):
        return value
    if isinstance(value, pydantic.BaseModel):
        value = value.model_dump()
    try:
        return hint.model_validate(value)
    except pydantic.ValidationError as error:
        raise SchemaMismatch(f"{where} is no {hint.__name__}: {error}") from error


def _is_pydantic(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def _wrong(value: Any, hint: Any, where: str) -> SchemaMismatch:
    return SchemaMismatch(f"{where} must be {_shown(hint)}, not {type(value).__name__}")


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
